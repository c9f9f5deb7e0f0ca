"""All studies by their names."""

from farzi.studies.architectures import ARCHITECTURES
from farzi.studies.costs import COST
from farzi.studies.dimension import DIMENSION
from farzi.studies.groups import GROUPS
from farzi.studies.headline import HEADLINE
from farzi.studies.kick import KICK
from farzi.studies.limits import LIMITS
from farzi.studies.optimizers import ADAM_SGD, OPTIMIZERS
from farzi.studies.outer_loop import OUTER_LOOP
from farzi.studies.privacy import PRIVACY
from farzi.studies.selection import SELECTION
from farzi.studies.size import SIZE
from farzi.studies.start import START
from farzi.studies.study import Study
from farzi.studies.temperature import TEMPERATURE
from farzi.studies.treebank import TREEBANK
from farzi.studies.unrolling import UNROLLING
from farzi.studies.weights import WEIGHT_STARTS

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
        START,
        WEIGHT_STARTS,
        ARCHITECTURES,
        GROUPS,
        KICK,
        SELECTION,
        PRIVACY,
        LIMITS,
        COST,
    )
}
"""In the order that they are listed in."""
