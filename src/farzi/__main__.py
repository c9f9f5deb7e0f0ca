"""`python -m farzi`: the command line."""

from farzi.cli import main

main()
