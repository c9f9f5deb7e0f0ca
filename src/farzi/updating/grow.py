"""New items in a summary and in a model: old indices stay, new rows and columns start from neighbours."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from farzi.data import Day
from farzi.errors import FarziError
from farzi.models import SequenceModel
from farzi.recipe.variants import StudentVariant
from farzi.summary import SummaryTensors
from farzi.summary.initializers.base import followers
from farzi.training import make_model

AHEAD, DISCOUNT = 3, 0.5
"""Events to either side that are neighbours, and the weight of each further one."""
MASKED, ONE_SIGN = -30.0, 0.1
"""The logit of vanished items, in temperatures, beside that of the likeliest event; and how near to 0, as a
share of the largest, the latents of a dimension may come that carries it."""


class Neighbours:
    """The known items that new ones start from.

    A known item's weight is the discounted number of times that it stands next to the new one in the day's
    sequences. An item that has no known neighbour starts from all known ones, weighted by `counts` (V,).
    """

    def __init__(self, day: Day, counts: np.ndarray) -> None:
        total, self.known = len(day.vocabulary), day.known
        near = sparse.csr_matrix((total, total))
        for ahead in range(1, AHEAD + 1):
            if len(day.sequences.items) > ahead:
                near = near + followers(day.sequences, total, ahead, DISCOUNT ** (ahead - 1))
        near = sparse.csr_matrix(near + near.T)[self.known :, : self.known]
        sums = np.asarray(near.sum(1)).ravel()
        self.alone = np.flatnonzero(sums == 0)
        self.weights = sparse.diags(1 / np.where(sums == 0, 1, sums)) @ near  # (new, known)
        common = np.maximum(counts[: self.known], 1).astype(np.float64)
        common[0] = 0.0
        self.common = common / common.sum()

    @property
    def new(self) -> int:
        """How many new items there are."""
        return self.weights.shape[0]

    def mean(self, rows: Tensor) -> Tensor:
        """Mean rows of the known items' (known, ...), for each new item: (new, ...)."""
        flat = rows.detach().flatten(1).double().cpu().numpy()
        means = np.asarray(self.weights @ flat)
        means[self.alone] = self.common @ flat
        return torch.from_numpy(means).to(rows).view(self.new, *rows.shape[1:])


def grown_tensors(tensors: SummaryTensors, near: Neighbours) -> SummaryTensors:
    """A summary over more items: each new column of both decoders is a mean of those of known items."""

    def columns(part: Tensor) -> Tensor:  # of the last dimension
        rows = part.movedim(-1, 0)
        return torch.cat([rows, near.mean(rows)]).movedim(0, -1).contiguous()

    if tensors.is_full_logits:
        empty = tensors.decoder.new_zeros(0, tensors.vocabulary + near.new)
        return replace(tensors, latents=columns(tensors.latents), decoder=empty)
    parts = {name: columns(part) for name, part in tensors.parts.items() if name != "latents"}
    return replace(tensors, **parts)


def grown_model(model: SequenceModel, student: StudentVariant, near: Neighbours) -> SequenceModel:
    """A copy of a model over more items: each new row of its tables is a mean of those of known items.

    Raises:
        FarziError: a tensor of the model depends on the vocabulary in another way than by a row for each.
    """
    new, known = near.new, near.known
    state = model.state_dict()
    grown = make_model(student, known + new, model.length + 1, 0, model.device)
    for name, own in grown.state_dict().items():
        value = state.get(name)
        if value is not None and value.shape[:1] == (known,) and own.shape == (known + new, *value.shape[1:]):
            value = torch.cat([value, near.mean(value)])
        if value is None or value.shape != own.shape:
            raise FarziError(
                f"student.type {student.type}: {name} cannot be extended to new items; models whose tables "
                "have a row for each item can"
            )
        own.copy_(value)
    return grown.eval()


def without(tensors: SummaryTensors, items: Sequence[int] | np.ndarray) -> SummaryTensors:
    """The summary in which some items have hardly any probability; the others keep their proportions.

    Their columns get a logit far below that of each position's likeliest event. That needs a dimension of the
    latents that has one sign at all positions; if there is none, a constant one is added.
    """
    columns = torch.as_tensor(np.asarray(items, np.int64))
    if len(columns) == 0:
        return tensors
    if tensors.is_full_logits:
        latents = tensors.latents.clone()
        latents[..., columns] = latents.amax(-1, keepdim=True) + MASKED * tensors.temperature
        return replace(tensors, latents=latents)
    latents, parts = tensors.latents, {k: part for k, part in tensors.parts.items() if k != "latents"}
    flat = latents.flatten(0, 1)
    least = torch.maximum(flat.amin(0), -flat.amax(0))  # above 0 where all have one sign
    if float((least / flat.abs().amax(0)).max()) < ONE_SIGN:
        latents = torch.cat([latents, torch.ones_like(latents[..., :1])], -1)
        parts = {name: torch.cat([part, torch.zeros_like(part[:1])]) for name, part in parts.items()}
        flat = latents.flatten(0, 1)
        least = torch.maximum(flat.amin(0), -flat.amax(0))
    at = int((least / flat.abs().amax(0)).argmax())
    sign = float(flat[0, at].sign())
    for name, part in parts.items():
        low = min(0.0, float(_least_top(flat, part))) + MASKED * tensors.temperature
        parts[name] = part.clone()
        parts[name][:, columns] = 0.0
        parts[name][at, columns] = sign * low / least[at]
    return replace(tensors, latents=latents, **parts)


def _least_top(latents: Tensor, decoder: Tensor) -> Tensor:
    """The least, over positions, of the largest logit."""
    return torch.stack([(rows @ decoder[:, 1:]).amax(-1).min() for rows in latents.split(256)]).min()


def tensors_key(tensors: SummaryTensors) -> str:
    """A checksum of a summary's numbers."""
    digest = hashlib.sha256(repr(tensors.temperature).encode())
    for part in tensors.parts.values():
        digest.update(part.cpu().numpy().tobytes())
    return digest.hexdigest()
