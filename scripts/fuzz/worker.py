"""One case after the other in a process of its own."""

import contextlib
import io
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import traceback
import unicodedata
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from farzi.cli.app import app
from farzi.errors import FarziError
from scripts.fuzz import artefacts, logs, texts
from scripts.fuzz.case import Case, Fault

FORMATS = {**logs.FORMATS, **texts.FORMATS, **artefacts.FORMATS}
SHARES = {
    "bomb": 0.005,
    "checkpoint": 0.05,
    "summary": 0.7,
    "log, damaged": 3,
    "log, as written": 2,
    "recipe": 0.7,
}
"""How often a format is drawn, 1 if it is not named."""
MEMORY = 1 << 30
SECONDS = 10
"""Seconds of computing for a case: wall-clock time would tell how busy the machine is."""
IN_PROCESS, OUTSIDE = 0.25, 0.0005
"""Shares of the cases that are also read by the command line: in this process, and in one of its own."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case: "accepted", "refused" or "fault"; `kind` tells faults apart."""

    number: int
    format: str
    verdict: str
    kind: str = ""
    detail: str = ""


def draw(seed: int, number: int, only: list[str] | None) -> tuple[str, random.Random]:
    """The format of a case, and its source of random numbers."""
    rng = random.Random(f"{seed}/{number}")
    names = only or list(FORMATS)
    return rng.choices(names, [SHARES.get(name, 1.0) for name in names])[0], rng


def run_case(seed: int, number: int, folder: Path, only: list[str] | None = None) -> Outcome:
    """Make a case in `folder`, which is empty, read it, and judge."""
    name, rng = draw(seed, number, only)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            case = FORMATS[name](rng, folder)
        except Exception:
            return Outcome(number, name, "fault", "the case cannot be made", traceback.format_exc())
        before = _peak()
        verdict, kind, detail = _judged(case)
        if verdict != "fault" and case.words is not None and (share := rng.random()) < IN_PROCESS:
            wrong = _told(case.words, verdict, outside=share < OUTSIDE)
            if wrong:
                verdict, kind, detail = "fault", *wrong
        if verdict != "fault" and _peak() - before > MEMORY:
            verdict, kind = "fault", f"{name}: more than 1 GiB of memory"
    return Outcome(number, name, verdict, kind, detail)


def _judged(case: Case) -> tuple[str, str, str]:
    try:
        value = case.run()
    except FarziError as error:
        message = str(error)
        if "\n" in message:
            return "fault", "message of several lines", repr(message)
        return ("fault", "a plain input is refused", message) if case.must else ("refused", "", message)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        return "fault", _signature(error), traceback.format_exc()
    try:
        case.check(value)
    except Fault as error:
        return "fault", str(error).partition(":")[0], str(error)
    return "accepted", "", ""


def _odd(message: str) -> str | None:
    """What a line on a terminal must not have: characters that command it or change the order of letters."""
    odd = next(
        (one for one in message if unicodedata.category(one) == "Cc" or one in "\u2028\u2029\u202e"), None
    )
    return None if odd is None else f"the character {odd!r}"


def _signature(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/farzi/" in one.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
    return f"{type(error).__name__} at {place}"


def _told(words: Any, verdict: str, outside: bool) -> tuple[str, str] | None:
    """What is wrong with how the command line ends on the same input; None if nothing is."""
    try:
        status, told = (_subprocess if outside else _command)([*words])
    except Exception as error:
        return f"command line: {_signature(error)}", traceback.format_exc()
    expected = {"accepted": 0, "refused": 2}[verdict]
    lines = [line for line in told.splitlines() if line]
    if status != expected:
        return f"command line: status {status} of what is {verdict}", f"{words}\n{told}"
    if status == 2 and (len(lines) < 1 or not lines[-1].startswith("farzi: ")):
        return "command line: no line that says what is wrong", f"{words}\n{told}"
    if status == 2 and (odd := _odd(lines[-1])):
        return f"command line: message with {odd}", repr(told)
    return None


def _command(words: list[str]) -> tuple[int, str]:
    out, told = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        try:
            app.main(words, prog_name="farzi")
        except SystemExit as end:
            status = end.code
    told.flush()
    return (status if isinstance(status, int) else 1), told.buffer.getvalue().decode()  # pyright: ignore


def _subprocess(words: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-c", "from farzi.cli.app import main; main()", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stderr


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def limit_memory() -> None:
    """Let an allocation of many GiB fail in this process, not the machine."""
    with open("/proc/self/statm") as file:
        now = resource.getpagesize() * int(file.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (now + 8 * MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Run the cases whose numbers come on stdin; write "start" and the outcome of each as lines of JSON."""
    seed, place, only = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing else may stand between the answers
    artefacts.workshop()
    limit_memory()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        number = int(line)
        folder = place / str(number)
        folder.mkdir(parents=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # which ends the process
        outcome = run_case(seed, number, folder, only)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if outcome.verdict != "fault":
            shutil.rmtree(folder)
        print(json.dumps(asdict(outcome)), file=answers, flush=True)
    shutil.rmtree(artefacts.workshop())


if __name__ == "__main__":
    main()
