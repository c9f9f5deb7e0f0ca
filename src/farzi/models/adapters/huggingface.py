"""Causal language models of Hugging Face `transformers`, through `inputs_embeds`."""

from typing import Any

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from farzi.models.base import SequenceModel


class HuggingFace(SequenceModel):
    """Any `AutoModelForCausalLM`, such as GPT-2 or Llama, with fresh or trained weights.

    Token 0 is padding, and is neither read nor predicted. Positions are counted from the first token after
    the padding. Dropout stays off.

    Args:
        model: the model; its vocabulary is that of the data, padding included. Its modules are used, not
            copied. `copy_weights_to` writes trained weights into another model of the same configuration.

    Raises:
        ValueError: its output layer has a bias, which sequence models do not have.
    """

    output: nn.Parameter | None

    def __init__(self, model: Any) -> None:
        super().__init__()
        if getattr(model.get_output_embeddings(), "bias", None) is not None:
            name = type(model).__name__
            raise ValueError(f"the output layer of {name} has a bias; sequence models have none")
        self.length: int = model.config.max_position_embeddings
        self.model: Any = model.base_model
        table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        # If both are one tensor, only one of them may be registered as a parameter.
        self.register_parameter("output", None if head is table else nn.Parameter(head.detach().clone()))
        self.eval()

    @property
    def embedding(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.model.get_input_embeddings().weight

    @property
    def output_table(self) -> Tensor:
        return self.embedding if self.output is None else self.output

    def train(self, mode: bool = True) -> "HuggingFace":
        """Stay in evaluation mode, in which dropout is off."""
        return super().train(False)

    def hidden(self, vectors: Tensor, real: Tensor | None = None) -> Tensor:
        positions: dict[str, Tensor] = {}
        if real is not None:
            positions["attention_mask"] = real.long()
            positions["position_ids"] = (real.cumsum(1) - 1).clamp(min=0)
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second derivative and cannot be traced
            return self.model(inputs_embeds=vectors, use_cache=False, **positions).last_hidden_state

    def copy_weights_to(self, model: Any) -> None:
        """Copy the weights into an `AutoModelForCausalLM` of the same configuration."""
        model.base_model.load_state_dict(self.model.state_dict())
        if self.output is not None:
            model.get_output_embeddings().weight.data.copy_(self.output)
