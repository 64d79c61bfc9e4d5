"""Benchmarks: each is run from the root of the checkout, as `python -m benchmarks.<name>`."""
