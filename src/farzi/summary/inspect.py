"""What the synthetic sequences say, by name."""

from typing import Any

from farzi.data import Vocabulary
from farzi.summary.tensors import SummaryTensors


def top_events(
    summary: SummaryTensors, vocabulary: Vocabulary, sequences: int | None = None, top: int = 3
) -> list[list[list[dict[str, Any]]]]:
    """The likeliest events at each position.

    Args:
        summary: the summary.
        vocabulary: its vocabulary.
        sequences: how many sequences, from the first; all if None.
        top: how many events at each position.

    Returns:
        For each sequence and position a list of {"index", "id", "name", "probability"}, the likeliest first.
    """
    shown = SummaryTensors(
        summary.latents[:sequences], summary.decoder, summary.temperature
    )  # as they are read
    events = shown.events()[..., 1:]  # padding is no event, even among others without weight
    probabilities, places = events.topk(min(top, summary.vocabulary - 1), dim=-1)
    ids = vocabulary.frame["id"].to_list()
    return [
        [
            [
                {"index": i, "id": ids[i], "name": vocabulary.label(i), "probability": round(p, 6)}
                for p, i in zip(position_p, position_i, strict=True)
            ]
            for position_p, position_i in zip(row_p, row_i, strict=True)
        ]
        for row_p, row_i in zip(probabilities.tolist(), (places + 1).tolist(), strict=True)
    ]
