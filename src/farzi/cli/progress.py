"""The progress of a long run on stderr; stdout is for results.

On a terminal two live lines show the outer step, the real loss, the metagradient's norm, the last validation
and the time left. Without a terminal each validation is one line. Each finished stage is one line.
"""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from farzi.cli.wording import arguments_as_options
from farzi.distillation import Progress, StepReport, Validation
from farzi.evaluation import shares

INTERVAL = 60.0
"""Seconds between two lines on the progress of a stage, if there is no terminal."""


class ConsoleProgress(Progress):
    """Prints the progress of a run; a context manager, which restores the terminal.

    Args:
        console: where to print; stderr if None.
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
        """Print a line."""
        self._console.print(arguments_as_options(text), markup=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        """Print a line in yellow."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def doing(self, text: str) -> None:
        """Print what is being done; on a terminal the next such line replaces it."""
        if self._live.is_started:
            self._live.update(text, refresh=True)
        else:
            self.message(text)

    def passing(self, text: str) -> None:
        """Update the live line; without a terminal print a line once in `INTERVAL` seconds."""
        if self._live.is_started or time.monotonic() - self._passed >= INTERVAL:
            self.doing(text)
            self._passed = time.monotonic()

    def stage(self, name: str, text: str, seconds: float) -> None:
        """Print a line: the stage, what it gave, what it took."""
        self.message(f"{name:<{len('initialise')}}  {text}   {seconds:,.{1 if seconds < 10 else 0}f} s")

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """Update the live lines."""
        self._report = report
        if not self._live.is_started:
            return
        remaining = self._remaining(fraction, seconds)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=1, completed=min(1, fraction), width=16),
            f"step {number}, {_losses(report)}"
            + ("" if remaining is None else f", {_clock(remaining)} left"),
        )
        self._live.update(Group(grid, self._figures), refresh=True)

    def validation(self, number: int, result: Validation, best: bool) -> None:
        """Print what fresh models reach of the full data's figures."""
        self._figures = f"of full data: {shares(result.relative)}"
        if not self._live.is_started:
            losses = "" if self._report is None else f" {_losses(self._report)};"
            self.message(f"step {number}:{losses} {self._figures}{' (best so far)' if best else ''}")

    def _remaining(self, fraction: float, seconds: float) -> float | None:
        """Seconds to the end, at the speed since the first step of this session."""
        if self._first is None:
            self._first = fraction, seconds
        start, since = self._first
        return None if fraction <= start else (1 - fraction) * (seconds - since) / (fraction - start)


def _losses(report: StepReport) -> str:
    return f"{report.name.replace('_', ' ')} {report.loss:.3f}, metagradient {report.norm:.2g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
