"""A summary follows its log: a day's events, new items among them, without distilling anew."""

from farzi.updating.update import Compared as Compared
from farzi.updating.update import update as update
