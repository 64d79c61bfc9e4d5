"""Kernels: one file for each family, each emitting the code of one kind of work on one item."""
