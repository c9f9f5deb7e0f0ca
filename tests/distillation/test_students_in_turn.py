"""A summary learnt with several students: each step is one student's, and the run can be resumed."""

from pathlib import Path

import pytest
import torch

from farzi.data import Dataset
from farzi.distillation import MetaMatching, Students, distill
from farzi.distillation.build import first_summary, outer_loop
from farzi.distillation.clipping import RunningClip
from farzi.distillation.contradictions import refuse_contradictions
from farzi.distillation.outer import Outer
from farzi.errors import FarziError
from farzi.recipe import InnerSettings, Recipe
from farzi.summary import Summary


def with_students(recipe: Recipe, *names: str, **inner: object) -> Recipe:
    settings = InnerSettings.model_validate({**recipe.inner.model_dump(), "students": names, **inner})
    return recipe.model_copy(update={"inner": settings})


def begin(recipe: Recipe, tiny: Dataset) -> Outer:
    return outer_loop(recipe, tiny, first_summary(recipe, tiny), RunningClip(), [])


def students_of(outer: Outer) -> Students:
    assert isinstance(outer.objective, MetaMatching)
    return outer.objective.students


def test_a_step_is_the_metagradient_of_the_student_whose_turn_it_is(tiny: Dataset, recipe: Recipe):
    outer = begin(with_students(recipe, "gru4rec"), tiny)
    seen: set[str] = set()
    for _ in range(12):
        episode, lines = outer.draw(), students_of(outer).lines
        line = next(line for line in lines if line.group.inner == episode.inner)
        name = type(line.group.loss.student).__name__
        seen.add(name)
        assert set(episode.theta) == set(line.group.loss.parameters_of(line.group.loss.student))
        with torch.no_grad():
            assert episode.outer(episode.theta).isfinite()
        before = {k: other.runs.tensors() for k, other in enumerate(lines) if other is not line}
        outer.take_step(0.03)
        for k, kept in before.items():  # the other student's runs stand still
            after = lines[k].runs.tensors()
            assert set(after) == set(kept)
            assert all(torch.equal(after[key], value) for key, value in kept.items())
    assert seen == {"SASRec", "GRU4Rec"}


def test_the_first_student_alone_is_the_run_without_others(tiny: Dataset, recipe: Recipe):
    plain, several = begin(recipe, tiny), begin(with_students(recipe, "gru4rec"), tiny)
    students_of(several).lines = students_of(several).lines[:1]
    for _ in range(3):
        assert plain.take_step(0.03) == several.take_step(0.03)


def test_a_run_of_several_students_goes_on_as_if_it_had_not_been_cut(tiny: Dataset, recipe: Recipe):
    recipe = with_students(recipe, "gru4rec", "fmlprec")
    whole, cut = begin(recipe, tiny), begin(recipe, tiny)
    reports = [whole.take_step(0.03) for _ in range(8)]
    assert [cut.take_step(0.03) for _ in range(4)] == reports[:4]
    again = begin(recipe, tiny)
    again.restore({name: value.clone() for name, value in cut.tensors().items()}, cut.step)
    again._clip.mean = cut._clip.mean
    assert [again.take_step(0.03) for _ in range(4)] == reports[4:]
    assert torch.equal(again.summary.latents, whole.summary.latents)


def test_a_recipe_with_several_students_runs(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    recipe = with_students(recipe, "gru4rec")
    distill(recipe, tmp_path, dataset=tiny)
    assert Summary.load(tmp_path).recipe.inner.students == ("gru4rec",)


@pytest.mark.parametrize(
    ("names", "inner", "line"),
    [
        (("sasrec",), {}, "sasrec is the student already; name others only"),
        (("gru4rec",), {"weights": "mixed"}, "begin with fresh weights, not with mixed ones"),
    ],
)
def test_what_contradicts_itself_is_refused(
    recipe: Recipe, names: tuple[str, ...], inner: dict[str, str], line: str
):
    with pytest.raises(FarziError, match=line):
        refuse_contradictions(with_students(recipe, *names, **inner))
