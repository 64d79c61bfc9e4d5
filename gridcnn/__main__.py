"""The entry of the command line: `gridcnn`, and `python -m gridcnn`."""

import sys


def main() -> None:
    """Run the command line, and exit; Ctrl-C while it still loads is no error of ours."""
    try:
        from gridcnn.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
