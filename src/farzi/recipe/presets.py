"""Recipes to start from: ordinary values, which can be printed and changed.

`LOG` is for logs (docs/decisions/0021-strong-outer-loop.md), `TEXT` for texts (0011-language.md). What a
recipe file leaves out is its preset's. `PLAIN` is the loop that logs had before, with which earlier figures
were measured: `Recipe()`, the default of every setting (0012-cooled-windows.md,
0015-targets-of-their-own.md, 0016-several-teachers.md).
"""

from collections.abc import Mapping

from farzi.recipe import variants as v
from farzi.recipe.recipe import Inner, Outer, Recipe, Select, SummaryShape, Teach

LOG = Recipe(
    student=v.SASRec(hidden=64, layers=2, heads=2),
    teach=Teach(
        length=51,
        optimizer=v.AdamW(learning_rate=1e-3, epsilon=1e-8),
        warmup=100,
        average=0.995,
        dropout=0.4,
        batch=64,
        validate_every=100,
        patience=8,
    ),
    summary=SummaryShape(sequences=20, precision="float16"),
    init=v.TeacherInit(teachers=1, sequences="sampled"),
    inner=Inner(
        # the rate follows the student's width: at 32, 0.05 is as good
        optimizer=v.ScheduleFree(learning_rate=0.02, weight_decay=0.3),
        cooldown=0.0,
        steps=100,
    ),
    outer=Outer(steps=300, window=10, average=0.95, objective=v.TeacherLoss(), probe=None),
    select=Select(every=100),
)

TEXT = Recipe(
    data=v.TextData(),
    student=v.Transformer(tied=False),  # with an output table of its own it learns in half the steps
    summary=SummaryShape(sequences=200, length=30, precision="float16", parametrization=v.LowRank(dim=16)),
    init=v.TeacherInit(teachers=1, cluster_by="embeddings"),
    inner=Inner(optimizer=v.AdamW(beta2=0.99, weight_decay=0.15), cooldown=0.1),
    # At the outer rate that suits logs the summary follows the noise first.
    outer=Outer(steps=100, learning_rate=0.005, burn_in=60, pool=2),
)

PLAIN = Recipe()

PRESETS: Mapping[str, Recipe] = {"log": LOG, "text": TEXT, "plain": PLAIN}
"""By the names that `farzi recipe show` and the key `preset` of a YAML file take."""
