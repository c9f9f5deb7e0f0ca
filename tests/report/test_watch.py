"""`farzi watch`: the page of a running job follows its journal, and becomes the report."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.data import Log
from farzi.errors import FarziError
from farzi.files import holder, locked
from farzi.progress import Progress, StepReport
from farzi.recipe import Recipe
from farzi.report import write_report
from farzi.report.live import Live
from farzi.report.watch import Watch
from farzi.tracking import JOURNAL, journal

from .browser import browser
from .pages import HOSTILE, Page, made, shown

LOSS = StepReport(4.0, 0.5, "real_loss")


@contextmanager
def at_work(folder: Path) -> Iterator[Progress]:
    """A job in a folder, whose reports are the test's."""
    folder.mkdir(exist_ok=True)
    with locked(folder), journal(folder, Progress()) as progress:
        yield progress


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with Watch(Live(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def got(url: str, host: str | None = None) -> str:
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def test_it_follows_the_journal(tmp_path: Path):
    with at_work(tmp_path / "run") as progress, served(tmp_path / "run") as url:
        progress.stage("teach", "1 full-data training", 3.0)
        first = json.loads(got(url + "live"))
        assert "1 full-data training" in shown(first["html"])
        for number in range(1, 8):
            progress.step(number, number / 10, 0.1, LOSS)
        progress.warning(HOSTILE[1])
        now = json.loads(got(url + "live"))
        assert "Outer step 7: real loss 4, metagradient 0.5, 70 %" in shown(now["html"])
        assert Page(now["html"]).all("img") == []
        assert now["version"] == first["version"]
        assert "Outer step 7" in shown(got(url))
        progress.step(8, 0.8, 0.1, StepReport(float("nan"), float("inf"), "real_loss"))
        assert "not finite" in json.loads(got(url + "live"))["html"]
    assert holder(tmp_path / "run") is None
    ended = Live(tmp_path / "run").state()
    assert ended["state"].startswith("Stopped")
    assert ended["version"] != now["version"]


def test_the_journal_of_another_run_replaces_the_first(tmp_path: Path):
    live = Live(tmp_path / "run")
    for number in (9, 3):
        with at_work(tmp_path / "run") as progress:
            for step in range(1, number + 1):
                progress.step(step, step / 10, 0.1, LOSS)
            assert f"Outer step {number}:" in shown(live.state()["html"])


def test_lines_of_somebody_else_are_passed_over(tmp_path: Path):
    with at_work(tmp_path / "run") as progress:
        with open(tmp_path / "run" / JOURNAL, "ab") as file:
            file.write(b'{"kind": "step"}\n[1]\nnone\n\xff\n{"time": 1, "kind": "other"}\n{"time": 3, "ki')
        assert Live(tmp_path / "run").state()["state"] == "Running: teach."
        progress.message("begun")


def test_only_this_machine_is_answered(tmp_path: Path):
    with at_work(tmp_path / "run"), served(tmp_path / "run") as url:
        assert url.startswith("http://127.0.0.1:")
        for path, host in (("", "evil.example"), ("../run", None), ("live?x", None)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                got(url + path, host)
            caught.value.close()
            assert caught.value.code == (403 if host else 404)
        port = int(url.split(":")[2][:-1])
        with pytest.raises(FarziError, match=f"port {port} cannot be used"):
            Watch(Live(tmp_path / "run"), port)


def test_nothing_to_watch_is_one_line(tiny: Log, recipe: Recipe, tmp_path: Path):
    made(tiny, recipe).save(tmp_path / "finished")
    (tmp_path / "idle").mkdir()
    for name, word in (("none", "no folder"), ("finished", "is finished"), ("idle", "no farzi is at work")):
        done = CliRunner().invoke(app, ["watch", str(tmp_path / name)], prog_name="farzi")
        assert done.exit_code == 2
        assert done.output.count("\n") == 1
        assert "nothing to watch" in done.output
        assert word in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["finished", "idle"]
    assert list((tmp_path / "idle").iterdir()) == []


def test_ctrl_c_ends_it(tmp_path: Path):
    words = [sys.executable, "-m", "farzi", "watch", str(tmp_path)]
    with (
        at_work(tmp_path) as progress,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        progress.step(1, 0.1, 0.1, LOSS)
        assert "Outer step 1" in shown(got(url))
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.strip()) == (0, "")


def test_a_browser_follows(tiny: Log, recipe: Recipe, tmp_path: Path):
    folder = tmp_path / "run"

    def until(condition: str) -> str:
        return f"""new Promise((done, failed) => {{
            const look = () => ({condition}) ? done(true) : setTimeout(look, 50);
            setTimeout(() => failed("too late"), 20000);
            look();
        }})"""

    with served(folder) as url, browser(tmp_path / "profile") as tab:
        with at_work(folder) as progress:
            tab.open(url)
            progress.step(1, 0.1, 0.1, LOSS)
            assert tab.value(until("figures.textContent.includes('Outer step 1')"))
            progress.step(2, 0.2, 0.1, LOSS)
            assert tab.value(until("figures.querySelector('svg') !== null"))
            made(tiny, recipe).save(folder)
            write_report(folder)
            tab.value("1")
        tab._waiting.clear()
        while "Page.loadEventFired" not in tab._waiting:  # it loads itself again
            tab._next()
        assert tab.value("document.querySelector('#positions caption').textContent") == "Sequence 1 of 6"
        assert tab.value("state.textContent") == "Finished."
        assert tab.console == []
