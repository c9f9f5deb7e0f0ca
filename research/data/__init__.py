"""Readers of logs that few people have, as variants of a recipe's `data`."""
