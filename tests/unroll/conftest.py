"""Every test of the engine begins without graphs: equal executions share them."""

import pytest

from farzi.unroll.compile.cache import GRAPHS


@pytest.fixture(autouse=True)
def _no_graphs() -> None:
    GRAPHS.clear()
