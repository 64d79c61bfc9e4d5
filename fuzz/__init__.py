"""Fuzzing: whatever is read, nothing but gridcnn's own errors comes out; see CONTRIBUTING.md."""
