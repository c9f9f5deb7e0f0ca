"""What a run reports while it is in progress."""

import sys

from farzi.distillation.refine import StepReport
from farzi.distillation.select import Validation
from farzi.errors import visible


class Progress:
    """Receives the reports of a run and ignores them; override what is to be shown."""

    def message(self, text: str) -> None:
        """One line that stays: what is being prepared, that a run resumes."""

    def passing(self, text: str) -> None:
        """How far a stage is; the next such line replaces it."""

    def warning(self, text: str) -> None:
        """One line that the user should act on."""

    def stage(self, name: str, text: str, seconds: float) -> None:
        """A stage has ended: "teach", "initialise", "refine" or "select"; what it gave, and what it took."""

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """An outer step has ended: its number from 1, the finished fraction of the run, seconds so far."""

    def validation(self, number: int, result: Validation, best: bool) -> None:
        """A validation after outer step `number`; whether it is the best so far."""


class PrintedProgress(Progress):
    """Prints the lines that stay to stderr: messages, warnings, and one line for each stage."""

    def message(self, text: str) -> None:
        print(visible(text), file=sys.stderr)

    def warning(self, text: str) -> None:
        self.message(f"warning: {text}")

    def stage(self, name: str, text: str, seconds: float) -> None:
        self.message(f"{name}: {text}, {seconds:.0f} s")
