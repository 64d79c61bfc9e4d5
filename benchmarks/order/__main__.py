"""How well the checker of the rule of thumb does.

    python -m benchmarks.order            # a verdict on every real set
    python -m benchmarks.order --all      # and thresholds chosen without each, shuffles, changes
    python -m benchmarks.order --made     # made families of tables, with three seeds of the checker
    python -m benchmarks.order --list     # what these families are

Thresholds may be chosen by half of the families (`--tuned`); the other half (`--held-out`) tells
how well they do on what was not seen.
"""

from __future__ import annotations

import argparse

from benchmarks.order import made, real


def main() -> None:
    """Judge the real sets, or the made families if one of their options is given."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--all", action="store_true", help="the long checks of the real sets too")
    made.add_options(parser)
    arguments = parser.parse_args()
    if made.is_asked_for(arguments):
        made.run(arguments)
    else:
        real.run(parser, thorough=arguments.all)


if __name__ == "__main__":
    main()
