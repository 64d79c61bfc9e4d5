"""`python -m benchmarks.reading`: pictures, and sounds where they are measured."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from benchmarks.reading import pictures

if __name__ == "__main__":
    pictures.main()
    if find_spec("benchmarks.reading.sounds"):
        import_module("benchmarks.reading.sounds").main()
