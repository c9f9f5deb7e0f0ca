"""Recurrences as single operations with derivatives of every order."""

from farzi.models.recurrence.gru import gru as gru
from farzi.models.recurrence.lstm import lstm as lstm

__all__ = ["gru", "lstm"]
