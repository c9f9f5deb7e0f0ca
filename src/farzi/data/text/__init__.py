"""Texts: files and folders are read, split into training, validation and test, and cut into tokens."""
