"""What a run does to its folder: whose files are there, who else is at work, and what is forged."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from farzi.data import Log
from farzi.distillation import Cache, distill
from farzi.distillation.checkpoint import FORMAT, NAME, load_checkpoint, save_checkpoint
from farzi.distillation.teach import FORMAT as CACHED
from farzi.errors import FarziError
from farzi.files import locked
from farzi.recipe import Recipe
from farzi.states import read_state, write_state
from farzi.summary import Summary
from farzi.tensorfile import write_tensors

from .recorded import Recorded
from .test_resume import ctrl_c, outcome

NAMES = (
    "README.md",
    "recipe.yaml",
    "run.json",
    "results.json",
    "comparison.md",
    "students.md",
    "tokenizer.json",
)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [*NAMES, "vocabulary.parquet", "history.jsonl", "SHA256SUMS"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_file_of_someone_else_is_not_replaced(
    tiny: Log, recipe: Recipe, tmp_path: Path, name: str, restart: bool
):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FarziError, match=f"holds {name}, which Farzi did not write"):
        distill(recipe, tmp_path, dataset=tiny, restart=restart)
    assert content(tmp_path) == {name: b"mine"}


@pytest.mark.parametrize("name", ["summary.safetensors", "checkpoint.safetensors"])
def test_weights_of_another_program_are_not_replaced(tiny: Log, recipe: Recipe, tmp_path: Path, name: str):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / name, {"format": "pt"})
    before = content(tmp_path)
    with pytest.raises(FarziError, match="which Farzi did not write"):
        distill(recipe, tmp_path, dataset=tiny, restart=True)
    with pytest.raises(FarziError, match="which Farzi did not write"):
        Summary.save(distill(recipe, tmp_path / "other", dataset=tiny), tmp_path)
    shutil.rmtree(tmp_path / "other")
    assert content(tmp_path) == before


def test_other_files_stay(tiny: Log, recipe: Recipe, tmp_path: Path):
    mine = [
        "notes.txt",
        ".notes.tmp",
        ".x.0123abcd.tmp",
        "trainings/thesis.txt",
        "trainings/full-me.safetensors",
    ]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    distill(recipe, tmp_path, dataset=tiny)
    distill(recipe, tmp_path, dataset=tiny, restart=True)
    assert {name for name, text in content(tmp_path).items() if text == b"mine"} == set(mine)
    assert len(list((tmp_path / "trainings").iterdir())) == 2


@pytest.mark.parametrize("name", ["README.md", "recipe.yaml"])
def test_an_edited_file_is_not_replaced(tiny: Log, recipe: Recipe, tmp_path: Path, name: str):
    summary = distill(recipe, tmp_path, dataset=tiny)
    assert summary.run == Summary.load(tmp_path).run
    summary.save(tmp_path)  # nothing was edited
    with open(tmp_path / name, "a") as file:
        file.write("# mine\n")
    before = content(tmp_path)
    for action in (
        lambda: distill(recipe, tmp_path, dataset=tiny, restart=True),
        lambda: summary.save(tmp_path),
    ):
        with pytest.raises(FarziError, match=f"holds {name}, edited since Farzi wrote it"):
            action()
    assert content(tmp_path) == before


def test_an_empty_path_is_refused(tiny: Log, recipe: Recipe):
    with pytest.raises(FarziError, match="empty path"):
        distill(recipe, "", dataset=tiny)


def test_a_second_run_in_a_folder_is_refused(tiny: Log, recipe: Recipe, tmp_path: Path):
    lines: list[str] = []

    def second() -> None:
        try:
            distill(recipe.changed({"seed": 1}), tmp_path, dataset=tiny, restart=True)
        except FarziError as error:
            lines.append(str(error))

    class Meanwhile(Recorded):
        def validation(self, number: int, result: Any, best: bool) -> None:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

    distill(recipe, tmp_path / "whole", dataset=tiny)
    whole = content(tmp_path / "whole").keys()
    shutil.rmtree(tmp_path / "whole")
    summary = distill(recipe, tmp_path, dataset=tiny, progress=Meanwhile())
    assert len(lines) == len(summary.history)
    assert all("another farzi is at work here (process " in line for line in lines)
    assert Summary.load(tmp_path).recipe.seed == 0
    assert content(tmp_path).keys() == whole


def test_a_finished_summary_is_returned_whoever_is_at_work_there(tiny: Log, recipe: Recipe, tmp_path: Path):
    run = distill(recipe, tmp_path, dataset=tiny).run
    again: list[Summary] = []
    with locked(tmp_path):
        thread = threading.Thread(target=lambda: again.append(distill(recipe, tmp_path, dataset=tiny)))
        thread.start()
        thread.join()
    assert again[0].run == run


# A checkpoint that is not of this run, or not of this version.


@pytest.fixture(scope="module")
def part(tiny: Log, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an unfinished run."""
    out = tmp_path_factory.mktemp("part")
    with pytest.raises(KeyboardInterrupt):
        distill(recipe, out, dataset=tiny, progress=ctrl_c(4))
    return out


def paths_of(state: Any, *path: Any) -> list[tuple[Any, ...]]:
    """The paths of all values in nested dicts."""
    if isinstance(state, dict):
        return [one for key, value in state.items() for one in [(*path, key), *paths_of(value, *path, key)]]
    return []


def without(state: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    key, *rest = path
    if rest:
        return {**state, key: without(state[key], tuple(rest))}
    return {name: value for name, value in state.items() if name != key}


FORGED: dict[str, Any] = {
    "step a word": {"loop": {"step": "x"}},
    "step of a longer run": {"loop": {"step": 10**9}},
    "step below 0": {"loop": {"step": -1}},
    "best NaN": {"selection": {"score": float("nan")}},
    "seconds NaN": {"seconds": float("nan")},
    "no history": {"history": []},
    "history of later steps": {"history": [{"outer_step": 7, "best": True}]},
    "history without a best": {"history": [{"outer_step": 0, "best": False}]},
    "sums of another shape": {"loop": {"adam": [torch.zeros(3), torch.zeros(3)]}},
    "a session elsewhere": {"sessions": [{"outer_step": 0, "threads": "two"}]},
    "a line of another kind": {"history": [{"outer_step": 0, "best": True, "relative_to_full": 3}]},
    "fewer sums": {"loop": {"adam": [torch.zeros(3)]}},
    "summary of another shape": {"loop": {"parts": {"latents": torch.zeros(2, 5, 4)}}},
    "best of another shape": {"selection": {"best": {"latents": torch.zeros(2, 5, 4)}}},
    "runs of another kind": {"loop": {"runs": [[[{"x": torch.zeros(2)}, [torch.zeros(2)], 3, 0]]]}},
    "runs missing": {"loop": {"runs": []}},
    "stages a list": {"stages": []},
    "a recipe of another version": {"recipe": "no_such_key: 1\n"},
}


def merged(state: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    nested = {key: merged(state[key], one) for key, one in change.items() if isinstance(one, dict)}
    return {**state, **change, **nested}


def refused(recipe: Recipe, tiny: Log, out: Path) -> str:
    before = content(out)
    with pytest.raises(FarziError) as caught:
        distill(recipe, out, dataset=tiny)
    assert content(out) == before
    assert "\n" not in str(caught.value)
    assert "restart=True starts the run again" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FORGED)
def test_a_checkpoint_that_cannot_be_of_this_run_is_refused(
    tiny: Log, recipe: Recipe, part: Path, tmp_path: Path, name: str
):
    saved = load_checkpoint(part)
    assert saved is not None
    save_checkpoint(merged(saved, FORGED[name]), tmp_path)
    assert "of another version of Farzi" in refused(recipe, tiny, tmp_path)


def test_a_checkpoint_without_one_of_its_values_is_refused(
    tiny: Log, recipe: Recipe, part: Path, tmp_path: Path
):
    saved = load_checkpoint(part)
    assert saved is not None
    free = {"validation", "relative_to_full", "metagradient_norm", "precision", "full_data", "stages"}
    needed = [path for path in paths_of(saved) if not free & set(path[:-1]) and "sessions" not in path]
    assert len(needed) > 20
    for path in needed:
        save_checkpoint(without(saved, path), tmp_path)
        assert "of another version of Farzi" in refused(recipe, tiny, tmp_path), path


def test_a_cached_training_that_does_not_fit_is_refused(tiny: Log, recipe: Recipe, tmp_path: Path):
    recipe, cache = recipe.changed({"outer.steps": 0}), Cache(tmp_path / "cache")
    distill(recipe, tmp_path / "first", dataset=tiny, cache=cache)
    (path,) = (tmp_path / "cache").iterdir()
    whole = read_state(path, CACHED, "", "cpu")
    name = next(iter(whole["model"]))
    for wrong in (
        {"model": {}},
        {"model": {name: whole["model"][name]}},
        {"model": whole["model"] | {name: whole["model"][name] * torch.nan}},
        {"model": whole["model"] | {name: whole["model"][name][1:]}},
        {"seconds": "x"},
        {"figures": 3},
        {"figures": {"HR@10": "x"}},
        {"more": 1},
    ):
        write_state(path, CACHED, whole | wrong)
        with pytest.raises(FarziError, match=r"\(.*\); delete it to train again$") as caught:
            distill(recipe, tmp_path / "again", dataset=tiny, cache=cache)
        assert str(caught.value).startswith(f"{path}: damaged, or of another version of Farzi")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "again").exists()


def test_a_checkpoint_of_another_format_is_refused(tiny: Log, recipe: Recipe, tmp_path: Path):
    write_tensors(tmp_path / NAME, "farzi-checkpoint-3", {"x": torch.zeros(1)}, {"values": "{}"})
    assert f"its format is farzi-checkpoint-3, this version of Farzi reads {FORMAT}" in refused(
        recipe, tiny, tmp_path
    )
    distill(recipe, tmp_path, dataset=tiny, restart=True)


def test_a_run_resumed_elsewhere_says_so(tiny: Log, recipe: Recipe, part: Path, tmp_path: Path):
    out = tmp_path / "out"
    shutil.copytree(part, out)
    progress, threads = Recorded(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        summary = distill(recipe, out, dataset=tiny, progress=progress)
    finally:
        torch.set_num_threads(threads)
    assert progress.warnings == [
        f"begun with threads {threads}, resumed with threads {threads + 1}: the result will not be the same "
        "bit for bit"
    ]
    assert [one["threads"] for one in summary.run["sessions"]] == [threads, threads + 1]
    assert [one["outer_step"] for one in summary.run["sessions"]] == [0, 4]
    card = (out / "README.md").read_text()
    assert "resumed 1 time" in card


def test_a_run_resumed_in_the_same_place_says_nothing(tiny: Log, recipe: Recipe, part: Path, tmp_path: Path):
    shutil.copytree(part, tmp_path / "out")
    progress = Recorded()
    distill(recipe, tmp_path / "out", dataset=tiny, progress=progress)
    assert progress.warnings == []
    distill(recipe, tmp_path / "whole", dataset=tiny)
    assert outcome(tmp_path / "out") == outcome(tmp_path / "whole")


def test_how_near_a_summary_is_to_real_windows_is_recorded(tiny: Log, recipe: Recipe, tmp_path: Path):
    near = distill(recipe, tmp_path, dataset=tiny).run["nearest_real"]
    assert near["positions"] == 5
    assert len(near["equal"]) == len(near["longest_run"]) == 6
    count = sum(5 * one >= 4 * 5 for one in near["equal"])
    assert (
        f"{count} of 6 sequences match one real user's window at 80 %" in (tmp_path / "README.md").read_text()
    )
    assert json.loads((tmp_path / "run.json").read_text())["nearest_real"] == near
