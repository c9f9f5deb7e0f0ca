"""A recipe: everything needed to repeat a run, the full-data trainings included, as one value.

Two equal recipes do the same. `presets` has recipes to start from. The defaults of a group are those of the
plain loop: what was done before a setting existed, so that a recipe that was written earlier says the same.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from farzi.files import write_text_atomic
from farzi.recipe import variants as v
from farzi.recipe.dialect import dump
from farzi.recipe.settings import Settings

Precision = Literal["float32", "float16", "int8"]
"""As what the numbers of a summary are stored."""


class Grid(Settings):
    """What is tuned on the validation data when models are trained on real events: the values tried of each
    setting, one after the other, each at the best of the others. Nothing is tried of what has no values.
    """

    learning_rate: tuple[float, ...] = Field(default=(1e-3, 3e-3, 1e-2), description="of the optimizer")
    dropout: tuple[float, ...] = Field(default=(), description="of the training")
    weight_decay: tuple[float, ...] = Field(default=(), description="of the optimizer")
    hidden: tuple[int, ...] = Field(default=(), description="widths of full-data models")
    layers: tuple[int, ...] = Field(default=(), description="blocks or layers of full-data models")
    length: tuple[int, ...] = Field(default=(), description="events in a window of full-data models")


class Teach(Settings):
    """Training on real events: of teachers, of the full-data models that a summary is compared with, and of
    controls. Epochs of windows of every history, stopped when the validation gets no better.
    """

    model: v.Student | None = Field(
        default=None, description="the full-data models; the recipe's student if left out"
    )
    length: int | None = Field(
        default=None,
        ge=2,
        description="events in a window; as many as in a synthetic sequence if that is more, or if left out",
    )
    optimizer: v.TeachOptimizer = Field(
        default=v.Adam(learning_rate=3e-3, epsilon=1e-8), description="optimizer"
    )
    cooldown: float = Field(
        default=0.0, ge=0, le=1, description="last share of max_steps, in which the rate falls to 0 linearly"
    )
    warmup: int = Field(default=0, ge=0, description="first steps, in which the rate rises linearly")
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of a running mean of the weights, which is then validated and kept; 0 keeps the "
        "weights themselves",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout in embeddings and blocks")
    negatives: int | None = Field(
        default=None,
        ge=0,
        description="items sampled for the loss of a step; 0: all of them, as if left out below 50,000 "
        "items; 4,096 if left out above",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of products in training; weights and their updates are in float32"
    )
    batch: int = Field(
        default=128,
        ge=1,
        description="windows of full length in each step, or as many events in shorter ones",
    )
    max_steps: int = Field(default=5000, ge=1, description="steps at most")
    minutes: float | None = Field(
        default=None, gt=0, description="minutes of training at most; steps are then decided by the clock"
    )
    validate_every: int = Field(default=50, ge=1, description="steps between two validations")
    validate_users: int | None = Field(
        default=None, ge=1, description="users on whom models in training are validated; all if left out"
    )
    patience: int = Field(default=5, ge=1, description="validations without a better one before it stops")
    grid: Grid = Field(default=Grid(), description="what is tuned on the validation data")


class SummaryShape(Settings):
    """The size of the summary, and which numbers represent it."""

    sequences: int = Field(default=100, ge=1, description="number of synthetic sequences")
    length: int = Field(default=20, ge=2, description="positions in each synthetic sequence")
    temperature: float = Field(default=1.0, gt=0, description="softmax temperature of inputs and labels")
    parametrization: v.Parametrization = Field(
        default=v.LowRank(), description="which numbers the outer loop changes"
    )
    precision: Precision = Field(default="float32", description="of the numbers in the file")


class Inner(Settings):
    """Training on the summary, in the distillation and afterwards."""

    optimizer: v.Optimizer = Field(default=v.AdamW(weight_decay=0.1), description="optimizer")
    cooldown: float = Field(
        default=0.15, ge=0, le=1, description="last share of the steps, in which the rate falls to 0 linearly"
    )
    history: int | None = Field(
        default=None,
        ge=1,
        description="last events of a history that the trained model reads, where it can read more than a "
        "synthetic sequence has; as many as in training if left out",
    )
    steps: int = Field(default=400, ge=1, description="optimizer steps (T)")
    batch: int | None = Field(default=10, ge=1, description="synthetic sequences in each step; all if null")
    soft_inputs: Literal["auto", "materialized", "factored"] = Field(
        default="auto",
        description="whether soft inputs are held as a whole or computed from their factors in each step; "
        "auto computes them where that saves memory or time",
    )


class Outer(Settings):
    """The outer loop: steps that change the summary, one metagradient each."""

    steps: int = Field(default=150, ge=0, description="outer steps")
    minutes: float | None = Field(
        default=None, gt=0, description="minutes instead of a number of steps; the clock then decides"
    )
    learning_rate: float = Field(
        default=0.01, gt=0, description="Adam's rate at the start of its cosine decay"
    )
    batch: int = Field(default=256, ge=1, description="real windows in each outer step")
    window: int = Field(default=20, ge=1, description="truncation window: the inner steps differentiated (K)")
    burn_in: int = Field(default=10, ge=0, description="first inner steps, never differentiated")
    pool: int = Field(
        default=4,
        ge=0,
        description="inner runs in progress, each continued from outer step to outer step; 0 starts a new "
        "run for each outer step and draws the end of its window",
    )
    replicas: int = Field(
        default=1,
        ge=1,
        description="inner runs differentiated in each outer step, by as many processes as there are; their "
        "metagradients are averaged",
    )
    rate_range: float = Field(
        default=1.0,
        ge=1,
        description="each inner run has its own learning rate, up to this factor below or above the recipe's",
    )
    average: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay of a running mean of the summary over outer steps, which is then kept",
    )
    clip: float = Field(
        default=1.0,
        gt=0,
        description="longest metagradient, as a multiple of the running mean of their norms",
    )
    students: tuple[v.Student, ...] = Field(
        default=(), description="further students, differentiated in turn with the recipe's own"
    )
    weights: v.Weights = Field(default=v.FreshWeights(), description="first weights of inner runs")
    objective: v.Objective = Field(default=v.RealLoss(), description="what the outer loop minimises")
    adjoint: v.Adjoint = Field(default=v.Exact(), description="how the metagradient is computed")
    execution: Literal["auto", "eager", "graph", "compiled"] = Field(
        default="auto",
        description="autograd at each step, a graph traced once, or that graph compiled; auto compiles where "
        "the run is long enough to repay it",
    )
    probe: int | None = Field(
        default=50,
        ge=1,
        description="outer steps after which the loop stops if no validation was better than the initial "
        "summary's beyond noise; null never stops it",
    )


class Select(Settings):
    """Which state of the outer loop becomes the summary."""

    every: int = Field(default=50, ge=1, description="outer steps between validations of fresh students")
    students: int = Field(default=2, ge=1, description="fresh students trained for each validation")
    seen: Literal["keep", "exclude"] = Field(
        default="keep", description="whether the ranking contains the items of a user's history"
    )


class Compare(Settings):
    """How a summary is compared with the full data and with controls."""

    seeds: int = Field(default=5, ge=2, description="trainings on each kind of data")
    controls: tuple[v.Control, ...] = Field(
        default=(v.LabelledControl(), v.RandomControl()),
        description="real sequences that are trained on beside the summary, as many as it has",
    )
    equal_bytes: bool = Field(
        default=True, description="whether controls of as many bytes as the summary are trained on, too"
    )
    references: tuple[Literal["initial", "teachers", "full-labels"], ...] = Field(
        default=("initial", "teachers"),
        description="rows of the distillation: the initial summary, the teachers and their ensemble, and, "
        "three times as slow as the full data, students of the full data with the teachers' labels",
    )


class Recipe(Settings):
    """A whole run: data, student, the four stages teach, initialise, refine, select, and the comparison."""

    seed: int = Field(default=0, ge=0, description="seed of every random draw")
    data: v.Data = Field(default=v.LogData(), description="the log or text, and how it is read and split")
    student: v.Student = Field(default=v.SASRec(), description="the model that is trained")
    teach: Teach = Teach()
    summary: SummaryShape = SummaryShape()
    init: v.Init = Field(default=v.TeacherInit(), description="the initial summary")
    inner: Inner = Inner()
    outer: Outer = Outer()
    select: Select = Select()
    compare: Compare = Compare()

    @model_validator(mode="after")
    def _check_window(self) -> "Recipe":
        window, steps = self.outer.window, self.inner.steps
        if window > steps:
            raise ValueError(f"outer.window ({window}) is longer than inner.steps ({steps}); shorten it")
        return self

    @property
    def full_model(self) -> v.StudentVariant:
        """The architecture of full-data models."""
        return self.teach.model or self.student

    @property
    def full_length(self) -> int:
        """Events in a window of full-data training."""
        return max(self.teach.length or 0, self.summary.length)

    @property
    def source(self) -> str:
        """The data's name: of a named data set, a file, or the class that reads it."""
        return str(getattr(self.data, "source", self.data.type))

    def to_yaml(self) -> str:
        """The recipe as YAML with every setting written out; `parse_recipe` reads an equal one back."""
        return dump(self.model_dump(mode="json"))

    def save(self, path: str | Path) -> None:
        """Write `to_yaml()` to a file, whole or not at all.

        Raises:
            OSError: the file cannot be written; it is then as it was.
        """
        write_text_atomic(path, self.to_yaml())

    @staticmethod
    def load(path: str | Path) -> "Recipe":
        """The recipe in a YAML file; what the file leaves out is `presets.LOG`'s, or that of its `preset`.

        Raises:
            FarziError: the file cannot be read, or holds an error; the line names `file:line:column`.
        """
        from farzi.recipe.loading import load_recipe

        return load_recipe(path)

    def changed(self, changes: dict[str, Any]) -> Self:
        """The same with other values, by dotted path: `recipe.changed({"inner.steps": 200})`.

        A variant of another `type` brings its own settings with it.

        Raises:
            FarziError: there is no such setting, or it does not allow the value.
        """
        from farzi.recipe.changes import changed

        return changed(self, changes)
