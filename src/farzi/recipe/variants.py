"""The built-in variants of each axis: their types, their settings and what implements them."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from farzi.recipe.data import Data as Data
from farzi.recipe.data import DataVariant as DataVariant
from farzi.recipe.data import LeaveOneOut as LeaveOneOut
from farzi.recipe.data import LogData as LogData
from farzi.recipe.data import PositionSplit as PositionSplit
from farzi.recipe.data import RandomSplit as RandomSplit
from farzi.recipe.data import RatioSplit as RatioSplit
from farzi.recipe.data import Split as Split
from farzi.recipe.data import SplitVariant as SplitVariant
from farzi.recipe.data import TextData as TextData
from farzi.recipe.data import TimeSplit as TimeSplit
from farzi.recipe.models import GRU as GRU
from farzi.recipe.models import LSTM as LSTM
from farzi.recipe.models import FMLPRec as FMLPRec
from farzi.recipe.models import GRU4Rec as GRU4Rec
from farzi.recipe.models import SASRec as SASRec
from farzi.recipe.models import Student as Student
from farzi.recipe.models import StudentVariant as StudentVariant
from farzi.recipe.models import Transformer as Transformer
from farzi.recipe.settings import Axis, Custom, Variant

Rate = Annotated[float, Field(gt=0, description="learning rate")]
Decay = Annotated[float, Field(ge=0, description="weight decay")]
Beta = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[
    float,
    Field(gt=0, description="added to the root of the mean square; too small makes metagradients rough"),
]


# --- optimizers ---------------------------------------------------------------------------------------------


class _Stepping(Variant):
    learning_rate: Rate = 0.02
    weight_decay: Decay = 0.0


class _Adaptive(_Stepping):
    beta1: Beta = Field(default=0.9, description="decay of the mean gradient")
    beta2: Beta = Field(default=0.999, description="decay of the mean square")
    epsilon: Epsilon = 1e-5


class Adam(_Adaptive):
    """Adam (arXiv 1412.6980), weight decay as L2."""

    type: Literal["adam"] = "adam"
    implementation: ClassVar[str] = "farzi.unroll:Adam"


class AdamW(_Adaptive):
    """Adam with decoupled weight decay (arXiv 1711.05101)."""

    type: Literal["adamw"] = "adamw"
    weight_decay: Decay = 0.01
    implementation: ClassVar[str] = "farzi.unroll:AdamW"


class SGD(_Stepping):
    """Stochastic gradient descent."""

    type: Literal["sgd"] = "sgd"
    implementation: ClassVar[str] = "farzi.unroll:SGD"


class Momentum(_Stepping):
    """Stochastic gradient descent with heavy-ball momentum."""

    type: Literal["momentum"] = "momentum"
    momentum: Beta = Field(default=0.9, description="decay of the velocity")
    implementation: ClassVar[str] = "farzi.unroll:Momentum"


class Adagrad(_Stepping):
    """Adagrad."""

    type: Literal["adagrad"] = "adagrad"
    epsilon: Epsilon = 1e-5
    implementation: ClassVar[str] = "farzi.unroll:Adagrad"


class RMSprop(_Stepping):
    """RMSprop, uncentred, without momentum."""

    type: Literal["rmsprop"] = "rmsprop"
    decay: Beta = Field(default=0.99, description="decay of the mean square")
    epsilon: Epsilon = 1e-5
    implementation: ClassVar[str] = "farzi.unroll:RMSprop"


class _Averaged(_Adaptive):
    beta1: Beta = Field(default=0.9, description="share of the mean of all iterates in the weights")


class ScheduleFree(_Averaged):
    """Schedule-free AdamW (arXiv 2405.15682): averages its iterates, so that no rate has to fall."""

    type: Literal["schedule_free"] = "schedule_free"
    implementation: ClassVar[str] = "farzi.unroll:ScheduleFree"


class Muon(_Averaged):
    """Schedule-free Muon: matrices move along all singular directions alike, and so learn in fewer steps."""

    type: Literal["muon"] = "muon"
    iterations: int = Field(
        default=3, ge=1, le=10, description="Newton-Schulz steps that bring singular values near 1"
    )
    implementation: ClassVar[str] = "farzi.unroll:Muon"


_OfTorch = Adam | AdamW | SGD | Momentum | Adagrad | RMSprop | Custom
OptimizerVariant = _OfTorch | ScheduleFree | Muon
Optimizer = Annotated[OptimizerVariant, Axis("optimizer", "farzi.unroll:Optimizer")]
"""Of training on the summary, which is differentiated."""
TeachOptimizer = Annotated[_OfTorch, Axis("optimizer", "torch.optim:Optimizer")]
"""Of training on real events, which is not: a class of the user's is PyTorch's."""


# --- parametrizations ---------------------------------------------------------------------------------------


class _Factored(Variant):
    dim: int = Field(default=32, ge=1, description="width of the latents, the rank of the summary")
    label_decoder: bool = Field(
        default=True,
        description="whether soft labels have a decoder of their own, beside that of soft inputs",
    )


class LowRank(_Factored):
    """Latents and decoder: the logits of a position are a product of low rank (arXiv 2310.09983)."""

    type: Literal["low_rank"] = "low_rank"
    implementation: ClassVar[str] = "farzi.summary.parametrizations:LowRank"


class FullLogits(Variant):
    """One logit for each item at each position."""

    type: Literal["full_logits"] = "full_logits"
    dim: int = Field(default=8, ge=1, description="rank of the initial summary only")
    implementation: ClassVar[str] = "farzi.summary.parametrizations:FullLogits"


class Tucker(_Factored):
    """Tucker factors of sequences, positions and items (arXiv 2502.02854)."""

    type: Literal["tucker"] = "tucker"
    sequence_rank: int | None = Field(default=None, ge=1, description="rank over sequences; full if left out")
    position_rank: int | None = Field(default=None, ge=1, description="rank over positions; full if left out")
    implementation: ClassVar[str] = "farzi.summary.parametrizations:Tucker"


ParametrizationVariant = LowRank | FullLogits | Tucker | Custom
Parametrization = Annotated[ParametrizationVariant, Axis("parametrization", "parts", "summary")]


# --- initializers -------------------------------------------------------------------------------------------


class TeacherInit(Variant):
    """Sequences with items softened into classes, and teachers' predictions as labels: knowledge distillation
    (arXiv 1503.02531).
    """

    type: Literal["teacher"] = "teacher"
    teachers: int = Field(
        default=3, ge=1, description="full-data trainings of the student whose predictions are averaged"
    )
    others: tuple[Student, ...] = Field(
        default=(), description="further teachers of other architectures, one training each"
    )
    sequences: Literal["sampled", "real"] = Field(
        default="real",
        description="sampled from the teachers' predictions, or real users' histories, which then are in "
        "the summary",
    )
    classes: int | None = Field(
        default=None,
        ge=1,
        description="item classes that soft inputs are made of; half of the summary's positions if left out, "
        "8 √positions with cluster_by: embeddings",
    )
    cluster_by: Literal["context", "embeddings"] = Field(
        default="context",
        description="what puts two items into one class: the items that occur next to them, or near "
        "embeddings in the teachers",
    )
    implementation: ClassVar[str] = "farzi.summary.initializers.teacher:TeacherInitializer"


class ClassInit(Variant):
    """Real sequences with items softened into classes: a class bigram model (Brown et al. 1992)."""

    type: Literal["classes"] = "classes"
    classes: int | None = Field(
        default=None, ge=1, description="item classes; 2 √positions of the summary if left out"
    )
    implementation: ClassVar[str] = "farzi.summary.initializers.classes:ClassInitializer"


class TransitionInit(Variant):
    """Low-rank factors of the log's smoothed transition matrix, along real sequences."""

    type: Literal["transitions"] = "transitions"
    implementation: ClassVar[str] = "farzi.summary.initializers.transitions:TransitionInitializer"


class RandomInit(Variant):
    """Normal random numbers."""

    type: Literal["random"] = "random"
    implementation: ClassVar[str] = "farzi.summary.initializers.base:RandomInitializer"


InitVariant = TeacherInit | ClassInit | TransitionInit | RandomInit | Custom
Init = Annotated[InitVariant, Axis("initializer", "__call__")]


# --- the outer loop -----------------------------------------------------------------------------------------


class RealLoss(Variant):
    """The loss on real events after the last inner steps: the objective of Farzi (arXiv 2310.09983)."""

    type: Literal["real_loss"] = "real_loss"
    implementation: ClassVar[str] = "farzi.distillation.refine:RealLoss"


class TeacherLoss(Variant):
    """The loss on real events with the teachers' predictions as labels: knowledge distillation (arXiv
    1503.02531) as what the outer loop minimises.
    """

    type: Literal["teacher_loss"] = "teacher_loss"
    windows: Literal["ends", "random"] = Field(
        default="ends", description="each user's last events, all users equally often, or any events"
    )
    hard: float = Field(default=0.0, ge=0, le=1, description="weight of the real next event in the labels")
    history: int | None = Field(
        default=None,
        ge=1,
        description="events that the teachers read, at most, and at least those that the student does; as "
        "many as they can if left out",
    )
    implementation: ClassVar[str] = "farzi.distillation.teacher_loss:TeacherLoss"


ObjectiveVariant = RealLoss | TeacherLoss | Custom
Objective = Annotated[ObjectiveVariant, Axis("objective", "episode")]


class Store(Variant):
    """Keep every step: the fastest."""

    type: Literal["store"] = "store"
    implementation: ClassVar[str] = "farzi.unroll:Store"


class StoreGradients(Variant):
    """Keep every step's gradient and a few states; recompute updates, but no gradient."""

    type: Literal["store_gradients"] = "store_gradients"
    slots: int = Field(default=4, ge=1, description="states kept")
    implementation: ClassVar[str] = "farzi.unroll:StoreGradients"


class SquareRoot(Variant):
    """Keep √K states; recompute each step once."""

    type: Literal["square_root"] = "square_root"
    implementation: ClassVar[str] = "farzi.unroll:SquareRoot"


class Checkpoints(Variant):
    """Keep a few states, binomially placed; recompute steps."""

    type: Literal["checkpoints"] = "checkpoints"
    slots: int = Field(default=4, ge=1, description="states kept")
    implementation: ClassVar[str] = "farzi.unroll:Checkpoints"


MemoryVariant = Store | StoreGradients | SquareRoot | Checkpoints | Custom
Memory = Annotated[MemoryVariant, Axis("memory strategy", "farzi.unroll:Memory")]


class Exact(Variant):
    """The exact adjoint."""

    type: Literal["exact"] = "exact"
    memory: Memory = Field(default=Store(), description="how the differentiated steps are kept or recomputed")
    implementation: ClassVar[str] = "farzi.unroll:Exact"

    def build(self, *args: Any, **extra: Any) -> Any:
        """The adjoint, with its memory strategy built as well."""
        return super().build(*args, memory=self.memory.build(), **extra)


class Algorithm1(Variant):
    """Algorithm 1 of the paper: Adam run backwards, without the path through the second moment."""

    type: Literal["algorithm1"] = "algorithm1"
    dtype: Literal["float32", "float64"] = Field(
        default="float64", description="precision of the recovered states; they diverge in float32"
    )
    implementation: ClassVar[str] = "farzi.unroll:Algorithm1"

    def build(self, *args: Any, **extra: Any) -> Any:
        """The adjoint, with the dtype as PyTorch's."""
        import torch

        return super().build(*args, dtype=getattr(torch, self.dtype), **extra)


AdjointVariant = Exact | Algorithm1 | Custom
Adjoint = Annotated[AdjointVariant, Axis("adjoint", "farzi.unroll:Adjoint")]


class FreshWeights(Variant):
    """New random weights, as every training on a finished summary starts from."""

    type: Literal["fresh"] = "fresh"
    implementation: ClassVar[str] = "farzi.distillation.inner:FreshWeights"


class PretrainedWeights(Variant):
    """Weights along full-data trainings of the student."""

    type: Literal["pretrained"] = "pretrained"
    share: float = Field(
        default=1.0, gt=0, le=1, description="share of the inner runs that start so; the others start fresh"
    )
    implementation: ClassVar[str] = "farzi.distillation.inner:PretrainedWeights"


WeightsVariant = FreshWeights | PretrainedWeights | Custom
Weights = Annotated[WeightsVariant, Axis("rule for first weights", "__call__")]


# --- controls -----------------------------------------------------------------------------------------------


class RandomControl(Variant):
    """The last windows of random users; of a text, random passages."""

    type: Literal["random"] = "random"
    implementation: ClassVar[str] = "farzi.evaluation.controls:Random"


class HeadControl(Variant):
    """The last windows of the most active users; of a text, the longest passages."""

    type: Literal["head"] = "head"
    implementation: ClassVar[str] = "farzi.evaluation.controls:Head"


class HerdingControl(Variant):
    """Windows whose mean is that of all windows (Welling 2009)."""

    type: Literal["herding"] = "herding"
    implementation: ClassVar[str] = "farzi.evaluation.controls:Herding"


class KCentreControl(Variant):
    """Windows such that every other one is near to one of them (Gonzalez 1985)."""

    type: Literal["k-centre"] = "k-centre"
    implementation: ClassVar[str] = "farzi.evaluation.controls:KCentre"


class LabelledControl(Variant):
    """The windows of random with the soft labels of the summary's teachers, trained on as the summary is:
    knowledge distillation (arXiv 1503.02531).
    """

    type: Literal["labelled"] = "labelled"
    keep: int = Field(default=16, ge=1, description="items stored with each label, the most probable ones")
    implementation: ClassVar[str] = "farzi.evaluation.controls:Labelled"


ControlVariant = RandomControl | HeadControl | HerdingControl | KCentreControl | LabelledControl | Custom
Control = Annotated[ControlVariant, Axis("control", "__call__")]
