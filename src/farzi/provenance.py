"""Where figures come from: command, commit, machine, versions, day."""

import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from farzi.progress import counted


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a figure must be printed with, as JSON values; `device` is where it was made.

    The commit is that of the checkout that this package runs from, with "-dirty" where the package's own
    files differ from it; None where it runs from an installed copy.
    """
    here = environment(device)
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **here,
        "machine": f"{here['machine']}, {counted(here['threads'], 'thread')}",
    }


def environment(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a result depends on bit for bit besides its settings and data, as JSON values."""
    return {
        "farzi": version("farzi"),
        "commit": _commit(),
        "machine": _machine(torch.device(device)),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "float32_matmul": torch.get_float32_matmul_precision(),
    }


def _machine(device: torch.device) -> str:
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = re.findall(r"^model name\s*:\s*(.*?)\s*$", info.read_text(), re.MULTILINE)
        processor = models[0] if models else processor
    processor = f"{processor}, {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(device)}; {processor}" if device.type == "cuda" else processor


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        _git(here, "ls-files", "--error-unmatch", __file__)
        changed = _git(here, "status", "--porcelain", "--", str(here))
        return _git(here, "rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()
