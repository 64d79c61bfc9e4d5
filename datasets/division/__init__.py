"""Dividing labelled items into parts and folds, and the groups that stay together."""
