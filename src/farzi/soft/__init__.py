"""Soft events as factors, embedded without ever materializing V probabilities for each position."""

from farzi.soft.embedding import soft_embedding
from farzi.soft.events import Events, SoftEvents, as_events
from farzi.soft.fusion import fuse_passes

__all__ = ["Events", "SoftEvents", "as_events", "fuse_passes", "soft_embedding"]
