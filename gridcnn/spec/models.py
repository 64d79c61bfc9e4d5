"""The pipeline spec as typed models: data, adapter, stages, head, training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Le
from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.augmentation import Augmentation, ThingAugmentation
from gridcnn.contracts.source import Source
from gridcnn.contracts.stage import Composite, Head, Stage
from gridcnn.registry import Registry
from gridcnn.settings import foreign
from gridcnn.settings.base import (
    Count,
    Flag,
    Fraction,
    Many,
    NotNegative,
    Positive,
    Seed,
    Settings,
    wanted_error,
)
from gridcnn.settings.choice import Choice
from gridcnn.settings.document import Document
from gridcnn.settings.label_columns import LabelColumns
from gridcnn.settings.patterns import compile_pattern
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES, Adam, Constant, OneCycle
from gridcnn.spec.parts import TestPart

STAGES = Registry(
    "stage",
    {
        "convolution": "gridcnn.stages.convolution:Convolution",
        "rectification": "gridcnn.stages.rectification:Rectification",
        "pooling": "gridcnn.stages.pooling:Pooling",
        "normalization": "gridcnn.stages.normalization:Normalization",
        "activation": "gridcnn.stages.activation:Activation",
        "dropout": "gridcnn.stages.dropout:Dropout",
        "gate": "gridcnn.stages.gate:Gate",
        "skip": "gridcnn.stages.skip:Skip",
        "parallel": "gridcnn.stages.parallel:Parallel",
        "repeat": "gridcnn.stages.repeat:Repeat",
    },
    foreign=foreign.FOREIGN_STAGES,
    absent=foreign.ABSENT_STAGES,
)
HEADS = Registry(
    "head",
    {"voting": "gridcnn.stages.voting:Voting"},
    foreign=dict.fromkeys(("dense", "linear", "fullyconnected", "fc", "mlp"), "voting"),
    absent=foreign.ABSENT_HEADS,
)
ADAPTERS = Registry(
    "adapter",
    {
        "image": "gridcnn.adapters.image:ImageAdapter",
        "array": "gridcnn.adapters.array:ArrayAdapter",
        "audio": "gridcnn.adapters.audio:AudioAdapter",
        "text": "gridcnn.adapters.text:TextAdapter",
        "molecule": "gridcnn.adapters.molecule:MoleculeAdapter",
        "table": "gridcnn.adapters.table:TableAdapter",
    },
    foreign={
        **dict.fromkeys(("picture", "images"), "image"),
        "numpy": "array",
        **dict.fromkeys(("sound", "sounds", "wav", "spectrogram", "melspectrogram"), "audio"),
        **dict.fromkeys(("mel", "mfcc"), "audio"),
        **dict.fromkeys(("cqt", "constantq"), "audio: {kind: cqt}"),
        **dict.fromkeys(("chroma", "chromagram"), "audio: {kind: chroma}"),
        **dict.fromkeys(("texts", "string", "strings", "characters"), "text"),
        **dict.fromkeys(("molecules", "smiles", "chem", "chemistry", "compound"), "molecule"),
        **dict.fromkeys(("tabular", "columns", "dataframe", "csv"), "table"),
    },
)
SOURCES = Registry(
    "data source",
    {
        "xo": "gridcnn.datasets.makers.xo:XO",
        "digits": "gridcnn.datasets.public.digits:Digits",
        "fashion": "gridcnn.datasets.public.fashion:Fashion",
        "sounds": "gridcnn.datasets.makers.sounds:Sounds",
        "phrases": "gridcnn.datasets.makers.phrases:Phrases",
        "charts": "gridcnn.datasets.makers.charts:Charts",
        "mnist": "gridcnn.datasets.public.mnist:Mnist",
        "spoken-digits": "gridcnn.datasets.public.clips:SpokenDigits",
        "esc50": "gridcnn.datasets.public.clips:Esc50",
        "sms": "gridcnn.datasets.public.messages:Sms",
        "news": "gridcnn.datasets.public.messages:News",
        "bbbp": "gridcnn.datasets.public.compounds:Bbbp",
        "tox21": "gridcnn.datasets.public.compounds:Tox21",
        "table": "gridcnn.datasets.tables.table:Table",
        "memory": "gridcnn.datasets.readers.memory:Memory",
        "files": "gridcnn.datasets.readers.paths:Files",
    },
    unlisted=frozenset({"memory", "files"}),
)


_SOURCE = Choice(SOURCES, base=Source, free="files")
_ADAPTER = Choice(ADAPTERS, base=Adapter)
STAGE = Choice(STAGES, base=(Stage, Composite), shared="stage")
"""A stage by name; stages inside of stages are read by it as well."""
_HEAD = Choice(HEADS, base=Head)
_AUGMENTATION = Choice(AUGMENTATIONS, base=(Augmentation, ThingAugmentation))


class GroupPattern(Settings):
    """A regular expression that finds groups in the names of files."""

    title: ClassVar[str] = "group"

    pattern: str = Field(min_length=1, max_length=1_000)
    """The text in its first pair of parentheses is the group."""

    @field_validator("pattern")
    @classmethod
    def _finds_a_group(cls, value: str) -> str:
        try:
            groups = compile_pattern(value).groups
        except ValueError as error:
            raise wanted_error(f"a regular expression ({error})") from None
        if not groups:
            raise wanted_error("a regular expression with parentheses around the group")
        return value


class GroupScaffold(Settings):
    """Molecules with the same scaffold."""

    title: ClassVar[str] = "group"

    scaffold: Literal["murcko"] = "murcko"
    """The ring systems of a molecule and what joins them (Bemis and Murcko, 1996), without stereo
    marks. All molecules without rings have the same."""
    order: Literal["random", "largest_first"] = "random"
    """How groups are distributed over the parts. `random`: at random, so that each part has its
    share of every class; `largest_first`: the largest groups for training, the next for validation,
    the smallest for the test, as MoleculeNet does it."""


def _grouping(value: Any) -> str | GroupPattern | GroupScaffold:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, GroupScaffold) or (isinstance(value, Mapping) and "scaffold" in value):
        return GroupScaffold.model_validate(value)
    if isinstance(value, GroupPattern | Mapping):
        return GroupPattern.model_validate(value)
    raise wanted_error("the name of a column, {pattern: ...} or {scaffold: murcko}")


Grouping = Annotated[
    str | GroupPattern | GroupScaffold,
    PlainValidator(_grouping),
    PlainSerializer(lambda value: value if isinstance(value, str) else value.model_dump()),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "integer"]},
                {
                    "type": "object",
                    "properties": {"pattern": {"type": "string"}},
                    "required": ["pattern"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "scaffold": {"const": "murcko"},
                        "order": {"enum": ["random", "largest_first"]},
                    },
                    "required": ["scaffold"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""The name of a column, a pattern, or scaffolds."""


class Data(Settings):
    """Where the labelled items come from, and how they are divided."""

    title: ClassVar[str] = "data"

    source: Annotated[Source, _SOURCE] | None = None
    """A known data set (`gridcnn datasets list`), a `table`, or the path of a folder of class
    folders, a CSV manifest, an `.npz` file or IDX files. A relative path starts at the folder of
    the spec."""
    test: TestPart = 0.2
    """The part of all items that is kept for the final figure, unless the data names its own. Or
    one fold of several, `{fold: 2, of: 5}`, or all items of one group, `{group: anna}`: these are
    taken from the training items, and a test part that the data names is left out."""
    validation: Fraction = 0.1
    """The part of the training items by which the best epoch is chosen."""
    parts: Literal["use", "ignore"] = "use"
    """What happens to parts that the data names itself: they are used, or ignored, so that all
    items are divided."""
    bad_items: Literal["stop", "skip"] = "stop"
    """What happens to unreadable items: they stop the run before it starts, or are left out and
    listed."""
    duplicates: Literal["keep", "drop"] = "keep"
    """What happens to items whose grids are equal: all are kept, with a note if they are in two
    parts or two classes; or only the first of them is used, in the order training, validation,
    test."""
    group: Grouping | None = None
    """The groups of items, each stays whole in one part: the column of a manifest or a table, or
    `{pattern: ...}`, a regular expression whose first pair of parentheses finds the group in the
    path of each file from the folder of the data; for molecules also `{scaffold: murcko}`, with
    RDKit, and with `order: largest_first` for the division of MoleculeNet. null: every item is on
    its own, unless the data has groups itself."""
    label: LabelColumns | None = None
    """The labels in a manifest, as for a `table`: one column of classes; or, if an item may have
    several labels, a list of columns of 0 and 1, `{pattern: ...}` for their names, or
    `{column: tags, separator: ";"}`. null: the column `label`, of classes."""


def _or_null(schema: dict[str, Any]) -> None:
    """Make a JSON Schema allow null as well, which an empty section has."""
    about = ("title", "description", "default")
    form = {key: schema.pop(key) for key in list(schema) if key not in about}
    schema["anyOf"] = [form, {"type": "null"}]


SelectBy = Literal["accuracy", "loss", "balanced_accuracy", "macro_f1", "auc", "average_precision"]
"""The validation results by which an epoch may be chosen."""


def _class_weights(value: Any) -> Any:
    wanted = f"'balanced', or a mapping of classes to numbers from 0 to {_HEAVIEST:,.0f}"
    if value is None or value == "balanced":
        return value
    if not isinstance(value, Mapping) or not value:
        raise wanted_error(wanted)
    weights = {}
    for label, weight in value.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight <= _HEAVIEST:
            raise wanted_error(wanted)
        weights[str(label)] = float(weight)
    if not any(weights.values()):
        raise wanted_error("a mapping in which a class has a weight above zero")
    return weights


_HEAVIEST = 1e9
ClassWeights = Annotated[
    Literal["balanced"] | dict[str, float] | None,
    PlainValidator(_class_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["balanced"]},
                {
                    "type": "object",
                    "additionalProperties": {"type": "number", "minimum": 0, "maximum": _HEAVIEST},
                    "minProperties": 1,
                },
                {"type": "null"},
            ]
        }
    ),
]
"""`balanced`, or a number for each class by its name."""


class StartFrom(Settings):
    """A trained model from which training starts."""

    title: ClassVar[str] = "start_from"
    short: ClassVar[tuple[str, ...]] = ("model",)

    model: str = Field(min_length=1, max_length=4_096)
    """A model file or a run folder. A relative path starts at the folder of the spec."""
    stages: Annotated[int, Strict(), Ge(0), Le(65_536)] | None = None
    """How many of the first stages are taken over; null: as many as have the same shapes. The head
    is taken over with all stages, if it votes for the same classes."""
    frozen: Annotated[int, Strict(), Ge(0), Le(65_536)] = 0
    """How many of the first stages keep the values of the model."""

    def resolved(self, base: Path) -> Self:
        """Return the same with an absolute path; a relative one starts at `base`."""
        path = Path(self.model).expanduser()
        return self.model_copy(update={"model": str(base.absolute() / path)})


class Training(Settings):
    """How features and weights are found from labelled examples."""

    title: ClassVar[str] = "training"

    method: Literal["backpropagation", "nudge"] = "backpropagation"
    """`nudge` tries every value a little higher and a little lower: for tiny networks only."""
    epochs: Many = 10
    """How often every training item is used."""
    minutes: Positive | None = None
    """How long training may take, in minutes: a run measures its steps, plans as many `epochs` as
    fit, and writes that number into its resolved spec in place of this. null: `epochs` as given."""
    stop_after: Count | None = None
    """End after this epoch, though the schedule is that of `epochs`. A run whose `minutes` are over
    sooner than was planned writes it into its resolved spec. null: after `epochs`."""
    batch_size: Many = 64
    """Items for each update."""
    optimizer: Annotated[Settings, Choice(OPTIMIZERS)] = Adam()
    """`sgd`, `adam` or `adamw`, with their settings."""
    learning_rate: Positive = 0.001
    """The length of a step, at its highest."""
    schedule: Annotated[Settings, Choice(SCHEDULES)] = Constant()
    """How the learning rate changes: `constant`, `cosine`, `step` or `one_cycle`, with their
    settings."""
    warm_up: NotNegative = 0.0
    """Epochs over which the learning rate first rises from zero; may be a fraction."""
    weight_decay: NotNegative | None = None
    """How strongly weights are pulled towards zero; 0.01 for `adamw` and 0 otherwise, if null."""
    gradient_clip: Positive | None = None
    """The largest length that a batch's gradient may have; longer ones are shortened to it."""
    patience: Count | None = None
    """Stop after so many epochs without a better validation result; null: never."""
    select_by: SelectBy = "accuracy"
    """The validation result by which the best epoch is chosen, and for which `patience` waits; of
    epochs that are equal in it, the one with the lower loss is better."""
    class_weights: ClassWeights = None
    """Factors of the loss for the items of each class: `{rare: 5, common: 1}`; only the ratios
    matter, and a class that is not named has 1; `balanced`: in inverse proportion to their numbers,
    so that all classes count the same. null: all items count the same."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """The items of an epoch: `shuffled`, each once; `balanced`, as many of each class, so that
    those of rare classes are used several times, and not all of frequent ones."""
    label_smoothing: Fraction = 0.0
    """The part of the target that is shared by all classes instead of the right one (Szegedy et
    al., 2016)."""
    mixup: NotNegative = 0.0
    """Above 0, each training grid is mixed with another one, and so are their targets, in
    proportions drawn from the beta distribution with this number twice (Zhang et al., 2018)."""
    averaging: Fraction = 0.0
    """Above 0, answers come from a running mean of the weights (EMA). Each step keeps this part of
    it, such as 0.99; the first steps keep less."""
    augmentation: tuple[Annotated[Augmentation | ThingAugmentation, _AUGMENTATION], ...] = Field(
        default=(), max_length=64, json_schema_extra=_or_null
    )
    """Small changes of the training grids, in order, drawn again for every item and epoch; and
    before them changes of sounds and texts themselves, see `forms`."""
    forms: Annotated[int, Strict(), Ge(1), Le(1000)] = 4
    """How many changed forms of each training item are made before training, if augmentation
    changes sounds or texts themselves. In each epoch an item is one of them, or itself."""
    views: Annotated[int, Strict(), Ge(1), Le(1000)] = 1
    """From how many views of an item it is answered: the item itself and, above 1, grids changed by
    those augmentations that take nothing away (not `mask`, `erase`, `drop` and `noise`). The mean
    of their logits decides (test-time augmentation). Answering takes that many times as
    long, or longer."""
    start: Literal["he", "glorot"] = "he"
    """How starting weights are drawn: with the variance 2 / inputs (He et al., 2015), or with
    2 / (inputs + outputs) (Glorot and Bengio, 2010)."""
    start_from: StartFrom | None = None
    """A trained model whose stages are taken over; null: all starting weights are drawn."""
    calibrate: Flag = False
    """Whether votes are made as sure as they are right: their logits are divided by the temperature
    that gives the validation items the lowest loss (Guo et al., 2017). No answer changes."""
    restarts: Annotated[int, Strict(), Ge(0), Le(10)] = 1
    """How often training begins again, with other starting weights, if all items get the same votes
    after one of the first three epochs."""
    seed: Seed = 0
    """Fixes the division of the data, the starting weights, the order of items, the dropout and the
    augmentation."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if isinstance(self.schedule, OneCycle) and self.warm_up:
            raise ValueError(
                "with schedule: one_cycle the learning rate rises by itself; leave warm_up out, or "
                f"set schedule: {{one_cycle: {{rise: {self.schedule.rise:g}}}}}"
            )
        if self.method == "nudge":
            for name in ("class_weights", "label_smoothing", "mixup", "averaging"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is for method: backpropagation; with method: nudge leave it out"
                    )
        return self

    @model_validator(mode="after")
    def _views_need_changes(self) -> Self:
        if self.views > 1 and not self.view_changes:
            raise ValueError(
                f"views: {self.views} answers from changed grids of an item as well, and no "
                "augmentation makes any; add one that takes nothing away, such as shift, flip, "
                "zoom or brightness, or leave views out"
            )
        return self

    @property
    def view_changes(self) -> tuple[Augmentation, ...]:
        """Those augmentations of grids that are not for training alone: they make the views."""
        return tuple(
            each
            for each in self.augmentation
            if isinstance(each, Augmentation) and not each.for_training_alone
        )

    @field_validator("augmentation", mode="before")
    @classmethod
    def _an_empty_list_changes_nothing(cls, value: Any) -> Any:
        return () if value is None else value

    @model_validator(mode="after")
    def _fill_weight_decay(self) -> Self:
        if self.weight_decay is None:
            decay = 0.01 if getattr(self.optimizer, "decoupled", False) else 0.0
            object.__setattr__(self, "weight_decay", decay)
            # It follows the optimizer, also if that is changed later.
            self.model_fields_set.discard("weight_decay")
        return self


_FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _file_name(text: str) -> str:
    if not re.fullmatch(_FILE_NAME, text):
        raise wanted_error("up to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return text


class Spec(Settings):
    """A whole pipeline: thing, adapter, grid, stages, head, answer."""

    title: ClassVar[str] = "the spec"

    name: Annotated[str, AfterValidator(_file_name)] = Field(
        default="run", json_schema_extra={"pattern": _FILE_NAME}
    )
    """The name of the run folder: letters, digits, `.`, `_` and `-`."""
    description: str = Field(default="", max_length=2_000)
    """A sentence for the reader."""
    data: Data | None = None
    """The data; may be left out if data is given from Python or with `--data`."""
    adapter: Annotated[Adapter, _ADAPTER] | None = None
    """How a raw thing becomes a grid."""
    check: Literal["reject", "warn", "off"] = "reject"
    """What happens if the order of the data means nothing: `reject` stops, `warn` says so and
    continues, `off` does not check. Data of the adapters `table` and `array` is checked; in the
    grids of the others, neighbouring cells are always related."""
    stages: tuple[Annotated[Stage | Composite, STAGE], ...] = Field(
        default=(), json_schema_extra=_or_null
    )
    """The stages, in order."""
    head: Annotated[Head, _HEAD] | None = None
    """The voting head; without one the network is a feature extractor."""
    training: Training = Field(default=Training(), json_schema_extra=_or_null)
    """How the network is trained."""

    _document: Document | None = PrivateAttr(default=None)

    @field_validator("stages", "training", mode="before")
    @classmethod
    def _an_empty_section_has_its_defaults(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None:
            return value
        return () if info.field_name == "stages" else Training()

    def _repr_html_(self) -> str:
        from gridcnn.report.running.notebook import spec_html

        return spec_html(self)

    def __eq__(self, other: object) -> bool:
        # The file that a spec was read from is not part of its content.
        return isinstance(other, Spec) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def document(self) -> Document:
        """The YAML or dict that the spec was read from; it knows the place of every setting."""
        return self._document or Document(None)
