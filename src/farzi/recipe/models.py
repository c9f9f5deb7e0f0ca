"""Everything needed to repeat a run, as validated values.

A `Recipe` is pure data: it names a log, a student, the size of the summary, the inner and the outer loop. The
command line makes its options from these models (a field's description is the option's help), a `recipe.yaml`
holds the same keys, and a summary's folder stores the recipe it was learnt with.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from farzi.files import write_text_atomic
from farzi.recipe.dialect import dump
from farzi.recipe.student import Settings, StudentName, StudentSettings, TeacherName, refuse_what_others_have


class DataSettings(Settings):
    """Which log or text is read, and how it is cut into training, validation and test events."""

    source: str = Field(
        default="movielens-small",
        description="a named data set (`farzi data list`), a file or a folder of texts",
    )
    file: str | None = Field(
        default=None,
        description="a copy at hand: of a named data set, or of a file of events that has moved",
    )
    user: str | None = Field(
        default=None, description="the column that holds users; guessed from its name if left out"
    )
    item: str | None = Field(
        default=None, description="the column that holds items; guessed from its name if left out"
    )
    time: str | None = Field(
        default=None, description="the column that holds times; guessed from its name if left out"
    )
    names: str | None = Field(default=None, description="a side file with one readable name an item")
    split: Literal["leave-one-out", "ratio", "time"] = Field(
        default="leave-one-out",
        description="what is held out: each user's last events, a last part of them, or all after a date",
    )
    valid_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part held out for validation (splits ratio and time, and texts)"
    )
    test_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part held out for the test (splits ratio and time, and texts)"
    )
    min_user_events: int = Field(default=3, ge=1, description="users with fewer events are left out")
    min_item_events: int | None = Field(
        default=None,
        ge=1,
        description="items with fewer events are left out; a named data set has its own number, a file none",
    )
    ties: Literal["file", "random"] | None = Field(
        default=None,
        description="order of a user's events at the same time: as in the file, or by a fixed hash; "
        "a named data set has its own rule, a file its order",
    )
    unseen: Literal["error", "keep", "drop"] | None = Field(
        default=None,
        description="held-out events of items never trained on: refuse, keep as sure misses, or drop; "
        "kept in named data sets, refused in files",
    )
    skip_bad: bool = Field(
        default=False, description="leave out rows that cannot be read, and count them, instead of stopping"
    )
    tokens: Literal["words", "spaces", "bytes", "subwords"] | None = Field(
        default=None,
        description="read a text, and cut it into words and punctuation marks, into what spaces part, into "
        "bytes or into subwords; a named text has its own way, a folder is words",
    )
    vocabulary_size: int | None = Field(
        default=None,
        ge=1,
        description="tokens of a text that are kept, the commonest ones, or of subwords that are learnt; "
        "all words if left out, 4,000 subwords",
    )
    vocabulary_file: str | None = Field(
        default=None,
        description="a list of words to keep, one a line, or the tokenizer.json of subwords",
    )
    lines: Literal["sentences", "documents", "running"] | None = Field(
        default=None,
        description="what a line of a text is: a sentence of one running text, a document of its own, or "
        "nothing; a named text has its own rule, a file sentences",
    )
    valid_file: str | None = Field(
        default=None, description="the validation text, where it is a file of its own; with the test text"
    )
    test_file: str | None = Field(
        default=None, description="the test text, where it is a file of its own; with the validation text"
    )


TAUGHT = ("taught", "taught-alike")
"""Starts of summaries that give targets."""


class SummarySettings(Settings):
    """The size of the summary and what it starts from."""

    sequences: int = Field(default=50, ge=1, description="number of synthetic sequences")
    length: int = Field(default=20, ge=2, description="events in each synthetic sequence")
    dim: int = Field(
        default=8,
        ge=1,
        description="width of the latents: the rank of the summary; a table has it at its start only",
    )
    temperature: float = Field(default=1.0, gt=0, description="softness of the events")
    start: Literal["auto", "transitions", "classes", "taught", "taught-alike", "random"] = Field(
        default="auto",
        description="first values: factors of the log's transition matrix, real sequences of classes of "
        "events, such sequences with what a full-data student expects as targets (taught-alike: of "
        "classes that it reads alike), or random; where targets are their own auto takes taught for logs and "
        "taught-alike for texts, else transitions and classes",
    )
    classes: int | None = Field(
        default=None,
        ge=1,
        description="classes of events that the start is made of (classes, taught, taught-alike): many tell "
        "more, few are learnt from fewer events; if left out 2 √events, where taught half of the events, "
        "where taught-alike 8 √events",
    )
    targets: Literal["events", "own"] = Field(
        default="events",
        description="what is predicted: the events as they are read, or the same latents by a decoder of "
        "their own, so that what is read can be sharp and what is predicted soft",
    )
    teachers: tuple[TeacherName, ...] = Field(
        default=(),
        description="further full-data students, of the same size, whose expectations a start that is taught "
        "takes the mean of with the student's: same for another training of the student itself, others for "
        "a summary that has no favourite among them; '' for none",
    )
    form: Literal["factors", "table", "tucker"] = Field(
        default="factors",
        description="what is learnt: latents and decoder, a table of the logits of all events at all "
        "positions, or Tucker factors of sequences and positions whose product the latents are",
    )
    user_rank: int | None = Field(
        default=None,
        ge=1,
        description="rank over sequences (tucker); as high as any latents need if left out",
    )
    time_rank: int | None = Field(
        default=None,
        ge=1,
        description="rank over positions (tucker); as high as any latents need if left out",
    )

    @property
    def taught(self) -> bool:
        """Whether the first targets are what full-data students expect."""
        return self.targets == "own" and self.start in ("auto", *TAUGHT)

    @model_validator(mode="after")
    def _refuse_what_others_have(self) -> "SummarySettings":
        refuse_what_others_have(self, self.form, {name: ("tucker",) for name in ("user_rank", "time_rank")})
        return self


WITH_OPTIMIZER = ("beta1", "beta2", "weight_decay", "learning_rate")
"""Inner settings that go with the optimizer: where another one is named, they fall away."""


class InnerSettings(Settings):
    """The training of a student on the summary; its gradient is taken through the last steps run."""

    optimizer: Literal["adam", "adamw", "sgd", "momentum", "adagrad", "rmsprop"] = Field(
        default="adam", description="inner optimizer"
    )
    learning_rate: float = Field(default=0.02, gt=0, description="inner learning rate")
    rate_range: float = Field(
        default=1.0,
        ge=1,
        description="each inner run of a distillation has a learning rate of its own, drawn between so many "
        "times less and more than that; a summary learnt so depends less on it",
    )
    cooldown: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="last part of the inner steps in which the learning rate falls to 0, in a straight line",
    )
    epsilon: float = Field(
        default=1e-5,
        gt=0,
        description="Adam's epsilon in the inner loop; too small a value makes the metagradient rough",
    )
    beta1: float | None = Field(
        default=None, ge=0, lt=1, description="decay of the mean gradient; 0.9 if left out (adam, adamw)"
    )
    beta2: float | None = Field(
        default=None, ge=0, lt=1, description="decay of the mean square; 0.999 if left out (adam, adamw)"
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        description="decay of the weights: in adamw by itself (0.01 if left out), in others as L2",
    )
    steps: int = Field(default=50, ge=1, description="inner steps (T) of a whole training")
    batch: int | None = Field(
        default=None,
        ge=1,
        description="sequences of the summary that each inner step reads, in random orders; all if left out",
    )
    soft_events: Literal["auto", "whole", "factored"] = Field(
        default="auto",
        description="how inner steps read the summary: its soft events, made once and held, or their factors "
        "of which each step makes a few rows at a time; auto takes factors where that saves memory or time",
    )
    window: int = Field(default=10, ge=1, description="the last steps run that are differentiated (K)")
    skip: int = Field(default=10, ge=0, description="first inner steps, which are never differentiated")
    weights: Literal["fresh", "pretrained", "mixed"] = Field(
        default="fresh",
        description="where inner runs begin: fresh weights, weights on the way of a full-data training, "
        "or either",
    )
    gradient: Literal["exact", "algorithm-1"] = Field(
        default="exact",
        description="the metagradient: exact, or by Algorithm 1 of the paper, which runs Adam backwards and "
        "leaves out what goes through its second moment",
    )
    pool: int = Field(
        default=16,
        ge=0,
        description="inner runs kept under way, each continued from outer step to outer step; 0 begins a new "
        "run each time, and draws where its window ends",
    )
    students: tuple[StudentName, ...] = Field(
        default=(),
        description="further students, of the same size, whose runs are differentiated in turn with the "
        "student's, for a summary that teaches them all",
    )
    execution: Literal["auto", "eager", "graph", "compiled"] = Field(
        default="auto",
        description="how derivatives are carried out: by autograd at each step, as a graph traced once, or "
        "that graph compiled; auto compiles where the run is long enough to repay it",
    )

    @model_validator(mode="after")
    def _refuse_what_others_have(self) -> "InnerSettings":
        refuse_what_others_have(
            self, self.optimizer, {name: ("adam", "adamw") for name in ("beta1", "beta2")}
        )
        return self


class OuterSettings(Settings):
    """The learning of the summary."""

    objective: Literal["meta", "gradients", "trajectories"] = Field(
        default="meta",
        description="what the summary is learnt for: that real events are predicted after a training on it, "
        "that a student's gradients on it are those on real events, or that a window on it leads as far as a "
        "stretch of a full-data training",
    )
    trajectories: int | None = Field(
        default=None,
        ge=1,
        description="full-data trainings whose weights are kept (objective trajectories); 5 if left out",
    )
    ahead: int | None = Field(
        default=None,
        ge=1,
        description="length of a stretch (objective trajectories) in measurements of the full-data training, "
        "which come every 50 steps; 1 if left out",
    )

    steps: int = Field(default=600, ge=1, description="outer steps, each of one metagradient")
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="minutes to take instead of a number of steps; a resumed run may then differ from an "
        "uninterrupted one",
    )
    learning_rate: float = Field(
        default=0.03, gt=0, description="outer learning rate at the start of its cosine"
    )
    batch: int = Field(default=128, ge=1, description="real sequences an outer step")
    runs: int = Field(
        default=1,
        ge=1,
        description="inner runs that an outer step differentiates side by side, each from its own weights; "
        "their mean is less noisy",
    )
    clip: float = Field(
        default=1.0,
        gt=0,
        description="a metagradient longer than this many times its running mean is shortened to it",
    )
    validate_every: int = Field(
        default=50, ge=1, description="outer steps between validations on fresh students"
    )
    validate_students: int = Field(default=2, ge=1, description="fresh students trained at each validation")
    seen: Literal["keep", "exclude"] = Field(
        default="keep", description="whether items of a user's own history are ranked as well, or left out"
    )

    @model_validator(mode="after")
    def _refuse_what_others_have(self) -> "OuterSettings":
        own = {name: ("trajectories",) for name in ("trajectories", "ahead")}
        refuse_what_others_have(self, self.objective, own)
        return self


class Recipe(Settings):
    """A whole run."""

    seed: int = Field(default=0, ge=0, description="seed of every random draw")
    data: DataSettings = DataSettings()
    student: StudentSettings = StudentSettings()
    summary: SummarySettings = SummarySettings()
    inner: InnerSettings = InnerSettings()
    outer: OuterSettings = OuterSettings()

    def to_yaml(self) -> str:
        """The recipe as YAML with every setting written out; `parse_recipe` reads it back to an equal one."""
        return dump(self.model_dump(mode="json"))

    def save(self, path: str | Path) -> None:
        """Write `to_yaml()` to a file, whole or not at all."""
        write_text_atomic(path, self.to_yaml())
