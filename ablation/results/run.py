"""What is known of a run: its study, its trials, and its tables as DataFrames."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.calibration import calibration_errors, calibration_table
from ablation.analysis.confusion import (
    Counts,
    confusion_counts,
    confusion_differences,
    confusion_table,
    per_class_table,
)
from ablation.analysis.effects import effects_table
from ablation.analysis.intervals import comparable, completed, paired_comparisons
from ablation.analysis.pairing import pairing_table, recorded_initial_states
from ablation.analysis.sample_size import seeds_table
from ablation.analysis.trial_tables import (
    cost_table,
    history_table,
    results_table,
    table_text,
    variance_shift_table,
)
from ablation.analysis.variance_components import mcnemar_table, noise_table
from ablation.data.datasets import Dataset
from ablation.data.predictions import ByTrial, Predictions
from ablation.errors import RunError
from ablation.grid.compare_settings import CompareSettings
from ablation.grid.study_diff import study_changes
from ablation.grid.trial import Trial, TrialResult
from ablation.store.run_folder import RUNS, Store, figures_folder, runs_below

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
    def newest(cls, folder: str | Path = RUNS) -> Self:
        """Open the run that was started last.

        Raises:
            RunError: There is none.
        """
        for run_folder in runs_below(Path(folder)):
            return cls(run_folder)
        raise RunError(
            f"there is no run in {folder}; start one with `ablation run --grid FILE`, or name a run folder."
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
        results = ((trial.id, self.store.result(trial)) for trial in self.trials)
        return {trial_id: result for trial_id, result in results if result is not None}

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row a planned trial; the columns are described in the README."""
        return results_table(self.study, self.trials, self.trial_results)

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row an epoch."""
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
        return paired_comparisons(self.results, self.study.baseline, self.compare)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """A row an effect of the factors: main effects, interactions, simple effects, Shapley shares."""
        return effects_table(self.results, self.study, self.compare)

    @cached_property
    def noise(self) -> pd.DataFrame:
        """A row a variant, and one its difference from the baseline: the noise of seeds and of images."""
        return noise_table(self._is_right, self.study.baseline)

    @cached_property
    def mcnemar(self) -> pd.DataFrame:
        """A row a pair of trials: McNemar's test of variant against baseline, image by image."""
        return mcnemar_table(self._is_right, self.study.baseline)

    @property
    def seeds_needed(self) -> pd.DataFrame:
        """A row a variant: how many seeds would tell a difference of the margin, taking this for a pilot."""
        return seeds_table(self.results, self.study.baseline, self.study.compare)

    @property
    def changes(self) -> list[str] | None:
        """What was changed since the first trial, a line a setting; None where that is not known."""
        declared = self.store.declared()
        if not declared:
            return None
        lines = study_changes(declared[0], self.study)
        if declared[1] != self._dataset_digest and not any(line.startswith("dataset.") for line in lines):
            lines.append("dataset: its images, their labels or their order have changed")
        return lines

    @cached_property
    def pairing(self) -> pd.DataFrame:
        """A row a trial: what its training started from, beside the baseline's with the same seed."""
        return pairing_table(self.trials, recorded_initial_states(self.trial_results), self.study.baseline)

    @cached_property
    def variance_shift(self) -> pd.DataFrame:
        """A row a BatchNorm layer and trial: how dropout shifts the variance of the layer's input."""
        return variance_shift_table(self.trials, self.trial_results)

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """A row a variant, true class and predicted class; none where an image has several labels."""
        return confusion_table(self._counts, self.dataset.class_names)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row a variant and class: its accuracy, and its difference from the baseline's."""
        return per_class_table(
            self.predictions, self.dataset.test.labels, self.study.baseline, self.dataset.class_names
        )

    @cached_property
    def confusion_differences(self) -> pd.DataFrame:
        """A row a variant and pair of classes: how much oftener than the baseline it mixes them up."""
        return confusion_differences(self._counts, self.study.baseline, self.dataset.class_names)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """A row a variant and bin of confidence: how often what is told with it is right."""
        return calibration_table(self.predictions, self.dataset.test.labels)

    @cached_property
    def calibration_error(self) -> pd.DataFrame:
        """A row a trial: its mean confidence, its accuracy, and its expected calibration error."""
        return calibration_errors(self.predictions, self.dataset.test.labels)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """A row a variant: its parameters, multiply-adds, seconds and memory, and its test accuracy."""
        counted = {
            trial.variant: result.multiply_adds or 0
            for trial in self.trials
            if (result := self.trial_results.get(trial.id)) and result.is_completed
        }
        return cost_table(self.results, self.study, self.dataset, counted)

    @cached_property
    def predictions(self) -> ByTrial:
        """By variant and seed, what is told of each test image; the trials are `comparable` ones."""
        chosen = set(comparable(self.results)["trial_id"])
        by_variant: dict[str, dict[int, Predictions]] = {}
        for trial in self.trials:
            if trial.id in chosen and (probabilities := self.store.test_probabilities(trial)) is not None:
                predictions = Predictions.of(probabilities, self.dataset.is_multi_label)
                by_variant.setdefault(trial.variant, {})[trial.seed] = predictions
        return by_variant

    @cached_property
    def _counts(self) -> Counts:
        dataset = self.dataset
        return confusion_counts(self.predictions, dataset.test.labels, len(dataset.class_names))

    @property
    def _is_right(self) -> dict[str, dict[int, NDArray[np.bool_]]]:
        """By variant and seed, whether each test image was told right."""
        labels = self.dataset.test.labels
        return {
            variant: {seed: predictions.right(labels) for seed, predictions in trials.items()}
            for variant, trials in self.predictions.items()
        }

    @property
    def completed_trials(self) -> list[Trial]:
        """The trials that ended well, in the order of the plan."""
        completed_ids = set(completed(self.results)["trial_id"])
        return [trial for trial in self.trials if trial.id in completed_ids]

    @property
    def figures_folder(self) -> Path:
        """``figures/<study>`` beside ``experiments/`` for a run in its usual place, else in the folder."""
        return figures_folder(self.folder)

    @property
    def is_reported(self) -> bool:
        """Whether report and figures are there, and younger than all that they tell of."""
        written = [self.folder / "report.html"]
        if self.completed_trials:  # else there is nothing to draw
            written.append(self.figures_folder / "captions.md")
        changed = self.store.changed_at(self.trials)
        return all(file.is_file() and file.stat().st_mtime_ns >= changed for file in written)

    def refresh(self) -> None:
        """Forget what was read of the trials, so that it is read again when it is next asked for."""
        for name in ("trial_results", "predictions", "_counts", *TABLES):
            self.__dict__.pop(name, None)

    def table_text(self, name: str) -> str:
        """Return one of `TABLES` as CSV text."""
        return table_text(getattr(self, name))

    def __repr__(self) -> str:
        counts = self.results["status"].value_counts()
        return f"Run('{self.folder}'): " + ", ".join(f"{n} {status}" for status, n in counts.items())
