"""The entry of the command line: `gridcnn`, and `python -m gridcnn`."""

try:
    import os
    import sys

    from gridcnn.cli import stopping
    from gridcnn.room import has_room, is_shortage
except KeyboardInterrupt:  # from here on, `stopping` handles it
    raise SystemExit(130) from None

_LEAST = 50_000_000  # bytes: with less, libraries fail in the strangest ways


def main() -> None:
    """Run the command line, and exit."""
    try:
        stopping.begin()
        if not has_room(_LEAST):
            raise MemoryError
        from gridcnn.cli.main import main as run

        run()
    except KeyboardInterrupt:  # not through `stopping`, as in a debugger
        sys.exit(stopping.code())
    except Exception as error:
        if not is_shortage(error):
            raise
        # There may be too little memory for the usual way to report errors.
        os.write(2, b"error: there is not enough memory; allow this process more (see ulimit -a)\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
