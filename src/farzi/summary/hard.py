"""A summary as hard events, one item at each position, for libraries that read logs and nothing soft.

Hard events lose the soft part of a summary: what a position says of all other items, and soft labels that
differ from the inputs. A model trained on them is not one trained on the summary.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from farzi.errors import FarziError
from farzi.files import place, write_text_atomic, written

if TYPE_CHECKING:
    from farzi.summary.summary import Summary

SUFFIXES = (".parquet", ".csv", ".jsonl")


def hard_events(summary: "Summary", draws: int | None = None, seed: int = 0) -> pl.DataFrame:
    """One event for each position of each sequence; see `Summary.to_events`."""
    if draws is not None and draws < 1:
        raise FarziError(f"sampled must be the number of draws of each sequence, at least 1, not {draws}")
    generator = torch.Generator().manual_seed(seed)
    rows, users = [], []
    for sequence in range(summary.tensors.sequences):  # one by one: each takes ξ · V numbers
        soft = summary.soft_inputs([sequence])[0]
        drawn = (
            soft.argmax(-1).unsqueeze(0)
            if draws is None
            else torch.multinomial(soft, draws, replacement=True, generator=generator).T
        )
        rows.append(drawn.flatten())
        name = f"synthetic-{sequence + 1}"
        users += [name] if draws is None else [f"{name}-{draw + 1}" for draw in range(draws)]
    indices, length = torch.cat(rows).numpy(), summary.tensors.length
    vocabulary = summary.vocabulary.frame
    columns = {
        "user_id": pl.Series(users).gather(pl.int_range(len(users), eager=True).repeat_by(length).explode()),
        "item_id": vocabulary["id"].gather(indices),
        "timestamp": pl.concat([pl.int_range(length, dtype=pl.Int64, eager=True)] * len(users)),
    }
    names = vocabulary["name"]
    return pl.DataFrame(
        columns | ({"name": names.gather(indices)} if names.null_count() < len(names) else {})
    )


def write_events(events: pl.DataFrame, path: str | Path) -> None:
    """Write events as Parquet, CSV or JSON lines, by the ending of `path`; see `Summary.write_events`."""
    form = Path(path).suffix
    if form not in SUFFIXES:
        raise FarziError(f"{path}: events are written to a file that ends in {', '.join(SUFFIXES)}")
    with written(path) as file:
        {".parquet": events.write_parquet, ".csv": events.write_csv, ".jsonl": events.write_ndjson}[form](
            file
        )


def write_recbole(summary: "Summary", events: pl.DataFrame, folder: str | Path) -> None:
    """Write RecBole's atomic files `NAME.inter` and `NAME.item` into a folder called NAME."""
    _check_log(summary, "RecBole")
    folder = place(folder)
    name = folder.resolve().name
    ids = summary.vocabulary.frame["id"][1:]
    if broken := [id for id in ids if set(id) & set("\t\r\n")]:
        raise FarziError(f"RecBole's files cannot hold the id {broken[0]!r}, which has a tab or a line break")
    folder.mkdir(parents=True, exist_ok=True)
    rows = (
        f"{user}\t{item}\t{time}\n"
        for user, item, time in events.select("user_id", "item_id", "timestamp").rows()
    )
    write_text_atomic(
        folder / f"{name}.inter", "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(rows)
    )
    titles = (" ".join((title or "").split()) for title in summary.vocabulary.frame["name"][1:])
    items = (f"{id}\t{title}\n" for id, title in zip(ids, titles, strict=True))
    write_text_atomic(folder / f"{name}.item", "item_id:token\tname:token_seq\n" + "".join(items))


def rectools_frame(summary: "Summary", events: pl.DataFrame) -> Any:
    """RecTools' four columns as a frame of pandas; see `Summary.to_rectools`."""
    _check_log(summary, "RecTools")
    pandas = _needed("pandas", "RecTools")
    seconds = pandas.to_datetime(events["timestamp"].to_numpy(), unit="s")
    columns = {name: events[name].to_list() for name in ("user_id", "item_id")}
    return pandas.DataFrame({**columns, "weight": 1.0, "datetime": seconds.astype("datetime64[ns]")})


def lenskit_dataset(summary: "Summary", events: pl.DataFrame) -> Any:
    """LensKit's `Dataset`; see `Summary.to_lenskit`."""
    _check_log(summary, "LensKit")
    lenskit, pandas = _needed("lenskit.data", "LensKit"), _needed("pandas", "LensKit")
    items = summary.vocabulary.frame[1:].filter(pl.col("name").is_not_null())
    builder = lenskit.DatasetBuilder(f"Farzi summary of {summary.recipe.source}")
    builder.add_entities("item", summary.vocabulary.frame["id"][1:].to_list())
    if len(items):
        builder.add_scalar_attribute("item", "title", items["id"].to_list(), items["name"].to_list())
    columns = {name: events[name].to_list() for name in ("user_id", "item_id", "timestamp")}
    builder.add_interactions(
        "event", pandas.DataFrame(columns), entities=["user", "item"], missing="insert", default=True
    )
    return builder.build()


def _check_log(summary: "Summary", library: str) -> None:
    if summary.is_text:
        raise FarziError(
            f"this is a summary of a text, and {library} recommends items; to_events gives its tokens"
        )


def _needed(module: str, library: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise FarziError(f"{library} needs {module}: pip install {module.partition('.')[0]}") from None
