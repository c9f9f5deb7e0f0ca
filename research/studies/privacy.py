"""What a summary reveals about users, compared with random sequences and a student of the full data.

The users are split into halves: members, from whose events everything is learnt, and others, never seen. They
differ in nothing else, so an attack that finds more members than chance measures what was revealed. Two
attacks: the loss of a student on a user's events, and the nearest real sequence to each synthetic one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from farzi.data import Log
from farzi.evaluation.controls import Random
from farzi.recipe import Recipe
from research.studies.attacks import attack, losses, overlaps
from research.studies.bench import FIRST_SEED, Bench
from research.studies.conclusions import counted, curve, headline_figures, interval_of, table
from research.studies.findings import Chart, Findings, paragraph
from research.studies.measures import OnHeldOut
from research.studies.members import Members
from research.studies.rows import Done
from research.studies.study import Demand, Repeat, Row, Setting, Study
from research.studies.sweeps import FULL
from research.studies.trainings import OnReal, OnSummary

MEMBER = "share of members above others"
CAUGHT = "share caught at 1 % false alarms"
NEAREST = "share nearest a member"


@dataclass(frozen=True)
class GivenAway:
    """Both attacks on a student and its training data.

    Attributes:
        training: on the members' events, or on a summary of them.
        members: the half.
    """

    training: OnSummary | OnReal
    members: Members

    def __call__(self, bench: Bench, repeat: Repeat) -> dict[str, float]:
        """The student's test figures on the members, and the results of the attacks."""
        recipe: Recipe = self.training.recipe
        trained, _ = self.training.fit(bench, repeat)
        mine = _log(bench, self.members, repeat)
        theirs = _log(bench, Members(self.members.settings, others=True), repeat)
        scores = [-losses(trained.model, log.train) for log in (mine, theirs)]
        result = attack(*scores)
        figures = OnHeldOut()(trained.model, mine, recipe.select.seen)
        figures |= {MEMBER: result.auc, "share, blind at most": result.null, CAUGHT: result.caught}
        events = self._events(bench, repeat, mine)
        if events is None:
            return figures
        near, far = (overlaps(events, log.train).max(1) for log in (mine, theirs))
        figures["share of overlap, members"] = float(near.mean())
        figures["share of overlap, others"] = float(far.mean())
        figures[NEAREST] = float(((near > far) + (near == far) / 2).mean())
        return figures

    def _events(self, bench: Bench, repeat: Repeat, log: Log) -> Tensor | None:
        """The training data as soft inputs; None if it is the whole log."""
        if isinstance(self.training, OnSummary):
            with torch.no_grad():
                return bench.summary(self.training.recipe, repeat.summary, log).tensors.soft_inputs()
        if self.training.control is None:
            return None
        picked = self.training.pick(log, FIRST_SEED + repeat.number)
        full = [one for one in picked if len(one) == self.training.recipe.summary.length]
        if not full:
            return None
        indices = torch.stack([torch.from_numpy(one) for one in full])
        return torch.nn.functional.one_hot(indices, len(log.vocabulary)).float()

    @property
    def demand(self) -> Demand:
        """The training's."""
        return self.training.demand


def _log(bench: Bench, members: Members, repeat: Repeat) -> Log:
    log = bench.data(members.settings, members, repeat.summary)
    if not isinstance(log, Log):
        raise TypeError("a text has no users")
    return log


def grid(setting: Setting) -> Sequence[Row]:
    """All events of the members, random sequences of members, and a summary."""
    members = Members(setting.recipe.data)
    trainings: dict[str, OnSummary | OnReal] = {
        FULL: OnReal(setting.recipe, source=members),
        "random": OnReal(setting.recipe, Random(), source=members),
        "summary": OnSummary(setting.recipe, source=members),
    }
    return [
        setting.row(name, {"trained on": name}, GivenAway(training, members))
        for name, training in trainings.items()
    ]


def conclude(rows: Sequence[Done]) -> Findings:
    """The results of the attacks, each with its null."""
    figures = (MEMBER, "share, blind at most", CAUGHT, NEAREST, "share of overlap, members",
               "share of overlap, others")  # fmt: skip
    main_table = table(rows, ("trained on",), (*figures, *headline_figures(rows)))
    charts = (
        Chart("By a student's loss", "trained on", "members above others, %",
              (curve(rows, "", "trained on", MEMBER),), "bars", level=50.0, level_name="blind"),
        Chart("By the nearest real sequence", "trained on", "nearest is a member's, %",
              (curve(rows, "", "trained on", NEAREST),), "bars", level=50.0, level_name="blind"),
    ) if rows else ()  # fmt: skip
    sentences = [_sentence(done) for done in rows if not done.failure]
    sentences.append(counted(rows))
    return Findings((main_table,), charts, paragraph(sentences))


def _sentence(done: Done) -> str:
    mean, low, high = (100 * value for value in interval_of(done, MEMBER))
    blind = 100 * interval_of(done, "share, blind at most").mean
    above = "more than chance" if low > 50 else "perhaps more than chance: the interval holds 50"
    verdict = above if mean > blind else "no more than chance"
    words = (
        f"Trained on {done.labels['trained on']}, a student's loss puts a member above another user in "
        f"{mean:.1f} % of pairs ({low:.1f} to {high:.1f}; blind 50, at most {blind:.1f}): {verdict}"
    )
    near = interval_of(done, NEAREST)
    if near.mean == near.mean:
        words += (
            f"; the nearest real sequence is a member's in {100 * near.mean:.0f} % of cases (blind: 50 %)"
        )
    return f"{words}."


PRIVACY = Study(
    "privacy",
    "What does a summary reveal about the users it was learnt from?",
    grid,
    conclude,
    summaries=3,
)
