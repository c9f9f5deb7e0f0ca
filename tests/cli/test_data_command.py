"""`farzi data` prints what the library says, for people and for programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from farzi.cli import app
from farzi.cli.output import print_facts


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words, prog_name="farzi")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    rows = (f"u{user},i{(user + item) % 5},{10 * user + item}\n" for user in range(4) for item in range(5))
    path.write_text("user,item,time\n" + "".join(rows))
    return path


def test_list_is_json_for_programs():
    entries = json.loads(run("data", "list", "--json"))
    logs = ["movielens-small", "ml-100k", "ml-1m", "amazon-magazine"]
    assert [entry["name"] for entry in entries] == [*logs, "sotu", "ptb"]
    assert all(entry["licence"] and entry["addresses"] for entry in entries)
    assert [entry["name"] for entry in entries if len(entry["sha256"] or "") != 64] == []


def test_list_is_a_table_for_people():
    text = run("data", "list")
    assert "movielens-small" in text
    assert "100,004" in text


def test_get_says_where_a_set_is():
    found = json.loads(run("data", "get", "movielens-small", "--json"))
    assert Path(found["path"]).is_file()
    assert found["path"] in run("data", "get", "movielens-small")


def test_describe_reads_a_file(log: Path):
    facts = json.loads(run("data", "describe", str(log), "--json"))
    assert (facts["users"], facts["items"], facts["events"]) == (4, 5, 20)
    assert "min 5, median 5" in run("data", "describe", str(log))


def test_describe_takes_the_settings_of_the_data(log: Path):
    facts = json.loads(
        run("data", "describe", str(log), "--split", "ratio", "--set", "data.split.test=0.4", "--json")
    )
    assert facts["split"]["test"]["events"] == 8


def test_facts_stand_one_a_line(capsys: pytest.CaptureFixture[str]):
    print_facts(
        {"users": 1234, "time": None, "ties": {"rule": "by hand", "share": 0.25, "first": ["a", "b"]}}
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "users       1,234",
        "ties        by hand; share 0.25",
        "ties first  a; b",
    ]
