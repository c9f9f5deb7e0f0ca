"""One's own variant of each axis, a file each in tests/variants, is used from Python and from YAML alike."""

import sys
from pathlib import Path

import pytest
import torch

import farzi
from farzi.distillation import Progress
from farzi.recipe import Recipe, parse_recipe, presets
from tests.variants.averager import Averager
from tests.variants.every_step import EveryStep
from tests.variants.first_windows import FirstWindows
from tests.variants.last_event import LastEvent
from tests.variants.nesterov import Nesterov
from tests.variants.popular import Popular

SMALL = {
    "summary.sequences": 6,
    "summary.length": 8,
    "summary.parametrization": {"type": "low_rank", "dim": 4, "label_decoder": False},
    "inner.steps": 12,
    "inner.batch": 4,
    "outer.steps": 4,
    "outer.batch": 16,
    "outer.window": 4,
    "outer.burn_in": 2,
    "outer.pool": 2,
    "select.every": 2,
    "teach.max_steps": 10,
    "teach.validate_every": 5,
    "compare.seeds": 2,
    "compare.equal_bytes": False,
}

YAML = """
student: {type: "tests.variants.averager:Averager", width: 6}
init: {type: "tests.variants.popular:Popular", noise: 0.2}
inner:
  optimizer: {type: "tests.variants.nesterov:Nesterov", learning_rate: 0.2, momentum: 0.9}
outer:
  objective: {type: "tests.variants.last_event:LastEvent", smoothing: 0.1}
  adjoint: {type: exact, memory: {type: "tests.variants.every_step:EveryStep"}}
compare:
  controls: [random, {type: "tests.variants.first_windows:FirstWindows", skip: 1}]
"""


def from_python() -> Recipe:
    return presets.LOG.changed(
        {
            "student": {"type": "tests.variants.averager:Averager", "width": 6},
            "init": Popular(noise=0.2),
            "inner.optimizer": Nesterov(learning_rate=0.2),
            "outer.objective": LastEvent(smoothing=0.1),
            "outer.adjoint.memory": EveryStep(),
            "compare.controls": ("random", FirstWindows(skip=1)),
            **SMALL,
        }
    )


@pytest.fixture(scope="module", autouse=True)
def _importable() -> None:
    root = str(Path(__file__).parents[1])
    if root not in sys.path:
        sys.path.append(root)


def test_a_recipe_of_ones_own_variants_is_the_same_from_python_and_from_yaml():
    assert from_python() == parse_recipe(YAML, "r.yaml").changed(SMALL)
    assert parse_recipe(from_python().to_yaml(), "r.yaml") == from_python()


def test_a_class_can_be_given_as_it_is():
    recipe = Recipe(student=Averager, init=Popular)  # pyright: ignore[reportArgumentType]
    assert recipe.student.type == "tests.variants.averager:Averager"
    assert recipe.init.build() == Popular()


def test_ones_own_variants_distil_train_compare_and_report(cyclic_log, tmp_path):
    recipe = from_python()
    summary = farzi.distill(cyclic_log, recipe, out=tmp_path / "summary")
    assert [line["outer_step"] for line in summary.history] == [0, 2, 4]
    assert summary.history[-1]["last_event_loss"] > 0

    again = farzi.distill(cyclic_log, parse_recipe(recipe.to_yaml(), "r"), out=tmp_path / "again")
    for name, part in summary.tensors.parts.items():
        assert torch.equal(part, again.tensors.parts[name]), name

    model = farzi.train(summary)
    assert isinstance(model.network, Averager)
    assert farzi.evaluate(model, cyclic_log)["HR@10"] >= 0

    comparison = farzi.compare(summary, cyclic_log)
    assert {"full", "summary", "random", "FirstWindows", "teachers"} <= {
        row.trained_on for row in comparison.results
    }
    assert "FirstWindows" in str(comparison)


def test_a_class_that_cannot_be_used_is_refused_before_anything_is_trained(cyclic_log, tmp_path):
    for student, reason in (("nowhere:Model", "cannot be imported"), ("builtins:dict", "student")):
        recipe = presets.LOG.changed({"student": {"type": student}, "init": "random", **SMALL})
        with pytest.raises(farzi.FarziError, match=reason):
            farzi.distill(cyclic_log, recipe, out=tmp_path / "out", progress=NothingTrained())
    assert not (tmp_path / "out").exists()


class NothingTrained(Progress):
    def message(self, text: str) -> None:
        raise AssertionError(text)
