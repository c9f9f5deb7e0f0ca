"""A trained model as a graph that runs without this package: ONNX, and PyTorch's exported program.

Both map `histories`, item indices (B, length) padded with zeros on the left, to `scores` (B, V) of the item
after each; padding and items that were never trained on score −∞. The number of histories B is free, the
length is the model's. `item_ids`, a JSON list of the ids by index, stands in the file as well.
"""

import json
import logging
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn

from farzi.data import Vocabulary
from farzi.errors import FarziError, visible
from farzi.models.base import SequenceModel
from farzi.models.recurrence import gru_scan, lstm_scan

IDS = "item_ids"
TOLERANCE = 1e-4
"""Of the check: differences relative to the largest score."""


class NextItem(nn.Module):
    """Scores (B, V) of the item after each history (B, length)."""

    never: Tensor

    def __init__(self, network: SequenceModel, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.network = network
        never = torch.zeros(len(vocabulary))
        never[[0, *vocabulary.untrained.tolist()]] = -torch.inf
        self.register_buffer("never", never)

    def forward(self, histories: Tensor) -> Tensor:
        """Scores of the next item; see the module."""
        network: Any = self.network
        hidden = network.hidden(network.embed(histories), histories > 0)[:, -1]
        return hidden @ network.output_table.T + self.never


def write_program(network: SequenceModel, vocabulary: Vocabulary, file: IO[bytes]) -> None:
    """Write what `torch.export.load` reads, whose outputs are first compared with the model's.

    Raises:
        FarziError: the model cannot be exported, or the program computes something else.
    """
    module, example = _prepared(network, vocabulary)
    program = _exported("torch.export", lambda: _traced(module, example))
    _check("the program", module, example, lambda histories: program.module()(histories))
    torch.export.save(program, file, extra_files={f"{IDS}.json": _ids(vocabulary)})


def write_onnx(network: SequenceModel, vocabulary: Vocabulary, file: IO[bytes]) -> None:
    """Write an ONNX file, whose outputs are first compared with the model's by `onnxruntime`.

    Raises:
        FarziError: a package is missing, the model cannot be exported, or the file computes something else.
    """
    runtime, *_ = (_needed(package) for package in ("onnxruntime", "onnx", "onnxscript"))
    module, example = _prepared(network, vocabulary)
    program = _exported("torch.export", lambda: _traced(module, example))
    names = {"input_names": ["histories"], "output_names": ["scores"], "verbose": False}
    made = _exported("ONNX", lambda: torch.onnx.export(program, dynamo=True, **names))
    proto = made.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = IDS, _ids(vocabulary)
    content = proto.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(histories: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["scores"], {"histories": histories.numpy()})[0])

    _check("the ONNX file", module, example, run)
    file.write(content)


def _prepared(network: SequenceModel, vocabulary: Vocabulary) -> tuple[NextItem, Tensor]:
    """The module, and three histories: a full one, a short one, and an empty one."""
    rng, length = np.random.default_rng(0), network.length
    example = torch.from_numpy(rng.integers(1, len(vocabulary), (3, length)))
    example[1, : length // 2 + 1] = 0
    example[2, :-1] = 0
    return NextItem(network, vocabulary).eval(), example


def _traced(module: NextItem, example: Tensor) -> Any:
    """The program, without operations of this package."""
    batch = torch.export.Dim("batch", min=1, max=2**20)
    with torch.no_grad():
        program = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
    return program.run_decompositions({gru_scan: _gru_steps, lstm_scan: _lstm_steps})


def _gru_steps(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`gru_scan` step by step, in operations of PyTorch."""
    width, state, states = weight.shape[1], torch.zeros_like(x[0, :, : weight.shape[1]]), []
    for now in x.unbind(0):
        gates = torch.sigmoid(now[:, : 2 * width] + state @ weight[: 2 * width].T)
        hidden = state @ weight[2 * width :].T + bias
        candidate = torch.tanh(now[:, 2 * width :] + gates[:, :width] * hidden)
        state = candidate + gates[:, width:] * (state - candidate)
        states.append(state)
    return torch.stack(states)


def _lstm_steps(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """`lstm_scan` step by step, in operations of PyTorch."""
    state = cell = torch.zeros_like(x[0, :, : weight.shape[1]])
    states, cells = [], []
    for now in x.unbind(0):
        write, keep, candidate, out = (now + state @ weight.T).chunk(4, dim=-1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(write) * torch.tanh(candidate)
        state = torch.sigmoid(out) * torch.tanh(cell)
        states.append(state)
        cells.append(cell)
    return torch.stack(states), torch.stack(cells)


def _exported(what: str, call: Callable[[], Any]) -> Any:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it speaks of packages that are not needed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except Exception as error:  # of many kinds, none of them narrower
        line = str(error.__cause__ or error).strip().partition("\n")[0]
        raise FarziError(
            f"{what} does not take this model ({type(error).__name__}: {visible(line)})"
        ) from error
    finally:
        logger.setLevel(level)


def _check(what: str, module: NextItem, example: Tensor, run: Callable[[Tensor], Tensor]) -> None:
    for histories in (
        example,
        example[:1],
        torch.cat([example, example]),
    ):  # other numbers than it was traced with
        with torch.no_grad():
            wanted, found = module(histories), run(histories)
        there = wanted.isfinite()
        worst = float((wanted - found)[there].abs().max() / wanted[there].abs().max())
        if not torch.equal(there, found.isfinite()) or not worst <= TOLERANCE:
            raise FarziError(f"{what} does not compute what the model does (scores differ by {worst:.1e})")


def _ids(vocabulary: Vocabulary) -> str:
    return json.dumps(vocabulary.frame["id"].to_list(), ensure_ascii=False)


def _needed(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError:
        raise FarziError(f"ONNX needs the package {package}: pip install 'farzi[onnx]'") from None
