"""The summary: its factors, what it starts from, its folder, and what it says."""

from farzi.summary.card import LANGUAGE as LANGUAGE
from farzi.summary.classes import Classes as Classes
from farzi.summary.feed import FEEDS as FEEDS
from farzi.summary.feed import Factored as Factored
from farzi.summary.feed import Feed as Feed
from farzi.summary.feed import Rows as Rows
from farzi.summary.feed import Whole as Whole
from farzi.summary.feed import chosen_feed as chosen_feed
from farzi.summary.forms import FORMS as FORMS
from farzi.summary.forms import Factors as Factors
from farzi.summary.forms import Form as Form
from farzi.summary.forms import Table as Table
from farzi.summary.forms import Tucker as Tucker
from farzi.summary.inspect import top_events as top_events
from farzi.summary.start import Gaussian as Gaussian
from farzi.summary.start import Size as Size
from farzi.summary.start import Start as Start
from farzi.summary.storage import Folder as Folder
from farzi.summary.storage import history_text as history_text
from farzi.summary.summary import Summary as Summary
from farzi.summary.taught import Taught as Taught
from farzi.summary.taught import TaughtAlike as TaughtAlike
from farzi.summary.teachers import Teachers as Teachers
from farzi.summary.transitions import Transitions as Transitions

__all__ = [
    "FEEDS",
    "FORMS",
    "LANGUAGE",
    "Classes",
    "Factored",
    "Factors",
    "Feed",
    "Folder",
    "Form",
    "Gaussian",
    "Rows",
    "Size",
    "Start",
    "Summary",
    "Table",
    "Taught",
    "TaughtAlike",
    "Teachers",
    "Transitions",
    "Tucker",
    "Whole",
    "chosen_feed",
    "history_text",
    "top_events",
]
