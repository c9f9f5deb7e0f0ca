"""The built-in models: students, and models of the full data."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from farzi.recipe.settings import Axis, Custom, Variant


class _Sized(Variant):
    hidden: int = Field(default=32, ge=1, description="width of hidden states and embeddings")
    layers: int = Field(default=1, ge=1, description="number of blocks or recurrent layers")
    tied: bool = Field(
        default=True, description="whether items are scored by the embedding table, or by a second table"
    )


class _Attentive(_Sized):
    heads: int = Field(default=1, ge=1, description="attention heads in each block; must divide hidden")
    feed_forward: int | None = Field(
        default=None, ge=1, description="width inside the feed-forward layers; that of the paper if left out"
    )
    block: Literal["pre_norm", "published", "gated"] = Field(
        default="pre_norm",
        description="attention and a feed-forward layer, normalised first; as in SASRec's code; or each with "
        "a gate, and SwiGLU, as in eSASRec",
    )
    positions: Literal["learnt", "rotary"] = Field(
        default="learnt",
        description="a vector for each position, or rotations of queries and keys by their distance, which "
        "allow histories longer than in training",
    )

    @model_validator(mode="after")
    def _check_heads(self) -> "_Attentive":
        if self.hidden % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide hidden ({self.hidden})")
        if self.positions == "rotary" and self.hidden // self.heads % 2:
            raise ValueError("rotary positions need an even hidden / heads")
        return self


class SASRec(_Attentive):
    """A causal Transformer for recommendation (arXiv 1808.09781)."""

    type: Literal["sasrec"] = "sasrec"
    implementation: ClassVar[str] = "farzi.models:SASRec"


class Transformer(_Attentive):
    """A causal Transformer language model, in the form of GPT-2."""

    type: Literal["transformer"] = "transformer"
    implementation: ClassVar[str] = "farzi.models:TransformerLM"


class GRU4Rec(_Sized):
    """A gated recurrent network for recommendation (arXiv 1511.06939)."""

    type: Literal["gru4rec"] = "gru4rec"
    implementation: ClassVar[str] = "farzi.models:GRU4Rec"


class FMLPRec(_Sized):
    """Learnt causal filters in place of attention (arXiv 2202.13556)."""

    type: Literal["fmlprec"] = "fmlprec"
    implementation: ClassVar[str] = "farzi.models:FMLPRec"


class GRU(_Sized):
    """A gated recurrent language model."""

    type: Literal["gru"] = "gru"
    implementation: ClassVar[str] = "farzi.models:GRU"


class LSTM(_Sized):
    """A long short-term memory language model."""

    type: Literal["lstm"] = "lstm"
    implementation: ClassVar[str] = "farzi.models:LSTM"


StudentVariant = SASRec | GRU4Rec | FMLPRec | Transformer | GRU | LSTM | Custom
Student = Annotated[StudentVariant, Axis("model", "farzi.models:SequenceModel")]
