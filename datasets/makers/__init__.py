"""Makers of synthetic data, and writing it as files."""
