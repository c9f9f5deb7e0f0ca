"""The progress of a long run on stderr; stdout is for results.

On a terminal a live line shows the outer step, the real loss, the metagradient's norm, the time left and the
last validation. Without a terminal each validation is one line. Each finished stage is one line.
"""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from farzi.cli.options import arguments_as_options
from farzi.errors import visible
from farzi.evaluation import shares
from farzi.progress import Progress, StepReport, Validated, time_text

INTERVAL = 60.0
"""Seconds between two lines on the progress of a stage, if there is no terminal."""


class ConsoleProgress(Progress):
    """Prints the progress of a run; a context manager, which restores the terminal.

    Args:
        console: where to print; stderr if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._bar = Bar(
            BarColumn(bar_width=16),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            speed_estimate_period=3600,
            get_time=lambda: time.monotonic(),
        )
        self._task = self._bar.add_task("", total=None)
        self._passed = time.monotonic()
        self._losses = self._figures = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def message(self, text: str) -> None:
        self._console.print(visible(arguments_as_options(text)), markup=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        self._console.print(f"warning: {visible(text)}", style="yellow", markup=False, soft_wrap=True)

    def doing(self, text: str) -> None:
        """Print the line; on a terminal the next one replaces it."""
        if self._console.is_terminal:
            self._bar.update(self._task, description=visible(text), refresh=True)
        else:
            self.message(text)

    def passing(self, text: str) -> None:
        """Update the live line; without a terminal print a line once in `INTERVAL` seconds."""
        if self._console.is_terminal or time.monotonic() - self._passed >= INTERVAL:
            self.doing(text)
            self._passed = time.monotonic()

    def stage(self, name: str, text: str, seconds: float) -> None:
        self.message(f"{name:<{len('initialise')}}  {text}   {time_text(seconds)}")

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        losses = f"{report.name.replace('_', ' ')} {report.loss:.3f}, metagradient {report.norm:.2g}"
        self._losses = f" {losses};"
        if self._console.is_terminal:
            self._bar.update(self._task, total=1, completed=fraction)
            self.doing(f"step {number}, {losses}{self._figures}")

    def validation(self, number: int, result: Validated, best: bool) -> None:
        figures = f"of full data: {shares(result.relative)}"
        self._figures = f", {figures}"
        if not self._console.is_terminal:
            self.message(f"step {number}:{self._losses} {figures}{' (best so far)' if best else ''}")
