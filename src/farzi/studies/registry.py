"""All studies by their names."""

from farzi.studies.dimension import DIMENSION
from farzi.studies.study import Study

STUDIES: dict[str, Study] = {study.name: study for study in (DIMENSION,)}
"""In the order that they are listed in."""
