"""`python -m farzi`: the command line."""

from farzi.cli import main

if __name__ == "__main__":
    main()
