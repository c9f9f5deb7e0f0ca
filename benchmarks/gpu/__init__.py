"""What a GPU must show, and how fast it is: one command, one JSON and one Markdown file."""
