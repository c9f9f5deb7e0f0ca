"""Controls to compare a summary with: small sets of real sequences, teachers, and models without training."""

from farzi.evaluation.controls.ease import ease as ease
from farzi.evaluation.controls.item_knn import item_knn as item_knn
from farzi.evaluation.controls.labelled import Labelled as Labelled
from farzi.evaluation.controls.labelled import labels_kept as labels_kept
from farzi.evaluation.controls.popularity import Popularity as Popularity
from farzi.evaluation.controls.selection import Herding as Herding
from farzi.evaluation.controls.selection import KCentre as KCentre
from farzi.evaluation.controls.subsets import Control as Control
from farzi.evaluation.controls.subsets import Head as Head
from farzi.evaluation.controls.subsets import Random as Random
from farzi.evaluation.controls.subsets import bytes_per_event as bytes_per_event
from farzi.evaluation.controls.successors import Bigram as Bigram
from farzi.evaluation.controls.successors import Successors as Successors
from farzi.evaluation.controls.teachers import Teachers as Teachers
