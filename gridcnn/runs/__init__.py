"""Runs: a spec from data to answers, and the folder where its results are kept."""
