"""The entry of the command line: `gridcnn`, and `python -m gridcnn`."""

try:
    from gridcnn.cli import stopping
except KeyboardInterrupt:  # from here on, `stopping` answers for it
    raise SystemExit(130) from None


def main() -> None:
    """Run the command line, and exit."""
    stopping.begin()
    from gridcnn.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
