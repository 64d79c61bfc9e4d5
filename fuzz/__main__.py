"""`python -m fuzz --minutes 10`: search for inputs out of which something wrong comes.

`python -m fuzz TARGET FILE` lets a target read the input of a fault again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from fuzz import faults

KEPT = Path(__file__).parents[1] / ".fuzz"
"""Where inputs that lead to new code are kept, and those of faults."""
_MISSING = (
    "atheris is not installed here; it has wheels for Linux (python -m pip install "
    "'gridcnn[fuzz]'); `make test` runs all targets without it, over far fewer inputs"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where nothing wrong came out, 1 where something did, 2 where nothing was tried."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("repeat", nargs="*", metavar="TARGET FILE", help="read an input again")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--target", action="append", help="search here alone; repeatable")
    parser.add_argument("--list", action="store_true", help="list the targets")
    given = parser.parse_args(arguments)
    os.environ["GRIDCNN_OFFLINE"] = "1"
    if not (given.list or given.repeat) and _has_atheris():
        import fuzz.search  # noqa: F401 - before anything of gridcnn: atheris watches imports
    return _chosen(given)


def _has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def _chosen(given: argparse.Namespace) -> int:
    from fuzz.targets import targets

    known = targets()
    if given.list:
        for target in known.values():
            print(f"{target.name:12} {target.about}")
        return 0
    names = given.target or list(known)
    unknown = [name for name in [*names, *given.repeat[:1]] if name not in known]
    if unknown or len(given.repeat) not in (0, 2):
        what = f"there is no target {unknown[0]}" if unknown else "give a target and a file"
        print(f"{what}; the targets are {', '.join(known)}", file=sys.stderr)
        return 2
    if given.repeat:
        return _repeat(given.repeat[0], Path(given.repeat[1]))
    if not _has_atheris():
        print(_MISSING, file=sys.stderr)
        return 2
    from fuzz.search import search

    return 1 if search(names, given.minutes, KEPT) else 0


def _repeat(name: str, path: Path) -> int:
    from fuzz.target import attempt, scratch
    from fuzz.targets import targets

    content = path.read_bytes()
    with scratch() as folder:
        try:
            attempt(targets()[name], content, folder)
        except Exception as error:
            traceback.print_exc()
            print(f"\n{faults.describe(error)}")
            return 1
    print("nothing wrong came out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
