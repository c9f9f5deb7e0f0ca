"""What a run tells while it goes on; whoever shows it decides how."""

from farzi.distillation.outer import StepReport
from farzi.distillation.validation import Validation


class Progress:
    """Listens to a run. This one is silent; override what you want to hear."""

    def message(self, text: str) -> None:
        """One line worth telling: what is being prepared, that a run resumes."""

    def passing(self, text: str) -> None:
        """How far what is being prepared has come; the next one takes its place."""

    def warning(self, text: str) -> None:
        """One line that the user should act on."""

    def step(self, number: int, fraction: float, seconds: float, report: StepReport) -> None:
        """An outer step is done: its number from 1, the fraction of the run behind, seconds so far."""

    def validation(self, number: int, result: Validation, best: bool) -> None:
        """A validation after outer step `number`; whether it is the best so far."""
