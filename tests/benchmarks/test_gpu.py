"""The check of a GPU: its CPU mode, and, where there is CUDA, every part on the device."""

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import exactness as exact
from benchmarks.gpu.part import Found, Part, Setting
from benchmarks.gpu.speed import ceilings
from benchmarks.made_log import made_log

CPU = Setting(torch.device("cpu"), quick=True)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gpu-check", *options])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code if isinstance(ended.value.code, int) else 1


@pytest.mark.long
def test_the_cpu_mode_runs_all_that_needs_no_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, "--device", "cpu", "--quick", "--out", str(tmp_path)) == 0
    figures = json.loads((tmp_path / "gpu-check.json").read_text())
    assert [part["status"] for part in figures["parts"]] == ["done"] * len(command.PARTS)
    assert {"machine", "torch", "commit"} <= set(figures)
    assert "CUDA graphs (they need CUDA)" in (tmp_path / "gpu-check.md").read_text()


@needs_cuda
@pytest.mark.parametrize("part", command.PARTS, ids=lambda part: part.run.__name__)
def test_every_part_passes_on_the_gpu(part: Part) -> None:
    assert part.run(Setting(torch.device("cuda"), quick=True)).wrong == ()


@needs_cuda
def test_compiled_steps_and_cuda_graphs_are_measured_on_the_gpu() -> None:
    assert {"compiled", "CUDA graphs"} <= set(Setting(torch.device("cuda"), quick=False).executions)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_cuda_one_line_says_what_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu-check", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="--device cpu --quick"):
        command.main()
    assert not (tmp_path / "out").exists()


def test_a_part_that_fails_ends_with_its_reason_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(setting: Setting) -> Found:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(command, "PARTS", (Part("Broken", broken), Part("Ceilings", ceilings)))
    assert run(monkeypatch, "--device", "cpu", "--quick", "--out", str(tmp_path)) == 1
    broken_, whole = json.loads((tmp_path / "gpu-check.json").read_text())["parts"]
    assert (broken_["status"], whole["status"]) == ("failed", "done")
    assert "no kernel" in broken_["wrong"][0]
    assert all(value > 0 for row in whole["rows"] for name, value in row.items() if name != "what")


def test_a_wrong_metagradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_answer", lambda one, *rest: 1.0 if isinstance(one, exact.Engine) else 2.0)
    found = exact.exactness(CPU)
    assert len(found.wrong) == len(found.rows) - 2  # all but autograd's two


def test_the_made_log_has_the_size_asked_for() -> None:
    log = made_log(2000, 50, 30)
    assert len(log.train) == 2000
    assert len(log.vocabulary) == 51
    assert len(log.train.items) + 2 * 2000 == pytest.approx(30 * 2000, rel=0.05)
    assert set(log.train.items) <= set(range(1, 51))
    assert (log.valid.targets.lengths == 1).all()
