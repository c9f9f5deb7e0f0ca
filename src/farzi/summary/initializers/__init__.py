"""Initial summaries: from teachers, from classes of events, from transitions, at random."""

from farzi.summary.initializers.base import Initializer as Initializer
from farzi.summary.initializers.base import Size as Size
from farzi.summary.initializers.classes import ClassInitializer as ClassInitializer
from farzi.summary.initializers.ensemble import Ensemble as Ensemble
from farzi.summary.initializers.random import RandomInitializer as RandomInitializer
from farzi.summary.initializers.teacher import TeacherInitializer as TeacherInitializer
from farzi.summary.initializers.transitions import TransitionInitializer as TransitionInitializer
