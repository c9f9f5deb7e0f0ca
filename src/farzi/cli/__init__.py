"""The command line: `farzi COMMAND`. Each command parses, calls the library and prints."""

from farzi.cli.app import app, main

__all__ = ["app", "main"]
