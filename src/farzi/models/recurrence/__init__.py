"""Recurrences as single operations that may be differentiated as often as needed."""

from farzi.models.recurrence.gru import gru as gru
from farzi.models.recurrence.lstm import lstm as lstm

__all__ = ["gru", "lstm"]
