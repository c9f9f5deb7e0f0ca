"""Soft events in factors: what a student is fed with, made a few rows at a time."""

from farzi.soft.embedding import soft_embedding
from farzi.soft.events import Events, SoftEvents, as_events

__all__ = ["Events", "SoftEvents", "as_events", "soft_embedding"]
