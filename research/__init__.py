"""The laboratory: studies of data distillation, their recipes and results. Not installed with the package."""
