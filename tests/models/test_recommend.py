"""Recommendations by original ids: every form of histories, and what is left out of them."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from farzi.data import Vocabulary
from farzi.errors import FarziError, FarziWarning
from farzi.models import Model, build_model, histories
from farzi.recipe.variants import LogData

from .kinds import settings

ROWS = [("b", 3, 30), ("a", 4, 1), ("b", 5, 10), ("b", 2, 20)]
COLUMNS = ["user_id", "item_id", "score", "rank"]


def model(ids: list[str] | None = None, names: dict[str, str] | None = None) -> Model:
    """A model of 12 items, "1" to "12" if no ids are given, in the order of the alphabet."""
    items = pl.DataFrame({"item": ids or [str(k) for k in range(1, 13)]})
    table = None if names is None else pl.DataFrame({"id": list(names), "name": list(names.values())})
    vocabulary = Vocabulary.from_events(items, table)
    torch.manual_seed(0)
    student = settings(type="sasrec", hidden=8)
    network = build_model(student, len(vocabulary), 4)
    with torch.no_grad():
        network.embedding.normal_()
    return Model(network, student, vocabulary, LogData(), "summary")


def frame(rows: Any = ROWS, *names: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(names) or ["user_id", "item_id", "timestamp"], orient="row")


def expected(of: Model, ids: list[Any], k: int, exclude_seen: bool = True) -> tuple[list[str], list[float]]:
    """By the network's own indices."""
    known = of.vocabulary.encode([str(one) for one in ids])
    indices, scores = of.network.top_k([known], k, exclude_seen=exclude_seen)
    return [of.vocabulary.frame["id"][int(one)] for one in indices[0]], scores[0].tolist()


def test_a_frame_gives_the_best_items_of_each_user_in_the_order_of_time():
    made = model().recommend(frame(), k=3)
    assert isinstance(made, pl.DataFrame)
    assert made.columns == COLUMNS
    assert made["user_id"].to_list() == ["b"] * 3 + ["a"] * 3
    assert made["rank"].to_list() == [1, 2, 3] * 2
    for user, ids in (("b", [5, 2, 3]), ("a", [4])):
        rows = made.filter(pl.col("user_id") == user)
        best, scores = expected(model(), ids, 3)
        assert rows["item_id"].cast(pl.String).to_list() == best
        assert rows["score"].to_list() == pytest.approx(scores, abs=1e-5)
    assert expected(model(), [5, 2, 3], 3) != expected(model(), [3, 5, 2], 3)  # else order were not tested


def test_events_without_times_or_at_one_time_are_in_the_given_order():
    best = model().recommend({"b": [3, 5, 2]}, k=3)
    assert model().recommend(frame().drop("timestamp").filter(pl.col("user_id") == "b"), k=3).equals(best)
    at_once = frame().with_columns(pl.lit(7).alias("timestamp")).filter(pl.col("user_id") == "b")
    assert model().recommend(at_once, k=3).equals(best)


@pytest.mark.parametrize("kind", ["pandas", "pyarrow", "lazy"])
def test_the_answer_is_a_frame_of_the_same_kind(kind: str):
    right = model(names={"3": "Three"}).recommend(frame(), k=12)
    if kind == "lazy":
        assert model(names={"3": "Three"}).recommend(frame().lazy(), k=12).equals(right)
        return
    library = pytest.importorskip(kind)
    given = frame().to_pandas() if kind == "pandas" else frame().to_arrow()
    made = model(names={"3": "Three"}).recommend(given, k=12)
    assert isinstance(made, library.DataFrame if kind == "pandas" else library.Table)
    if kind == "pandas":
        assert made.dtypes["user_id"] == given.dtypes["user_id"]
        assert made.dtypes["item_id"] == given.dtypes["item_id"]
        assert made["name"].isna().tolist() == right["name"].is_null().to_list()
        made = made.drop(columns="name")
        right = right.drop("name")
    assert list(map(list, pl.DataFrame(made.to_dict("list") if kind == "pandas" else made).rows())) == list(
        map(list, right.rows())
    )


def test_pandas_keeps_users_of_any_type_and_needs_no_plain_index():
    pandas = pytest.importorskip("pandas")
    days = pandas.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"])
    given = pandas.DataFrame({"user_id": days, "item_id": [1.0, 2.0, 3.0]}, index=[7, 7, 7])
    made = model().recommend(given, k=2)
    assert made["user_id"].tolist() == [days[0], days[0], days[1], days[1]]
    assert made["item_id"].dtype == "float64"
    assert (
        list(map(str, made["item_id"].astype(int)))
        == expected(model(), [1, 3], 2)[0] + expected(model(), [2], 2)[0]
    )


def test_columns_are_recognised_or_named():
    right = model().recommend(frame(), k=3)
    assert model().recommend(frame(ROWS, "userId", "movieId", "ts"), k=3).equals(right)
    named = frame(ROWS, "who", "what", "when")
    assert model().recommend(named, k=3, user="who", item="what", time="when").equals(right)
    with pytest.raises(FarziError, match="histories: no user column recognised by its name"):
        model().recommend(named, k=3)


@pytest.mark.parametrize(
    ("given", "type"),
    [([1, 2], pl.Int64), ([np.int32(1), 2], pl.Int64), (["1", "2"], pl.String), ([1.0, "2"], pl.String)],
)
def test_ids_are_matched_as_text(given: list[Any], type: Any):
    made = model().recommend({"u": given}, k=3)
    assert made["item_id"].cast(pl.String).to_list() == expected(model(), [1, 2], 3)[0]
    assert made["item_id"].dtype == type
    in_array = model().recommend({"u": np.asarray(given, object)}, k=3)
    assert in_array.equals(made)


@pytest.mark.parametrize("dtype", [pl.Int32, pl.UInt8, pl.Float64, pl.String, pl.Categorical])
def test_a_column_of_ids_may_have_any_type(dtype: Any):
    given = frame().with_columns(pl.col("item_id").cast(pl.String).cast(dtype))
    made = model().recommend(given, k=3)
    right = model().recommend(frame(), k=3)
    assert made["item_id"].dtype == (pl.String if dtype == pl.Categorical else dtype)
    assert made["item_id"].cast(pl.Int64).equals(right["item_id"])


def test_ids_that_are_not_all_numbers_come_as_text():
    made = model(["1", "2", "x", "y"]).recommend({"u": [1, 2]}, k=2)
    assert sorted(made["item_id"].to_list()) == ["x", "y"]
    made = model(["01", "2", "3", "4"]).recommend({"u": [2, 3]}, k=2)
    assert sorted(made["item_id"].to_list()) == ["01", "4"]


def test_a_list_of_lists_has_positions_as_users():
    made = model().recommend([[3, 5], [4]], k=2)
    assert made["user_id"].to_list() == [0, 0, 1, 1]
    assert (
        made["item_id"].cast(pl.String).to_list()
        == expected(model(), [3, 5], 2)[0] + expected(model(), [4], 2)[0]
    )


@pytest.mark.parametrize(
    "given",
    [
        ["3", "5"],
        [3, 5],
        (3, 5),
        np.array([3, 5]),
        np.array([[3, 5]]),
        torch.tensor([3, 5]),
        torch.tensor([[3.0, 5.0]]),
        [torch.tensor([3, 5])],
        [torch.tensor(3), torch.tensor(5)],
        iter([3, 5]),
        [iter(["3", "5"])],
        pl.Series(["3", "5"]),
        [pl.Series([3, 5])],
        pl.Series([[3, 5]]),
    ],
)
def test_one_history_and_every_kind_of_list_are_taken(given: Any):
    made = model().recommend(given, k=2)
    assert made["user_id"].to_list() == [0, 0]
    assert made["item_id"].cast(pl.String).to_list() == expected(model(), [3, 5], 2)[0]


def test_items_that_were_never_trained_on_are_not_recommended():
    trained = model()
    counts = trained.vocabulary.frame["count"].to_numpy().copy()
    never = trained.vocabulary.encode(["4", "7", "9"])
    counts[never] = 0
    made = replace(trained, vocabulary=trained.vocabulary.with_counts(counts))
    best = made.recommend([["4", "5"]], k=9, exclude_seen=False)["item_id"].to_list()
    assert best == [one for one in expected(trained, ["4", "5"], 12, False)[0] if one not in "479"]
    with pytest.raises(FarziError, match="between 1 and 9, the number of items, not 10"):
        made.recommend([["4"]], k=10)


def test_seen_items_are_left_out_unless_wanted():
    many = list(range(1, 11))
    made = model().recommend([many], k=12)
    assert sorted(made["item_id"].to_list()) == [11, 12]
    assert made["rank"].to_list() == [1, 2]
    made = model().recommend([many], k=12, exclude_seen=False)
    assert sorted(made["item_id"].to_list()) == list(range(1, 13))
    assert made["item_id"].cast(pl.String).to_list() == expected(model(), many, 12, exclude_seen=False)[0]


def test_what_is_unknown_is_left_out_and_counted_once():
    known = model().recommend(frame(), k=3)
    more = [*ROWS, ("b", 99, 40), ("c", 77, 1), ("a", 0, 3)]
    with pytest.warns(FarziWarning) as caught:
        made = model().recommend(frame(more), k=3)
    assert made.equals(known)
    assert [str(one.message) for one in caught] == [
        "left out: events of items that the model does not know: 3 of 7; users without any known item: 1 of 3"
    ]
    assert caught[0].filename == __file__
    with pytest.warns(FarziWarning, match=r"^left out: users without any known item: 1 of 2$"):
        made = model().recommend({"x": [1], "y": []}, k=1)
    assert made["user_id"].to_list() == ["x"]
    with pytest.warns(FarziWarning, match=r"^left out: rows without a user, an item or a time: 1$"):
        made = model().recommend(frame([*ROWS, (None, 4, 2)]), k=3)
    assert made.equals(known)
    with pytest.warns(FarziWarning, match=r"1 of 1 \(its ids are such as '1', '10', '11'\)"):
        model().recommend(["Toy Story"], k=1)
    with pytest.warns(FarziWarning, match="3 of 4"):
        model().recommend([[None, float("nan"), 1, ""]], k=1)


def test_nobody_gives_an_empty_frame():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = model().recommend(frame().clear(), k=3)
        assert (empty.columns, len(empty)) == (COLUMNS, 0)
        assert len(model().recommend([], k=3)) == len(model().recommend({}, k=3)) == 0


def test_names_stand_beside_ids():
    made = model(names={"3": "Three", "4": "Four"}).recommend([[1, 2]], k=10)
    assert made.columns == [*COLUMNS, "name"]
    names = dict(zip(made["item_id"], made["name"], strict=True))
    assert (names[3], names[4], names[5]) == ("Three", "Four", None)


@pytest.mark.parametrize("k", [0, 13, 2.5, "3"])
def test_a_k_out_of_range_is_refused(k: Any):
    with pytest.raises(FarziError, match=f"^k must be between 1 and 12, the number of items, not {k}$"):
        model().recommend([[1]], k=k)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("abc", "histories must be a frame, a mapping .* not str"),
        (3, "histories must be a frame, a mapping .* not int"),
        (["1", ["2"]], "each user must have a list of item ids, not '1'"),
        ({1, 2}, "histories must be a frame, a mapping .* not set"),
        ([{1, 2}], r"each user must have a list of item ids, not \[\{1, 2\}\]"),
        ([[1, [2]]], r"each user must have a list of item ids, not \[1, \[2\]\]"),
        ({"u": 3}, "each user must have a list of item ids, not 3"),
    ],
)
def test_what_are_no_histories_is_refused(given: Any, message: str):
    with pytest.raises(FarziError, match=message):
        model().recommend(given, k=3)


def test_many_users_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 13, size=size).tolist() for size in rng.integers(1, 9, size=20)]
    whole = model().recommend(lists, k=4)
    monkeypatch.setattr(histories, "SCORES", 40)
    parts = model().recommend(lists, k=4)
    assert parts.drop("score").equals(whole.drop("score"))
    np.testing.assert_allclose(parts["score"].to_numpy(), whole["score"].to_numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_file_has_the_rows_of_the_frame(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(histories, "SCORES", 13)  # one user at a time
    of, path = model(names={"3": "Three, or so"}), tmp_path / f"recs.{suffix}"
    wanted = of.recommend(frame(), k=4)
    assert of.recommend_to(path, frame(), k=4) == (len(wanted), 2)
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[suffix](path)
    assert read.columns == [*COLUMNS, "name"]
    for name in ("user_id", "rank", "name"):
        assert read[name].to_list() == wanted[name].to_list()
    assert read["item_id"].cast(pl.Int64).to_list() == wanted["item_id"].to_list()
    assert read["score"].to_list() == pytest.approx(wanted["score"].to_list(), abs=1e-6)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_file_without_any_known_user_has_columns_and_one_of_another_form_is_refused(tmp_path: Path):
    unknown = frame([("b", 99, 1)])
    with pytest.warns(FarziWarning, match="users without any known item: 1 of 1"):
        assert model().recommend_to(tmp_path / "recs.parquet", unknown, k=2) == (0, 0)
    assert pl.read_parquet(tmp_path / "recs.parquet").columns == COLUMNS
    with pytest.raises(FarziError, match=r"recs\.xlsx: .* ends in \.parquet, \.csv, \.jsonl"):
        model().recommend_to(tmp_path / "recs.xlsx", frame())


def test_histories_in_lists_and_events_in_rows_have_the_same_answer():
    rows = frame([("b", "5", 1), ("b", "2", 2), ("a", "4", 3)])
    lists = pl.DataFrame({"user_id": ["b", "a"], "history_item_id": [["5", "2"], ["4"]]})
    assert model().recommend(lists, k=3).equals(model().recommend(rows, k=3))
