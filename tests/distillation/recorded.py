"""A progress that records all that it receives."""

from typing import Any

from farzi.progress import Progress, StepReport


class Recorded(Progress):
    """Records all that a run reports."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.lines: list[str] = []
        self.stages: list[tuple[str, str, float]] = []
        self.steps: list[tuple[int, float, StepReport]] = []
        self.validations: list[tuple[int, Any, bool]] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def passing(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def stage(self, name: str, text: str, seconds: float) -> None:
        self.stages.append((name, text, seconds))

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        self.steps.append((number, fraction, report))

    def validation(self, number: int, result: Any, best: bool) -> None:
        self.validations.append((number, result, best))
