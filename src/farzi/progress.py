"""What a run reports while it is in progress."""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from farzi.errors import visible


class StepReport(NamedTuple):
    """The figures of one outer step."""

    loss: float  # the objective's, before the summary changed; for `RealLoss` cross-entropy in nats
    norm: float  # length of the metagradient before clipping; infinite where it was not finite
    name: str  # what the loss is called


class Validated(Protocol):
    """A validation of a summary."""

    @property
    def figures(self) -> Mapping[str, float]: ...  # by metric
    @property
    def relative(self) -> Mapping[str, float]: ...  # their ratios to the full data's


class Progress:
    """Receives the reports of a run and ignores them; override what is to be shown."""

    def message(self, text: str) -> None:
        """One line that stays: what is being prepared, that a run resumes."""

    def doing(self, text: str) -> None:
        """What begins now, one of several parts; the next such line replaces it."""

    def passing(self, text: str) -> None:
        """How far a part is; comes often, and the next such line replaces it."""

    def warning(self, text: str) -> None:
        """One line that the user should act on."""

    def stage(self, name: str, text: str, seconds: float) -> None:
        """A stage has ended, as "teach", "refine" or "train": what it gave, and what it took."""

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """An outer step has ended: its number from 1, the finished fraction of the run, seconds so far."""

    def validation(self, number: int, result: Validated, best: bool) -> None:
        """A validation after outer step `number`; whether it is the best so far."""


class Several(Progress):
    """Passes each report on to several receivers."""

    def __init__(self, *receivers: Progress) -> None:
        self._receivers = receivers

    def message(self, text: str) -> None:
        for one in self._receivers:
            one.message(text)

    def doing(self, text: str) -> None:
        for one in self._receivers:
            one.doing(text)

    def passing(self, text: str) -> None:
        for one in self._receivers:
            one.passing(text)

    def warning(self, text: str) -> None:
        for one in self._receivers:
            one.warning(text)

    def stage(self, name: str, text: str, seconds: float) -> None:
        for one in self._receivers:
            one.stage(name, text, seconds)

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        for one in self._receivers:
            one.step(number, fraction, seconds, report)

    def validation(self, number: int, result: Validated, best: bool) -> None:
        for one in self._receivers:
            one.validation(number, result, best)


class PrintedProgress(Progress):
    """Prints the lines that stay to stderr: messages, warnings, and one line for each part and each stage."""

    def message(self, text: str) -> None:
        with suppress(OSError):  # a terminal that has gone ends no run
            print(visible(text), file=sys.stderr)

    def doing(self, text: str) -> None:
        self.message(text)

    def warning(self, text: str) -> None:
        self.message(f"warning: {text}")

    def stage(self, name: str, text: str, seconds: float) -> None:
        self.message(f"{name}: {text}, {time_text(seconds)}")


def time_text(seconds: float) -> str:
    """A time as `0.0912 s`, `3.1 s`, `34 s`, `12 min` or `2.5 h`."""
    if seconds < 1:
        return f"{seconds:.3g} s"
    if seconds < 300:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counted(number: float, noun: str) -> str:
    """A number with its noun: `1 outer step`, `1,000 outer steps`, `0.5 minutes`."""
    text = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{text} {noun}{'' if number == 1 else 's'}"


def time_left(begun: float, done: int, total: int) -> str:
    """The time for the rest of `total` equal parts, of which `done` took since `begun` (`time.monotonic`)."""
    return time_text((time.monotonic() - begun) / done * (total - done))
