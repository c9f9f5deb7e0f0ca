"""How far a long run is, on stderr, so that stdout stays free for results.

On a terminal two live lines show the outer step, the real loss, the metagradient's norm, the last validation
and the time left; where there is no terminal each validation is a line of its own.
"""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from farzi.distillation import Progress, StepReport, Validation
from farzi.evaluation import shares

SELDOM = 60.0
"""Seconds between two lines on what is passing, where there is no terminal."""


class Shown(Progress):
    """Shows a run; use it as a context manager, so that the terminal is left as it was found.

    Args:
        console: where to; stderr if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._first: tuple[float, float] | None = None
        self._passed = time.monotonic()
        self._figures = ""
        self._report: StepReport | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def message(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """A line that stays, and stands out."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def doing(self, text: str) -> None:
        """What is being done now; on a terminal the next one takes its place."""
        if self._live.is_started:
            self._live.update(text, refresh=True)
        else:
            self.message(text)

    def passing(self, text: str) -> None:
        """A live line; where there is no terminal one of its own, now and then."""
        if self._live.is_started or time.monotonic() - self._passed >= SELDOM:
            self.doing(text)
            self._passed = time.monotonic()

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """Move the live line on."""
        self._report = report
        if not self._live.is_started:
            return
        left = self._left(fraction, seconds)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=1, completed=min(1, fraction), width=16),
            f"step {number}, {_losses(report)}" + ("" if left is None else f", {_clock(left)} left"),
        )
        self._live.update(Group(grid, self._figures), refresh=True)

    def validation(self, number: int, result: Validation, best: bool) -> None:
        """Show what fresh students reach of the full data's figures."""
        self._figures = f"of full data: {shares(result.relative)}"
        if not self._live.is_started:
            losses = "" if self._report is None else f" {_losses(self._report)};"
            self.message(f"step {number}:{losses} {self._figures}{' (best so far)' if best else ''}")

    def _left(self, fraction: float, seconds: float) -> float | None:
        """Seconds to the end at the pace since the first step seen here, leaving out what came before it."""
        if self._first is None:
            self._first = fraction, seconds
        begun, since = self._first
        return None if fraction <= begun else (1 - fraction) * (seconds - since) / (fraction - begun)


def _losses(report: StepReport) -> str:
    return f"{report.figure.replace('_', ' ')} {report.loss:.3f}, metagradient {report.norm:.2g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
