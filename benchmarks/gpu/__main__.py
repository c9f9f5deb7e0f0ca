"""Check a GPU in ten minutes: `python -m benchmarks.gpu`, or scripts/gpu-check.sh.

Exactness, resuming, compiled steps and CUDA graphs, the small headline, the engine's step beside other
libraries and beside the card's own ceilings, and an outer step of MovieLens-1M's size. `--device cpu --quick`
runs all that needs no CUDA, on tiny sizes, in less than a minute.
"""

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
)  # for deterministic algorithms; before CUDA starts

import torch

from benchmarks.gpu.exactness import exactness, resume
from benchmarks.gpu.headline import headline
from benchmarks.gpu.part import Part, Setting
from benchmarks.gpu.speed import ceilings, outer_step, peers, step
from farzi.files import finite_values, write_text_atomic
from farzi.provenance import provenance

PARTS = (
    Part("Exactness of the metagradient", exactness),
    Part("Runs that stop and resume", resume),
    Part("Ceilings of the device", ceilings),
    Part("The engine's step", step),
    Part("An outer step of MovieLens-1M's size", outer_step),
    Part("The small headline", headline),
    Part("Beside other libraries", peers),
)
"""What must be right first, then what is wanted most: who has little time gets these."""


def check(setting: Setting, seconds: float) -> dict[str, Any]:
    """Run the parts, none of which begins after `seconds`, and gather what they found as JSON values."""
    begun, parts = time.perf_counter(), list[dict[str, Any]]()
    for part in PARTS:
        start = time.perf_counter()
        print(f"{part.title} ...", file=sys.stderr, flush=True)
        figures: dict[str, Any] = {"title": part.title, "rows": [], "notes": []}
        if start - begun > seconds:
            figures |= {"status": "left out", "wrong": ["the time was over"]}
        else:
            try:
                found = part.run(setting)
                status = "failed" if found.wrong else "done"
                figures |= {"rows": found.rows, "wrong": found.wrong, "notes": found.notes, "status": status}
            except Exception as error:  # the other parts are wanted all the same
                traceback.print_exc()
                line = " ".join(f"{type(error).__name__}: {error}".split())
                figures |= {"status": "failed", "wrong": [line[:600]]}
        parts.append(figures | {"seconds": round(time.perf_counter() - start, 1)})
    total = round(time.perf_counter() - begun, 1)
    return finite_values({**_here(setting), "seconds": total, "quick": setting.quick, "parts": parts})


def _here(setting: Setting) -> dict[str, Any]:
    """Machine, versions, commit."""
    figures = provenance(setting.device)
    if setting.device.type == "cuda":
        card = torch.cuda.get_device_properties(setting.device)
        figures |= {
            "cuda": torch.version.cuda,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
        }
    return figures


def page(figures: dict[str, Any]) -> str:
    """The same as Markdown."""
    lines = [
        f"# Farzi on {figures['machine']}",
        "",
        *(
            f"- {name}: {figures[name]}"
            for name in ("command", "commit", "date", "torch", "cuda", "python", "memory_gib", "seconds")
            if name in figures
        ),
    ]
    if figures["quick"]:
        lines += ["", "Tiny sizes (`--quick`): the figures show that everything runs, not how fast."]
    for part in figures["parts"]:
        lines += ["", f"## {part['title']}: {part['status']}", ""]
        lines += [f"**{line}**\n" for line in part["wrong"]]
        if part["rows"]:
            columns = list(dict.fromkeys(name for row in part["rows"] for name in row))
            lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
            lines += [
                "| " + " | ".join(_cell(row.get(name)) for name in columns) + " |" for row in part["rows"]
            ]
            lines.append("")
        lines += [*part["notes"], f"{part['seconds']} s."]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Check, write the two files, print the page; exit status 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="what is checked: cuda, cuda:1, cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, nothing compiled")
    parser.add_argument("--minutes", type=float, default=8.0, help="no part begins later than this")
    parser.add_argument("--out", default="runs/gpu-check", help="folder of gpu-check.json and gpu-check.md")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device here; --device cpu --quick runs all that needs none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's compiler, and of algorithms that are not deterministic
        figures = check(Setting(device, args.quick), 60 * args.minutes)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomic(out / "gpu-check.json", json.dumps(figures, indent=2) + "\n")
    write_text_atomic(out / "gpu-check.md", page(figures))
    print(page(figures))
    sys.exit(any(part["status"] == "failed" for part in figures["parts"]))


if __name__ == "__main__":
    main()
