"""The paragraphs of methods of a paper: the images, the models, the seeds, and what trained the trials."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablation.analysis.completed_trials import completed_results
from ablation.analysis.pairing import pairing_verdict
from ablation.grid.settings import (
    BuilderSettings,
    CnnSettings,
    DenseSettings,
    FileSettings,
    HyperModelSettings,
)
from ablation.grid.study import Study, Variant
from ablation.grid.value_text import counted, several
from ablation.models.architecture import block_filters, dense_units
from ablation.report.paper.components import changes, setting_name
from ablation.report.paper.environment import Environment, listed
from ablation.report.paper.latex import breakable
from ablation.report.paper.statistics import statistics
from ablation.report.paper.training import training
from ablation.results.run import Run

_DATA = {
    "digits": "alpaydin1998optical,pedregosa2011scikit",
    "cifar10": "krizhevsky2009learning",
    "cifar100": "krizhevsky2009learning",
    "mnist": "lecun1998gradient",
    "fashion_mnist": "xiao2017fashion",
}
STREAMS = {
    "init": "the initial weights",
    "order": "the order of the batches",
    "dropout": "the dropout masks",
    "augmentation": "the augmentation",
    "label_noise": "which labels are wrong",
    "split": "which images are training and validation images",
    "test": "which images are test images",
}
_MOST_SEEDS = 10


def methods(run: Run) -> str:
    """Return the paragraphs of methods as LaTeX, with the numbers of the study and citations."""
    paragraphs = [
        ("Data", _data(run)),
        ("Models", _models(run)),
        ("Training", training(run)),
        ("Seeds and pairs", _seeds(run)),
        ("Comparison", statistics(run)),
        ("Software and hardware", _computed(run)),
    ]
    return "\n\n".join(f"\\paragraph{{{title}.}}\n" + "\n".join(text) for title, text in paragraphs) + "\n"


def _data(run: Run) -> list[str]:
    settings, dataset = run.study.dataset, run.dataset
    key = _DATA.get(settings.name)
    height, width, channels = dataset.image_shape
    kind = "label" if dataset.is_multi_label else "class"
    sentences = [
        f"{breakable(dataset.describe())}" + (rf"~\cite{{{key}}}." if key else "."),
        f"There are {len(dataset.class_names)} {kind}{'e' if kind == 'class' else ''}s; an image has "
        rf"${height} \times {width}$ pixels and {counted(channels, 'channel')}.",
        f"{breakable(split_sentence(run))} The test images were read once per trial, at its end.",
        "Pixels are scaled to the range from 0 to 1."
        if settings.normalise == "unit"
        else "Each channel is scaled so that the training images have mean 0 and standard deviation 1.",
    ]
    if dataset.label_noise or any(variant.training.label_noise for variant in run.study.variants):
        sentences.append(
            "Wrong labels are chosen at random, and each becomes one of the other classes; training and "
            "validation accuracy are measured on them, and test accuracy on the correct labels."
        )
    return sentences


def split_sentence(run: Run) -> str:
    """Say how training, validation and test images were separated."""
    how = "at random" if run.dataset.is_multi_label else "stratified by class"
    if run.dataset.has_own_val:
        return "The validation images are those of the data set, the same for every seed."
    seed = run.study.dataset.split_seed
    if "split" not in run.study.vary:
        return f"The validation images were split off {how}, the same for every seed (split seed {seed})."
    parts = "training, validation and test" if run.study.draws_test_images else "training and validation"
    return (
        f"Each seed drew its own {parts} images {how} from one pool; all variants of a seed have the same "
        f"ones (split seed {seed})."
    )


def _models(run: Run) -> list[str]:
    study = run.study
    baseline = next(variant for variant in study.variants if variant.name == study.baseline)
    sentences = [_architecture(baseline), *_designed(study)]
    used = {
        r"Dropout~\cite{srivastava2014dropout}": _uses(study, "dropout", "dropout"),
        r"batch normalisation~\cite{ioffe2015batch}": _uses(study, "batch_norm", "batchnorm"),
    }
    if names := [name for name, is_used in used.items() if is_used]:
        sentences.append(f"Variants use {listed(names)}.")
    if _uses(study, "batch_norm", ""):
        momenta = sorted({v.model.batch_norm_momentum for v in study.variants if v.model.batch_norm})
        sentences.append(
            f"The momentum of batch normalisation is {listed(f'{momentum:g}' for momentum in momenta)}."
        )
    parameters = completed_results(run.results)["parameters"].dropna()
    if len(parameters):
        low, high = int(parameters.min()), int(parameters.max())
        several_ = f"between {low:,} and {high:,}" if low != high else f"{low:,}"
        sentences.append(f"The models have {several_} parameters.")
    return sentences


def _uses(study: Study, setting: str, part: str) -> bool:
    """Return whether a variant has a setting switched on, or a part of that name is a factor."""
    on = any(bool(getattr(variant.model, setting)) for variant in study.variants)
    return on or (
        bool(part) and any(part in f.lower().replace("_", "").replace("alization", "") for f in study.factors)
    )


def _architecture(variant: Variant) -> str:
    model = variant.model
    if isinstance(model, CnnSettings):
        # not in square brackets, in which numbers are citations
        blocks = ", ".join(f"({', '.join(map(str, block))})" for block in block_filters(model))
        dense = listed(map(str, dense_units(model)))
        hidden = f", followed by hidden Dense layers of {dense} units" if model.dense else ""
        return (
            rf"The baseline, {breakable(variant.name)}, is a convolutional network with blocks of $3 \times "
            rf"3$ "
            rf"convolutions of {blocks} filters, each block ending in $2 \times 2$ max pooling{hidden}, and "
            f"{breakable(model.activation)} activations."
        )
    if isinstance(model, DenseSettings):
        return (
            f"The baseline, {breakable(variant.name)}, is a multi-layer perceptron with hidden layers of "
            f"{listed(map(str, dense_units(model)))} units and {breakable(model.activation)} activations."
        )
    named = "a model of our own"
    if isinstance(model, BuilderSettings):
        named += f", built by {breakable(model.builder)}"
    if isinstance(model, HyperModelSettings):
        named += f", built by {breakable(model.hypermodel)}"
    if isinstance(model, FileSettings):
        weights = "its trained weights" if model.weights == "keep" else "initial weights of its own"
        named += f", saved as {breakable(model.file)}; each trial starts from {weights}"
    return f"The baseline, {breakable(variant.name)}, is {named}."


def _designed(study: Study) -> list[str]:
    """Say which variants there are: factors with their levels, the design, and further variants."""
    sentences = []
    if study.factors:
        factors = listed(
            f"{breakable(setting_name(name))} ({breakable(', '.join(levels))})"
            for name, levels in study.factors.items()
        )
        how = _how_crossed(study)
        if study.design == "fractional":
            how += r", a fractional factorial design~\cite{box2005statistics}"
        sentences.append(f"We varied {factors}, {how}.")
    further = [
        variant for variant in study.variants if not variant.crossed and variant.name != study.baseline
    ]
    texts = [
        f"{variant.name} ({change})" if (change := changes(variant, study)) else variant.name
        for variant in further
    ]
    kind = "further variant" if study.factors else "variant"
    if len(texts) == 1:
        sentences.append(f"The {kind} is {breakable(texts[0])}.")
    elif texts:
        sentences.append(f"{kind.capitalize()}s are {breakable(_some(texts))}.")
    return sentences


def _how_crossed(study: Study) -> str:
    """Say which combinations of the factors' levels are variants."""
    every = math.prod(map(len, study.factors.values()))
    crossed = len(study.combinations)
    if not crossed:
        return "one at a time"
    return (
        f"in all {every:,} combinations" if crossed == every else f"in {crossed:,} of {every:,} combinations"
    )


def _some(texts: Sequence[str]) -> str:
    return several(texts, "variant") if len(texts) > 8 else listed(texts)


def _seeds(run: Run) -> list[str]:
    study = run.study
    counts = sorted({len(study.seeds_of(variant.name)) for variant in study.variants})
    number = counted(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    follows = listed(STREAMS[stream] for stream in study.vary)
    sentences = [
        f"Each variant was trained with {number} ({seeds_text(study)}).",
        f"The seed decides on {follows}; all other random choices are the same in every trial.",
        f"{breakable(pairing_verdict(run.pairing))}",
        "After each epoch, training accuracy was measured on a fixed part of the training images as large as "
        "the "
        "validation set, and validation accuracy on the validation images, both in inference mode: without "
        "dropout, "
        "and with the moving statistics of batch normalisation. The overfitting gap is the difference of the "
        "two.",
    ]
    if run.dataset.is_multi_label:
        sentences.append(
            "Images have several labels, and accuracy is exact-match accuracy: the share of images all of "
            "whose "
            "labels are predicted correctly."
        )
    return sentences


def seeds_text(study: Study) -> str:
    """Return the seeds of a study: ``0, 1, 2``, or ``0 to 49``."""
    seeds = sorted({seed for variant in study.variants for seed in study.seeds_of(variant.name)})
    if seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) if len(seeds) <= _MOST_SEEDS else f"from {seeds[0]} to {seeds[-1]}"


def _computed(run: Run) -> list[str]:
    environment = Environment.of(run)
    sentences = [f"Trials were trained with {environment.software}."] if environment.versions else []
    if environment.values:
        sentences.append(f"Hardware: {breakable(environment.hardware)}.")
    if environment.time:
        sentences.append(f"Training took {breakable(environment.time)}.")
    return sentences
