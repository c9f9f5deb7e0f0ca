"""What the tests of whole runs share."""

from collections.abc import Iterator

import pytest

from farzi.distillation import reference
from farzi.training import EventTraining


@pytest.fixture(scope="module")
def _short_reference() -> Iterator[None]:
    """A full-data training of a few steps, instead of one to convergence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "EventTraining", lambda: EventTraining(steps=10, every=5))
        yield
