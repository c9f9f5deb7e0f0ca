"""Other distillers, for comparison: variants of `outer.objective`."""
