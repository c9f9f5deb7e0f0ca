"""A summary learnt with several students: each step is one student's, and the run can be resumed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.data import Log
from farzi.distillation import OuterLoop, distill, initialise
from farzi.distillation.check import check_parts
from farzi.errors import FarziError
from farzi.recipe import Recipe
from farzi.recipe import variants as v
from farzi.summary import Summary

from .states import cloned, tensors_of

GRU4REC, FMLPREC = v.GRU4Rec(hidden=8), v.FMLPRec(hidden=8)


def with_students(recipe: Recipe, *students: Any) -> Recipe:
    return recipe.changed({"outer.students": students})


def begin(recipe: Recipe, tiny: Log) -> OuterLoop:
    return OuterLoop(recipe, tiny, initialise(recipe, tiny))


def test_a_step_is_the_metagradient_of_the_student_whose_turn_it_is(tiny: Log, recipe: Recipe):
    outer = begin(with_students(recipe, GRU4REC), tiny)
    seen: set[str] = set()
    for _ in range(12):
        episode, students = outer.objective.episode(outer, outer.step), [one for (one,) in outer.pools]
        turn = next(one for one in students if one.loss.at == episode.inner)
        model = turn.loss.student
        seen.add(type(model).__name__)
        assert set(episode.begin.theta) == set(turn.loss.parameters_of(model))
        with torch.no_grad():
            assert episode.outer(episode.begin.theta).isfinite()
        before = {k: {"runs": one.state_dict()} for k, one in enumerate(students) if one is not turn}
        outer.take_step(0.03)
        for k, state in before.items():  # the other student's runs stand still
            after, there = tensors_of({"runs": students[k].state_dict()}), tensors_of(state)
            assert set(after) == set(there)
            assert all(torch.equal(after[key], value) for key, value in there.items())
    assert seen == {"SASRec", "GRU4Rec"}


def test_the_first_student_alone_is_the_run_without_others(tiny: Log, recipe: Recipe):
    plain, several = begin(recipe, tiny), begin(with_students(recipe, GRU4REC), tiny)
    several.pools = several.pools[:1]
    for _ in range(3):
        assert plain.take_step(0.03) == several.take_step(0.03)


def test_a_resumed_loop_of_several_students_repeats_an_uninterrupted_one(tiny: Log, recipe: Recipe):
    recipe = with_students(recipe, GRU4REC, FMLPREC)
    whole, cut = begin(recipe, tiny), begin(recipe, tiny)
    reports = [whole.take_step(0.03) for _ in range(8)]
    assert [cut.take_step(0.03) for _ in range(4)] == reports[:4]
    again = begin(recipe, tiny)
    again.load_state_dict(cloned(cut.state_dict()))
    assert [again.take_step(0.03) for _ in range(4)] == reports[4:]
    assert torch.equal(again.summary.latents, whole.summary.latents)


def test_a_recipe_with_several_students_runs(tiny: Log, recipe: Recipe, tmp_path: Path):
    recipe = with_students(recipe, GRU4REC)
    distill(recipe, tmp_path, dataset=tiny)
    assert Summary.load(tmp_path).recipe.outer.students == (GRU4REC,)


@pytest.mark.parametrize(
    ("students", "changes", "line"),
    [
        ((v.SASRec(hidden=8),), {}, "sasrec is the student already; name each of the others once$"),
        ((GRU4REC, GRU4REC), {}, "gru4rec is there twice; name each of the others once$"),
        (
            (GRU4REC,),
            {"outer.weights": {"type": "pretrained", "share": 0.5}},
            "recorded weights are of `student` alone",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    recipe: Recipe, students: tuple[Any, ...], changes: dict[str, Any], line: str
):
    with pytest.raises(FarziError, match=line):
        check_parts(with_students(recipe, *students).changed(changes))
