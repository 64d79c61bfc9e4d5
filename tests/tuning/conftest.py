"""Searches need Optuna; without it their tests are skipped."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = []
if find_spec("optuna") is None:
    collect_ignore = ["test_study.py", "test_search.py", "test_sharing.py"]
