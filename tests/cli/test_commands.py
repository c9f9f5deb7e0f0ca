"""The commands one after the other, from a log to a table, on a log of twelve people and eight items."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from farzi.cli import app
from farzi.cli.options import CONTROLS
from farzi.models import Model
from farzi.recipe import presets


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="farzi")


def read(*words: str | Path) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str | Path) -> str:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr.strip().removeprefix("farzi: ")


def write_log(path: Path, steps: int) -> None:
    """Twelve people who go round eight items."""
    rows = (
        f"u{user},i{(user + step) % 8},{100 * user + step}\n" for user in range(12) for step in range(steps)
    )
    path.write_text("user,item,time\n" + "".join(rows))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log and a summary of it, learnt in two steps."""
    place = tmp_path_factory.mktemp("run")
    write_log(place / "log.csv", steps=9)
    (place / "recipe.yaml").write_text(
        "student: {hidden: 8}\n"
        "summary: {sequences: 3, length: 4, parametrization: {dim: 2}}\n"
        "init: {teachers: 1}\n"
        "teach: {max_steps: 100}\n"
        "inner: {steps: 6, batch: 2}\n"
        "outer: {steps: 2, batch: 4, window: 2, burn_in: 1}\n"
        "select: {every: 1, students: 1}\n"
    )
    text = read("distill", place / "log.csv", "--out", place / "summary", "--recipe", place / "recipe.yaml")
    assert "Next: farzi compare" in text
    return place


@pytest.fixture
def moved(place: Path) -> Iterator[Path]:
    """Where the log is now."""
    path = (place / "log.csv").rename(place / "elsewhere.csv")
    yield path
    path.rename(place / "log.csv")


@pytest.fixture(scope="module")
def student(place: Path) -> Path:
    path = place / "student.safetensors"
    facts = json.loads(read("train", place / "summary", "--out", path, "--json"))
    assert (facts["trained_on"], facts["steps"]) == ("summary", 6)
    return path


def test_a_finished_run_is_not_run_again(place: Path):
    before = (place / "summary" / "summary.safetensors").stat().st_mtime_ns
    words = ("distill", place / "log.csv", "--out", place / "summary", "--recipe", place / "recipe.yaml")
    facts = json.loads(read(*words, "--json"))
    assert facts["outer_steps"] == 2
    assert set(facts["best"]["relative_to_full"]) >= {"HR@10", "nDCG@10", "HR@100"}
    assert (place / "summary" / "summary.safetensors").stat().st_mtime_ns == before


def test_another_recipe_does_not_go_over_a_summary(place: Path):
    line = refused("distill", place / "log.csv", "--out", place / "summary", "--set", "student.hidden=16")
    assert "holds the summary of another recipe" in line
    assert line.endswith("choose another folder, or --restart")
    assert "\n" not in line


def test_evaluate_ranks_with_the_student_on_its_own_log(student: Path):
    found = json.loads(read("evaluate", student, "--json"))
    assert found["data"].endswith("log.csv")
    assert (found["trained_on"], found["student"]["type"]) == ("summary", "sasrec")
    assert set(found) >= {"command", "commit", "date", "machine"}
    assert 0 <= found["metrics"]["nDCG@10"] <= 1
    assert found["metrics"]["HR@10"] == 1  # of eight items
    text = read("evaluate", student, "--on", "valid", "--seen", "exclude")
    assert "valid events of 12 users ranked among all 8 items, seen items excluded" in " ".join(text.split())


def test_evaluate_refuses_other_items(student: Path, place: Path):
    (place / "other.csv").write_text((place / "log.csv").read_text().replace("i7", "j"))
    assert "not those that the model was trained for" in refused("evaluate", student, place / "other.csv")
    line = "data.names has no effect on a model's figures"
    assert refused("evaluate", student, "--set", "data.names=f") == line


def test_evaluate_refuses_what_is_no_student(place: Path):
    assert "no such file" in refused("evaluate", place / "nowhere")
    assert "reads farzi-model-1" in refused("evaluate", place / "summary" / "summary.safetensors")


@pytest.mark.parametrize("on", ["full", *CONTROLS])
def test_train_on_real_events(place: Path, tmp_path: Path, on: str):
    out = tmp_path / "s.safetensors"
    data = () if on == "full" else ("--sequences", "2")
    facts = json.loads(read("train", place / "summary", "--on", on, *data, "--out", out, "--json"))
    assert facts["trained_on"] == on
    assert json.loads(read("evaluate", out, "--json"))["metrics"]


def test_a_training_on_real_events_takes_its_settings_from_the_recipe(place: Path, tmp_path: Path):
    words = (
        "train",
        place / "summary",
        "--on",
        "head",
        "--sequences",
        "2",
        "--json",
        "--out",
        tmp_path / "s",
    )
    every = ("--set", "teach.batch=64", "--set", "teach.validate_every=20")
    steps = [json.loads(read(*words, *changes))["steps"] for changes in ((), every)]
    assert [taken % each for taken, each in zip(steps, (50, 20), strict=True)] == [0, 0]


def test_the_same_seed_trains_the_same_student(place: Path, student: Path, tmp_path: Path):
    for seed, same in (("0", True), ("1", False)):
        out = tmp_path / seed
        read("train", place / "summary", "--out", out, "--seed", seed)
        first, second = (Model.load(path).network.state_dict() for path in (out, student))
        assert all(torch.equal(first[name], second[name]) for name in first) is same


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--sequences", "3"], "--sequences has no effect on training on a summary"),
        (["--set", "data.user=u"], "--user has no effect on training on a summary"),
        (["--set", "teach.batch=5"], "teach.batch has no effect on training on a summary"),
        (["--on", "full", "--sequences", "3"], "--sequences has no effect on training on all of the log"),
        (
            ["--on", "head", "--set", "data.names=f"],
            "data.names has no effect on training on real events",
        ),
        (
            ["--on", "head", "--set", "inner.steps=3"],
            "inner.steps has no effect on training on real events",
        ),
    ],
)
def test_train_refuses_options_that_would_do_nothing(
    place: Path, tmp_path: Path, words: list[str], line: str
):
    assert refused("train", place / "summary", "--out", tmp_path / "s", *words) == line
    assert list(tmp_path.iterdir()) == []


def test_compare_prints_a_table_and_writes_the_rows(place: Path):
    text = read("compare", place / "summary", "--seeds", "2", "--max-steps", "3")
    assert "summary" in text
    assert "times faster" in text or "times slower" in text
    rows = json.loads((place / "summary" / "results.json").read_text())
    kinds = {row["trained_on"] for row in rows}
    assert kinds >= {"full", "summary", "random", "random, teachers' labels", "teachers"}
    assert {row["seeds"] for row in rows if row["trained_on"] not in {*COUNTS, "teachers"}} == {2}
    assert not (place / "summary" / "comparison-partial").exists()


COUNTS = {"popularity", "successors", "item-kNN", "EASE"}
QUICK = ("--seeds", "2", "--max-steps", "3", "--no-equal-bytes")


def test_compare_has_the_controls_that_are_named(place: Path):
    words = ("compare", place / "summary", *QUICK, "--references", "", "--controls")
    rows = json.loads(read(*words, "herding, k-centre", "--json"))
    assert {row["trained_on"] for row in rows} == {"full", "summary", "herding", "k-centre", *COUNTS}
    assert (place / "summary" / "comparison.png").exists()
    line = '--controls must be one of random, head, herding, k-centre, labelled, not "kcentre"; did you mean'
    assert refused(*words, "random,kcentre").startswith(line)


def test_finished_trainings_are_shared_by_comparisons(place: Path, tmp_path: Path):
    words = ("compare", place / "summary", *QUICK, "--cache", tmp_path / "cache", "--json")
    first = run(*words, "--controls", "random")
    before = sorted((tmp_path / "cache").iterdir())
    second = run(*words, "--controls", "random")
    assert sorted((tmp_path / "cache").iterdir()) == before
    assert "training" in first.stderr
    assert "training" not in second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert refused(*words, "--references", "teacher").startswith(
        "--references must be one of initial, teachers"
    )


def test_compare_trains_another_architecture(place: Path):
    words = ("compare", place / "summary", *QUICK, "--json", "--controls", "", "--references", "", "--set")
    rows = json.loads(read(*words, "student.type=gru4rec"))
    assert {row["trained_on"] for row in rows} == {"full", "summary", *COUNTS}
    line = "student.type must be one of sasrec, gru4rec, fmlprec, transformer, gru, lstm"
    assert refused(*words, "student.type=bert").startswith(line)


def test_the_log_of_a_summary_is_found_where_the_user_says(place: Path, moved: Path, tmp_path: Path):
    summary, gone = place / "summary", f"{place / 'log.csv'}: no such file; it is the log of"
    for words in (("compare", summary, *QUICK), ("train", summary, "--on", "full", "--out", tmp_path / "s")):
        line = f"{gone} the summary in {summary}. If it has moved, say where: --from FILE"
        assert refused(*words) == line
        assert read(*words, "--from", moved)
    assert "HR@10" in read("evaluate", tmp_path / "s")  # whose log is the one that it was trained on


def test_the_log_of_a_student_is_found_where_the_user_says(place: Path, student: Path, moved: Path):
    gone = f"{place / 'log.csv'}: no such file; it is the log of"
    line = f"{gone} the model in {student}. If it has moved, say where: --from FILE"
    assert refused("evaluate", student) == line
    assert f"{moved}, test events of 12 users" in " ".join(read("evaluate", student, "--from", moved).split())
    assert read("evaluate", student, moved)


def test_another_log_in_the_place_of_a_summarys_is_refused(place: Path, tmp_path: Path):
    summary, other = place / "summary", tmp_path / "other.csv"
    write_log(other, steps=8)
    train = ("train", summary, "--on", "head", "--out", tmp_path / "s")
    for words in (("compare", summary), train):
        line = refused(*words, "--from", other)
        assert line == f"{other}: its events are not those that the summary in {summary} was made from"
    assert read(*train, "--from", other, "--set", "data.split=ratio")  # another cut was asked for
    assert "no such file" in refused("compare", summary, "--from", tmp_path / "othr.csv")


def test_a_side_file_of_names_is_not_missed(place: Path, tmp_path: Path):
    (tmp_path / "names.csv").write_text("item,name\ni1,One\n")
    words = ("--recipe", place / "recipe.yaml", "--set", f"data.names={tmp_path / 'names.csv'}")
    read("distill", place / "log.csv", "--out", tmp_path / "summary", *words)
    (tmp_path / "names.csv").unlink()
    assert read("compare", tmp_path / "summary", *QUICK)
    assert read("train", tmp_path / "summary", "--on", "head", "--out", tmp_path / "s")
    assert read("evaluate", tmp_path / "s")


def test_a_run_resumes_with_its_log_elsewhere(place: Path, moved: Path):
    words = ("--out", place / "summary", "--recipe", place / "recipe.yaml", "--from", moved)
    assert "holds the summary." in read("distill", place / "log.csv", *words)


def test_where_the_full_data_has_nothing_there_is_a_dash(place: Path, tmp_path: Path):
    write_log(tmp_path / "again.csv", steps=11)  # all held-out events are of items seen before
    words = ("--out", tmp_path / "s", "--recipe", place / "recipe.yaml", "--set", "select.seen=exclude")
    told = run("distill", tmp_path / "again.csv", *words)
    assert told.exit_code == 0
    assert "of full data: HR@10 –, nDCG@10 –, HR@100 – (best so far)" in told.stderr
    assert "of the full data's figures: HR@10 –, nDCG@10 –, HR@100 –." in told.stdout
    text = read("compare", tmp_path / "s", *QUICK)
    assert "reaches HR@10 –, nDCG@10 –, HR@100 –;" in " ".join(text.split())
    page = (tmp_path / "s" / "comparison.md").read_text()
    assert "0.0 ±0.0 (–)" in page
    assert "nan" not in told.output + text + page
    assert (tmp_path / "s" / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_names_the_likeliest_events(place: Path):
    rows = json.loads(read("inspect", place / "summary", "--sequences", "2", "--top", "3", "--json"))
    assert [len(row) for row in rows] == [4, 4]
    assert all(row[0]["label"] is None for row in rows)
    for events in (events for row in rows for position in row for events in position.values() if events):
        shares = [event["probability"] for event in events]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)
    assert any(position["input"] != position["label"] for row in rows for position in row[1:])
    text = read("inspect", place / "summary")
    assert "sequence 3 of 3" in text
    assert "soft input" in text
    assert "soft label" in text
    assert rows[0][0]["input"][0]["name"] in text


def test_recommend_gives_items_by_id(place: Path, student: Path, tmp_path: Path):
    lines = read("recommend", student, place / "log.csv", "--k", "3", "--include-seen").splitlines()
    assert lines[0].startswith("user_id,item_id,score,rank")
    assert len(lines) == 1 + 12 * 3
    read(
        "recommend", student, place / "log.csv", "--k", "3", "--include-seen", "--out", tmp_path / "best.csv"
    )
    assert (tmp_path / "best.csv").read_text().splitlines() == lines
    assert "best.xls" in refused("recommend", student, place / "log.csv", "--out", tmp_path / "best.xls")


def test_recipes_are_shown_and_compared(place: Path):
    recipe = read("recipe", "show", place / "summary", "--set", "inner.steps=9")
    (place / "other.yaml").write_text(recipe)
    assert read("recipe", "show", place / "other.yaml") == recipe
    assert read("recipe", "diff", place / "summary", place / "other.yaml") == "inner.steps: 6 -> 9\n"
    assert read("recipe", "diff", "log", "log") == "no difference\n"
    assert read("recipe", "show") == presets.LOG.to_yaml()
    refusal = refused("recipe", "show", "texd")
    assert "no such file; presets are log, text, plain; did you mean text?" in refusal


@pytest.mark.parametrize("command", ["inspect", "compare"])
def test_a_folder_without_a_summary_is_refused(tmp_path: Path, command: str):
    assert str(tmp_path / "nowhere") in refused(command, tmp_path / "nowhere")
    assert str(tmp_path) in refused(command, tmp_path)
