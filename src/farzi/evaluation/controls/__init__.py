"""Controls: small sets of real sequences to compare a summary with. Each class is one way to choose them."""

from farzi.evaluation.controls.selection import Herding as Herding
from farzi.evaluation.controls.selection import KCentre as KCentre
from farzi.evaluation.controls.subsets import Control as Control
from farzi.evaluation.controls.subsets import Head as Head
from farzi.evaluation.controls.subsets import Random as Random
from farzi.evaluation.controls.subsets import bytes_per_event as bytes_per_event
