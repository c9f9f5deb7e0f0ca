"""Recipes to start from: ordinary values, which can be printed and changed.

`LOG` is `Recipe()`: every default of the models is what docs/decisions/0021-strong-outer-loop.md settled on
for logs. `TEXT` is for texts (0011-language.md).
"""

from collections.abc import Mapping

from farzi.recipe import variants as v
from farzi.recipe.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach

LOG = Recipe()

TEXT = Recipe(
    data=v.TextData(),
    student=v.Transformer(tied=False),  # with an output table of its own it learns in half the steps
    teach=Teach(
        length=30,
        optimizer=v.Adam(learning_rate=3e-3, epsilon=1e-8),
        warmup=0,
        average=0.0,
        dropout=0.0,
        batch=128,
        validate_every=50,
        patience=5,
    ),
    summary=SummaryShape(sequences=200, length=30, parametrization=v.LowRank(dim=16)),
    init=v.TeacherInit(cluster_by="embeddings", sequences="real"),
    inner=Inner(optimizer=v.AdamW(beta2=0.99, weight_decay=0.15), cooldown=0.1, steps=400),
    # At the outer rate that suits logs the summary follows the noise first.
    outer=Outer(
        steps=100, learning_rate=0.005, window=20, burn_in=60, pool=2, average=0.0, objective=v.RealLoss()
    ),
    select=Select(every=50),
)

PRESETS: Mapping[str, Recipe] = {"log": LOG, "text": TEXT}
"""By the names that `farzi recipe show` and the key `preset` of a YAML file take."""
