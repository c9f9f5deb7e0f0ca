"""The docs site's sources: docs/ with the generated parts filled in, and every file that a page links to."""
