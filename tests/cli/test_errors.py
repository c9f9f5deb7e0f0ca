"""A mistake of the user is one line on stderr and exit status 2; a mistake of the program is not hidden."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from farzi.cli import app
from farzi.cli.app import Commands
from farzi.errors import FarziError
from farzi.progress import PrintedProgress


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words, prog_name="farzi")


def failing(error: BaseException) -> Commands:
    """A command line whose one command raises."""
    commands = Commands("farzi")

    @commands.command()
    def work() -> None:
        raise error

    return commands


def one_line(result: Result) -> str:
    """The only line of stderr, after its `farzi: `; nothing may have been printed."""
    assert result.stdout == ""
    lines = result.stderr.strip("\n").split("\n")
    assert len(lines) == 1
    assert lines[0].startswith("farzi: ")
    return lines[0].removeprefix("farzi: ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["distil"], "No such command 'distil'. Did you mean 'distill'? (farzi --help)"),
        (["data", "lst"], "No such command 'lst'. Did you mean 'list'? (farzi data --help)"),
        (["distill"], "Missing option '--out'. (farzi distill --help)"),
        (["distill", "--out", "x", "--sequences", "0"], "--sequences must be at least 1, not 0"),
        (["train", "--out", "x"], "name the folder of a summary, or give --on full (farzi train --help)"),
        (
            ["data", "get", "ml100k"],
            "no data set is named 'ml100k'; known: movielens-small, ml-100k, ml-1m, amazon-magazine, "
            "sotu, ptb; did you mean ml-100k?",
        ),
        (
            ["data", "describe", "--recipe", "nowhere.yaml"],
            "nowhere.yaml: the recipe cannot be read: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str):
    result = run(*words)
    assert result.exit_code == 2
    assert one_line(result) == line


def test_an_unknown_option_names_the_nearest():
    result = run("distill", "--sequence", "3")
    assert result.exit_code == 2
    assert "'--sequences'" in one_line(result)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (FarziError("a.csv:3: no time"), 2, "a.csv:3: no time"),
        (FarziError("two\nlines"), 2, "two\\nlines"),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/x"),
            2,
            "runs/x: No space left on device; make room and run the same command again",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 2, "x: Read-only file system"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("stopped at step 7"), 130, "stopped at step 7"),
    ],
)
def test_what_happens_in_a_command_ends_in_one_line(error: BaseException, status: int, line: str):
    result = CliRunner().invoke(failing(error), ["work"])
    assert result.exit_code == status
    assert result.stderr.strip("\n") == f"farzi: {line}"


@pytest.mark.parametrize("error", [ValueError("length"), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_mistake_of_the_program_is_not_hidden(error: Exception):
    assert CliRunner().invoke(failing(error), ["work"]).exception is error


def test_a_command_may_choose_its_status():
    commands = Commands("farzi")

    @commands.command()
    @click.pass_context
    def work(context: click.Context) -> None:
        context.exit(3)

    assert CliRunner().invoke(commands, ["work"]).exit_code == 3


@pytest.mark.parametrize("words", [[], ["data"], ["--help"], ["distill", "-h"], ["--version"]])
def test_help_is_no_mistake(words: list[str]):
    result = run(*words)
    assert result.exit_code == 0
    assert result.stdout
    assert not result.stderr


def test_the_commands_stand_in_the_order_of_use():
    assert list(app.list_commands(click.Context(app))) == [
        "data",
        "recipe",
        "plan",
        "check",
        "distill",
        "watch",
        "train",
        "evaluate",
        "recommend",
        "compare",
        "frontier",
        "report",
        "tune",
        "update",
        "tune-baseline",
        "inspect",
    ]


def test_the_script_itself_shows_no_traceback(tmp_path: Path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("inner:\n  bach: 1\n")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from farzi.cli import main; main()",
            "distill",
            "--out",
            "o",
            "--recipe",
            str(recipe),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"farzi: {recipe}:2:3: unknown key inner.bach; did you mean inner.batch?\n"
    assert list(tmp_path.iterdir()) == [recipe]


def test_help_needs_neither_torch_nor_polars():
    code = "import sys, farzi.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "polars", "numpy", "matplotlib", "scipy", "pydantic", "rich"} & set(
        done.stdout.split()
    )


def test_a_warning_of_its_own_is_one_line() -> None:
    script = """
import warnings
from farzi.cli.app import prepare_process
from farzi.unroll import ExecutionWarning
prepare_process()
warnings.warn("run eagerly", ExecutionWarning)
warnings.warn("something else", UserWarning)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, *rest = done.stderr.splitlines()
    assert first == "farzi: run eagerly"
    assert "UserWarning: something else" in rest[0]


@pytest.mark.parametrize(
    "number", [errno.EFBIG, errno.EIO, errno.EBUSY, errno.ELOOP, errno.EMFILE, errno.ESTALE]
)
def test_an_error_of_the_machine_is_one_line(number: int):
    result = CliRunner().invoke(failing(OSError(number, "what it is")), ["work"])
    assert (result.exit_code, one_line(result)) == (2, "what it is")


SPEAKS = """
import sys
from farzi.cli.app import prepare_process
from farzi.cli.progress import ConsoleProgress
prepare_process()
with ConsoleProgress() as progress:
    for k in range(3):
        sys.stdin.readline()
        progress.message("one")
        progress.doing("two")
print("done")
"""


def test_progress_that_nobody_reads_ends_nothing():
    words = [sys.executable, "-c", SPEAKS]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stderr is not None
        process.stderr.close()
        output, _ = process.communicate("\n\n\n")
    assert (process.returncode, output) == (0, "done\n")


def test_progress_in_python_that_nobody_reads_ends_nothing(monkeypatch: pytest.MonkeyPatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    PrintedProgress().stage("train", "a model", 1.0)


def test_a_reader_of_results_who_goes_away_is_no_mistake():
    code = "from farzi.cli import main; main()"
    words = [sys.executable, "-c", code, "data", "list"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_a_terminal_that_is_closed_ends_nothing():
    master, slave = os.openpty()
    words = [sys.executable, "-c", SPEAKS]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave, text=True
    ) as process:
        os.close(slave)
        os.close(master)
        output, _ = process.communicate("\n\n\n")
    assert (process.returncode, output) == (0, "done\n")
