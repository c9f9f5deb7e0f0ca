"""Distillers kept for comparison, as variants of the recipe's axes: gradient and trajectory matching."""
