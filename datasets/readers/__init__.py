"""Readers of what users have: folders, manifests, arrays, IDX files, and data given from Python."""
