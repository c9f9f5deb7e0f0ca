"""Recipes to start from: ordinary values, which can be printed and changed.

`LOG` is `Recipe()`: every default of the models is what docs/decisions/0012-cooled-windows.md,
0015-targets-of-their-own.md and 0016-several-teachers.md settled on for logs. `TEXT` is for texts
(0011-language.md).
"""

from collections.abc import Mapping

from farzi.recipe import variants as v
from farzi.recipe.recipe import Inner, Outer, Recipe, SummaryShape

LOG = Recipe()

TEXT = Recipe(
    data=v.TextData(),
    student=v.Transformer(tied=False),  # with an output table of its own it learns in half the steps
    summary=SummaryShape(sequences=200, length=30, parametrization=v.LowRank(dim=16)),
    init=v.TeacherInit(teachers=1, cluster_by="embeddings"),
    inner=Inner(optimizer=v.AdamW(beta2=0.99, weight_decay=0.15), cooldown=0.1),
    # At the outer rate that suits logs the summary follows the noise first.
    outer=Outer(steps=100, learning_rate=0.005, burn_in=60, pool=2),
)

PRESETS: Mapping[str, Recipe] = {"log": LOG, "text": TEXT}
"""By the names that `farzi recipe show` and the key `preset` of a YAML file take."""
