"""The results of a check, and what to do about them, in words."""

import math
from dataclasses import dataclass

import torch

AGREEMENT = 1e-3
"""The largest difference from the metagradient that passes, as a fraction of its expected component."""
COSINE = 0.99
"""The least cosine with float64 that passes."""
SMOOTHNESS = 0.8
"""The least metasmoothness that passes: a tenth of the movement may reverse from one step to the next."""

_SMOOTHER = (
    "make the run smoother (a larger epsilon, a lower learning rate, a shorter window), keep states by an "
    "exact memory strategy"
)
_ADVICE = {
    "modes": "switch that off (torch.autocast, and torch.set_float32_matmul_precision('highest') for TF32)",
    "float64": _SMOOTHER,
    "float32": f"{_SMOOTHER}, or use float64",
}


@dataclass(frozen=True)
class Precision:
    """A metagradient in the working precision compared with the one in float64 on the same numbers."""

    dtype: torch.dtype  # the working precision
    device: str  # of the run, as in "cpu"
    cosine: float  # of the two; nan if one of them is not finite
    ratio: float  # of their lengths, working to float64; nan if one of them is not finite
    modes: tuple[str, ...] = ()  # modes of the process that make products less precise than their dtype

    @property
    def name(self) -> str:
        """The working precision, as in "float32"."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def sound(self) -> bool:
        """Whether the cosine is at least `COSINE`."""
        return self.cosine >= COSINE

    @property
    def verdict(self) -> str:
        """One line."""
        where = " with ".join([self.name, *self.modes])
        result = f"its cosine with float64 is {self.cosine:.6g}"
        if math.isnan(self.cosine):
            result = "it is not finite"
        if self.sound:
            return f"precise: in {where} {result}, its length {self.ratio:.4g} times that in float64"
        advice = _ADVICE.get("modes" if self.modes else self.name, "use float32")
        return f"not precise: in {where} {result}, less than {COSINE}; {advice}"


@dataclass(frozen=True)
class Difference:
    """One direction of the data, along which differences of the whole run were taken."""

    metagradient: float  # its component along the direction
    difference: float  # the slope by central differences
    spread: float  # its uncertainty; see `Slope`
    step: float  # the step of these differences, as a fraction of the data's root mean square
    expected: float  # the expected size of the metagradient's component along a random direction

    @property
    def error(self) -> float:
        """|difference − metagradient|, as a fraction of the expected size."""
        return _part(abs(self.difference - self.metagradient), self.expected)

    @property
    def seen(self) -> bool:
        """Whether differences see a slope at all."""
        return _part(self.spread, self.expected) <= AGREEMENT / 2

    @property
    def agrees(self) -> bool:
        """Whether that slope is the metagradient's."""
        return self.error <= AGREEMENT


def _part(value: float, whole: float) -> float:
    if value == 0:
        return 0.0
    return value / whole if whole > 0 else math.inf


@dataclass(frozen=True)
class Remedy:
    """A change that was tried on a rough run."""

    setting: str  # "epsilon", "learning_rate", "window" or "outer_step"
    factor: float  # by which the setting was multiplied
    metasmoothness: float  # with the changed setting
    advice: str  # the change in words


@dataclass(frozen=True)
class Check:
    """The result of `check`."""

    loss: float  # the outer loss after the run, in float64
    norm: float  # length of the metagradient, in float64
    precision: Precision  # of the working metagradient
    differences: tuple[Difference, ...]  # one for each direction
    metasmoothness: float  # mean over the directions, in [−1, 1]
    steps: int  # number of differentiated steps
    before: int  # number of steps that the state had taken before these
    remedies: tuple[Remedy, ...] = ()  # for a rough run, the changes that were tried

    @property
    def exact(self) -> bool:
        """Whether differences agree with the metagradient along every direction."""
        return all(difference.agrees for difference in self.differences)

    @property
    def smooth(self) -> bool:
        """Whether the metasmoothness is at least `SMOOTHNESS`."""
        return self.metasmoothness >= SMOOTHNESS

    @property
    def sound(self) -> bool:
        """Whether all three checks pass."""
        return self.exact and self.precision.sound and self.smooth

    @property
    def verdict(self) -> tuple[str, ...]:
        """A line for each of the three checks; one that fails says what to change."""
        return (self._exactness(), self.precision.verdict, self._smoothness())

    def _exactness(self) -> str:
        if self.exact:
            error = max(one.error for one in self.differences)
            return f"right: differences of the whole run agree with it to {error:.1g} of its size"
        wrong = [one for one in self.differences if one.seen and not one.agrees]
        if wrong:
            worst = max(wrong, key=lambda one: one.error)
            return (
                f"wrong: along one direction it says {worst.metagradient:.6g}, differences of the whole run "
                f"say {worst.difference:.6g}; an operation of the loss or of the outer loss has a backward "
                "pass with a wrong derivative, or something is detached that should not be"
            )
        return (
            "not to be told: differences of the whole run see no slope at any step; it is too rough for "
            "them, or differs when it is recomputed (randomness that is not PyTorch's)"
        )

    def _smoothness(self) -> str:
        score = f"metasmoothness {self.metasmoothness:.3f} over one outer step"
        if self.smooth:
            return f"smooth: {score}"
        tried = sorted(self.remedies, key=lambda one: -one.metasmoothness)
        helped = [one for one in tried if one.metasmoothness > self.metasmoothness] or tried[:1]
        advice = [f"{one.advice} ({one.metasmoothness:.2f})" for one in helped]
        if self.before == 0:
            advice.append("leave the first steps out of what is differentiated")
        return f"rough: {score}, less than {SMOOTHNESS}; {'; '.join(advice)}"
