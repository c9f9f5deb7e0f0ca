"""The same recommendations measured by Farzi, by RecTools and by LensKit: the same figures.

    python examples/other_evaluators.py                       # distils a small summary of movielens-small
    python examples/other_evaluators.py --model s.safetensors # a model of `farzi train`, on its own log

Needs RecTools or LensKit; the one that is not installed is left out. A frame goes into RecTools' `Dataset`,
from there into `farzi.load_log`, and the split comes back as a frame, so that all have the same test events.
"""

# pyright: reportMissingImports=false
# RecTools and LensKit are not among Farzi's development dependencies.

import argparse
import importlib.util
import sys
from typing import Any

import polars as pl

import farzi

K = 10
FIGURES = (f"HR@{K}", f"nDCG@{K}")


def main(arguments: list[str] | None = None) -> dict[str, tuple[float, float]]:
    """Print HR@10 and nDCG@10 by each library, and return them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="movielens-small", help="a named log or a file")
    parser.add_argument("--model", help="a file of `farzi train`; without it one is trained on the log")
    parser.add_argument("--steps", type=int, default=300, help="of that training (default: 300)")
    options = parser.parse_args(arguments)

    log = farzi.load_log(options.data)
    if options.model is not None:
        model = farzi.Model.load(options.model)
    else:
        recipe = farzi.presets.LOG.changed({"teach.max_steps": options.steps})
        model = farzi.train(log, recipe)
    results = {"Farzi": farzi_figures(model, log)}
    events = log.to_frame()
    recommended, truth = recommendations(model, events), events.filter(pl.col("part") == "test")
    for name, module, measure in (
        ("RecTools", "rectools", rectools_figures),
        ("LensKit", "lenskit", lenskit_figures),
    ):
        if importlib.util.find_spec(module) is not None:
            results[name] = measure(recommended, truth)
    print(f"\n{log.name}: {truth['user_id'].n_unique()} users, seen items included\n")
    print(f"{'':10}" + "".join(f"{name:>10}" for name in FIGURES))
    for name, values in results.items():
        print(f"{name:10}" + "".join(f"{value:10.6f}" for value in values))
    return results


def farzi_figures(model: farzi.Model, log: farzi.Log) -> tuple[float, float]:
    """Of all test events, ranked among all items."""
    found = farzi.evaluate(model, log)
    return found[FIGURES[0]], found[FIGURES[1]]


def recommendations(model: farzi.Model, events: pl.DataFrame) -> Any:
    """The ten items that the model ranks highest after each user's training and validation events."""
    tested = events.filter(pl.col("part") == "test")["user_id"].unique().implode()
    known = events.filter(pl.col("part") != "test", pl.col("user_id").is_in(tested))
    return model.recommend(known, K, exclude_seen=False, time="position").to_pandas()


def rectools_figures(recommended: Any, truth: pl.DataFrame) -> tuple[float, float]:
    """By RecTools, whose nDCG is relative to what a user's number of test events allows."""
    from rectools.metrics import NDCG, HitRate

    events = truth.to_pandas()
    gain = NDCG(k=K, divide_by_achievable=True)  # of k hits otherwise, also where a user has one test event
    return float(HitRate(k=K).calc(recommended, events)), float(gain.calc(recommended, events))


def lenskit_figures(recommended: Any, truth: pl.DataFrame) -> tuple[float, float]:
    """By LensKit, whose discount is 1 for the first two ranks unless it is moved by one."""
    from lenskit.data import ItemListCollection, UserIDKey
    from lenskit.metrics import NDCG, Hit, LogRankWeight, RunAnalysis

    analysis = RunAnalysis()
    analysis.add_metric(Hit(n=K))
    analysis.add_metric(NDCG(n=K, weight=LogRankWeight(offset=1)))
    lists = ItemListCollection.from_df(recommended, UserIDKey)
    held_out = ItemListCollection.from_df(truth.to_pandas(), UserIDKey)
    mean = analysis.measure(lists, held_out).list_metrics().mean()
    return float(mean.iloc[0]), float(mean.iloc[1])


if __name__ == "__main__":
    try:
        main()
    except farzi.FarziError as error:
        sys.exit(f"error: {error}")
