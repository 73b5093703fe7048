"""Losses, optimizers, schedules, metrics, callbacks and augmentation by Keras's names, or the user's own."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ablation import Study
from ablation.errors import GridError
from ablation.grid.settings import Component, metric_name
from ablation.grid.study_diff import changed_settings, study_changes, study_digest
from ablation.grid.trial import Trial
from ablation.search.ablate import changed_settings as searched_changes
from ablation.search.settings import Search

PARTS = """
    import keras

    class Cutout(keras.layers.Layer):
        def __init__(self, size=2, **options):
            super().__init__(**options)
            self.size = size

        def call(self, images):
            return images

    class Noisy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    def balanced(y_true, y_pred, weight=1.0):
        return weight * (y_true.argmax(1) == y_pred.argmax(1)).mean()

    def halve(epoch, rate):
        return rate / 2

    number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts.py").write_text(textwrap.dedent(PARTS))
    return tmp_path


def study_of(folder: Path, text: str) -> Study:
    (folder / "grid.yaml").write_text(f"study: s\n{text}\n")
    return Study.from_yaml(folder / "grid.yaml")


def test_every_part_of_training_has_one_notation(folder: Path) -> None:
    study = study_of(
        folder,
        """
training:
  loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
  optimizer: {SGD: {momentum: 0.9, nesterov: true}}
  learning_rate: {CosineDecay: {initial_learning_rate: 0.01, decay_steps: 20}}
  metrics: [f1_score, "parts:balanced", {TopKCategoricalAccuracy: {k: 3, name: top_3}}]
  callbacks: [{ReduceLROnPlateau: {patience: 2}}, {LearningRateScheduler: {schedule: "parts:halve"}}]
model: {augmentation: [flip, {RandomBrightness: {factor: 0.1}}, {"parts:Cutout": {size: 3}}]}
""",
    )
    training, augmentation = study.variants[0].training, study.variants[0].model.augmentation
    said = [str(p) for p in (training.loss, training.optimizer, training.learning_rate, *training.metrics)]
    assert said == [
        "CategoricalCrossentropy(label_smoothing=0.1)", "SGD(momentum=0.9, nesterov=true)",
        "CosineDecay(initial_learning_rate=0.01, decay_steps=20)",
        "F1Score", "parts:balanced", "TopKCategoricalAccuracy(k=3, name=top_3)",
    ]  # fmt: skip
    assert [metric_name(metric) for metric in training.metrics] == ["f1_score", "balanced", "top_3"]
    assert [str(part) for part in augmentation] == [
        "flip", "RandomBrightness(value_range=[0, 1], factor=0.1)", "parts:Cutout(size=3)",
    ]  # fmt: skip
    scheduler = training.callbacks[1]
    assert scheduler.source == augmentation[2].source != ""  # the schedule's file counts, too
    assert Study.model_validate_json(study.model_dump_json(), strict=True) == study
    trial = study.trials("0")[0]
    assert Trial.model_validate_json(trial.model_dump_json()) == trial
    assert study.with_overrides(seeds=[7]).variants == study.variants


def test_a_name_that_stands_for_itself_stays_one_in_any_spelling(folder: Path) -> None:
    plain = study_of(folder, "training: {optimizer: adam, loss: kl_divergence, metrics: [auc]}")
    spelled = study_of(folder, "training: {optimizer: {Adam: {}}, loss: KLDivergence, metrics: [AUC]}")
    assert spelled == plain
    assert study_of(folder, "training: {loss: mse}").variants[0].training.loss == "mean_squared_error"
    assert study_of(folder, "training: {loss: mae}").variants[0].training.loss == Component(
        name="MeanAbsoluteError"
    )


def test_the_users_file_is_part_of_the_id_and_where_it_lies_is_not(folder: Path, tmp_path: Path) -> None:
    text = 'model: {augmentation: ["parts:Cutout"]}'
    first = study_of(folder, text)
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "parts.py").write_text((folder / "parts.py").read_text())
    second = study_of(moved, text)
    assert second.variants[0] != first.variants[0]
    assert second.trials("0")[0].id == first.trials("0")[0].id
    assert study_digest(second) == study_digest(first)
    assert study_changes(first, second) == []
    (moved / "parts.py").write_text(textwrap.dedent(PARTS) + "\n# another version\n")
    changed = study_of(moved, text)
    assert changed.trials("0")[0].id != first.trials("0")[0].id
    assert len(study_changes(first, changed)) == 1


def test_parts_are_factors_and_variants_with_readable_labels(folder: Path) -> None:
    study = study_of(
        folder,
        """
factors:
  optimizer: [{SGD: {momentum: 0.9}}, adam]
  augmentation: {none: [], cutout: [flip, "parts:Cutout"]}
variants: {huber: {loss: {Huber: {delta: 0.5}}}}
""",
    )
    assert [v.name for v in study.variants] == [
        "plain", "optimizer=adam", "optimizer=SGD(momentum=0.9) +augmentation",
        "optimizer=adam +augmentation", "huber",
    ]  # fmt: skip
    assert study.factors["optimizer"] == ("SGD(momentum=0.9)", "adam")
    plain, adam, cutout, _, huber = study.variants
    assert changed_settings(plain, adam) == "optimizer = SGD(momentum=0.9)"
    assert changed_settings(cutout, plain) == "augmentation = flip, parts:Cutout"
    assert changed_settings(huber, plain) == "loss = Huber(delta=0.5)"
    assert huber.levels == {"optimizer": "SGD(momentum=0.9)", "augmentation": "none"}


def test_parts_are_choices_of_a_search(folder: Path) -> None:
    text = "search: {space: {optimizer: [adam, {SGD: {momentum: 0.9}}], metrics: [[], [f1_score]]}}"
    (folder / "grid.yaml").write_text(f"study: s\n{text}\n")
    search = Search.from_yaml(folder / "grid.yaml")
    choices = search.settings.space["optimizer"].choice
    assert choices is not None
    found = search.variant("found", {"optimizer": choices[1]})
    assert str(found.training.optimizer) == "SGD(momentum=0.9)"
    assert found.levels == {"optimizer": "SGD(momentum=0.9)"}
    without, with_ = searched_changes(search.baseline, found)["optimizer"]
    again = study_of(folder, f"factors: {{optimizer: {{a: {without}, b: {with_}}}}}".replace("'", '"'))
    assert again.variants[1].training == found.training  # as `--then-ablate` writes it


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("training: {loss: hubber}", "training.loss", "hubber is not a valid value. Did you mean 'Huber'?"),
        ("training: {optimizer: {SGD: {momentun: 0.9}}}", "training.optimizer",
         "SGD has no argument 'momentun'. Did you mean 'momentum'?"),
        ("training: {optimizer: {SGD: {momentum: 9}}}", "training.optimizer",
         "SGD cannot be created with these arguments (ValueError: `momentum` must be a float between [0, 1].)."),
        ("training: {optimizer: {SGD: {learning_rate: 1}}}", "training.optimizer",
         "SGD takes its learning rate from training.learning_rate; set it there."),
        ("training: {optimizer: {LossScaleOptimizer: {inner_optimizer: sgd}}}", "training.optimizer",
         "LossScaleOptimizer wraps another optimizer; name that one, and set `precision: mixed_float16`, which scales "
         "its loss."),
        ("training: {optimizer: [adam]}", "training.optimizer",
         'expected a name, or a mapping of one name to its arguments, like {SGD: {momentum: 0.9}}, not ["adam"].'),
        ("training: {learning_rate: CosineDecai}", "training.learning_rate",
         "CosineDecai is not a valid value. Did you mean 'CosineDecay'?"),
        ("training: {metrics: [sparse_categorical_accuracy]}", "value 1 of training.metrics",
         "SparseCategoricalAccuracy expects integer labels, but labels are one-hot here; use the name without Sparse."),
        ("training: {loss: {SparseCategoricalCrossentropy: {ignore_class: 0}}}", "training.loss",
         "SparseCategoricalCrossentropy: `ignore_class` is not supported, as labels are one-hot; remove it."),
        ("training: {loss: {CategoricalCrossentropy: {from_logits: true}}}", "training.loss",
         "CategoricalCrossentropy would expect logits, but a model outputs probabilities here; remove `from_logits`."),
        ("training: {metrics: [auc, {AUC: {curve: PR}}]}", "training.metrics",
         "two metrics are named 'auc'; give one of them another `name`."),
        ("training: {metrics: [accuracy]}", "value 1 of training.metrics",
         "Accuracy compares probabilities with labels for equality; accuracy is always measured, so remove it."),
        ("training: {metrics: [acc]}", "value 1 of training.metrics",
         "Accuracy compares probabilities with labels for equality; accuracy is always measured, so remove it."),
        ("training: {metrics: [auc]}\nsearch: {space: {depth: [1, 2]}, objective: val_acc}", "search.objective",
         "'val_acc' is not measured on the validation images of every proposal. Did you mean 'val_accuracy'?"),
        ("training: {metrics: [{CategoricalAccuracy: {name: accuracy}}]}", "training.metrics",
         "accuracy is always measured; give the additional metric another `name`."),
        ("training: {metrics: [{F1Score: {name: val_loss}}]}", "training.metrics",
         "'val_loss' would be mistaken for a measure of the validation images, which every metric has; give the metric a "
         "`name` that does not begin with val_."),
        ('training: {metrics: ["parts:balancd"]}', "value 1 of training.metrics",
         "'parts' has no metric 'balancd'; expected module:object. Did you mean 'balanced'?"),
        ('training: {metrics: [{"parts:balanced": {wait: 2}}]}', "value 1 of training.metrics",
         "parts:balanced has no argument 'wait'. Did you mean 'weight'?"),
        ("training: {callbacks: [{ReduceLROnPlateau: {patince: 3}}]}", "value 1 of training.callbacks",
         "ReduceLROnPlateau has no argument 'patince'. Did you mean 'patience'?"),
        ("training: {metrics: [{AUC: {curv: PR}}]}", "value 1 of training.metrics",
         "AUC has no argument 'curv'. Did you mean 'curve'?"),
        ("model: {augmentation: [{RandomZoom: {height_facto: 0.1}}]}", "value 1 of model.augmentation",
         "RandomZoom has no argument 'height_facto'. Did you mean 'height_factor'?"),
        ("training: {learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_step: 2}}}",
         "training.learning_rate", "CosineDecay has no argument 'decay_step'. Did you mean 'decay_steps'?"),
        ("training: {learning_rate: '1,0e-3'}", "training.learning_rate",
         "expected a number, not 1,0e-3. Write 1.0e-3, with a decimal point."),
        ("training: {callbacks: [{CSVLogger: {filename: /tmp/log.csv}}]}", "value 1 of training.callbacks",
         "CSVLogger would write '/tmp/log.csv' in all trials; give a path inside its trial's folder, like log.csv."),
        ("training: {callbacks: [{CSVLogger: {filename: ../log.csv}}]}", "value 1 of training.callbacks",
         "CSVLogger would write '../log.csv' in all trials; give a path inside its trial's folder, like log.csv."),
        ('training: {callbacks: ["parts:Cutout"]}', "value 1 of training.callbacks",
         "parts:Cutout creates a Cutout; expected a Keras callback."),
        ('training: {callbacks: ["parts:Noisy"]}', "value 1 of training.callbacks",
         "parts:Noisy overrides on_train_batch_end, which is never called: the steps of an epoch are compiled, "
         "and callbacks are called only at the beginning and the end of training, of each epoch, and of the measurements after it."),
        ('training: {loss: "./parts.py:focal"}', "training.loss",
         "'./parts.py:focal' contains the path of a file. Name the module as Python imports it, 'parts:focal'."),
        ('training: {loss: "parts:"}', "training.loss", "'parts:' is not of the form module:object."),
        ("model: {augmentation: [flipp]}", "value 1 of model.augmentation",
         "flipp is not a valid value. Did you mean 'flip'?"),
        ("model: {augmentation: [MixUp]}", "value 1 of model.augmentation",
         "MixUp also mixes labels, but augmentation may only change images."),
        ("model: {augmentation: [{RandomZoom: {height_factor: 0.1, seed: 3}}]}", "value 1 of model.augmentation",
         "RandomZoom is named and seeded by the harness, so that variants are paired; remove `seed`."),
        ("factors: {loss: [mse, hubber]}", "value 2 of factors.loss",
         "hubber is not a valid value. Did you mean 'Huber'?"),
        ("variants: {a: {metrics: [aug]}}", "value 1 of variants.a.metrics",
         "aug is not a valid value. Did you mean 'auc'?"),
        ("search: {space: {loss: [mse, hubber]}}", "value 2 of search.space.loss",
         "hubber is not a valid value. Did you mean 'Huber'?"),
        ("training: {metrics: [f1_score]}\ncompare: {metric: test_f1score}", "compare.metric",
         "there is no metric 'test_f1score'. Did you mean 'test_f1_score'?"),
        ('training: {metrics: ["parts:balanced"]}\ncompare: {metric: test_balanced}', "compare",
         "test_balanced has no default margin; set `margin`, the smallest difference that matters."),
        ('training: {metrics: ["parts:balanced"]}\ncompare: {metric: test_balanced, margin: 2}', "compare",
         "the name of test_balanced does not say which values are better; set `direction: higher` or "
         "`direction: lower`."),
        ("training: {metrics: [{MeanSquaredError: {name: mse}}]}\ncompare: {metric: val_mse, margin: 2}", "compare",
         "the name of val_mse does not say which values are better; set `direction: higher` or `direction: lower`."),
        ("compare: {margin: 5}", "compare.margin",
         "a margin of 5 is larger than any difference in test_accuracy, which lies between 0 and 1; for 5 "
         "percentage points, write 5pp."),
        ("training: {metrics: [auc]}\ncompare: {metric: val_auc, margin: 1}", "compare.margin",
         "a margin of 1 is larger than any difference in val_auc, which lies between 0 and 1; for 1 percentage "
         "points, write 1pp."),
        ("training: {early_stopping: {monitor: val_accuracy, min_delta: 1}}", "training.early_stopping",
         "a min_delta of 1 is larger than any improvement of val_accuracy, which lies between 0 and 1."),
        ("compare: {direction: lower}", "compare.direction",
         "higher values of test_accuracy are always better; remove `direction`."),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_used_is_told_with_its_place(
    text: str, key: str, message: str, folder: Path
) -> None:
    (folder / "grid.yaml").write_text(f"study: s\n{text}\n")
    read = Search if "search:" in text else Study
    with pytest.raises(GridError) as caught:
        read.from_yaml(folder / "grid.yaml")
    line = 1 + len(text.splitlines())
    last = text.splitlines()[-1]
    assert str(caught.value) == f"{folder / 'grid.yaml'}, line {line}, {key}: {message}\n    {line} | {last}"


def test_a_metrics_direction_and_unit_are_known_by_name_or_given(folder: Path) -> None:
    def compare(metric: str, rest: str) -> tuple[bool, bool]:
        metrics = '[f1_score, mean_absolute_error, "parts:balanced"]'
        text = f"training: {{metrics: {metrics}}}\ncompare: {{metric: {metric}{rest}}}"
        found = study_of(folder, text).compare
        return found.in_points, found.higher_is_better

    assert compare("test_f1_score", "") == (True, True)
    assert compare("val_f1_score", ", direction: higher") == (True, True)
    assert compare("val_mean_absolute_error", ", margin: 0.01") == (False, False)
    assert compare("val_mean_absolute_error", ", margin: 0.01, direction: lower") == (False, False)
    assert compare("test_balanced", ", margin: 0.01, direction: higher") == (False, True)
    assert compare("test_balanced", ", margin: 0.01, direction: lower") == (False, False)
