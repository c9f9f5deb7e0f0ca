"""Other distillers, for comparison: gradient and trajectory matching, as variants of `outer.objective`."""
