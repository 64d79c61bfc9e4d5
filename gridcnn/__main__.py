"""The entry of the command line: `gridcnn`, and `python -m gridcnn`."""

try:
    import os
    import sys

    from gridcnn.cli import stopping
    from gridcnn.room import is_shortage
except KeyboardInterrupt:  # from here on, `stopping` answers for it
    raise SystemExit(130) from None


def main() -> None:
    """Run the command line, and exit."""
    stopping.begin()
    try:
        from gridcnn.cli.main import main as run

        run()
    except Exception as error:
        if not is_shortage(error):
            raise
        # Too little to load or to use what says it otherwise.
        os.write(2, b"error: there is not enough memory; allow this process more (see ulimit -v)\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
