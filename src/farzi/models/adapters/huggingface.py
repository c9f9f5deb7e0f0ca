"""Causal language models of Hugging Face `transformers` as students, through `inputs_embeds`."""

from typing import Any

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from farzi.models.base import SequenceModel


class HuggingFace(SequenceModel):
    """Any `AutoModelForCausalLM`: GPT-2, Llama and their kin, whatever weights it holds.

    Token 0 is padding here, and is neither read nor predicted. Positions are counted from a sequence's first
    event, whatever padding stands before it. Dropout stays off.

    Args:
        model: the model, whose vocabulary is the log's, padding included. Its parts are used, not copied; the
            trained weights are in `student.model`, and `hand_back` puts them into another model of its kind.

    Raises:
        ValueError: its output layer has a bias, for which a student has no place.
    """

    output: nn.Parameter | None

    def __init__(self, model: Any) -> None:
        super().__init__()
        if getattr(model.get_output_embeddings(), "bias", None) is not None:
            raise ValueError(
                f"the output layer of {type(model).__name__} has a bias; a student can't have one"
            )
        self.length: int = model.config.max_position_embeddings
        self.model: Any = model.base_model
        table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        # Of two names for one tensor only one may be a parameter's.
        self.register_parameter("output", None if head is table else nn.Parameter(head.detach().clone()))
        self.eval()

    @property
    def embedding(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The model's own table, (V, width)."""
        return self.model.get_input_embeddings().weight

    @property
    def output_table(self) -> Tensor:
        """The table of the model's output layer, (V, width)."""
        return self.embedding if self.output is None else self.output

    def train(self, mode: bool = True) -> "HuggingFace":
        """Dropout stays off whatever is asked for."""
        return super().train(False)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        given: dict[str, Tensor] = {}
        if real is not None:
            given["attention_mask"] = real.long()
            given["position_ids"] = (real.cumsum(1) - 1).clamp(min=0)
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative, nor can it be traced
            return self.model(inputs_embeds=vectors, use_cache=False, **given).last_hidden_state

    def hand_back(self, model: Any) -> None:
        """Copy the weights into an `AutoModelForCausalLM` of the same configuration."""
        model.base_model.load_state_dict(self.model.state_dict())
        if self.output is not None:
            model.get_output_embeddings().weight.data.copy_(self.output)
