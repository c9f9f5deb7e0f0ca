"""All studies by their names."""

from research.studies.architectures import ARCHITECTURES
from research.studies.costs import COST
from research.studies.dimension import DIMENSION
from research.studies.following import FOLLOWING
from research.studies.fresh_windows import FRESH_WINDOWS
from research.studies.groups import GROUPS
from research.studies.headline import HEADLINE
from research.studies.kick import KICK
from research.studies.levers import LEVERS_STUDY
from research.studies.limits import LIMITS
from research.studies.optimizers import ADAM_SGD, OPTIMIZERS
from research.studies.outer_loop import OUTER_LOOP
from research.studies.privacy import PRIVACY
from research.studies.selection import SELECTION
from research.studies.size import SIZE
from research.studies.start import START
from research.studies.study import Study
from research.studies.temperature import TEMPERATURE
from research.studies.treebank import TREEBANK
from research.studies.unrolling import UNROLLING
from research.studies.weights import WEIGHT_STARTS

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        HEADLINE,
        TREEBANK,
        DIMENSION,
        ADAM_SGD,
        OPTIMIZERS,
        UNROLLING,
        TEMPERATURE,
        SIZE,
        OUTER_LOOP,
        LEVERS_STUDY,
        FRESH_WINDOWS,
        START,
        WEIGHT_STARTS,
        ARCHITECTURES,
        GROUPS,
        KICK,
        SELECTION,
        PRIVACY,
        LIMITS,
        COST,
        FOLLOWING,
    )
}
"""In the order that they are listed in."""
