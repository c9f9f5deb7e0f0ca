"""Farzi: distil a log of event sequences into a few synthetic ones that train a recommender as well."""
