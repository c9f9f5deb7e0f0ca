"""The page of a run: what is in it, that names stay names, and that it stands alone."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from farzi.cli import app
from farzi.data import Log
from farzi.errors import FarziError, visible
from farzi.files import locked, sha256
from farzi.recipe import Recipe
from farzi.report import write_report
from farzi.report.explorer import plane
from farzi.summary import LANGUAGE, Summary, SummaryTensors

from .browser import browser
from .pages import HOSTILE, Page, compared, made, named, shown


@pytest.fixture(scope="module")
def made_once(tiny: Log, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    summary = made(named(tiny), recipe)
    summary.save(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("farzi.report.comparison.plot_comparison", lambda *_: None)
        compared(folder, summary=summary)
    return folder


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    """A compared summary of a log whose items have hostile names."""
    return shutil.copytree(made_once, tmp_path / "run")


def written(folder: Path) -> Page:
    return Page(write_report(folder).read_text())


def test_its_figures_are_those_of_the_files(folder: Path):
    text = shown(write_report(folder).read_text())
    rows = json.loads((folder / "results.json").read_text())
    for row in rows:
        assert f"{row['mean']:.1f} ±" in text
    facts = json.loads((folder / "comparison.json").read_text())
    parts = facts["relative_to_full"]["summary"]["HR@10"]
    low, high = (f"{100 * parts[end]:.0f}" for end in ("low", "high"))
    assert f"{100 * parts['mean']:.0f} % ({low} to {high} %)" in text
    assert facts["conclusions"][0].split(".")[0] in text
    assert "farzi distill &lt;x&gt;" in write_report(folder).read_text()
    assert "12 s" in text  # of the distillation


def test_names_stay_names(folder: Path):
    page = written(folder)
    assert [one.get("id") for one in page.all("script")] == ["sequences-data", None]
    assert page.all("img") == []
    data = page.data("sequences-data")
    marked = page.text["title"][1:]  # of the points of the map
    assert {visible(name) for name in HOSTILE} <= set(marked)
    assert {*HOSTILE[:2], *HOSTILE[3:5]} <= set(data["names"])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", (folder / "report.html").read_text())


def test_the_explorer_has_the_likeliest_events(folder: Path):
    data = written(folder).data("sequences-data")
    summary = Summary.load(folder)
    soft = {"input": summary.soft_inputs().numpy(), "label": summary.soft_labels().numpy()}
    for sequence, positions in enumerate(data["rows"]):
        for position, events in enumerate(positions):
            for role, ours in zip(soft, events):
                expected = np.sort(soft[role][sequence, position])[::-1][:5]
                if role == "label" and position == 0:
                    assert ours == []
                else:
                    np.testing.assert_allclose([p for _, p in ours], 100 * expected, atol=0.051)
    assert data["near"] == [1, 2, 2, 0, 1, 5]


def test_it_stands_alone(folder: Path):
    page = written(folder)
    for name, attributes in page.elements:
        for key in ("src", "href", "action", "data", "poster"):
            value = attributes.get(key)
            assert value is None or value.startswith(("#", "data:")), (name, value)
    assert "url(" not in page.text["style"][0]
    assert "@import" not in page.text["style"][0]


def test_it_is_sound_for_a_screen_reader(folder: Path):
    page = written(folder)
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    for _, one in page.elements:
        for key in ("aria-labelledby", "aria-controls", "for", "list"):
            assert key not in one or one[key] in ids
    for link in page.all("a"):
        assert (link["href"] or "")[1:] in ids
    for chart in page.all("svg"):
        assert chart.get("aria-label") or chart.get("aria-hidden") == "true"
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(one.get("scope") in ("row", "col") for one in page.all("th"))
    for box in [one for one in page.all("div") if one.get("class") == "scroll"]:
        assert box["tabindex"] == "0"
        assert box["aria-label"]


def test_it_is_among_the_checksums(folder: Path):
    write_report(folder)
    write_report(folder)
    sums = (folder / "SHA256SUMS").read_text()
    assert sums.count("report.html") == 1
    assert f"{sha256(folder / 'report.html')}  report.html\n" in sums
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    (folder / "report.html").write_text("another")
    Summary.load(folder)  # which the page is no part of
    Summary.remove(folder)
    assert not (folder / "report.html").exists()


def test_the_same_files_give_the_same_page(folder: Path, tmp_path: Path):
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert write_report(folder, tmp_path / "elsewhere.html").read_bytes() == first


def test_a_summary_alone_has_a_page(tiny: Log, recipe: Recipe, tmp_path: Path):
    summary = made(tiny, recipe)
    summary.save(tmp_path / "run")
    text = shown(write_report(tmp_path / "run").read_text())
    assert "farzi compare run" in text
    assert "80 %" in text  # of the full data's, at the best validation
    bare = Summary(summary.tensors, summary.vocabulary, recipe)
    bare.save(tmp_path / "run")
    write_report(tmp_path / "run")


def test_other_kinds_of_summaries_have_pages(tiny: Log, recipe: Recipe, tmp_path: Path):
    summary = made(tiny, recipe)
    vocabulary = len(tiny.vocabulary)
    kinds = {
        "labels": replace(summary.tensors, label_decoder=summary.tensors.decoder.flip(1).contiguous()),
        "logits": SummaryTensors(torch.randn(6, 5, vocabulary), torch.empty(0, vocabulary)),
        "flat": SummaryTensors(torch.randn(6, 5, 1), torch.randn(1, vocabulary)),
    }
    for name, tensors in kinds.items():
        replace(summary, tensors=tensors).save(tmp_path / name)
        assert written(tmp_path / name).data("sequences-data")["same"] == (name != "labels")
    replace(summary, run=summary.run | {"task": LANGUAGE}).save(tmp_path / "text")
    assert "40 tokens" in shown(write_report(tmp_path / "text").read_text())


def test_items_are_placed_by_their_principal_components(tiny: Log, recipe: Recipe):
    tensors, items = made(tiny, recipe).tensors, np.arange(3, 30)
    columns = tensors.decoder.numpy()[:, items].T
    centred = columns - columns.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    places, spread = plane(tensors, items)
    np.testing.assert_allclose(np.abs(places), np.abs((left * values)[:, :2]), atol=1e-5)
    np.testing.assert_allclose(spread, (values**2 / (values**2).sum())[:2], rtol=1e-5)


def test_a_large_summary_is_shown_in_part(tiny: Log, recipe: Recipe, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("farzi.report.explorer.POSITIONS", 10)
    made(tiny, recipe).save(tmp_path / "run")
    page = written(tmp_path / "run")
    assert len(page.data("sequences-data")["rows"]) == 2
    assert "the first 2 of 6" in shown((tmp_path / "run" / "report.html").read_text())


@pytest.mark.parametrize("content", ["{", '{"relative_to_full": 3}', "[]"])
def test_a_damaged_comparison_is_one_line(folder: Path, content: str):
    (folder / "comparison.json").write_text(content)
    with pytest.raises(FarziError, match=r"farzi compare .* again") as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)


def test_several_summaries_have_a_frontier(folder: Path, tiny: Log, recipe: Recipe, tmp_path: Path):
    made(tiny, recipe).save(tmp_path / "other")
    compared(tmp_path / "other", 0.35)
    page = Page(write_report(folder, tmp_path / "out.html", (tmp_path / "other",)).read_text())
    assert "frontier" in [one.get("id") for one in page.all("section")]
    assert sum("by events" in words for words in page.text["figcaption"]) == 2
    made(tiny, recipe, data_sha256="another").save(tmp_path / "another")
    compared(tmp_path / "another")
    with pytest.raises(FarziError, match="of other data"):
        write_report(folder, others=(tmp_path / "another",))


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words], prog_name="farzi")
    return done.exit_code, done.output


def test_the_command_writes_it(folder: Path, tmp_path: Path):
    status, text = run("report", folder)
    assert (status, "report.html" in text) == (0, True)
    assert run("report", folder, "--out", tmp_path / "mine.html")[0] == 0
    assert (tmp_path / "mine.html").read_bytes() == (folder / "report.html").read_bytes()
    status, text = run("report", tmp_path)
    assert (status, text.count("\n")) == (2, 1)
    assert "no finished summary" in text


def test_a_page_that_cannot_be_written_does_not_fail_a_run(folder: Path):
    from farzi.progress import Progress
    from farzi.report import write_page

    lines: list[str] = []

    class Warned(Progress):
        def warning(self, text: str) -> None:
            lines.append(text)

    with pytest.MonkeyPatch.context() as patch, locked(folder):
        patch.setattr(
            "farzi.report.page.write_report", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
        )
        write_page(str(folder), Warned())
    assert len(lines) == 1
    assert "farzi report" in lines[0]


def test_in_a_browser(folder: Path, tmp_path: Path):
    write_report(folder)
    with browser(tmp_path / "profile") as tab:
        tab.send(
            "Network.emulateNetworkConditions",
            offline=True,
            latency=0,
            downloadThroughput=0,
            uploadThroughput=0,
        )
        tab.open((folder / "report.html").as_uri())
        for width, dark in ((1280, False), (1280, True), (360, False)):
            tab.picture(tmp_path / f"{width}-{dark}.png", width, dark)
            assert tab.value("document.documentElement.scrollWidth <= innerWidth")
        back = [tab.value("getComputedStyle(document.documentElement).backgroundColor")]
        tab.picture(tmp_path / "dark.png", 1280, dark=True)
        back.append(tab.value("getComputedStyle(document.documentElement).backgroundColor"))
        assert back[0] != back[1]
        # by the keyboard alone: to the choice of a sequence, on to "Next", and press it
        tab.value("document.getElementById('which').focus()")
        tab.press("Tab", 9)
        assert tab.value("document.activeElement.id") == "after"
        tab.press("Enter", 13)
        assert tab.value("document.querySelector('#positions caption').textContent") == "Sequence 2 of 6"
        tab.value("document.getElementById('before').focus()")
        tab.press("Enter", 13)
        cell = tab.value("document.querySelector('#positions li span').textContent")
        data = Page((folder / "report.html").read_text()).data("sequences-data")
        assert cell == data["names"][data["rows"][0][0][0][0][0]]
        tab.value("find.value = '<script>'; find.dispatchEvent(new Event('input'))")
        assert tab.value("document.querySelectorAll('.map .hit').length") == 1
        assert tab.value("document.querySelectorAll('script').length") == 2
        assert tab.console == []
