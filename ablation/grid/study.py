"""A validated study: its variants, factors, seeds and comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from ablation.errors import GridError
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import Count, DatasetSettings
from ablation.grid.schema_errors import explain
from ablation.grid.seeding import DEFAULT_VARY, STREAMS, Stream
from ablation.grid.settings import AnyModel, FileSettings, TrainingSettings, UserModelSettings
from ablation.grid.settings_group import Settings
from ablation.grid.trial import Record, Trial
from ablation.grid.tune_settings import TuneSettings


def _as_seeds(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(range(min(value, _MOST_SEEDS + 1)))
    return tuple(value) if isinstance(value, list) else value


_MOST_SEEDS = 10_000
_Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[
    tuple[_Seed, ...],
    BeforeValidator(_as_seeds, json_schema_input_type=Count | tuple[_Seed, ...]),
    Field(min_length=1, max_length=_MOST_SEEDS),
]


def _in_stream_order(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    if "test" in streams and "split" not in streams:
        raise ValueError(
            "test needs split, because a seed draws its test images together with its training and "
            "validation images; add split, or remove test"
        )
    return tuple(stream for stream in STREAMS if stream in streams)


def _require_fraction_or_whole(gpus: float) -> float:
    if gpus > 1 and gpus != round(gpus):
        raise ValueError("expected a fraction of one GPU, or a whole number of GPUs")
    return gpus


Vary = Annotated[tuple[Stream, ...], Field(min_length=1), AfterValidator(_in_stream_order)]
SaveModels = bool | Literal["raw"]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]  # a year; systems cannot wait for ever
Engine = Literal["tensorflow", "jax"]
Design = Literal["full", "fractional"]
Gpus = Annotated[float, Field(ge=0), AfterValidator(_require_fraction_or_whole)]


class Variant(Record):
    """A named model with its training.

    ``levels`` contains the label of the level of each factor. ``crossed`` says whether these levels are the
    only differences from the plain variant.
    """

    name: str
    model: AnyModel
    training: TrainingSettings
    levels: dict[str, str]
    crossed: bool

    @property
    def settings(self) -> dict[str, Any]:
        """All settings of model and training by name; for a custom model, the settings of its code."""
        model = self.model.model_dump(mode="json")
        if isinstance(self.model, UserModelSettings):
            augmentation = {"augmentation": model["augmentation"]}
            model = {"family": self.model.family} | augmentation | self.model.effective
            if isinstance(self.model, FileSettings):
                model["file"] = self.model.file
            model.pop("edits", None)  # which the variant's name and levels say in words
            for arguments in ("arguments", "values"):
                model |= model.pop(arguments, {})
        return model | self.training.model_dump(mode="json")


class StudyOptions(Settings):
    """What a grid file says of a study as a whole, and a study keeps as it is."""

    question: str = ""
    """The question that the study should answer. It is shown at the top of the report."""
    dataset: DatasetSettings = DatasetSettings()
    """Which images, and how they are split and normalised."""
    seeds: Seeds = (0, 1, 2, 3, 4)
    """The seeds that each variant is trained with: a list, or a number; 5 means the seeds 0 to 4."""
    design: Design = "full"
    """Which combinations of the factors' levels are variants: the ``full`` design has all of them. The
    ``fractional`` one has a balanced part of them, for 4 to 16 factors of two levels each: 16 variants
    instead of 256 for eight factors. It estimates main effects and sums of interactions, so ``compare``
    asks for ``effects``."""
    compare: CompareSettings = CompareSettings()
    """How variants are compared with the baseline. It is declared before the run."""
    save_models: SaveModels = False
    """Whether each trial saves its trained model as ``model.keras``. With ``raw``, the model takes the images
    as they are, for example with values from 0 to 255; otherwise they must be normalised first. The last
    state of training is kept, too, and a later run with more epochs continues from it."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """The number of threads per trial. A trial's results depend on it. To save time, run more trials at once
    rather than more threads per trial."""
    vary: Vary = DEFAULT_VARY
    """The random streams that follow the seed. The others are those of seed 0 in every trial. With ``split``,
    each seed draws its own training and validation images from all images that are not test images; all
    variants of a seed get the same ones. Without it, the split is the same for every seed. With ``test``
    beside ``split``, each seed draws its test images, too. This needs a dataset without a test set of its
    own. With ``label_noise``, each seed has wrong labels of its own, if ``label_noise`` is set."""
    timeout: Seconds | None = None
    """The number of seconds after which a trial is stopped. By default, there is no limit."""
    engine: Engine | None = None
    """What trains the models: ``tensorflow`` or ``jax``. With JAX, the seeds of a variant are trained
    together, as one program. By default, JAX is used if there is a GPU that it can use, and TensorFlow
    otherwise. Both begin with the same weights and see the same batches; they draw different numbers for
    dropout and augmentation, and round differently."""
    gpus: Gpus = 0.0
    """The number of GPUs per trial on a Ray cluster; a fraction lets several trials share one GPU."""


class Study(StudyOptions):
    """A validated study: the variants of a model, the dataset, and the seeds they are trained with.

    ``further_seeds`` contains the additional seeds of single variants, by name. ``fold`` is the factor on
    which a fractional design was folded over; its variants are then the last ones. ``reads_test`` and
    ``keeps_states`` apply `Trial.reads_test` and `Trial.keeps_state` to all trials. ``tune``
    says how variants are tuned, if they are.
    """

    name: str
    variants: tuple[Variant, ...]
    factors: dict[str, tuple[str, ...]]
    baseline: str
    further_seeds: dict[str, tuple[int, ...]] = {}
    fold: str = ""
    reads_test: bool = True
    keeps_states: bool = False
    tune: TuneSettings | None = None

    @property
    def draws_test_images(self) -> bool:
        """Whether each seed has test images of its own, so that no image is compared over seeds."""
        return "test" in self.vary

    @property
    def combinations(self) -> tuple[Variant, ...]:
        """The variants that are combinations of the factors' levels, which a design calls its runs."""
        return tuple(variant for variant in self.variants if variant.crossed)

    @property
    def added_by_fold(self) -> tuple[Variant, ...]:
        """The variants of a fractional design's fold-over, which come last and double the design."""
        return self.combinations[len(self.combinations) // 2 :] if self.fold else ()

    def trials(self, dataset_digest: str) -> tuple[Trial, ...]:
        """Return every variant with every seed, in the order of the grid file."""
        return tuple(
            Trial(
                variant=variant.name,
                seed=seed,
                dataset_digest=dataset_digest,
                model=variant.model,
                training=variant.training,
                threads=self.threads,
                vary=self.vary,
                reads_test=self.reads_test,
                keeps_state=self.keeps_states or bool(self.save_models),
            )
            for variant in self.variants
            for seed in self.seeds_of(variant.name)
        )

    def seeds_of(self, variant: str) -> tuple[int, ...]:
        """Return the seeds that a variant is trained with."""
        return (*self.seeds, *self.further_seeds.get(variant, ()))

    def with_overrides(
        self,
        dataset: str | None = None,
        data_dir: str | Path | None = None,
        seeds: Sequence[int] | None = None,
        engine: str | None = None,
        precision: str | None = None,
    ) -> Self:
        """Return the study on another dataset, another folder of images, with other seeds or another engine.

        ``precision`` is that of all variants.

        Raises:
            GridError: A value is not valid.
        """
        data = self.model_dump(mode="json")
        if dataset is not None:
            others = ("loader", "id", "image_size", "class_names") if dataset != self.dataset.name else ()
            data["dataset"] |= {"name": dataset} | dict.fromkeys(("path", *others))
            data["dataset"] |= {"on_error": "stop"} if others else {}
        if data_dir is not None:
            data["dataset"]["path"] = str(Path(data_dir).absolute())
        if seeds is not None:
            data["seeds"] = list(seeds)
        if engine is not None:
            data["engine"] = engine
        try:
            study = type(self).model_validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            problem = error.errors()[0]
            options = {"--dataset": dataset, "--data-dir": data_dir}
            of_images = " and ".join(option for option, value in options.items() if value is not None)
            option = {"dataset": of_images, "engine": "--engine"}.get(str(problem["loc"][0]), "--seeds")
            raise GridError(f"{option}: {explain(problem, [])}") from None
        refuse_repeated(study.seeds, "--seeds: ")
        variants = self.variants if precision is None else _in_precision(self.variants, precision)
        return study.model_copy(update={"variants": variants})  # which still know what the grid sets


def _in_precision(variants: Sequence[Variant], precision: str) -> tuple[Variant, ...]:
    """Return variants that all compute in one precision.

    Raises:
        GridError: There is no such precision, or the variants are there to compare several.
    """
    try:
        TrainingSettings.model_validate({"precision": precision})
    except ValidationError as error:
        raise GridError(f"--precision: {explain(error.errors()[0], [])}") from None
    several = list(dict.fromkeys(variant.training.precision for variant in variants))
    if len(several) > 1:
        raise GridError(
            f"--precision: the variants of this study compute in {' and '.join(several)}, and one precision "
            "for all would leave nothing of that comparison. Leave out --precision."
        )
    training = {"precision": precision}
    return tuple(
        variant.model_copy(update={"training": variant.training.model_copy(update=training)})
        for variant in variants
    )


def parse_seeds(text: str) -> list[int]:
    """Parse the seeds that an option names: `5` means 0 to 4, `3-5` and `0,1,7` are three, `7,` is one.

    Raises:
        GridError: The text names no seeds.
    """
    seeds: list[int] = []
    try:
        parts = [f"0-{int(text) - 1}"] if text.strip().isdecimal() else text.split(",")
        for part in (part.strip() for part in parts if part.strip()):
            first, dash, last = part.partition("-")
            start, end = int(first), int(last) if dash else int(first)
            seeds += range(start, min(end, start + _MOST_SEEDS) + 1)
    except ValueError:
        seeds = []
    if not seeds:
        raise GridError(
            "--seeds: expected a number of seeds, like 5, a list, like 0,1,7 or 3-5, or one seed with a "
            f"comma, like '7,', not '{text}'."
        )
    return seeds


def refuse_repeated(seeds: Sequence[int], prefix: str, error: Any = GridError) -> None:
    """Raise an error if a seed is listed twice."""
    earlier: set[int] = set()
    for seed in seeds:
        if seed in earlier:
            raise error(f"{prefix}duplicate seed {seed}.")
        earlier.add(seed)
