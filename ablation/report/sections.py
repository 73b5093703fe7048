"""The report's sections, in their order; every number comes from the run's tables."""

from __future__ import annotations

from collections.abc import Sequence

from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.analysis.pairing import pairing_verdict, when_pairing_pays
from ablation.analysis.phrases import method_phrase
from ablation.charts.data import chart_data
from ablation.figures.gap_parts import training_mode
from ablation.figures.readable import readable, variants_shown
from ablation.figures.style import Picture
from ablation.grid.value_text import counted, setting_text
from ablation.report import tables
from ablation.report.answer import answer
from ablation.report.comparison_sections import Pictures, comparison_section, effects_section
from ablation.report.document import Cell, Finding, Report, Section, Table, code, with_code
from ablation.report.dose_section import dose_section
from ablation.report.key_results import best_mean, gap_findings, missing_figures, warnings
from ablation.report.model_section import model_section
from ablation.report.record_sections import reproduce_section, trials_section
from ablation.report.trial_links import TrialLinks
from ablation.report.tuning_section import tuning_section
from ablation.results.precision import bfloat16_note
from ablation.results.run import Run

_MOST_MATRICES = 6  # which are all shown; of more, three are
_LEFT_OPEN = {"train_size": "all", "jit_compile": "by device"}  # what a setting means where none is given


def study_report(run: Run, pictures: Sequence[Picture]) -> Report:
    """Return a run's report.

    Args:
        run: The run.
        pictures: Its figures, as `ablation.figures.drawing.draw_figures` returned them.
    """
    links = TrialLinks(run)
    seeds = sorted({seed for variant in run.study.variants for seed in run.study.seeds_of(variant.name)})
    by_figure: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_figure.setdefault(picture.figure, []).append(picture)
    is_range = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    seed_list = f"{seeds[0]} to {seeds[-1]}" if is_range or len(seeds) > 10 else ", ".join(map(str, seeds))
    counts = sorted({len(run.study.seeds_of(variant.name)) for variant in run.study.variants})
    of_each = counted(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    lead = f"{run.study.name} · {counted(len(run.study.variants), 'variant')} × {of_each}"
    method = method_phrase(run.compare)
    asks_effects = run.study.design == "fractional" or run.compare.questions == "effects"
    in_order = _EFFECTS_FIRST if asks_effects else _SECTIONS
    sections = [make(run, by_figure, links) for make in in_order]
    return Report(
        name=run.study.name,
        question=run.study.question,
        lead=f"{lead} ({seed_list})",
        facts=f"{run.dataset.describe()}. Baseline: {run.study.baseline}. {method[0].upper()}{method[1:]}.",
        warnings=[*_left_out(run), *warnings(run, links), *missing_figures(pictures)],
        findings=answer(run, links),
        picture=next(iter(by_figure.get("effects") or by_figure.get("forest", [])), None),
        sections=[section for section in sections if section],
        trials=[trial.id for trial in run.trials],
        drawn=links.all(),
        charts=chart_data(run, by_figure),
    )


def _left_out(run: Run) -> list[Finding]:
    """Say which variants have a row in tables and figures, if not all of them have."""
    shown = variants_shown(run)
    return [Finding(f"Tables, figures and charts show {shown}")] if shown else []


def _variants(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    metric = run.compare.metric_in_words
    note = (
        "Means over the completed seeds, with 95% confidence intervals (Student's t). Difference: "
        f"variant minus baseline in {metric}, seed by seed, with its interval "
        f"({method_phrase(run.compare)}). Training and validation: accuracy in inference mode. Gap: training "
        "minus validation accuracy. Seconds per trial: wall time."
    )
    table = tables.variants_table(run, links)
    return Section("variants", "Variants", tables=[table], notes=[note], findings=best_mean(run, links))


def _overfitting(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    drawn = [
        p for name in ("overfitting_gap", "gap_parts", "learning_curves") for p in pictures.get(name, [])
    ]
    if not drawn:
        return None
    text = (
        "The overfitting gap is training accuracy minus validation accuracy, both measured after the epoch "
        "in inference mode. The gap in a training log is a different quantity: the log is recorded while the "
        f"model is still improving, and in training mode, in which {training_mode(run.study)}."
    )
    note = (
        "Best-epoch gain: how much picking the best epoch would have added to the validation accuracy at the "
        "end of training, averaged over the seeds. The best epoch is chosen on the same validation images on "
        "which it is scored. The results of trials that evaluate the last epoch do not include this gain."
    )
    table = tables.inflation_table(run, links)
    found = gap_findings(run, links)
    return Section("overfitting", "Overfitting", [text], drawn, [table], [note], findings=found)


def _classes(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    drawn = [p for name in ("per_class", "confusion_differences") for p in pictures.get(name, [])]
    if not drawn:
        return None
    if run.dataset.is_multi_label:
        text = (
            "Per-label accuracy is the share of test images on which a label is predicted correctly, as "
            "present or as absent. An image has any number of labels, so no label is confused with another, "
            "and there are no confusion matrices."
        )
        return Section("classes", "Per-label accuracy", [text], drawn)
    table = tables.significant_confusions_table(run, links)
    tested = int(run.confusion_differences["q"].notna().sum())
    significant = int((run.confusion_differences["q"] <= FALSE_DISCOVERIES).sum())
    text = (
        "The accuracy in each class, and where a variant's misclassifications differ from those of "
        f"{run.study.baseline}, seed by seed. Of {tested:,} confusions that can be tested, {significant:,} "
        f"differ significantly at a false discovery rate of {FALSE_DISCOVERIES:.0%} (paired t-tests; "
        "Benjamini and Hochberg, 1995)."
    )
    if significant:
        text += (
            f" At most about one in {1 / FALSE_DISCOVERIES:.0f} of the significant ones is expected to be a "
            "false discovery."
        )
    if not tested:
        text = "A test of where confusions differ from the baseline's needs at least three pairs of trials."
    differences = [table] if table.rows else []
    return Section("classes", "Per-class accuracy", [text], drawn, differences)


def _confusion(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    drawn = pictures.get("confusion", [])
    if not drawn:
        return None
    if len(drawn) <= _MOST_MATRICES:
        return Section("confusion", "Confusion matrices", pictures=drawn)
    shown, left_out = readable(run)
    of_variant = dict(zip(shown.confusion["variant"].unique(), drawn, strict=True))
    means = run.results.groupby("variant")["test_accuracy"].mean().reindex(list(of_variant))
    among = f" of these {len(drawn)}" if left_out else ""
    highest = f"the highest mean test accuracy{among}"
    chosen = {run.study.baseline: "the baseline", str(means.idxmax()): highest}
    chosen.setdefault(str(means.idxmin()), "the lowest")
    named = {name: why for name, why in chosen.items() if name in of_variant}
    further = [picture for name, picture in of_variant.items() if name not in named]
    text = (
        f"Shown are the matrices of {', '.join(f'{name} ({why})' for name, why in named.items())}. The "
        f"other {len(further)} follow as further figures."
    )
    if left_out:
        text += f" Matrices without a figure are in {code('confusion.csv')}."
    return Section(
        "confusion", "Confusion matrices", [text], [of_variant[name] for name in named], further=further
    )


def _images(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    drawn = [p for name in ("predictions", "disagreements") for p in pictures.get(name, [])]
    return Section("images", "Sample predictions", pictures=drawn) if drawn else None


def _calibration(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    table = tables.calibration_table(run, links)
    if not table.rows:
        return None
    text = (
        "Is a model that is 80% confident correct in 80% of cases? The expected calibration error is the "
        "mean distance between confidence and accuracy over ten bins of confidence (Guo et al., 2017), given "
        "with its 95% interval over seeds. On few test images it is above zero even for a perfectly "
        "calibrated model."
    )
    if run.dataset.is_multi_label:
        text += (
            " Here each case is one label of one image, predicted as present or as absent with a probability "
            "of at least 50%; label accuracy is the share of labels that are predicted correctly."
        )
    return Section("calibration", "Calibration", [text], pictures.get("calibration", []), [table])


def _cost(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    table = tables.cost_table(run, links)
    if not table.rows:
        return None
    note = (
        "★: on the Pareto front, that is, no other variant is at least as cheap and at least as accurate, "
        "and better in one of the two. Multiply-adds: convolutions and Dense layers, for one image in "
        "inference mode. Memory: the peak memory of a trial's process, TensorFlow and the images included, "
        "where the system reports it."
    )
    notes = [note, *filter(None, [with_code(bfloat16_note(run))])]
    return Section("cost", "Accuracy and cost", (), pictures.get("cost", []), [table], notes)


def _noise(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    drawn = pictures.get("seed_noise", [])
    if run.study.draws_test_images and drawn:
        text = (
            "Each seed has test images of its own. No image is compared over seeds, so there are no variance "
            f"components. {code('mcnemar.csv')} compares each pair of trials image by image."
        )
        return Section("noise", "Variation over seeds", [text], drawn)
    table = tables.noise_table(run, links)
    if not table.rows:
        return None
    text = (
        f"The standard error of each variant's difference from {run.study.baseline} in test accuracy has "
        "three components, given here in percentage points. The component from seeds shrinks with more "
        "seeds; it is due to the variance between models on all images that could be drawn (Jordan, 2023, "
        "arXiv:2304.01910). The component from images shrinks with more test images. The component from the "
        "interaction of seeds and images shrinks with either. The last column is a supplementary test, image "
        "by image: the number of seeds whose pair of models differs significantly in McNemar's exact test (p "
        f"below {run.study.compare.alpha:g}, not corrected for multiple testing)."
    )
    return Section("noise", "Variance components", [text], drawn, [table])


def _pairing(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    hashes, gain = tables.pairing_table(run), tables.pairing_gain_table(run, links)
    text = f"{pairing_verdict(run.pairing)} "
    if hashes:
        text += (
            "The first table has one row per seed: a hash of the order in which its trials saw the training "
            "images, and for each variant a hash of the initial weights of the layers that it shares with "
            f"{run.study.baseline}. A check mark means that the baseline has the same hash; otherwise the "
            "baseline's hash is given beside it."
        )
    else:
        text += f"The hashes are in {code('pairing.csv')}."
    note = (
        "The effect of pairing on test accuracy: the correlation of a variant's trials with the baseline's, "
        "and the share by which the variance of their difference is smaller than for unrelated trials. "
        f"{when_pairing_pays()} Both need at least three pairs."
    )
    filled = [table for table in (hashes, gain) if table and table.rows]
    return Section("pairing", "Pairing", [text], (), filled, [note] if gain.rows else [], folded=True)


def _variance_shift(run: Run, pictures: Pictures, links: TrialLinks) -> Section | None:
    if run.variance_shift.empty:
        return None
    text = (
        "For the BatchNorm layer after each named layer: the ratio of the variance of its input in training "
        "mode to that in inference mode, averaged over the seeds. At a ratio of 1, the layer's moving "
        "variance is the variance of its input at inference. Dropout before a BatchNorm layer raises the "
        "ratio; the layer then normalises test images by a variance that they do not have, which is why "
        "Dropout and BatchNorm can conflict (Li et al., 2018, arXiv:1801.05134)."
    )
    table = tables.variance_shift_table(run, links)
    drawn = pictures.get("variance_shift", [])
    return Section("variance-shift", "Variance shift in BatchNorm layers", [text], drawn, [table])


def _dataset(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    counts = run.dataset.class_counts
    kind = "Label" if run.dataset.is_multi_label else "Class"
    rows = [[Cell(name, kind="row"), *(Cell(f"{n:,}", "", n) for n in row)] for name, row in counts.items()]
    text = [f"{run.dataset.describe()}."]
    if run.dataset.label_noise or any(variant.training.label_noise for variant in run.study.variants):
        text.append(
            "With label noise, that share of the training and validation labels is wrong on purpose. They "
            "are chosen at random, and each becomes one of the other classes. Training and validation "
            "accuracy are measured on these labels, and test accuracy on the correct ones. The table counts "
            "correct labels."
        )
    if "split" in run.study.vary:
        text.append("The table counts the images of one split; each seed draws as many images.")
    table = Table([kind, "Training", "Validation", "Test"], rows, sortable=True)
    return Section("dataset", "Dataset", text, tables=[table], folded=True)


def _measured(run: Run, pictures: Pictures, links: TrialLinks) -> Section:
    is_multi_label = run.dataset.is_multi_label
    split = "at random" if is_multi_label else "by class"
    text = [
        "Every variant was trained with the same seeds. Within a seed, the layers that two variants share "
        "start from the same weights, and variants with the same training images see them in the same order. "
        "The section on pairing says by how much this reduced the variance of their differences, if it did.",
        "After each epoch, training accuracy is measured on a fixed part of the training images as large as "
        "the validation set, and validation accuracy on the validation images, both in inference mode: "
        "without dropout, and with BatchNorm's moving statistics. The accuracy that Keras logs during an "
        "epoch is a running mean in training mode, so a gap computed from it is the sum of three parts: the "
        "lag of the running mean behind a model that improves, the bias of measuring in training mode, "
        f"and the true gap. {code('history.csv')} lists all three for every epoch; in this report, the word "
        "gap alone means the true gap.",
        f"{_split_text(run, split)} The test images were read once per trial, at its end.",
    ]
    if is_multi_label:
        text.append(
            "An image has any number of labels, and a label is predicted as present if its probability is "
            "over 0.5. Accuracy is exact-match accuracy: the share of images all of whose labels are "
            "predicted correctly, here and in every table and verdict. Other Keras metrics are computed over "
            "the labels of all images together."
        )
    flat = [variant.settings for variant in run.study.variants]
    shared = {k: v for k, v in flat[0].items() if all(k in other and other[k] == v for other in flat)}
    data = run.study.dataset.model_dump(mode="json", exclude_none=True, exclude={"path", "on_error"})
    shared = {
        key: value for key, value in shared.items() if value or key not in data
    }  # else it is the dataset's
    settings = {f"dataset {key}": value for key, value in data.items()} | shared
    settings["streams that follow the seed"] = run.study.vary
    settings |= {key: words for key, words in _LEFT_OPEN.items() if settings.get(key, key) is None}
    rows = [_pair(key.replace("_", " "), setting_text(value)) for key, value in settings.items()]
    return Section("measured", "Methods", text, tables=[Table(["Setting", "All variants"], rows)])


def _split_text(run: Run, split: str) -> str:
    if run.dataset.has_own_val:
        return "The validation images are those of the dataset, the same for every seed."
    if "split" not in run.study.vary:
        same = "in the same way for every seed"
        return f"The validation images were split from the training images {split}, {same}."
    parts = "training, validation and test" if run.study.draws_test_images else "training and validation"
    return (
        f"Each seed drew its own {parts} images {split} from one pool; all variants of a "
        "seed have the same ones. The intervals therefore generalise to other draws from this pool."
    )


def _pair(name: str, value: str) -> list[Cell]:
    return [Cell(name, kind="row"), Cell(value)]


_SECTIONS = (
    _variants,
    model_section,
    comparison_section,
    tuning_section,
    effects_section,
    dose_section,
    _overfitting,
    _classes,
    _confusion,
    _images,
    _calibration,
    _cost,
    _noise,
    _pairing,
    _variance_shift,
    _dataset,
    _measured,
    reproduce_section,
    trials_section,
)
_EFFECTS_FIRST = (effects_section, *(section for section in _SECTIONS if section is not effects_section))
