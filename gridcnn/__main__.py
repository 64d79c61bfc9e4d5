"""`python -m gridcnn`: the command line."""

from gridcnn.cli.main import main

if __name__ == "__main__":
    main()
