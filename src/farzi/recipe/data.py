"""The built-in variants of `data`: logs, with their splits, and texts."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from farzi.recipe.settings import Axis, Custom, Variant


class LeaveOneOut(Variant):
    """Each user's last event is the test, the one before it the validation."""

    type: Literal["leave_one_out"] = "leave_one_out"
    valid_users: int | None = Field(
        default=None,
        ge=1,
        description="users whose event before the last is the validation, drawn by a fixed seed; all if left "
        "out. That of the others is trained on",
    )
    implementation: ClassVar[str] = "farzi.data.splits:LeaveOneOut"


class _Shares(Variant):
    valid: float = Field(default=0.1, gt=0, lt=1, description="share held out for validation")
    test: float = Field(default=0.1, gt=0, lt=1, description="share held out for the test")


class RatioSplit(_Shares):
    """The last part of each user's events."""

    type: Literal["ratio"] = "ratio"
    implementation: ClassVar[str] = "farzi.data.splits:UserRatio"


class TimeSplit(_Shares):
    """All events after a date; shares are of all events."""

    type: Literal["time"] = "time"
    implementation: ClassVar[str] = "farzi.data.splits:GlobalTime"


SplitVariant = LeaveOneOut | RatioSplit | TimeSplit | Custom
Split = Annotated[SplitVariant, Axis("split", "parts")]


class PositionSplit(Variant):
    """The end of a text."""

    type: Literal["position"] = "position"
    implementation: ClassVar[str] = "farzi.data.text.splits:Position"


class RandomSplit(Variant):
    """Whole documents of a text, drawn at random."""

    type: Literal["random"] = "random"
    draw: int = Field(default=0, ge=0, description="another number draws other documents")
    implementation: ClassVar[str] = "farzi.data.text.splits:Random"


TextSplitVariant = PositionSplit | RandomSplit | Custom
TextSplit = Annotated[TextSplitVariant, Axis("split of a text", "__call__")]


def _known(encoding: str | None) -> str | None:
    try:
        "a".encode("utf-8" if encoding is None else encoding)
    except (LookupError, ValueError):  # some of Python's are not of text
        raise ValueError("must be an encoding that Python knows, such as latin-1, cp1252 or utf-16") from None
    return encoding


Encoding = Annotated[str | None, AfterValidator(_known)]


class LogData(Variant):
    """A log of events: who did what, in which order."""

    type: Literal["log"] = "log"
    source: str = Field(
        default="movielens-small", description="a named log (`farzi data list`) or a file of events"
    )
    file: str | None = Field(
        default=None, description="a local copy of a named log, or where a file of events is now"
    )
    user: str | None = Field(default=None, description="column of users; guessed from its name if left out")
    item: str | None = Field(default=None, description="column of items; guessed from its name if left out")
    time: str | None = Field(default=None, description="column of times; guessed from its name if left out")
    rating: str | None = Field(
        default=None, description="column of ratings, for min_rating; guessed likewise"
    )
    min_rating: float | None = Field(default=None, description="events with a lower rating are left out")
    where: tuple[str, ...] = Field(
        default=(),
        description="only rows in which a column has one of these values are events: event=view,cart",
    )
    time_format: str | None = Field(
        default=None, description="of dates that are not ISO, such as %d.%m.%Y for 31.12.2024"
    )
    separator: str | None = Field(
        default=None, description=r"between the fields of a text, such as :: or \t; guessed if left out"
    )
    columns: str | None = Field(
        default=None,
        description="names of the columns of a text without a header, such as user,item,rating,time",
    )
    format: Literal["events", "sequences"] | None = Field(
        default=None,
        description="of a text: one event in each row, or a user and items in each line; guessed if left out",
    )
    quotes: bool = Field(default=True, description="whether fields of a text may stand in double quotes")
    encoding: Encoding = Field(default=None, description="of text files, such as latin-1; UTF-8 if left out")
    missing: str | None = Field(
        default=None,
        description="words for a missing id, such as NA,null, or none; those of common programs if left out",
    )
    names: str | None = Field(default=None, description="a file with a readable name for each item")
    split: Split = Field(default=LeaveOneOut(), description="which events are held out")
    min_user_events: int = Field(default=3, ge=1, description="users with fewer events are left out")
    min_item_events: int | None = Field(
        default=None,
        ge=1,
        description="items with fewer events are left out; a named log has its own number, a file 1",
    )
    ties: Literal["file", "random"] | None = Field(
        default=None,
        description="order of a user's events at the same time: as in the file, or by a fixed hash; a named "
        "log has its own rule, a file its order",
    )
    duplicates: Literal["keep", "drop"] = Field(
        default="keep", description="events that repeat another's user, item and time"
    )
    unseen: Literal["error", "keep", "drop"] | None = Field(
        default=None,
        description="held-out events of items without training events: refuse, keep as misses in every "
        "metric, or drop; kept if left out",
    )
    skip_bad: bool = Field(
        default=False, description="leave out and count rows that cannot be read, instead of stopping"
    )

    @field_validator("where", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("where")
    @classmethod
    def _conditions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        columns = [one.partition("=")[0].strip() for one in value if "=" in one]
        if len(columns) < len(value) or "" in columns:
            raise ValueError("must be COLUMN=VALUE, or COLUMN=VALUE,VALUE, as in event=view,cart")
        if twice := [one for one in columns if columns.count(one) > 1]:
            raise ValueError(f"must name each column once, with all its values: {twice[0]}=view,cart")
        return value

    @property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The values of `where` by column."""
        pairs = (one.partition("=") for one in self.where)
        return {column.strip(): tuple(map(str.strip, values.split(","))) for column, _, values in pairs}


class TextData(Variant):
    """A text, cut into tokens."""

    type: Literal["text"] = "text"
    source: str = Field(default="sotu", description="a named text (`farzi data list`), a file or a folder")
    file: str | None = Field(
        default=None, description="a local copy of a named text, or where the file or folder is now"
    )
    tokens: Literal["words", "spaces", "bytes", "subwords"] | None = Field(
        default=None,
        description="what a token is: a word or punctuation mark, what stands between spaces, a byte, a "
        "subword; a named text has its own rule, a file words",
    )
    vocabulary_size: int | None = Field(
        default=None,
        ge=1,
        description="the commonest tokens that are kept, or subwords that are learnt; all words and 4,000 "
        "subwords if left out",
    )
    vocabulary_file: str | None = Field(
        default=None,
        description="a list of the words to keep, one on each line, or a tokenizer.json or the folder of a "
        "Hugging Face model, which has one",
    )
    lines: Literal["sentences", "documents", "running"] | None = Field(
        default=None,
        description="what a line is: a sentence of one running text, a document, or nothing; a named text "
        "has its own rule, a file sentences",
    )
    encoding: Encoding = Field(default=None, description="of the files, such as latin-1; UTF-8 if left out")
    split: TextSplit = Field(
        default=PositionSplit(), description="what is held out if there are no separate files"
    )
    valid_file: str | None = Field(default=None, description="the validation text, if it is a separate file")
    test_file: str | None = Field(default=None, description="the test text, if it is a separate file")
    valid: float = Field(default=0.1, gt=0, lt=1, description="share held out for validation")
    test: float = Field(default=0.1, gt=0, lt=1, description="share held out for the test")


DataVariant = LogData | TextData | Custom
Data = Annotated[DataVariant, Axis("reader of data", "__call__")]
