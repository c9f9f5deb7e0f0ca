"""The progress of a run: lines where there is no terminal, one live line where there is."""

import io
import math

import pytest
from rich.console import Console

from farzi.cli import progress as module
from farzi.cli.progress import INTERVAL, ConsoleProgress
from farzi.distillation import StepReport, Validation

RESULT = Validation({}, {"HR@10": 0.5, "nDCG@10": 0.456, "HR@100": 0.9, "MRR": 0.1})


def run(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    clock = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=150, color_system=None)
    with ConsoleProgress(console) as progress:
        progress.message("begins")
        progress.step(1, 0.25, 10.0, StepReport(7.5, 0.05, "real_loss"))
        progress.validation(1, RESULT, best=True)
        clock = 30.0
        progress.step(2, 0.5, 40.0, StepReport(7.25, 12345.0, "real_loss"))
        progress.warning("swings")
    return stream.getvalue()


def test_without_a_terminal_each_validation_is_a_line(monkeypatch: pytest.MonkeyPatch):
    assert run(False, monkeypatch).splitlines() == [
        "begins",
        "step 1: real loss 7.500, metagradient 0.05; "
        "of full data: HR@10 50 %, nDCG@10 46 %, HR@100 90 % (best so far)",
        "warning: swings",
    ]


def test_a_ratio_that_is_not_defined_is_a_dash():
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, width=150)) as progress:
        progress.validation(0, Validation({}, {"HR@10": math.nan, "nDCG@10": math.nan, "HR@100": 0.25}), True)
    assert stream.getvalue() == "step 0: of full data: HR@10 –, nDCG@10 –, HR@100 25 % (best so far)\n"


def test_on_a_terminal_the_line_tells_loss_norm_validation_and_time_left(monkeypatch: pytest.MonkeyPatch):
    text = run(True, monkeypatch)
    assert "step 2, real loss 7.250, metagradient 1.2e+04, of full data: HR@10 50 %" in text
    assert "0:01:00" in text  # 30 s for the second quarter
    assert "warning: swings" in text


def test_without_a_terminal_what_is_done_stays():
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, force_terminal=False)) as progress:
        progress.doing("one")
        progress.doing("two")
    assert stream.getvalue().splitlines() == ["one", "two"]


def test_without_a_terminal_what_passes_is_told_seldom(monkeypatch: pytest.MonkeyPatch):
    clock = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, force_terminal=False)) as progress:
        for name, wait in (("soon", INTERVAL / 2), ("later", INTERVAL), ("soon after", INTERVAL / 2)):
            clock += wait
            progress.passing(name)
    assert stream.getvalue().splitlines() == ["later"]


def test_on_a_terminal_all_that_passes_is_shown():
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream, force_terminal=True, color_system=None)) as progress:
        progress.passing("step 50")
        progress.passing("step 100")
    assert "step 50" in stream.getvalue()
    assert "step 100" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_each_stage_is_a_line_with_what_it_gave_and_took(terminal: bool):
    stream = io.StringIO()
    with ConsoleProgress(
        Console(file=stream, force_terminal=terminal, width=150, color_system=None)
    ) as progress:
        progress.stage("teach", "3 full-data trainings", 49.4)
        progress.stage("initialise", "100 x 20 positions", 1.23)
    assert "teach       3 full-data trainings   49 s" in stream.getvalue()
    assert "initialise  100 x 20 positions   1.2 s" in stream.getvalue()


def test_arguments_of_the_library_are_named_as_options():
    stream = io.StringIO()
    with ConsoleProgress(Console(file=stream)) as progress:
        progress.message("holds this summary already; restart=True distils it again")
    assert "--restart distils it again" in stream.getvalue()
