"""A memory strategy from outside the package: a plain list of all steps."""

from dataclasses import dataclass, field

from farzi.unroll import Cost, Memory, Replay, Step, Tape


@dataclass(frozen=True)
class EveryStep(Memory):
    """Keep every step, as `Store` does, without intermediates."""

    def tape(self, steps: int, replay: Replay, place: object = None) -> Tape:
        return _List()

    def cost(self, steps: int, parameters: int, slots: int, intermediates: int = 0) -> Cost:
        return Cost(device=steps * (2 + slots) * parameters)


@dataclass
class _List(Tape):
    steps: list[Step] = field(default_factory=list)

    def put(self, index: int, step: Step) -> None:
        self.steps.append(step)

    def pop(self, index: int) -> Step:
        return self.steps.pop()
