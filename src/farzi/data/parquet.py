"""Parquet through polars, where a damaged file is an ordinary error."""

import io
from collections.abc import Callable, Sequence

import polars as pl

from farzi.errors import FarziError

# On some damaged pages polars panics; a panic is no Exception for Python.
DAMAGE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


def read_parquet(
    data: bytes, source: str, choose: Callable[[list[str]], Sequence[str]] | None = None
) -> pl.DataFrame:
    """Read a Parquet file's bytes.

    Pages carry no checksum, so damage inside one may pass unseen: where it must not, compare SHA-256 first.

    Args:
        data: the whole file.
        source: how messages name it.
        choose: picks columns from those there are; all if None.

    Raises:
        FarziError: the bytes are not a Parquet file or a damaged one; or what `choose` raises.
    """
    try:
        names = list(pl.read_parquet_schema(io.BytesIO(data)))
        columns = None if choose is None else list(choose(names))
        return pl.read_parquet(io.BytesIO(data), columns=columns)
    except DAMAGE:
        raise FarziError(f"{source}: is not a Parquet file, or a damaged one") from None
