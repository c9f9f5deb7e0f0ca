"""Summaries of every parametrization: the step, runs, resumed ones, the folder, the check, the plan."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from farzi.data import Data, Log, load_data
from farzi.distillation import OuterLoop, check_recipe, distill, initialise, plan_run, teach
from farzi.distillation.check import check_parts
from farzi.errors import FarziError
from farzi.recipe import Recipe, presets
from farzi.recipe import variants as v
from farzi.summary import Summary
from farzi.training import train_on_summary
from farzi.unroll import Adam, unroll
from tests.distillation.recording import RecordingClip

from .test_resume import ctrl_c, outcome

PARAMETRIZATIONS = {
    "full_logits": v.FullLogits(dim=4),
    "tucker": v.Tucker(dim=4, label_decoder=False, sequence_rank=3, position_rank=2),
}


def parametrized(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    return recipe.changed({"summary.parametrization": PARAMETRIZATIONS[name], **changes})


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("rows", [None, 2])
def test_a_step_moves_the_parts_as_adam_does(tiny: Log, recipe: Recipe, name: str, rows: int | None):
    recipe = parametrized(recipe, name, **{"inner.batch": rows})
    initial = initialise(recipe, tiny)
    outer = OuterLoop(recipe, tiny, initial)
    outer.clip = clip = RecordingClip()
    parametrization = recipe.summary.parametrization.build()
    parts = {name: part.requires_grad_() for name, part in parametrization.parts(initial).items()}
    run = outer.as_run()
    end = unroll(
        run["loss"], run["theta0"], run["view"](parts), run["optimizer"], run["batches"], state=run["state"]
    )
    bars = torch.autograd.grad(run["outer"](end), list(parts.values()))
    outer.take_step(0.03)
    gradient = torch.cat([bar.reshape(-1) for bar in bars])
    torch.testing.assert_close(clip.seen[0], gradient, rtol=1e-4, atol=1e-7)
    before = torch.cat([part.detach().reshape(-1) for part in parts.values()])
    after, _ = Adam(0.03).update(clip.seen[0], Adam(0.03).init(before), before)
    moved = outer.state_dict()["parts"]
    assert list(moved) == list(parts)
    torch.testing.assert_close(torch.cat([part.reshape(-1) for part in moved.values()]), after)
    expected = parametrization.summary(moved, initial.temperature)
    assert torch.equal(outer.summary.soft_inputs(), expected.soft_inputs())


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("pool", [0, 3])
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tiny: Log, recipe: Recipe, tmp_path: Path, name: str, pool: int
):
    recipe = parametrized(recipe, name, **{"outer.pool": pool})
    distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_the_folder_of_full_logits(tiny: Log, recipe: Recipe, tmp_path: Path):
    recipe = parametrized(recipe, "full_logits")
    saved = distill(recipe, tmp_path, dataset=tiny).tensors
    summary = Summary.load(tmp_path)
    found = summary.tensors
    assert found.is_full_logits
    assert found.latents.shape == (6, 5, 41)
    assert torch.equal(found.soft_inputs(), saved.soft_inputs())
    assert train_on_summary(found, recipe.student, recipe.inner, 0).steps == recipe.inner.steps
    assert len(summary.top_events(sequences=2)) == 2
    card = (tmp_path / "README.md").read_text()
    assert "stored as logits in" in card
    assert "else latents) / 1.0" in card


def test_the_folder_of_tucker_factors_is_an_ordinary_one(tiny: Log, recipe: Recipe, tmp_path: Path):
    distill(parametrized(recipe, "tucker"), tmp_path, dataset=tiny)
    found = Summary.load(tmp_path).tensors
    assert (found.latents.shape, found.decoder.shape) == ((6, 5, 4), (4, 41))
    unfolded = found.latents.transpose(0, 1).flatten(1)
    assert torch.linalg.matrix_rank(unfolded, rtol=1e-5) == 2
    assert "factors of rank 4" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_check_and_plan(tiny: Log, recipe: Recipe, name: str):
    recipe = parametrized(recipe, name, **{"inner.optimizer.epsilon": 1e-3})
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    report = OuterLoop(recipe, tiny, initialise(recipe, tiny)).take_step(0.01)
    assert found.loss == pytest.approx(report.loss, rel=1e-5)
    planned = plan_run(recipe, tiny)
    assert planned.soft_inputs[0] == "materialized"
    assert planned.outer_step > planned.row.seconds > 0


@pytest.mark.parametrize(("type", "form"), [("low_rank", "factored"), ("tucker", "materialized")])
def test_label_decoders_of_low_rank_summaries(tiny: Log, recipe: Recipe, type: str, form: str):
    """The metagradient with respect to all parts is that of differences."""
    parametrization = {"type": type, "dim": 4, "label_decoder": True}
    recipe = recipe.changed(
        {
            "summary.parametrization": parametrization,
            "inner.optimizer.epsilon": 1e-3,
            "inner.soft_inputs": form,
        }
    )
    assert initialise(recipe, tiny).label_decoder is not None
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    assert plan_run(recipe, tiny).soft_inputs[0] == form


def test_items_are_clustered_by_context_or_by_embeddings(tiny: Log, recipe: Recipe, tmp_path: Path):
    """The presets cluster logs by context and texts by embeddings; either can be chosen for both."""
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.choice(["a", "b", "c", "d", "e"], size=9)) for _ in range(60))
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    text = load_data(v.TextData(source=str(tmp_path / "corpus.txt"), tokens="spaces"))
    recipe = recipe.changed(
        {
            "summary.sequences": 4,
            "summary.parametrization.label_decoder": True,
            "init": v.TeacherInit(teachers=1),
        }
    )

    def begun(data: Data, cluster_by: str) -> torch.Tensor:
        teachers = teach(recipe, data).teachers
        return initialise(recipe.changed({"init.cluster_by": cluster_by}), data, teachers).latents

    presets_choose = [preset.init.own["cluster_by"] for preset in (presets.LOG, presets.TEXT)]
    assert presets_choose == ["context", "embeddings"]
    for data, chosen, other in ((tiny, "context", "embeddings"), (text, "embeddings", "context")):
        assert not torch.equal(begun(data, chosen), begun(data, other))


LABELS = {"summary.parametrization.label_decoder": True}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"summary.parametrization": "full_logits", "inner.soft_inputs": "factored"},
            "inner.soft_inputs factored: full logits have no factors",
        ),
        (
            {**LABELS, "summary.parametrization.dim": 1, "init": "teacher"},
            "init.type teacher: needs summary.parametrization.dim of 2 or more, not 1",
        ),
        (
            {
                **LABELS,
                "summary.parametrization.dim": 1,
                "init": {"type": "teacher", "cluster_by": "embeddings"},
            },
            "init.type teacher: needs summary.parametrization.dim of 2 or more, not 1",
        ),
        (
            {"init": "teacher"},
            "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder",
        ),
        (
            {"summary.parametrization": "full_logits", "init": "teacher"},
            "init.type teacher: gives soft labels, which need summary.parametrization.label_decoder",
        ),
    ],
)
def test_what_does_not_fit_a_parametrization_is_refused(recipe: Recipe, changes: dict[str, Any], line: str):
    with pytest.raises(FarziError, match=f"^{line}$"):
        check_parts(recipe.changed(changes))
