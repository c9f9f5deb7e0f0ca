"""Model search on a summary, confirmed on the full data."""

from farzi.tuning.confirm import Confirmed as Confirmed
from farzi.tuning.controls import CONTROLS as CONTROLS
from farzi.tuning.objectives import Objective as Objective
from farzi.tuning.objectives import objective as objective
from farzi.tuning.reading import load_space as load_space
from farzi.tuning.search import Row as Row
from farzi.tuning.space import Parameter as Parameter
from farzi.tuning.space import Space as Space
from farzi.tuning.tune import Plan as Plan
from farzi.tuning.tune import search_and_confirm as search_and_confirm
from farzi.tuning.tuned import Tuned as Tuned
