"""Which column holds what: given by the user, or guessed from its name and from nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from farzi.errors import FarziError

USER = (
    "user_id", "user", "uid", "reviewer_id", "customer_id", "customer", "visitor_id", "client_id",
    "account_id", "member_id", "listener_id", "person_id", "author_id", "session_id", "session", "sid",
    "sequence_id", "sequence",
)  # fmt: skip
ITEM = (
    "item_id", "item", "iid", "movie_id", "movie", "film_id", "film", "parent_asin", "asin", "product_id",
    "product", "sku", "stock_code", "article_id", "article", "track_id", "track", "song_id", "song",
    "artist_id", "artist", "book_id", "book", "isbn", "game_id", "game", "app_id", "news_id", "video_id",
    "business_id", "poi_id", "venue_id", "ad_id", "page_id", "url",
)  # fmt: skip
TIME = (
    "timestamp", "time", "ts", "unix_review_time", "unix_time", "event_time", "event_timestamp",
    "created_at", "datetime", "date_time", "date", "invoice_date", "order_date", "review_date", "watched_at",
    "played_at", "order", "position",
)  # fmt: skip
NAME = (
    "name", "title", "label", "item_name", "item_title", "movie_title", "movie_name", "film_title",
    "product_name", "product_title", "track_name", "track_title", "song_title", "song_name", "artist_name",
    "book_title", "game_title", "video_title", "description",
)  # fmt: skip


@dataclass(frozen=True)
class Role:
    """What a column is wanted for: its names by falling likelihood, and the option that gives it by hand."""

    role: str
    guesses: Sequence[str]
    option: str
    given: str | None = None

    def find(self, found: Sequence[str], source: str, optional: bool = False) -> str | None:
        """The column of `found` (bare names, see `bare`) that plays this role.

        Raises:
            FarziError: the given column is missing or there twice; or none can be guessed.
        """
        if self.given is not None:
            column = bare(self.given)
            if column not in found:
                raise FarziError(f"{source}: no column {column!r}; the columns are {_listed(found)}")
        else:
            column = self._guess(found)
            if column is None and optional:
                return None
            if column is None:
                text = "; a text is read with --tokens words" if ".txt" in PurePath(source).suffixes else ""
                raise FarziError(
                    f"{source}: no column of {self.role}s recognised in the header; "
                    f"name it with {self.option} (the columns are {_listed(found)}){text}"
                )
        if list(found).count(column) > 1:
            raise FarziError(
                f"{source}: the column {column!r} is there twice; the columns are {_listed(found)}"
            )
        return column

    def _guess(self, found: Sequence[str]) -> str | None:
        by_name = {_folded(column): column for column in reversed(found)}
        return next((by_name[_folded(guess)] for guess in self.guesses if _folded(guess) in by_name), None)


def roles(user: str | None, item: str | None, time: str | None) -> dict[str, Role]:
    """The three roles of an event log, by name."""
    return {
        "user": Role("user", USER, "--user", user),
        "item": Role("item", ITEM, "--item", item),
        "time": Role("time", TIME, "--time", time),
    }


def bare(column: str) -> str:
    """A column's name without a RecBole type: `user_id:token` is `user_id`."""
    return re.sub(r":(token|float|token_seq|float_seq)$", "", column.strip())


def _folded(column: str) -> str:
    return re.sub(r"[\s_.-]", "", column).lower()


def _listed(found: Sequence[str]) -> str:
    shown = ", ".join(column if len(column) <= 30 else column[:29] + "…" for column in found[:12])
    return shown + (f" and {len(found) - 12} more" if len(found) > 12 else "")
