"""Which rows of a log are events, where one of its columns says so: the purchases among views, say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from farzi.data.columns import VALUE, bare
from farzi.data.ids import places_and_distinct, read_ids
from farzi.data.tables import Table, quoted, setting
from farzi.errors import FarziError

SHOWN = 8  # values of a column that an error lists


def rows_with(table: Table, wanted: Mapping[str, Sequence[str]], source: str) -> Table:
    """The rows of a table in which each column has one of the values wanted of it; a note counts the others.

    Values are compared as text that is made like that of ids: 1.0 in a column of whole numbers is 1. Truth
    values are true and false; a missing value is the empty text.

    Raises:
        FarziError: the table has no such column, or no such row.
    """
    rule, keep, notes = setting("where", table.unit), np.ones(len(table.frame), bool), list(table.notes)
    for column, values in wanted.items():
        if (role := VALUE + bare(column)) not in table.frame.columns:
            raise FarziError(f"{source}: {rule} needs a column, and lines of users and items have none")
        cells = table.frame[role]
        places, distinct = places_and_distinct(cells.cast(pl.String) if cells.dtype == pl.Boolean else cells)
        texts = read_ids(distinct, "value", column, source, ())[0].fill_null("")
        absent = sorted(set(values) - set(texts))
        if len(absent) == len(set(values)) and len(texts):
            counts = np.bincount(places.to_numpy(), minlength=len(texts))
            commonest = dict.fromkeys(texts[int(place)] for place in np.argsort(-counts, kind="stable"))
            listed = ", ".join(map(quoted, list(commonest)[:SHOWN])) + ", ..." * (len(commonest) > SHOWN)
            raise FarziError(f"{source}: {rule}: no row has {column}={','.join(values)}; there are {listed}")
        notes += [f"no row has {column}={value}" for value in absent]
        keep &= texts.is_in(list(values)).to_numpy()[places.to_numpy()]
    if len(keep) and not keep.any():
        raise FarziError(f"{source}: {rule}: no row has such values in all of {', '.join(wanted)}")
    words = " and ".join(f"{column}={','.join(values)}" for column, values in wanted.items())
    notes.append(f"only rows with {words} are events; others, which were left out: {np.sum(~keep):,}")
    return replace(table, frame=table.frame.filter(keep), notes=notes)
