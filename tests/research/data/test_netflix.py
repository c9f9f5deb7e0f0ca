"""The Netflix prize's files, made up in their format: what is read, and one clear line for what cannot be."""

from pathlib import Path

import polars as pl
import pytest

from farzi.data import load_data
from farzi.errors import FarziError
from farzi.recipe import parse_recipe
from research.data import netflix as module
from research.data.netflix import Netflix

ONE = "1:\n30878,4,2005-12-26\n7,3,2004-02-29\n2:\n7,5,1999-11-11\n"
TWO = "3:\n30878,1,2005-12-26\n2647871,2,2000-01-01\n"
DAYS = {"2005-12-26": 13143, "2004-02-29": 12477, "1999-11-11": 10906, "2000-01-01": 10957}
ROWS = [
    ("30878", "1", "2005-12-26", 2),
    ("7", "1", "2004-02-29", 3),
    ("7", "2", "1999-11-11", 5),
    ("30878", "3", "2005-12-26", 7),
    ("2647871", "3", "2000-01-01", 8),
]
EXPECTED = [(user, item, DAYS[day] * 86_400, row) for user, item, day, row in ROWS]


@pytest.fixture
def combined(tmp_path: Path) -> Path:
    """Two files, of which the second has the higher number and the lower name."""
    (tmp_path / "combined_data_2.txt").write_text(ONE)
    (tmp_path / "combined_data_10.txt").write_text(TWO)
    return tmp_path


@pytest.mark.parametrize("piece", [1, 20, 1 << 24])
def test_films_and_their_ratings(combined: Path, monkeypatch: pytest.MonkeyPatch, piece: int):
    monkeypatch.setattr(module, "PIECE", piece)  # a piece may end anywhere between lines
    events = Netflix(str(combined)).events()
    assert events.frame.rows() == EXPECTED
    assert events.frame.schema == {"user": pl.String, "item": pl.String, "time": pl.Int64, "row": pl.UInt32}
    assert events.dated
    assert events.names is None


@pytest.mark.parametrize("inside", ["", "training_set"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_older_folder_has_a_file_a_film(tmp_path: Path, inside: str, end: str):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    films = {1: ONE[: ONE.index("2:")], 2: ONE[ONE.index("2:") :], 3: TWO}
    for film, text in films.items():
        (folder / f"mv_{film:07}.txt").write_bytes(text.replace("\n", end).encode())
    (tmp_path / "movie_titles.txt").write_bytes(
        "1,2003,Dinosaur Planet\n2,NULL,Ma, Mère\nodd\n".encode("latin-1")
    )
    events = Netflix(str(tmp_path)).events()
    assert events.frame.rows() == EXPECTED
    assert events.names is not None
    assert events.names.rows() == [("1", "Dinosaur Planet (2003)"), ("2", "Ma, Mère")]


def test_one_file_alone_will_do(combined: Path):
    assert Netflix(str(combined / "combined_data_10.txt")).events().frame.rows() == [
        (user, item, time, row - 5) for user, item, time, row in EXPECTED[3:]
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "7;3;2004-02-29",
            r"combined_data_10\.txt:3: '7;3;2004-02-29' is neither; a film is a line such as 17:",
        ),
        ("7,9,2004-02-29", "txt:3: '7,9,2004-02-29' is neither"),
        ("7,3,2004-02-30", "txt:3: '7,3,2004-02-30' is neither"),
        ("7,3", "txt:3: '7,3' is neither"),
        ("x7,3,2004-02-28", "txt:3: 'x7,3,2004-02-28' is neither"),
        ("a:", "txt:3: 'a:' is neither"),
    ],
)
@pytest.mark.parametrize("piece", [1, 1 << 24])
def test_a_bad_line_is_named(
    combined: Path, monkeypatch: pytest.MonkeyPatch, piece: int, line: str, message: str
):
    monkeypatch.setattr(module, "PIECE", piece)
    lines = TWO.splitlines()
    (combined / "combined_data_10.txt").write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(FarziError, match=message) as caught:
        Netflix(str(combined)).events()
    assert "\n" not in str(caught.value)


def test_a_rating_before_any_film_is_named(tmp_path: Path):
    (tmp_path / "mv_0000001.txt").write_text("30878,4,2005-12-26\n1:\n")
    with pytest.raises(FarziError, match=r"mv_0000001\.txt:1: a rating before any film"):
        Netflix(str(tmp_path)).events()


def test_no_files_of_it_is_one_line(tmp_path: Path):
    with pytest.raises(FarziError, match=r"has no combined_data_\*\.txt"):
        Netflix(str(tmp_path)).events()
    with pytest.raises(FarziError, match="no such folder"):
        Netflix(str(tmp_path / "x")).events()
    (tmp_path / "mv_0000001.txt").write_text("1:\n")
    with pytest.raises(FarziError, match="no ratings"):
        Netflix(str(tmp_path)).events()


def test_it_is_the_data_of_a_recipe(tmp_path: Path):
    days = [f"200{1 + k // 28}-0{1 + k % 9}-{1 + k % 28:02}" for k in range(40)]
    lines = [
        f"{film}:\n" + "".join(f"{user},3,{days[film + user]}\n" for user in range(9)) for film in range(1, 7)
    ]
    (tmp_path / "combined_data_1.txt").write_text("".join(lines))
    recipe = parse_recipe(
        f'data: {{type: "research.data.netflix:Netflix", folder: "{tmp_path.as_posix()}"}}', "r.yaml"
    )
    assert recipe.source == "research.data.netflix:Netflix"
    log = load_data(recipe.data)
    assert (log.facts["users"], log.facts["items"], log.facts["events"]) == (9, 6, 54)
    assert log.facts["ties"]["rule"] == "random"
