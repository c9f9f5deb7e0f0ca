"""Farzi: distil a log of event sequences, or a text, into a few synthetic ones that train a model as well."""
