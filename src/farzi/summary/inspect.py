"""The likeliest events at each position of a summary, by name."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from farzi.data import Vocabulary
from farzi.summary.tensors import SummaryTensors


def top_events(
    summary: SummaryTensors, vocabulary: Vocabulary, sequences: int | None = None, top: int = 3
) -> list[list[list[dict[str, Any]]]]:
    """The likeliest events of the soft inputs; for soft labels pass `summary.labels`.

    Args:
        summary: the summary's tensors.
        vocabulary: its vocabulary.
        sequences: how many sequences, from the first; all if None.
        top: how many events for each position.

    Returns:
        For each sequence and position a list of {"index", "id", "name", "probability"}, the likeliest first.
    """
    ids = vocabulary.frame["id"].to_list()
    return [
        [
            [
                {"index": i, "id": ids[i], "name": vocabulary.label(i), "probability": round(p, 6)}
                for p, i in zip(probabilities, indices, strict=True)
            ]
            for probabilities, indices in zip(*sequence, strict=True)
        ]
        for sequence in _likeliest(summary.select(slice(sequences)), top)
    ]


def top_frame(summary: SummaryTensors, vocabulary: Vocabulary, top: int) -> pl.DataFrame:
    """The likeliest events of soft inputs and soft labels; see `Summary.to_frame`."""
    ids, names = vocabulary.frame["id"].to_list(), vocabulary.frame["name"].to_list()
    rows = [
        (sequence, position, role, rank, ids[i], names[i], p)
        for role, tensors in (("input", summary), ("label", summary.labels))
        for sequence, (probabilities, indices) in enumerate(_likeliest(tensors, top))
        for position in range(int(role == "label"), summary.length)
        for rank, (p, i) in enumerate(zip(probabilities[position], indices[position], strict=True), start=1)
    ]
    schema = {
        "sequence": pl.Int64,
        "position": pl.Int64,
        "role": pl.String,
        "rank": pl.Int64,
        "item_id": pl.String,
        "name": pl.String,
        "probability": pl.Float64,
    }
    return pl.DataFrame(rows, schema, orient="row").sort("sequence", "position", "role", "rank")


def _likeliest(summary: SummaryTensors, top: int) -> Iterator[tuple[list[list[float]], list[list[int]]]]:
    """For each sequence the probabilities and indices of the likeliest events, (ξ, top) each.

    One sequence after the other, so that only (ξ, V) probabilities exist at a time.
    """
    for sequence in range(summary.sequences):
        events = summary.select(slice(sequence, sequence + 1)).soft_inputs()[0, :, 1:]  # without padding
        probabilities, indices = events.topk(min(top, summary.vocabulary - 1), dim=-1)
        yield probabilities.tolist(), (indices + 1).tolist()
