"""Soft events as factors, embedded without ever materializing V probabilities for each position."""

from farzi.soft import fusion as fusion  # which adds its rewrite to the engine
from farzi.soft.embedding import Events, LabelledEvents, SoftEvents, as_events, soft_embedding

__all__ = ["Events", "LabelledEvents", "SoftEvents", "as_events", "soft_embedding"]
