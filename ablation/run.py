"""A run folder, finished or not, as an object: its tables, figures and report."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ablation.comparison import CompareSettings
from ablation.datasets import Dataset
from ablation.errors import RunError, writing
from ablation.predictions import ByTrial, Predictions
from ablation.store import RUNS, Store, runs_below
from ablation.trial import Trial, TrialResult

if TYPE_CHECKING:
    import pandas as pd

    from ablation.figures import Picture
    from ablation.mistakes import Counts
    from ablation.report import Verification

TABLES = (
    "results", "history", "comparisons", "effects", "noise", "mcnemar",
    "pairing", "variance_shift", "confusion", "confusion_differences", "per_class",
    "calibration", "calibration_error", "cost",
)  # fmt: skip


class Run:
    """A run folder, finished or not, and its tables as DataFrames.

    Args:
        folder: The run folder, as `run_study` made it.

    Raises:
        RunError: The folder is no run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.store = Store(folder)
        self.folder = self.store.folder
        self.study, self._dataset_digest = self.store.study()
        self.trials = self.study.trials(self._dataset_digest)

    @classmethod
    def newest(cls, folder: str | Path = RUNS) -> Run:
        """Open the run that was started last.

        Raises:
            RunError: There is none.
        """
        for found in runs_below(Path(folder)):
            return cls(found)
        raise RunError(
            f"there is no run in {folder}; make one by `ablation run --grid FILE`, or name a folder."
        )

    @cached_property
    def dataset(self) -> Dataset:
        """The images that the study was trained, validated and tested on.

        Raises:
            RunError: The file that holds them is missing or is not what was written.
        """
        try:
            dataset = Dataset.load(self.store.dataset_file)
            if dataset.digest == self._dataset_digest:
                return dataset
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            pass
        raise RunError(
            f"{self.store.dataset_file} is missing or damaged; the same `ablation run` command restores it."
        )

    @cached_property
    def trial_results(self) -> dict[str, TrialResult]:
        """What is known of each trial, by its id."""
        found = ((trial.id, self.store.result(trial)) for trial in self.trials)
        return {trial_id: result for trial_id, result in found if result is not None}

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row a planned trial; the columns are described in the README."""
        from ablation.tables import results_table

        return results_table(self.study, self.trials, self.trial_results)

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row an epoch."""
        from ablation.tables import history_table

        return history_table(self.trials, self.trial_results)

    @property
    def compare(self) -> CompareSettings:
        """How variants are compared: as declared, or, while trials of them are pending, under looking.

        A verdict on a part of the seeds is a look ahead, so it must be one that holds however many follow.
        """
        declared = self.study.compare
        begun = self.results.groupby("variant")["status"].transform(lambda s: (s != "pending").any())
        unfinished = (self.results["status"] == "pending") & begun
        return declared.model_copy(update={"looks": "any"}) if unfinished.any() else declared

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """A row a variant, compared with the baseline on the metric that the study declares."""
        from ablation.statistics import paired_comparisons

        return paired_comparisons(self.results, self.study.baseline, self.compare)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """A row an effect of the factors: main effects, interactions, simple effects, Shapley shares."""
        from ablation.effects import effects_table

        return effects_table(self.results, self.study, self.compare)

    @cached_property
    def noise(self) -> pd.DataFrame:
        """A row a variant, and one its difference from the baseline: the noise of seeds and of images."""
        from ablation.noise import noise_table

        return noise_table(self._right, self.study.baseline)

    @cached_property
    def mcnemar(self) -> pd.DataFrame:
        """A row a pair of trials: McNemar's test of variant against baseline, image by image."""
        from ablation.noise import mcnemar_table

        return mcnemar_table(self._right, self.study.baseline)

    @property
    def seeds_needed(self) -> pd.DataFrame:
        """A row a variant: how many seeds would tell a difference of the margin, taking this for a pilot."""
        from ablation.power import seeds_table

        return seeds_table(self)

    @property
    def changes(self) -> list[str] | None:
        """What was changed since the first trial, a line a setting; None where that is not known."""
        from ablation.registration import changes

        declared = self.store.declared()
        if not declared:
            return None
        lines = changes(declared[0], self.study)
        if declared[1] != self._dataset_digest and not any(line.startswith("dataset.") for line in lines):
            lines.append("dataset: its images, or their labels or order, are others")
        return lines

    @cached_property
    def pairing(self) -> pd.DataFrame:
        """A row a trial: what its training started from, beside the baseline's with the same seed."""
        from ablation.pairing import pairing_table, recorded_starts

        return pairing_table(self.trials, recorded_starts(self.trial_results), self.study.baseline)

    def audit(self) -> pd.DataFrame:
        """Return `pairing` with the trials that are not trained yet: their models are built to look at."""
        from ablation.pairing import audit

        return audit(self)

    @cached_property
    def variance_shift(self) -> pd.DataFrame:
        """A row a BatchNorm layer and trial: how dropout shifts the variance of the layer's input."""
        from ablation.tables import variance_shift_table

        return variance_shift_table(self.trials, self.trial_results)

    @property
    def notes(self) -> list[str]:
        """What to know before believing the numbers, a sentence or two each."""
        from ablation.diagnostics import observed_notes, planned_notes

        return [*observed_notes(self), *planned_notes(self.study, self.dataset)]

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """A row a variant, true class and predicted class; none where an image has several labels."""
        from ablation.mistakes import confusion_table

        return confusion_table(self._counts, self.dataset.class_names)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row a variant and class: its accuracy, and its difference from the baseline's."""
        from ablation.mistakes import per_class_table

        return per_class_table(
            self.predictions, self.dataset.test.labels, self.study.baseline, self.dataset.class_names
        )

    @cached_property
    def confusion_differences(self) -> pd.DataFrame:
        """A row a variant and pair of classes: how much oftener than the baseline it mixes them up."""
        from ablation.mistakes import confusion_differences

        return confusion_differences(self._counts, self.study.baseline, self.dataset.class_names)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """A row a variant and bin of confidence: how often what is told with it is right."""
        from ablation.calibration import calibration_table

        return calibration_table(self.predictions, self.dataset.test.labels)

    @cached_property
    def calibration_error(self) -> pd.DataFrame:
        """A row a trial: its mean confidence, its accuracy, and its expected calibration error."""
        from ablation.calibration import calibration_errors

        return calibration_errors(self.predictions, self.dataset.test.labels)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """A row a variant: its parameters, multiply-adds, seconds and memory, and its test accuracy."""
        from ablation.tables import cost_table

        counted = {
            trial.variant: found.multiply_adds or 0
            for trial in self.trials
            if (found := self.trial_results.get(trial.id)) and found.status == "completed"
        }
        return cost_table(self.results, self.study, self.dataset, counted)

    @cached_property
    def predictions(self) -> ByTrial:
        """By variant and seed, what is told of each test image; the trials are `comparable` ones."""
        from ablation.statistics import comparable

        chosen = set(comparable(self.results)["trial_id"])
        found: dict[str, dict[int, Predictions]] = {}
        for trial in self.trials:
            if trial.id in chosen and (p := self.store.test_probabilities(trial)) is not None:
                predictions = Predictions.of(p, self.dataset.is_multi_label)
                found.setdefault(trial.variant, {})[trial.seed] = predictions
        return found

    @cached_property
    def _counts(self) -> Counts:
        from ablation.mistakes import confusion_counts

        dataset = self.dataset
        return confusion_counts(self.predictions, dataset.test.labels, len(dataset.class_names))

    @property
    def _right(self) -> dict[str, dict[int, NDArray[np.bool_]]]:
        """By variant and seed, whether each test image was told right."""
        labels = self.dataset.test.labels
        return {
            variant: {seed: found.right(labels) for seed, found in trials.items()}
            for variant, trials in self.predictions.items()
        }

    @property
    def completed_trials(self) -> list[Trial]:
        """The trials that ended well, in the order of the plan."""
        completed = set(self.results.loc[self.results["status"] == "completed", "trial_id"])
        return [trial for trial in self.trials if trial.id in completed]

    @property
    def figures_folder(self) -> Path:
        """``figures/<study>`` beside ``experiments/`` for a run in its usual place, else in the folder."""
        folder = self.folder.absolute()
        if folder.parent.name == RUNS.name and folder.parent.parent.name == RUNS.parent.name:
            root = self.folder.parent.parent.parent if len(self.folder.parts) > 2 else folder.parents[2]
            return root / "figures" / folder.name
        return self.folder / "figures"

    @property
    def is_reported(self) -> bool:
        """Whether report and figures are there, and younger than all that they tell of."""
        written = [self.folder / "report.html"]
        if self.completed_trials:  # else there is nothing to draw
            written.append(self.figures_folder / "captions.md")
        changed = self.store.changed_at(self.trials)
        return all(file.is_file() and file.stat().st_mtime_ns >= changed for file in written)

    def write_tables(self) -> None:
        """Write every table as a CSV file of its name, ``results.csv`` and the others, anew.

        Where pyarrow is installed, results and history are written as Parquet, too.
        """
        from ablation.export.parquet import has_parquet, write_parquet

        for cached in ("trial_results", "predictions", "_counts", *TABLES):
            self.__dict__.pop(cached, None)
        for name in TABLES:
            self.store.write_text(f"{name}.csv", self.table_text(name))
        if has_parquet():
            write_parquet(self)

    def table_text(self, name: str) -> str:
        """Return one of `TABLES` as CSV text."""
        from ablation.tables import table_text

        return table_text(getattr(self, name))

    def draw_figures(self, only: Sequence[str] = (), folder: str | Path | None = None) -> list[Picture]:
        """Draw the figures as PNG and SVG.

        Args:
            only: The names of the figures to draw; by default all.
            folder: Where to, by default `figures_folder`.

        Raises:
            RunError: A name is not a figure's, or no trial is completed.
        """
        from ablation.figures import draw_figures

        target = Path(folder) if folder else self.figures_folder
        with writing(target):
            return draw_figures(self, only, target)

    def figure(self, name: str) -> Picture:
        """Draw one figure, the first of its name; a notebook shows it.

        Raises:
            RunError: As for `draw_figures`.
        """
        return self.draw_figures([name])[0]

    def __repr__(self) -> str:
        counts = self.results["status"].value_counts()
        return f"Run('{self.folder}'): " + ", ".join(f"{n} {status}" for status, n in counts.items())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: each variant's accuracies, and the verdicts."""
        from ablation.summary import summary_html

        return summary_html(self)

    def write_report(self, pictures: Sequence[Picture] | None = None) -> Path:
        """Write ``report.html``, ``report.md`` and ``report.tex``; return the first one's path.

        Args:
            pictures: What `draw_figures` returned; by default the figures are drawn.
        """
        from ablation.report import write_report

        if pictures is None:
            pictures = self.draw_figures() if self.completed_trials else []
        return write_report(self, pictures)

    def write_side_by_side(self, other: Run) -> Path:
        """Write a page that puts another run beside this one into this run's folder; return its path.

        Raises:
            RunError: No trial of one of the runs is completed.
        """
        from ablation.report import write_side_by_side

        with tempfile.TemporaryDirectory() as folder:
            pictures = self.draw_figures(folder=Path(folder, "first"))
            return write_side_by_side(self, other, pictures, Path(folder, "second"))

    def export(self, *formats: str, tracking_uri: str | None = None) -> list[str]:
        """Write the run for other tools; return where each was written.

        Again, it brings up to date what was written before, and nothing stands twice.

        Args:
            formats: One or more of ``tensorboard``, ``mlflow`` and ``parquet``.
            tracking_uri: Where MLflow keeps its runs; by default what ``MLFLOW_TRACKING_URI`` says, or else
                MLflow's own default.

        Raises:
            RunError: A format is not known, its package is not installed, or it cannot be written.
        """
        from ablation.export import export_run

        return export_run(self, formats, tracking_uri)

    def verify(self, report: str | Path | None = None) -> Verification:
        """Recompute tables, figures and reports, and compare them with the files.

        Args:
            report: A report.html to compare, wherever it lies; by default every report and table of the run.

        Raises:
            RunError: There is no report.
        """
        from ablation.report import verify_run

        return verify_run(self, Path(report) if report else None)
