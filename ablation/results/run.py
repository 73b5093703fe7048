"""A run: its study, its trials, and its tables as DataFrames."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablation.analysis.answers import Answers, study_answers
from ablation.analysis.calibration import calibration_errors, calibration_table
from ablation.analysis.completed_trials import comparable, completed_results
from ablation.analysis.confusion import (
    Counts,
    confusion_counts,
    confusion_differences,
    confusion_table,
    per_class_table,
)
from ablation.analysis.convergence import still_improving
from ablation.analysis.dose_response import dose_response_table
from ablation.analysis.failed_seeds import failed_seeds, failed_seeds_table
from ablation.analysis.pairing import pairing_table, recorded_initial_states
from ablation.analysis.questions import family_size
from ablation.analysis.ranking import ranking_table
from ablation.analysis.sample_size import seeds_table
from ablation.analysis.trial_tables import (
    cost_table,
    history_table,
    results_table,
    table_text,
    variance_shift_table,
)
from ablation.analysis.variance_components import mcnemar_table, noise_table
from ablation.data.arrays import most_frequent_share
from ablation.data.datasets import Dataset
from ablation.data.predictions import ByTrial, LabelsBySeed, Predictions
from ablation.errors import RunError
from ablation.grid.compare_settings import DEFAULT_MARGIN, CompareSettings
from ablation.grid.study import Study
from ablation.grid.trial import Trial, TrialResult
from ablation.results.declared_changes import changes_since
from ablation.results.other_models import other_models
from ablation.results.overview import newest_run
from ablation.results.tuning import Tuning
from ablation.store.restoring import maker_of
from ablation.store.run_folder import RUNS, Store, figures_folder

TABLES = (
    "results", "history", "comparisons", "effects", "dose_response", "ranking", "failed_seeds", "convergence",
    "noise", "mcnemar",
    "pairing", "variance_shift", "confusion", "confusion_differences", "per_class",
    "calibration", "calibration_error", "cost", "tuned", "proposals",
)  # fmt: skip

_PRIVATE_TABLES = ("predictions", "_all_predictions", "_counts", "_is_right", "_answers")


class Run:
    """A run folder, finished or not, and its tables as DataFrames.

    Args:
        folder: The run folder, as `run_study` wrote it.

    Raises:
        RunError: The folder is not a run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.store = Store(folder)
        self.folder = self.store.folder
        self.study, self._dataset_digest = self.store.study()
        self.trials = self.study.trials(self._dataset_digest)

    def with_study(self, study: Study, dataset_digest: str) -> Self:
        """Return the run as another version of its study sees it; nothing is written.

        Args:
            study: The study.
            dataset_digest: The digest of its dataset.
        """
        other = type(self)(self.folder)
        other.study, other._dataset_digest = study, dataset_digest
        other.trials = study.trials(dataset_digest)
        return other

    @classmethod
    def newest(cls, folder: str | Path = RUNS) -> Self:
        """Open the run in ``folder`` that was started last.

        Raises:
            RunError: There is no run.
        """
        return cls(newest_run(Path(folder)))

    @cached_property
    def dataset(self) -> Dataset:
        """The images that the study was trained, validated and tested on.

        Raises:
            RunError: The file that holds them is missing or damaged.
        """
        try:
            dataset = Dataset.load(self.store.dataset_file)
            if dataset.digest == self._dataset_digest:
                return dataset
        except (OSError, ValueError):
            pass
        raise RunError(
            f"{self.store.dataset_file} is missing or damaged; the same `{maker_of(self.folder)}` command "
            "restores it."
        )

    @cached_property
    def trial_results(self) -> dict[str, TrialResult]:
        """The results of the trials that have one, by trial id."""
        results = ((trial.id, self.store.result(trial)) for trial in self.trials)
        return {trial_id: result for trial_id, result in results if result is not None}

    @cached_property
    def results(self) -> pd.DataFrame:
        """One row per planned trial; the columns are described in ``ablation/docs/run-folder.md``.

        A trial of another model than the newest trials counts as failed; see `other_models`.
        """
        counted = self.trial_results | {
            trial_id: self.trial_results[trial_id].model_copy(update={"status": "failed", "cause": reason})
            for trial_id, reason in self.other_models.items()
        }
        return results_table(self.study, self.trials, counted)

    @cached_property
    def other_models(self) -> dict[str, str]:
        """Why trials are left out whose model is not that of the newest trials, by trial id."""
        return other_models(self.trials, self.trial_results, self.store.ended_at)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch."""
        return history_table(self.trials, self.trial_results)

    @property
    def compare(self) -> CompareSettings:
        """How variants are compared, as declared; for these test images only if the dataset is lost.

        If each seed has test images of its own, no image is compared over seeds: the variation over seeds
        contains that of test images, and intervals hold for other seeds.
        """
        declared = self.study.compare
        if self.has_dataset and not self.study.draws_test_images:
            return declared
        return declared.model_copy(update={"holds_for": ("seeds",)})

    @cached_property
    def has_dataset(self) -> bool:
        """Whether the images of the study are there, undamaged."""
        try:
            return bool(self.dataset)
        except RunError:
            return False

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row per comparison on the metric that the study declares: with the baseline first."""
        return self._answers.comparisons

    @property
    def baseline_comparisons(self) -> pd.DataFrame:
        """The comparisons with the baseline, one row per variant."""
        return self.comparisons[self.comparisons["baseline"] == self.study.baseline]

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per effect of the factors: main effects, interactions, simple effects, Shapley shares."""
        return self._answers.effects

    @cached_property
    def dose_response(self) -> pd.DataFrame:
        """One row per dose of each factor with three or more numeric levels, with what its curve supports."""
        return dose_response_table(self.results, self.study, self.compare)

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """One row per variant: its possible ranks; empty unless all variants are compared with each other."""
        is_asked = self.compare.against == "all" and self.compare.questions != "effects"
        results = self.results if is_asked else self.results.iloc[:0]
        return ranking_table(results, self.comparisons, self.compare)

    @cached_property
    def _answers(self) -> Answers:
        if completed_results(self.results).empty:
            return study_answers(self.results, self.study, self.compare)
        correct = self.all_right if self.compare.includes_images else None
        is_improving = self.convergence["improving"] & (self.convergence["epochs"] > 1)
        improving = self.convergence.loc[is_improving, "variant"]
        failed = self.results.iloc[:0]
        if self.has_dataset:
            failed = self.results[failed_seeds(self.results, self.chance_level, len(self.dataset.test))]
        pairs = set(zip(failed["variant"], failed["seed"], strict=True))
        return study_answers(self.results, self.study, self.compare, correct, pairs, set(improving))

    @cached_property
    def failed_seeds(self) -> pd.DataFrame:
        """One row per variant: how many of its seeds diverged or collapsed, compared with the baseline."""
        images = len(self.dataset.test)
        return failed_seeds_table(self.results, self.study.baseline, self.chance_level, images)

    @cached_property
    def convergence(self) -> pd.DataFrame:
        """One row per variant: whether it was still improving when training ended."""
        completed = completed_results(self.results)
        planned = {variant.name: variant.training.epochs for variant in self.study.variants}
        early = completed[completed["epochs"] < completed["variant"].map(planned)]
        of_completed = self.history.merge(completed[["variant", "seed"]], on=["variant", "seed"])
        margin = self.study.compare.margin if self.study.compare.in_points else DEFAULT_MARGIN
        return still_improving(of_completed, margin, set(zip(early["variant"], early["seed"], strict=True)))

    @cached_property
    def test_labels(self) -> LabelsBySeed:
        """The labels of each seed's test images."""
        of_seeds = {trial.seed: trial.randomness for trial in self.trials}
        return {seed: self.dataset.test_labels_of(randomness) for seed, randomness in of_seeds.items()}

    @cached_property
    def chance_level(self) -> float:
        """The test accuracy of always predicting the most frequent class; of several seeds, the highest.

        If seeds draw their own test images by class, their shares of it hardly differ.
        """
        return max(most_frequent_share(labels) for labels in self.test_labels.values())

    @cached_property
    def noise(self) -> pd.DataFrame:
        """The variance components, seeds and images, of each variant and its difference from the baseline.

        It is empty if each seed has test images of its own: seeds and images are then not crossed.
        """
        level = self.compare.alpha
        if self.compare.correction == "holm":
            level /= family_size(self.study)
        crossed = {} if self.study.draws_test_images else self._is_right
        return noise_table(crossed, self.study.baseline, self.compare.includes_images, level)

    @cached_property
    def mcnemar(self) -> pd.DataFrame:
        """One row per pair of trials: McNemar's test of variant against baseline, image by image."""
        return mcnemar_table(self._is_right, self.study.baseline)

    @property
    def seeds_needed(self) -> pd.DataFrame:
        """One row per declared question: the seeds needed to detect a difference of the margin."""
        correct = self.all_right if self.compare.includes_images else None
        return seeds_table(self.results, self.study, correct)

    @property
    def changes(self) -> list[str] | None:
        """What was changed since the first trial, one line per setting; None if that is not known."""
        return changes_since(self.store.declared(), self.study, self._dataset_digest)

    @cached_property
    def pairing(self) -> pd.DataFrame:
        """One row per trial: its initial state, compared with that of the baseline with the same seed."""
        return pairing_table(self.trials, recorded_initial_states(self.trial_results), self.study.baseline)

    @cached_property
    def variance_shift(self) -> pd.DataFrame:
        """One row per trial and BatchNorm layer: how dropout shifts the variance of the layer's input."""
        return variance_shift_table(self.trials, self.trial_results)

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """One row per variant, true class and predicted class; empty if an image has several labels."""
        return confusion_table(self._counts, self.dataset.class_names)

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """One row per variant and class: the accuracy, and its difference from the baseline."""
        return per_class_table(
            self.predictions, self.test_labels, self.study.baseline, self.dataset.class_names
        )

    @cached_property
    def confusion_differences(self) -> pd.DataFrame:
        """One row per variant and pair of classes: how much more often than the baseline it confuses them."""
        return confusion_differences(self._counts, self.study.baseline, self.dataset.class_names)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """One row per variant and bin of confidence: how often predictions of this confidence are correct."""
        return calibration_table(self.predictions, self.test_labels)

    @cached_property
    def calibration_error(self) -> pd.DataFrame:
        """One row per trial: its mean confidence, its accuracy and its expected calibration error."""
        return calibration_errors(self.predictions, self.test_labels)

    @cached_property
    def cost(self) -> pd.DataFrame:
        """One row per variant: its parameters, multiply-adds, seconds, memory and test accuracy."""
        counted = {
            trial.variant: result.multiply_adds or 0
            for trial in self.trials
            if (result := self.trial_results.get(trial.id)) and result.is_completed
        }
        return cost_table(self.results, self.study, self.dataset, counted)

    @cached_property
    def tuning(self) -> Tuning:
        """The searches and the comparisons of the tuned variants, if the study tunes them."""
        return Tuning(self, type(self))

    @property
    def tuned(self) -> pd.DataFrame:
        """One row per variant and budget: as given, and tuned; empty unless the study tunes its variants."""
        return self.tuning.table

    @property
    def proposals(self) -> pd.DataFrame:
        """One row per proposal of the searches that tune the variants."""
        return self.tuning.proposals

    @cached_property
    def predictions(self) -> ByTrial:
        """The predictions for the test images, by variant and seed, of the trials that are `comparable`."""
        chosen = comparable(self.results, self.study.baseline)
        by_variant: dict[str, dict[int, Predictions]] = {}
        for variant, seed in zip(chosen["variant"], chosen["seed"], strict=True):
            if (predictions := self._all_predictions.get((variant, seed))) is not None:
                by_variant.setdefault(variant, {})[seed] = predictions
        return by_variant

    @cached_property
    def _all_predictions(self) -> dict[tuple[str, int], Predictions]:
        """The predictions of all completed trials, by variant and seed."""
        found = {}
        for trial in self.completed_trials:
            probabilities = self.store.test_probabilities(trial)
            if probabilities is not None and len(probabilities) == len(self.dataset.test):
                found[trial.variant, trial.seed] = Predictions.of(probabilities, self.dataset.is_multi_label)
        return found

    @cached_property
    def _counts(self) -> Counts:
        return confusion_counts(self.predictions, self.test_labels, len(self.dataset.class_names))

    @property
    def all_right(self) -> dict[str, dict[int, NDArray[np.bool_]]]:
        """Whether each test image was classified correctly, for all completed trials; see `_is_right`."""
        right: dict[str, dict[int, NDArray[np.bool_]]] = {}
        for (variant, seed), predictions in self._all_predictions.items():
            right.setdefault(variant, {})[seed] = predictions.right(self.test_labels[seed])
        return right

    @cached_property
    def _is_right(self) -> dict[str, dict[int, NDArray[np.bool_]]]:
        """Whether each test image was classified correctly, by variant and seed, each of shape (images,)."""
        labels = self.test_labels
        return {
            variant: {seed: predictions.right(labels[seed]) for seed, predictions in trials.items()}
            for variant, trials in self.predictions.items()
        }

    @property
    def completed_trials(self) -> list[Trial]:
        """The trials that completed, in the order of the plan."""
        completed_ids = set(completed_results(self.results)["trial_id"])
        return [trial for trial in self.trials if trial.id in completed_ids]

    @property
    def figures_folder(self) -> Path:
        """The folder for the run's figures; see `ablation.store.run_folder.figures_folder`."""
        return figures_folder(self.folder)

    @property
    def is_reported(self) -> bool:
        """Whether report and figures exist, and are at least as new as the study and its trials."""
        written = [self.folder / "report.html"]
        if self.completed_trials:  # else there is nothing to draw
            written.append(self.figures_folder / "captions.md")
        changed = self.store.changed_at(self.trials)
        return all(file.is_file() and file.stat().st_mtime_ns >= changed for file in written)

    def refresh(self) -> None:
        """Forget what was read of the trials, so that it is read again on next use."""
        for name in ("trial_results", "other_models", "tuning", *_PRIVATE_TABLES, *TABLES):
            self.__dict__.pop(name, None)

    def table_text(self, name: str) -> str:
        """Return one of `TABLES` as CSV text."""
        return table_text(getattr(self, name))

    def __repr__(self) -> str:
        counts = self.results["status"].value_counts()
        return f"Run('{self.folder}'): " + ", ".join(f"{n} {status}" for status, n in counts.items())
