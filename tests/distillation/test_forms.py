"""Summaries of every form are learnt: the step, runs, resumed ones, the folder, the check, the plan."""

from pathlib import Path

import numpy as np
import pytest
import torch

from farzi.data import Data, Dataset, load_data
from farzi.distillation import check_recipe, distill, plan_run
from farzi.distillation.build import first_summary, form_of, outer_loop
from farzi.distillation.clipping import RunningClip
from farzi.distillation.contradictions import refuse_contradictions
from farzi.errors import FarziError
from farzi.recipe import DataSettings, InnerSettings, Recipe, SummarySettings
from farzi.summary import Summary, top_events
from farzi.training import train_on_summary
from farzi.unroll import Adam, unroll

from .test_outer import RecordingClip
from .test_resume import ctrl_c, outcome

pytestmark = pytest.mark.usefixtures("_short_reference")

FORMS = {
    "table": {"form": "table"},
    "tucker": {"form": "tucker", "user_rank": 3, "time_rank": 2},
}


def formed(recipe: Recipe, name: str, **inner: object) -> Recipe:
    summary = SummarySettings.model_validate({**recipe.summary.model_dump(), **FORMS[name]})
    settings = InnerSettings.model_validate({**recipe.inner.model_dump(), **inner})
    return recipe.model_copy(update={"summary": summary, "inner": settings})


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("rows", [None, 2])
def test_a_step_moves_what_the_form_learns_as_adam_does(
    tiny: Dataset, recipe: Recipe, name: str, rows: int | None
):
    recipe = formed(recipe, name, batch=rows)
    start, clip = first_summary(recipe, tiny), RecordingClip()
    outer = outer_loop(recipe, tiny, start, clip, [])
    form = form_of(recipe)
    parts = {name: part.requires_grad_() for name, part in form.parts(start).items()}
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
    moved = torch.cat([outer.tensors()[part].reshape(-1) for part in parts])
    torch.testing.assert_close(moved, after)
    expected = form.summary({part: outer.tensors()[part] for part in parts}, start.temperature)
    assert torch.equal(outer.summary.events(), expected.events())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("pool", [0, 3])
def test_a_stopped_run_ends_like_an_uninterrupted_one(
    tiny: Dataset, recipe: Recipe, tmp_path: Path, name: str, pool: int
):
    recipe = formed(recipe, name, pool=pool)
    distill(recipe, tmp_path / "whole", dataset=tiny)
    for step in (1, 6):
        with pytest.raises(KeyboardInterrupt):
            distill(recipe, tmp_path / "cut", dataset=tiny, progress=ctrl_c(step))
    distill(recipe, tmp_path / "cut", dataset=tiny)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_the_folder_of_a_table(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    recipe = formed(recipe, "table")
    saved = distill(recipe, tmp_path, dataset=tiny).summary
    found = Summary.load(tmp_path).summary
    assert found.is_full_logits
    assert found.latents.shape == (6, 5, 41)
    assert torch.equal(found.events(), saved.events())
    assert train_on_summary(found, recipe.student, recipe.inner, 0).steps == recipe.inner.steps
    assert len(top_events(found, tiny.vocabulary, sequences=2)) == 2
    card = (tmp_path / "README.md").read_text()
    assert "stored as the logits of each" in card
    assert 'logits = parts["latents"] / 1.0' in card


def test_the_folder_of_tucker_factors_is_an_ordinary_one(tiny: Dataset, recipe: Recipe, tmp_path: Path):
    distill(formed(recipe, "tucker"), tmp_path, dataset=tiny)
    found = Summary.load(tmp_path).summary
    assert (found.latents.shape, found.decoder.shape) == ((6, 5, 4), (4, 41))
    unfolded = found.latents.transpose(0, 1).flatten(1)
    assert torch.linalg.matrix_rank(unfolded, rtol=1e-5) == 2
    assert "factors of rank 4" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("name", FORMS)
def test_check_and_plan(tiny: Dataset, recipe: Recipe, name: str):
    recipe = formed(recipe, name, epsilon=1e-3)
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    report = outer_loop(recipe, tiny, first_summary(recipe, tiny), RunningClip(), []).take_step(0.01)
    assert found.loss == pytest.approx(report.loss, rel=1e-5)
    planned = plan_run(recipe, tiny)
    assert planned.feed == "whole"
    assert planned.seconds_outer(1.0) > 1


def test_a_table_is_not_read_in_factors(recipe: Recipe):
    with pytest.raises(FarziError, match=r"^--form table has no factors: leave --soft-events out"):
        refuse_contradictions(formed(recipe, "table", soft_events="factored"))


@pytest.mark.parametrize("form", ["factors", "tucker"])
def test_targets_of_their_own_in_any_factors(tiny: Dataset, recipe: Recipe, form: str):
    """The metagradient by all that is learnt is that of differences."""
    summary = recipe.summary.model_copy(update={"targets": "own", "form": form})
    inner = recipe.inner.model_copy(update={"epsilon": 1e-3})
    recipe = recipe.model_copy(update={"summary": summary, "inner": inner})
    start = first_summary(recipe, tiny)
    assert start.targets is not None
    found = check_recipe(recipe, dataset=tiny, directions=1)
    assert all(one.agrees for one in found.differences)
    assert plan_run(recipe, tiny).feed == "factored"


def test_targets_are_taught_by_company_on_logs_and_by_what_is_read_alike_on_texts(
    tiny: Dataset, recipe: Recipe, tmp_path: Path
):
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.choice(["a", "b", "c", "d", "e"], size=9)) for _ in range(60))
    (tmp_path / "corpus.txt").write_text("\n".join(lines))
    text = load_data(DataSettings(source=str(tmp_path / "corpus.txt"), tokens="spaces"))

    def begun(data: Data, start: str) -> torch.Tensor:
        own = {"sequences": 4, "length": 5, "dim": 4, "targets": "own", "start": start}
        settings = SummarySettings.model_validate(own)
        return first_summary(recipe.model_copy(update={"summary": settings}), data).latents

    for data, taught, other in ((tiny, "taught", "taught-alike"), (text, "taught-alike", "taught")):
        assert torch.equal(begun(data, "auto"), begun(data, taught))
        assert not torch.equal(begun(data, "auto"), begun(data, other))


@pytest.mark.parametrize(
    ("summary", "inner", "line"),
    [
        ({"targets": "own", "form": "table"}, {}, "--targets own is a second decoder, and --form table has"),
        ({"targets": "own"}, {"soft_events": "whole"}, "--targets own are made from factors: leave"),
        ({"targets": "own", "dim": 1}, {}, "--targets own with a start that is taught needs --dim 2"),
        (
            {"targets": "own", "dim": 1, "start": "taught-alike"},
            {},
            "--targets own with a start that is taught",
        ),
        ({"start": "taught"}, {}, "--start taught is of targets: give --targets own as well"),
        ({"start": "taught-alike"}, {}, "--start taught-alike is of targets: give --targets own as well"),
    ],
)
def test_targets_go_with_factors(recipe: Recipe, summary: dict[str, str], inner: dict[str, str], line: str):
    changed = {
        "summary": recipe.summary.model_copy(update=summary),
        "inner": recipe.inner.model_copy(update=inner),
    }
    with pytest.raises(FarziError, match=f"^{line}"):
        refuse_contradictions(recipe.model_copy(update=changed))
