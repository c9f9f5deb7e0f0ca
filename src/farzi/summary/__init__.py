"""The summary: its factors, what it starts from, its folder, and what it says."""

from farzi.summary.card import LANGUAGE as LANGUAGE
from farzi.summary.classes import Classes as Classes
from farzi.summary.feed import FEEDS as FEEDS
from farzi.summary.feed import Factored as Factored
from farzi.summary.feed import Feed as Feed
from farzi.summary.feed import Rows as Rows
from farzi.summary.feed import Whole as Whole
from farzi.summary.feed import chosen_feed as chosen_feed
from farzi.summary.inspect import top_events as top_events
from farzi.summary.start import Gaussian as Gaussian
from farzi.summary.start import Size as Size
from farzi.summary.start import Start as Start
from farzi.summary.storage import Folder as Folder
from farzi.summary.storage import history_text as history_text
from farzi.summary.summary import Summary as Summary
from farzi.summary.transitions import Transitions as Transitions

__all__ = [
    "FEEDS",
    "LANGUAGE",
    "Classes",
    "Factored",
    "Feed",
    "Folder",
    "Gaussian",
    "Rows",
    "Size",
    "Start",
    "Summary",
    "Transitions",
    "Whole",
    "chosen_feed",
    "history_text",
    "top_events",
]
