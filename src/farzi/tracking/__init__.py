"""What a run reports, for others: the journal that `farzi watch` reads, and trackers of experiments."""

from farzi.tracking.journal import JOURNAL as JOURNAL
from farzi.tracking.journal import journal as journal
from farzi.tracking.trackers import TRACKERS as TRACKERS
from farzi.tracking.trackers import CSVTracker as CSVTracker
from farzi.tracking.trackers import MLflowTracker as MLflowTracker
from farzi.tracking.trackers import TensorBoardTracker as TensorBoardTracker
from farzi.tracking.trackers import Tracker as Tracker
from farzi.tracking.trackers import WandbTracker as WandbTracker
from farzi.tracking.trackers import make_trackers as make_trackers
from farzi.tracking.trackers import tracked as tracked
