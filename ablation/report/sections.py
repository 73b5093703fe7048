"""The report's sections, in their order; every number comes from the run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablation.analysis.confusion import FALSE_DISCOVERIES
from ablation.analysis.pairing import pairing_verdict
from ablation.analysis.phrases import method_phrase, not_estimated
from ablation.figures.style import Picture
from ablation.grid.study_diff import study_digest
from ablation.grid.value_text import setting_text
from ablation.report import tables
from ablation.report.document import Cell, Report, Section, Table, code, plain
from ablation.report.key_results import findings, warnings
from ablation.report.trial_links import Sources
from ablation.results.run import Run

Pictures = Mapping[str, Sequence[Picture]]
"""The drawn figures, by the name of the figure that they belong to."""

_LEFT_OPEN = {"train_size": "all", "jit_compile": "by device"}  # what a setting means where none is given


def study_report(run: Run, pictures: Sequence[Picture]) -> Report:
    """Put a run's report together.

    Args:
        run: The run.
        pictures: Its figures, as `ablation.figures.drawing.draw_figures` returned them.
    """
    sources, seeds = Sources(run), run.study.seeds
    by_figure: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_figure.setdefault(picture.figure, []).append(picture)
    listed = ", ".join(map(str, seeds)) if len(seeds) <= 10 else f"{seeds[0]} to {seeds[-1]}"
    lead = (
        f"{run.study.name} · {len(run.study.variants)} variants × {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    )
    made = [make(run, by_figure, sources) for make in _SECTIONS]
    return Report(
        name=run.study.name,
        question=run.study.question,
        lead=f"{lead} ({listed})",
        facts=f"{run.dataset.describe()}. Baseline: {run.study.baseline}.",
        warnings=warnings(run, sources),
        findings=findings(run, sources),
        picture=next(iter(by_figure.get("forest", [])), None),
        sections=[section for section in made if section],
        trials=[trial.id for trial in run.trials],
        drawn=sources.all(),
    )


def _variants(run: Run, pictures: Pictures, sources: Sources) -> Section:
    metric = run.compare.metric.replace("_", " ")
    note = (
        "Means over the completed seeds, with 95% confidence intervals (Student's t). Difference: "
        f"variant minus baseline in {metric}, seed by seed, with the interval from which its verdict "
        f"is read ({method_phrase(run.compare)}). Training and validation accuracy in inference mode, gap: "
        "the one minus the other. Seconds: wall time a trial. A click on a number names the trials behind "
        "it."
    )
    table = tables.variants_table(run, sources)
    return Section("variants", "The variants", tables=[table], notes=[note])


def _support(run: Run, pictures: Pictures, sources: Sources) -> Section:
    text = (
        f"Each variant against {run.study.baseline} in {run.compare.metric.replace('_', ' ')}, seed by "
        f"seed: {method_phrase(run.compare)}. An interval has the confidence at which its difference is "
        "decided, so that interval and verdict say the same: better or worse if it excludes 0, equivalent "
        "if it lies within the margin, else unresolved. It speaks of other seeds on these test images; the "
        "table of the noise says what other test images would add."
    )
    declared = f"Declared in the grid, whose hash is {code(study_digest(run.study))}."
    changes = run.changes
    if changes is None:
        declared += " Whether it was changed after the first trial was not recorded."
    elif not changes:
        declared += " Nothing was changed since before the first trial."
    else:
        declared += " Changed since the first trial:"
    table = tables.comparisons_table(run, sources)
    return Section(
        "support", "What the data support", [text], tables=[table], notes=[declared], lines=changes or []
    )


def _effects(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    found = tables.effects_tables(run, sources)
    missing = not_estimated(run.effects) if (run.effects["n"] == 0).any() else ""
    if not found and not missing:
        return None
    text = (
        "Effects within a seed, over the variants that cross the factors; the effects of a table are "
        "corrected together. For an interaction, better says that the factors are worth more together than "
        "each on its own."
    )
    shown = pictures.get("interaction", [])
    return Section("effects", "What each factor does", [text], shown, found, [missing] if missing else [])


def _overfitting(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    shown = [
        p for name in ("overfitting_gap", "gap_parts", "learning_curves") for p in pictures.get(name, [])
    ]
    if not shown:
        return None
    text = (
        "How far training accuracy runs ahead of validation accuracy, both measured after the epoch in "
        "inference mode. The gap that a training log shows is another: the log is taken while the model "
        "still improves, and with dropout active."
    )
    note = (
        "What picking the best epoch would add: a score of the best epoch is chosen on the validation "
        "images that it is told of. So much would choosing have added to the validation accuracy at the "
        "end of training, a mean over the seeds; it is in no number of this report that is of trials that "
        "evaluate the last epoch."
    )
    table = tables.inflation_table(run, sources)
    return Section("overfitting", "Overfitting", [text], shown, [table], [note])


def _classes(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    shown = [p for name in ("per_class", "confusion_differences") for p in pictures.get(name, [])]
    if not shown:
        return None
    if run.dataset.is_multi_label:
        text = (
            "The share of test images on which each label is told right: there, or not there. An image has "
            "any number of labels, so none is taken for another, and there are no confusion matrices."
        )
        return Section("classes", "Which labels are told right", [text], shown)
    table = tables.told_confusions_table(run, sources)
    tested = int(run.confusion_differences["q"].notna().sum())
    told = int((run.confusion_differences["q"] <= FALSE_DISCOVERIES).sum())
    text = (
        f"Where a variant's mistakes are others than those of {run.study.baseline}, seed by seed. Of "
        f"{tested:,} confusions that can be tested, {told:,} are told apart at a false discovery rate of "
        f"{FALSE_DISCOVERIES:.0%} (paired t-tests; Benjamini and Hochberg, 1995): at most about one in "
        f"{1 / FALSE_DISCOVERIES:.0f} of those is expected to be none."
    )
    if not tested:
        text = "Where mistakes differ from the baseline's is tested from three pairs of trials on."
    found = [table] if table.rows else []
    return Section("classes", "Which classes are told right", [text], shown, found)


def _confusion(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    shown = pictures.get("confusion", [])
    return Section("confusion", "Confusion matrices", pictures=shown) if shown else None


def _images(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    shown = [p for name in ("predictions", "disagreements") for p in pictures.get(name, [])]
    return Section("images", "What the variants see", pictures=shown) if shown else None


def _calibration(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    table = tables.calibration_table(run, sources)
    if not table.rows:
        return None
    text = (
        "Is a model that is 80% sure right in 80% of cases? The calibration error is the mean distance "
        "between confidence and accuracy over ten bins of confidence (Guo et al., 2017), with its 95% "
        "interval over seeds; on few test images it is above zero even for a perfectly calibrated model."
    )
    if run.dataset.is_multi_label:
        text += (
            " Here a case is a label of an image, told to be there or not with a probability of 50% or more; "
            "the accuracy of this table is the share of labels that are told right."
        )
    return Section("calibration", "Calibration", [text], pictures.get("calibration", []), [table])


def _cost(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    table = tables.cost_table(run, sources)
    if not table.rows:
        return None
    note = (
        "★: on the Pareto front, no variant is as cheap and as accurate and better in one of the two. "
        "Multiply-adds: convolutions and Dense layers, one image in inference mode. Memory: the most that "
        "a trial's process held, TensorFlow and the images included, where the system tells."
    )
    return Section("cost", "What accuracy costs", (), pictures.get("cost", []), [table], [note])


def _noise(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    table = tables.noise_table(run, sources)
    if not table.rows:
        return None
    text = (
        f"The standard error of each variant's difference from {run.study.baseline} in test accuracy, in "
        "percentage points, in three parts: what shrinks with more seeds (the variance between models on "
        "all images that could be drawn: Jordan, 2023, arXiv:2304.01910), what shrinks with more test "
        "images, and what shrinks with either. The last column is a second look, image by image: the seeds "
        "whose pair of models McNemar's exact test tells apart, not corrected for their number."
    )
    return Section("noise", "What the noise is made of", [text], pictures.get("seed_noise", []), [table])


def _pairing(run: Run, pictures: Pictures, sources: Sources) -> Section:
    hashes, gain = tables.pairing_table(run), tables.pairing_gain_table(run, sources)
    text = f"{pairing_verdict(run.pairing)} "
    if hashes:
        text += (
            "Each row of the first table is a seed: a hash of the order in which its trials saw the training "
            "images, and for each variant a hash of the initial weights of the layers that it shares with "
            f"{run.study.baseline}. A check mark says that the baseline's are the same; otherwise they stand "
            "beside it."
        )
    else:
        text += f"The hashes are in {code('pairing.csv')}."
    note = (
        "What pairing gained, on test accuracy: the correlation of a variant's trials with the baseline's, "
        "and the share by which the variance of their difference is smaller than for unrelated trials. 50% "
        "is worth twice the seeds; below zero, pairing has cost. Known from three pairs on."
    )
    shown = [table for table in (hashes, gain) if table and table.rows]
    return Section("pairing", "Are the trials pairs?", [text], (), shown, [note] if gain.rows else [])


def _variance_shift(run: Run, pictures: Pictures, sources: Sources) -> Section | None:
    if run.variance_shift.empty:
        return None
    text = (
        "For the BatchNorm layer behind each named layer, the variance of its input in training mode over "
        "that in inference mode, a mean over the seeds. At 1 its moving variance is the one that it meets "
        "at inference. Dropout in front of a layer lifts the ratio, and the layer then normalises test "
        "images by a variance that they do not have, which is why Dropout and BatchNorm can disagree (Li "
        "et al., 2018, arXiv:1801.05134)."
    )
    table = tables.variance_shift_table(run, sources)
    shown = pictures.get("variance_shift", [])
    return Section("variance-shift", "What dropout does to BatchNorm", [text], shown, [table])


def _measured(run: Run, pictures: Pictures, sources: Sources) -> Section:
    several = run.dataset.is_multi_label
    split = "at random" if several else "by class"
    text = [
        "Every variant was trained with the same seeds. Within a seed, the layers that two variants share "
        "start from the same weights, and all variants see the same batches in the same order, so their "
        "difference is "
        "the variant's and not the draw's.",
        "After each epoch, training accuracy is measured on a fixed part of the training images as large "
        "as the validation set, and validation accuracy on the validation images, both in inference mode: "
        "without dropout, and with BatchNorm's moving statistics. The accuracy that Keras logs during an "
        "epoch is a running mean in training mode, so a gap computed from it is the sum of three parts: "
        "the running mean's lag behind a model that improves, the bias of measuring with dropout active, "
        "and the true gap. "
        f"{code('history.csv')} has all of them for every epoch; only the true gap is called the gap here.",
        f"The validation images were split from the training images {split}, the same for every seed. The "
        "test images were read once a trial, at its end.",
    ]
    if several:
        text.append(
            "An image has any number of labels, and each is told to be there where its probability is over "
            "0.5. An image is told right if all its labels are: accuracy is the share of such images, here "
            "and in every table and verdict. Further metrics of Keras's are over the labels of all images "
            "together."
        )
    flat = [variant.settings for variant in run.study.variants]
    shared = {k: v for k, v in flat[0].items() if all(k in other and other[k] == v for other in flat)}
    data = run.study.dataset.model_dump(mode="json", exclude_none=True, exclude={"path"})
    settings = {f"dataset {key}": value for key, value in data.items()} | shared
    settings["streams that follow the seed"] = run.study.vary
    settings |= {key: words for key, words in _LEFT_OPEN.items() if settings.get(key, key) is None}
    rows = [_pair(key.replace("_", " "), setting_text(value)) for key, value in settings.items()]
    return Section("measured", "How it was measured", text, tables=[Table(["Setting", "All variants"], rows)])


def _reproduce(run: Run, pictures: Pictures, sources: Sources) -> Section:
    text = [
        f"The whole study, settings resolved, is in {code('study.json')} beside this file; each trial's "
        f"settings and results are in {code('trials/')}, and all tables as CSV files. To train it again:",
        code("python -c \"import ablation; ablation.Run('.').study.run('again')\""),
        "and to check that every number of this report is what the trials say, and that no file was changed:",
        code("ablation verify ."),
        "On the same kind of processor, with the versions below, the numbers are the same to the last digit.",
    ]
    found: dict[str, list[str]] = {}
    for result in run.trial_results.values():
        for key, value in result.provenance.items():
            if value not in found.setdefault(key, []):
                found[key].append(value)
    rows = [_pair(key, " | ".join(values)) for key, values in found.items()]
    made = [Table(["Environment", "Of the trials"], rows)] if rows else []
    return Section("reproduce", "How to reproduce it", text, tables=made)


def _trials(run: Run, pictures: Pictures, sources: Sources) -> Section:
    rows = []
    for k, row in enumerate(run.results.to_dict("records")):
        accuracy = row["test_accuracy"]
        test = Cell("–" if accuracy != accuracy else f"{accuracy:.2%}", "", accuracy, (k,))
        fingerprint = run.store.fingerprint(run.trials[k]) or "–"
        about = plain(k, row["trial_id"], row["variant"], row["seed"], row["status"])
        rows.append([*about, test, Cell(fingerprint)])
    text = (
        "Numbers of the report refer to these trials. A fingerprint is a hash of all that a trial left "
        f"behind: {code('ablation verify')} compares it with the files."
    )
    headings = ["Trial", "Id", "Variant", "Seed", "Status", "Test accuracy", "Fingerprint"]
    return Section("trials", "The trials", [text], tables=[Table(headings, rows, sortable=True)], folded=True)


def _pair(name: str, value: str) -> list[Cell]:
    return [Cell(name, kind="row"), Cell(value)]


_SECTIONS = (
    _variants,
    _support,
    _effects,
    _overfitting,
    _classes,
    _confusion,
    _images,
    _calibration,
    _cost,
    _noise,
    _pairing,
    _variance_shift,
    _measured,
    _reproduce,
    _trials,
)
