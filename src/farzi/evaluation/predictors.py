"""What can be measured: any object that scores the next item or token, trained or not."""

from typing import Protocol

import torch
from torch import Tensor


class Ranker(Protocol):
    """What `farzi.evaluate` measures on a log: every `SequenceModel`, and any other object with these.

    Attributes:
        length: the last events of a history that it is given, at most.
        device: where its scores are; histories are given there.
    """

    @property
    def length(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def next_scores(self, histories: Tensor) -> Tensor:
        """Scores of all V items as the next one, higher is better.

        Args:
            histories: indices (B, `length`), oldest first, padded with zeros on the left.

        Returns:
            Floats (B, V). Those of padding, column 0, are not read.
        """
        ...


class LanguageModel(Protocol):
    """What `farzi.evaluate` measures on a text: every `SequenceModel`, and any other object with these.

    Attributes:
        length: tokens of a window, at most.
        device: where its scores are; windows are given there.
    """

    @property
    def length(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def last_scores(self, windows: Tensor, count: int) -> Tensor:
        """Scores of all V tokens after each of the last `count` positions of a window.

        Args:
            windows: indices (B, `length`), padded with zeros on the left.
            count: positions, at most `length`.

        Returns:
            Floats (B, count, V): log probabilities up to a constant, −∞ for padding, column 0.
        """
        ...
