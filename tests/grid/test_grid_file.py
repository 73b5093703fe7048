"""A grid file becomes a study, or one clear error; nothing in between."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablation import Study
from ablation.errors import AblationError, GridError
from ablation.grid.grid_file import GridFile
from ablation.grid.key_places import STUDY_KEYS
from ablation.grid.study import parse_seeds

OWN = "the digits come with scikit-learn and cannot be read from a path; a dataset of your own is named npz, folder or csv."

# Wrong lines after `study: s`, each in a line of its own, and the whole message with the key.
MISTAKES = [
    (
        "variants: {a: {training: {epochs: 3}}}",
        "variants.a.training: 'training' is a section, not a setting. Write its settings here without it, for example "
        "`epochs: 3`.",
    ),
    (
        "factors: {model: {dropout: [0, 0.2]}}",
        "factors.model: 'model' is a section, not a setting. Write its settings here without it, for example `dropout: "
        "[0, 0.2]`.",
    ),
    (
        "factors: {normalise: [unit, standard]}",
        "factors.normalise: 'normalise' belongs to the dataset, which is the same for all variants. Set it under "
        "`dataset:`, and run one study per value to compare several.",
    ),
    (
        "variants: {a: {dataset.image_size: 8}}",
        "variants.a.dataset.image_size: 'image_size' belongs to the dataset, which is the same for all variants. Set it "
        "under `dataset:`, and run one study per value to compare several.",
    ),
    (
        "factors: {dataset.label_noise: [0, 0.1]}",
        "factors.dataset.label_noise: the dataset is the same for all variants; to vary 'label_noise', write `label_noise` "
        "alone.",
    ),
    (
        "factors: {seeds: [1, 2]}",
        "factors.seeds: 'seeds' is the same for all variants; it belongs to no section. Write it without indentation.",
    ),
    (
        "factors: {metric: [a, b]}",
        "factors.metric: 'metric' is the same for all variants. It belongs under `compare:`.",
    ),
    ("epochs: 3", "epochs: unknown key 'epochs'. It belongs under `training:`."),
    ("train_size: 3", "train_size: unknown key 'train_size'. It belongs under `training:` or `dataset:`."),
    ("model: {epochs: 2}", "model.epochs: unknown key 'epochs'. It belongs under `training:`."),
    ("dataset: {dropout: 0.2}", "dataset.dropout: unknown key 'dropout'. It belongs under `model:`."),
    (
        "training: {seeds: 2}",
        "training.seeds: unknown key 'seeds'. It belongs to no section; write it without indentation.",
    ),
    (
        "training:\nepochs: 3",
        "training: expected a mapping, not null. Nothing is indented below this key. Indent the keys that belong to it, or "
        "remove it.",
    ),
    (
        "dataset:\nname: digits",
        "dataset: expected a mapping, not null. Nothing is indented below this key. Indent the keys that belong to it, or "
        "remove it.",
    ),
    ("dataset: digits", "dataset: expected a mapping, not digits. Write `{name: digits}`."),
    (
        "dataset: {path: my.npz}",
        "dataset: a path needs a name that says what it contains; write `name: npz` beside it.",
    ),
    (
        "dataset: {path: pictures}",
        "dataset: a path needs a name that says what it contains; write `name: folder` beside it.",
    ),
    ('dataset: {name: folder, path: ""}', "dataset.path: expected text, and this text is empty."),
    (
        "dataset: {name: folder, path: p, image_size: [32]}",
        "dataset.image_size: expected at least 2 values, not [32].",
    ),
    (
        "dataset: {name: folder, path: p, image_size: [32, 32, 3]}",
        "dataset.image_size: expected at most 2 values, not [32, 32, 3].",
    ),
    (
        "dataset: {test_size: 20%}",
        "dataset.test_size: expected a number, not 20%. Write 0.2, without a percent sign.",
    ),
    (
        'training: {epochs: "3"}',
        'training.epochs: expected a whole number, not "3". Write 3, without quotation marks.',
    ),
    (
        'training: {learning_rate: "1e-3"}',
        'training.learning_rate: expected a number, not "1e-3". Write 1e-3, without quotation marks.',
    ),
    (
        "training: {epochs: [3, 5]}",
        "training.epochs: expected a whole number, not [3, 5]. To compare several values, list them under `factors:` as "
        "`epochs`.",
    ),
    (
        "training: {optimizer: [adam, sgd]}",
        "training.optimizer: expected a name, or a mapping of one name to its arguments, like {SGD: {momentum: 0.9}}, not "
        '["adam", "sgd"]. To compare several values, list them under `factors:` as `optimizer`.',
    ),
    ("training: {callbacks: EarlyStopping}", "training.callbacks: expected a list, not EarlyStopping."),
    (
        "training: {early_stopping: None}",
        "training.early_stopping: expected a mapping, not None. To set nothing, remove the key.",
    ),
    ("model: {batch_norm: yes}", "model.batch_norm: expected true or false, not yes. Write true."),
    (
        'model: {batch_norm: "false"}',
        'model.batch_norm: expected true or false, not "false". Write false, without quotation marks.',
    ),
    ("save_models: off", "save_models: expected true, false or raw, not off. Write false."),
    ("save_models: normalised", "save_models: expected true, false or raw, not normalised."),
    (
        "factors: {family: [cnn, dense], blocks: [[[2]], [[3]]]}",
        "value 1 of factors.blocks: a dense model has no setting 'blocks'. Valid names: activation, augmentation, "
        "batch_norm, batch_norm_after, batch_norm_momentum, dense, depth, dropout, dropout_after, family, order, width.",
    ),
    ("question: 3", 'question: expected text, not 3. Write "3", in quotation marks.'),
    ("seeds: 1000000", "seeds: expected at most 10,000 values, not 1000000."),
    (
        'seeds: "3"',
        'seeds: expected a number of seeds, like 5, or a list of seeds, like [0, 1, 7], not "3". Write 3, without '
        "quotation marks.",
    ),
    (
        "factors: {dropout: [0, 0.2], model.dropout: [0.3, 0.5]}",
        "factors.model.dropout: 'dropout' and 'model.dropout' are one setting; remove one of them.",
    ),
    (
        "variants: {a: {training.epochs: 2, epochs: 3}}",
        "variants.a.epochs: 'training.epochs' and 'epochs' are one setting; remove one of them.",
    ),
    (
        "factors: {augmentation: [null, [flip]]}",
        "value 1 of factors.augmentation: expected a list, like [], not null.",
    ),
    ("model: {dropout: .nan}", "model.dropout: expected a finite number, not NaN."),
    (
        'model: {builder: "my.py:build"}',
        "model.builder: 'my.py:build' contains the path of a file. Name the module as Python imports it, 'my:build'.",
    ),
    ("compare: test_loss", "compare: expected a mapping, not test_loss. Write `{metric: test_loss}`."),
    (
        "training: {precision: bfloat16}",
        "training.precision: bfloat16 would round the weights, too, and lose the small updates of training. Write "
        "mixed_bfloat16, which computes in bfloat16 and keeps the weights in float32.",
    ),
    (
        "factors: {precision: [float32, fp16]}",
        "value 2 of factors.precision: float16 would round the weights, too, and lose the small updates of training. Write "
        "mixed_float16, which computes in float16 and keeps the weights in float32.",
    ),
    (
        "training: {precision: mixed-bfloat16}",
        "training.precision: mixed-bfloat16 is not a valid value. Did you mean 'mixed_bfloat16'?",
    ),
]

WriteGrid = Callable[[str], Path]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def names(study: Study) -> list[str]:
    return [variant.name for variant in study.variants]


def test_a_name_is_all_a_grid_needs(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("study: small"))
    assert names(study) == ["plain"]
    assert study.baseline == "plain"
    assert study.seeds == (0, 1, 2, 3, 4)
    assert study.dataset.name == "digits"


def test_two_switches_give_plain_each_and_both(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(
        write_grid("""
        study: notebook
        factors:
          dropout: [0, 0.2]
          batch_norm: [false, true]
        """)
    )
    assert names(study) == ["plain", "+Dropout", "+BatchNorm", "+both"]
    both = study.variants[3]
    assert (both.model.dropout, both.model.batch_norm) == (0.2, True)
    assert both.levels == {"dropout": "0.2", "batch_norm": "true"}


def test_an_empty_list_is_a_switch_that_is_off(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(
        write_grid("""
        study: augmented
        factors:
          dropout: [0, 0.2]
          augmentation: {none: [], flipped: [flip]}
        """)
    )
    assert names(study) == ["plain", "+Dropout", "+augmentation", "+both"]
    assert study.variants[2].levels["augmentation"] == "flipped"


def test_any_setting_can_be_a_factor_with_labelled_levels(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(
        write_grid("""
        study: many
        factors:
          training.learning_rate: [1e-3, 1e-2]
          blocks: {shallow: [[8]], deep: [[8, 8], [16]]}
          early_stopping: [null, {patience: 3}]
        """)
    )
    assert names(study) == [
        "plain",
        "learning_rate=0.01 blocks=shallow",
        "learning_rate=0.001 blocks=deep",
        "learning_rate=0.01 blocks=deep",
        "learning_rate=0.001 blocks=shallow +early_stopping",
        "learning_rate=0.01 blocks=shallow +early_stopping",
        "learning_rate=0.001 blocks=deep +early_stopping",
        "learning_rate=0.01 blocks=deep +early_stopping",
    ]
    last = study.variants[-1]
    assert last.training.learning_rate == 0.01
    assert last.model.blocks == ((8, 8), (16,))
    assert last.training.early_stopping is not None
    assert last.training.early_stopping.patience == 3


def test_a_factor_of_three_levels_names_them(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("{study: rates, factors: {dropout: [0, 0.2, 0.5]}}"))
    assert names(study) == ["plain", "+Dropout 0.2", "+Dropout 0.5"]


def test_named_variants_change_the_plain_one(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(
        write_grid("""
        study: named
        model: {width: 0.5}
        factors: {dropout: [0, 0.2]}
        variants:
          wider: {width: 2}
          wider, dropped: {width: 2, dropout: 0.2}
          perceptron: {family: dense, dense: [16]}
        baseline: wider
        """)
    )
    wider, dropped, perceptron = study.variants[2:]
    assert (wider.model.width, wider.model.dropout, wider.levels) == (2, 0, {"dropout": "0"})
    assert (dropped.model.width, dropped.model.dropout, dropped.crossed) == (2, 0.2, False)
    assert (perceptron.model.family, perceptron.model.width) == ("dense", 0.5)


def test_the_streams_that_vary_and_the_timeout_reach_the_trials(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("{study: s, vary: [order, init], timeout: 60}"))
    assert study.timeout == 60
    assert {trial.vary for trial in study.trials("0")} == {("init", "order")}
    assert study.trials("0")[0].id != Study.from_yaml(write_grid("study: s")).trials("0")[0].id
    named = Study.from_yaml(write_grid("{study: s, vary: [augmentation, dropout, order, init]}"))
    assert named.trials("0") == Study.from_yaml(write_grid("study: s")).trials(
        "0"
    )  # the default: all that training draws from


def test_the_split_follows_the_seed_only_if_it_is_named(write_grid: WriteGrid) -> None:
    text = "{study: s, vary: [split, augmentation, dropout, order, init]}"
    study = Study.from_yaml(write_grid(text))
    assert study.vary == ("init", "order", "dropout", "augmentation", "split")
    assert Study.from_yaml(write_grid("study: s")).vary == study.vary[:-1]
    assert Study.from_yaml(write_grid("{study: s, vary: [split]}")).vary == ("split",)
    assert Study.model_validate_json(study.model_dump_json(), strict=True) == study


def test_test_images_follow_the_seed_only_if_they_are_named(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("{study: s, vary: [test, split, init]}"))
    assert study.vary == ("init", "split", "test")
    assert study.draws_test_images
    assert not Study.from_yaml(write_grid("{study: s, vary: [split]}")).draws_test_images
    assert Study.model_validate_json(study.model_dump_json(), strict=True) == study


def test_a_study_survives_json(tiny_study: Study) -> None:
    assert Study.model_validate_json(tiny_study.model_dump_json(), strict=True) == tiny_study


def test_paths_are_relative_to_the_grid_file(write_grid: WriteGrid, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images.npz").touch()
    study = Study.from_yaml(write_grid("{study: own, dataset: {name: npz, path: data/images.npz}}"))
    assert study.dataset.path == str(tmp_path / "data" / "images.npz")


@pytest.mark.parametrize("grid", ["grid.yaml", "cifar10.yaml", "cifar10-small.yaml"])
def test_the_grids_that_come_along_are_valid(grid: str) -> None:
    assert names(Study.from_yaml(EXPERIMENTS / grid))[:4] == ["plain", "+Dropout", "+BatchNorm", "+both"]


def test_the_study_of_precisions_crosses_them_with_dropout_and_batch_norm() -> None:
    study = Study.from_yaml(EXPERIMENTS / "precision.yaml")
    in_float32, in_bfloat16 = study.variants[:4], study.variants[4:]
    assert names(study)[0] == "plain"
    for one, other in zip(in_float32, in_bfloat16, strict=True):
        assert one.model == other.model
        assert (one.training.precision, other.training.precision) == ("float32", "mixed_bfloat16")


# Each wrong grid, and the whole message that its author reads.
WRONG = {
    "unknown key": (
        """
        study: s
        factor: {dropout: [0, 0.2]}
        """,
        "FILE, line 3, factor: unknown key 'factor'. Did you mean 'factors'?\n"
        "    3 | factor: {dropout: [0, 0.2]}",
    ),
    "missing key": (
        "seeds: 3",
        "FILE, line 1: the key 'study' is missing.\n    1 | seeds: 3",
    ),
    "unknown key inside": (
        """
        study: s
        dataset:
          name: digits
          train-size: 5
        """,
        "FILE, line 5, dataset.train-size: unknown key 'train-size'. Did you mean 'train_size'?\n"
        "    5 | train-size: 5",
    ),
    "misspelled component": (
        """
        study: s
        factors:
          dropuot: [0, 0.2]
        """,
        "FILE, line 4, factors.dropuot: unknown setting 'dropuot'. Did you mean 'dropout'?\n"
        "    4 | dropuot: [0, 0.2]",
    ),
    "misspelled optimizer": (
        "{study: s, training: {optimizer: adamm}}",
        "FILE, line 1, training.optimizer: adamm is not a valid value. Did you mean 'adam'?\n"
        "    1 | {study: s, training: {optimizer: adamm}}",
    ),
    "misspelled in a variant": (
        """
        study: s
        variants:
          wider:
            widht: 2
        """,
        "FILE, line 5, variants.wider.widht: unknown setting 'widht'. Did you mean 'width'?\n"
        "    5 | widht: 2",
    ),
    "wrong family": (
        "{study: s, model: {family: cnm}}",
        "FILE, line 1, model.family: 'cnm' is not a model family. Did you mean 'cnn'?\n"
        "    1 | {study: s, model: {family: cnm}}",
    ),
    "a setting of another family": (
        "{study: s, model: {family: dense, blocks: [[8]]}}",
        "FILE, line 1, model.blocks: a dense model has no setting 'blocks'. Valid names: activation, "
        "augmentation, batch_norm, batch_norm_after, batch_norm_momentum, dense, depth, dropout, dropout_after, family, "
        "order, width.\n    1 | {study: s, model: {family: dense, blocks: [[8]]}}",
    ),
    "wrong type": (
        "{study: s, training: {epochs: many}}",
        "FILE, line 1, training.epochs: expected a whole number, not many.\n"
        "    1 | {study: s, training: {epochs: many}}",
    ),
    "true is no number": (
        "{study: s, training: {epochs: true}}",
        "FILE, line 1, training.epochs: expected a whole number, not true.\n"
        "    1 | {study: s, training: {epochs: true}}",
    ),
    "wrong level": (
        """
        study: s
        factors:
          dropout: [0, 1.5]
        """,
        "FILE, line 4, value 2 of factors.dropout: expected a value less than 1, not 1.5.\n    4 | dropout: [0, 1.5]",
    ),
    "deep inside": (
        "{study: s, model: {blocks: [[8], [16, wide]]}}",
        "FILE, line 1, value 2 of value 2 of model.blocks: expected a whole number, not wide.\n"
        "    1 | {study: s, model: {blocks: [[8], [16, wide]]}}",
    ),
    "half an image": (
        "{study: s, dataset: {validation_size: 30.5}}",
        "FILE, line 1, dataset.validation_size: expected a whole number of images, or a share below 1.\n"
        "    1 | {study: s, dataset: {validation_size: 30.5}}",
    ),
    "empty factor": (
        """
        study: s
        factors: {dropout: []}
        """,
        "FILE, line 3, factors.dropout: a factor needs at least two levels; this one has 0.\n"
        "    3 | factors: {dropout: []}",
    ),
    "factor of one": (
        "{study: s, factors: {dropout: [0.2]}}",
        "FILE, line 1, factors.dropout: a factor needs at least two levels; this one has 1.\n"
        "    1 | {study: s, factors: {dropout: [0.2]}}",
    ),
    "factor without levels": (
        "{study: s, factors: {dropout: 0.2}}",
        "FILE, line 1, factors.dropout: expected a list of levels, like [0, 0.2], or a mapping of labels to "
        "levels.\n    1 | {study: s, factors: {dropout: 0.2}}",
    ),
    "level twice": (
        "{study: s, factors: {dropout: [0.2, 0.2]}}",
        "FILE, line 1, value 2 of factors.dropout: duplicate level 0.2.\n"
        "    1 | {study: s, factors: {dropout: [0.2, 0.2]}}",
    ),
    "factor also fixed": (
        """
        study: s
        model: {dropout: 0.1}
        factors: {dropout: [0, 0.2]}
        """,
        "FILE, line 4, factors.dropout: 'dropout' is also set under `model:`; remove one of the two.\n"
        "    4 | factors: {dropout: [0, 0.2]}",
    ),
    "duplicate variant": (
        """
        study: s
        variants:
          wider: {width: 2}
          wider: {width: 3}
        """,
        'FILE, line 5: found duplicate key "wider".\n    5 |   wider: {width: 3}',
    ),
    "a variant named as a combination": (
        """
        study: s
        factors: {dropout: [0, 0.2]}
        variants:
          +Dropout: {width: 2}
        """,
        "FILE, line 5, variants.+Dropout: two variants are named '+Dropout'.\n    5 | +Dropout: {width: 2}",
    ),
    "a variant that changes nothing": (
        """
        study: s
        variants:
          wider: {width: 1}
        """,
        "FILE, line 4, variants.wider: 'wider' duplicates 'plain': all of their settings are the same.\n"
        "    4 | wider: {width: 1}",
    ),
    "a variant that changes only what is off": (
        """
        study: s
        variants:
          slow norm: {batch_norm_momentum: 0.5}
        """,
        "FILE, line 4, variants.slow norm: 'slow norm' duplicates 'plain': all of their settings are the same.\n"
        "    4 | slow norm: {batch_norm_momentum: 0.5}",
    ),
    "unknown baseline": (
        """
        study: s
        factors: {dropout: [0, 0.2]}
        baseline: +dropout
        """,
        "FILE, line 4, baseline: no variant is named '+dropout'. Did you mean '+Dropout'?\n"
        "    4 | baseline: +dropout",
    ),
    "no seeds": (
        "{study: s, seeds: []}",
        "FILE, line 1, seeds: expected at least 1 value, not [].\n    1 | {study: s, seeds: []}",
    ),
    "seed twice": (
        "{study: s, seeds: [1, 2, 1]}",
        "FILE, line 1, seeds: duplicate seed 1.\n    1 | {study: s, seeds: [1, 2, 1]}",
    ),
    "digits from a path": (
        "{study: s, dataset: {name: digits, path: x}}",
        "FILE, line 1, dataset: the digits come with scikit-learn and cannot be read from a path; a dataset of "
        "your own is named npz, folder or csv.\n"
        "    1 | {study: s, dataset: {name: digits, path: x}}",
    ),
    "empty file": ("", "FILE: the file is empty; it needs at least `study: NAME`."),
    "a list": (
        "- study",
        "FILE, line 1: expected a mapping of keys to values, like `study: NAME`.\n    1 | - study",
    ),
    "not YAML": ("study: [s", "FILE, line 1: the closing ']' is missing.\n    1 | study: [s"),
    "an empty file": ("", "FILE: the file is empty; it needs at least `study: NAME`."),
    "a stream that does not exist": (
        "{study: s, vary: [int]}",
        "FILE, line 1, value 1 of vary: int is not a valid value. Did you mean 'init'?\n    1 | {study: s, vary: [int]}",
    ),
    "a stream that is misspelled": (
        "{study: s, vary: [init, spilt]}",
        "FILE, line 1, value 2 of vary: spilt is not a valid value. Did you mean 'split'?\n"
        "    1 | {study: s, vary: [init, spilt]}",
    ),
    "no stream at all": (
        "{study: s, vary: []}",
        "FILE, line 1, vary: expected at least 1 value, not [].\n    1 | {study: s, vary: []}",
    ),
    "test images without a split": (
        "{study: s, vary: [init, test]}",
        "FILE, line 1, vary: test needs split, because a seed draws its test images together with its training "
        "and validation images; add split, or remove test.\n    1 | {study: s, vary: [init, test]}",
    ),
    "a stream that is no list": (
        "{study: s, vary: init}",
        "FILE, line 1, vary: expected a list, like [init], not init.\n    1 | {study: s, vary: init}",
    ),
    "seeds in words": (
        "{study: s, seeds: two}",
        "FILE, line 1, seeds: expected a number of seeds, like 5, or a list of seeds, like [0, 1, 7], not two.\n"
        "    1 | {study: s, seeds: two}",
    ),
    "the one key that is needed, misspelt": (
        "{studdy: s}",
        "FILE, line 1, studdy: unknown key 'studdy'. Did you mean 'study'?\n    1 | {studdy: s}",
    ),
    "the beginning of a metric's name": (
        "{study: s, training: {metrics: [f1]}}",
        "FILE, line 1, value 1 of training.metrics: f1 is not a valid value. Did you mean 'F1Score'?\n"
        "    1 | {study: s, training: {metrics: [f1]}}",
    ),
    "a timeout of nothing": (
        "{study: s, timeout: 0}",
        "FILE, line 1, timeout: expected a value greater than 0, not 0.\n    1 | {study: s, timeout: 0}",
    ),
    "an augmentation twice": (
        "{study: s, model: {augmentation: [flip, flip]}}",
        "FILE, line 1, model.augmentation: duplicate augmentation 'flip'.\n"
        "    1 | {study: s, model: {augmentation: [flip, flip]}}",
    ),
    "XLA where it has no deterministic gradient": (
        "{study: s, training: {jit_compile: true}}",
        "FILE, line 1, training.jit_compile: XLA cannot train this model: it has no deterministic max pooling, and "
        "does not support the augmentations shift and rotate. Remove `jit_compile`.\n"
        "    1 | {study: s, training: {jit_compile: true}}",
    ),
    "a metric that does not exist": (
        "{study: s, compare: {metric: test_acuracy}}",
        "FILE, line 1, compare.metric: there is no metric 'test_acuracy'. Did you mean 'test_accuracy'?\n"
        "    1 | {study: s, compare: {metric: test_acuracy}}",
    ),
    "a loss compared without a margin": (
        "{study: s, compare: {metric: test_loss}}",
        "FILE, line 1, compare: test_loss has no default margin; set `margin`, the smallest difference that matters.\n"
        "    1 | {study: s, compare: {metric: test_loss}}",
    ),
    "a margin in words": (
        "{study: s, compare: {margin: smallpp}}",
        "FILE, line 1, compare.margin: 'smallpp' is not a number of percentage points, like 0.5pp.\n"
        "    1 | {study: s, compare: {margin: smallpp}}",
    ),
    "ablate with one component": (
        "{study: s, ablate: add_one_in, factors: {dropout: [0, 0.2]}}",
        "FILE, line 1, ablate: `ablate` needs at least two components under `factors:`.\n"
        "    1 | {study: s, ablate: add_one_in, factors: {dropout: [0, 0.2]}}",
    ),
    "ablate with three levels": (
        "{study: s, ablate: add_one_in, factors: {dropout: [0, 0.2, 0.5], width: [1, 2]}}",
        "FILE, line 1, factors.dropout: `ablate` needs factors of two levels, without and with the component; this one has 3.\n"
        "    1 | {study: s, ablate: add_one_in, factors: {dropout: [0, 0.2, 0.5], width: [1, 2]}}",
    ),
    "ablate in an unknown direction": (
        "{study: s, ablate: leave_one_in}",
        "FILE, line 1, ablate: leave_one_in is not a valid value. Did you mean 'leave_one_out'?\n"
        "    1 | {study: s, ablate: leave_one_in}",
    ),
    "a hundred thousand threads": (
        "{study: s, threads: 100000}",
        "FILE, line 1, threads: expected a value less than or equal to 1024, not 100000.\n"
        "    1 | {study: s, threads: 100000}",
    ),
    "a timeout of three hundred years": (
        "{study: s, timeout: 1e10}",
        "FILE, line 1, timeout: expected a value less than or equal to 31536000, not 10000000000.0.\n"
        "    1 | {study: s, timeout: 1e10}",
    ),
    "a batch without end": (
        "{study: s, training: {batch_size: 100000000000}}",
        "FILE, line 1, training.batch_size: expected a value less than or equal to 1000000, not 100000000000.\n"
        "    1 | {study: s, training: {batch_size: 100000000000}}",
    ),
    "millions of cells": (
        "study: s\nfactors: {dropout: ["
        + ", ".join(f"0.{k:03}" for k in range(900))
        + "], width: ["
        + ", ".join(f"1.{k:03}" for k in range(900))
        + "]}",
        "FILE, line 2, factors: the grid has 810,000 combinations, and so more than 100,000 trials.",
    ),
    "an anchor in itself": ("study: &a [*a]", "FILE, line 1: an anchor contains itself."),
    "a python object": (
        "study: !!python/object/apply:os.system [ls]",
        "FILE, line 1: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'.\n    1 | study: !!python/object/apply:os.system [ls]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_grid_is_told_with_its_place(case: str, write_grid: WriteGrid) -> None:
    text, message = WRONG[case]
    file = write_grid(text)
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    said = str(error.value).replace(str(file), "FILE")
    assert (said if "\n" in message else said.partition("\n")[0]) == message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "grid.yaml")
    with pytest.raises(GridError) as error:
        Study.from_yaml(tmp_path / "grid.yaml")
    assert str(error.value) == f"{tmp_path / 'grid.yaml'}: expected a file, and not a pipe or a device."


@pytest.mark.parametrize(("lines", "message"), MISTAKES)
def test_a_common_mistake_is_told_with_its_remedy(lines: str, message: str, write_grid: WriteGrid) -> None:
    file = write_grid(f"study: s\n{lines}\n")
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert str(error.value) == f"{file}, line 2, {message}\n    2 | {lines.splitlines()[0]}"


def test_labels_that_differ_in_quotation_marks_alone_are_refused(write_grid: WriteGrid) -> None:
    """As text, which labels are, one of them would replace the other."""
    file = write_grid('study: s\nfactors:\n  dropout:\n    1: 0\n    "1": 0.2\n    2: 0.3\n')
    with pytest.raises(GridError) as error:
        Study.from_yaml(file)
    assert str(error.value) == f"{file}, line 5: the key '1' is also in line 4."


def test_a_study_needs_a_name_of_at_most_100_characters(write_grid: WriteGrid) -> None:
    for name, message in (
        ("''", "expected text, and this text is empty."),
        ("x" * 101, "expected at most 100 characters, not 101."),
    ):
        with pytest.raises(GridError) as error:
            Study.from_yaml(write_grid(f"study: {name}"))
        assert f", line 1, study: {message}\n" in str(error.value)


def test_every_key_of_a_grid_file_has_a_place() -> None:
    assert set(GridFile.model_fields) == STUDY_KEYS


def test_a_missing_or_binary_or_huge_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    with pytest.raises(GridError, match="the file cannot be read: no such file or directory"):
        Study.from_yaml(file)
    for content in (b"\xff\xfe\x00study", "study: s".encode("utf-16"), "study: \u00fc".encode("latin-1")):
        file.write_bytes(content)
        with pytest.raises(GridError, match="the file is not UTF-8 text"):
            Study.from_yaml(file)
    file.write_bytes(b"#" * 1_000_001)
    with pytest.raises(GridError, match="larger than 1 MB"):
        Study.from_yaml(file)


def test_anchors_cannot_unfold_without_end(write_grid: WriteGrid) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 9)]
    with pytest.raises(GridError, match="the file has more than 100,000 values, those of anchors expanded"):
        Study.from_yaml(write_grid("\n".join(lines)))


def test_overrides_are_checked_too(tiny_study: Study) -> None:
    assert tiny_study.with_overrides(seeds=[7, 8]).seeds == (7, 8)
    with pytest.raises(
        GridError, match="^--dataset: cifra10 is not a valid value. Did you mean 'cifar10'\\?$"
    ):
        tiny_study.with_overrides(dataset="cifra10")
    with pytest.raises(GridError, match="^--seeds: duplicate seed 3.$"):
        tiny_study.with_overrides(seeds=[3, 3])
    with pytest.raises(GridError, match="^--seeds: expected at most 10,000 values.$"):
        tiny_study.with_overrides(seeds=parse_seeds("1000000"))
    with pytest.raises(GridError, match="^--engine: jaxs is not a valid value. Did you mean 'jax'\\?$"):
        tiny_study.with_overrides(engine="jaxs")


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["adam", "cnn", "init", "flip", "../..", "<b>"]),
)
_KEYS = st.sampled_from(
    ["study", "dataset", "model", "training", "factors", "variants", "baseline", "seeds", "dropout", "epochs",
     "family", "blocks", "width", "name", "vary", "timeout", "augmentation", "x"]
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(values=st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_whatever_stands_in_a_grid_ends_in_a_study_or_an_error(values: object, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    file = tmp_path / "fuzzed.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(values, stream)
    _loads_or_explains(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_bytes_a_file_has_end_in_a_study_or_an_error(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "fuzzed.yaml"
    file.write_bytes(textwrap.dedent("study: s\n").encode() + content)
    _loads_or_explains(file)


_WORDS = [
    "[",
    "]",
    "{",
    "}",
    ":",
    "&a",
    "*a",
    "-",
    "|",
    "!!int",
    "null",
    "1e999",
    "study",
    "\n",
    "\t",
    "\x00",
    "🎉",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(_WORDS)), max_size=4))
def test_whatever_is_mistyped_in_a_valid_grid_ends_in_a_study_or_an_error(
    edits: list[tuple[float, int, str]], tmp_path: Path
) -> None:
    text = (EXPERIMENTS / "grid.yaml").read_text("utf-8")
    for at, removed, inserted in edits:
        place = int(at * len(text))
        text = text[:place] + inserted + text[place + removed :]
    file = tmp_path / "fuzzed.yaml"
    file.write_text(text, "utf-8")
    _loads_or_explains(file)


def _loads_or_explains(file: Path) -> None:
    try:
        study = Study.from_yaml(file)
    except AblationError as error:
        assert str(file) in str(error)
    else:
        assert study.baseline in names(study)


THREE_PARTS = "factors: {dropout: [0, 0.2], batch_norm: [false, true], width: [1, 2]}"


@pytest.mark.parametrize(
    ("ablate", "names", "baseline"),
    [
        ("leave_one_out", ["full", "-Dropout", "-BatchNorm", "-width=2"], "full"),
        ("add_one_in", ["plain", "+Dropout", "+BatchNorm", "width=2"], "plain"),
        (
            "[add_one_in, leave_one_out]",
            ["plain", "+Dropout", "+BatchNorm", "width=2", "full", "-Dropout", "-BatchNorm", "-width=2"],
            "plain",
        ),
    ],
)
def test_components_are_ablated_both_ways(
    ablate: str, names: list[str], baseline: str, write_grid: Callable[[str], Path]
) -> None:
    study = Study.from_yaml(write_grid(f"{{study: s, ablate: {ablate}, {THREE_PARTS}}}"))
    assert [variant.name for variant in study.variants] == names
    assert study.baseline == baseline
    by_name = {variant.name: variant.model for variant in study.variants}
    if "full" in names:
        without = by_name["-BatchNorm"]
        assert (without.dropout, without.batch_norm, without.width) == (0.2, False, 2)
    if "plain" in names:
        assert (by_name["width=2"].dropout, by_name["width=2"].width) == (0, 2)


def test_with_two_components_one_less_is_one_more(write_grid: Callable[[str], Path]) -> None:
    text = "{study: s, ablate: [add_one_in, leave_one_out], factors: {dropout: [0, 0.2], batch_norm: [false, true]}}"
    names = [variant.name for variant in Study.from_yaml(write_grid(text)).variants]
    assert names == ["plain", "+Dropout", "+BatchNorm", "full"]


def test_a_comparison_is_declared_in_the_grid(write_grid: Callable[[str], Path]) -> None:
    text = "{study: s, compare: {metric: gap_accuracy, margin: 1.5pp, alpha: 0.01, correction: none}}"
    compare = Study.from_yaml(write_grid(text)).compare
    assert (compare.metric, compare.margin, compare.alpha, compare.correction) == (
        "gap_accuracy", 0.015, 0.01, "none",
    )  # fmt: skip
    assert not compare.higher_is_better
    assert Study.from_yaml(write_grid("{study: s}")).compare.margin == 0.005


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [0, 1, 2]),
        (" 1 ", [0]),
        ("4-5", [4, 5]),
        ("0,1,7", [0, 1, 7]),
        ("5,", [5]),
        ("0, 3-4, 9", [0, 3, 4, 9]),
    ],
)
def test_seeds_are_a_number_a_range_or_a_list(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "0", "-3", "3-", "5-4", "a", "1.5", "0..4"])
def test_what_names_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(GridError) as caught:
        parse_seeds(text)
    assert str(caught.value) == (
        "--seeds: expected a number of seeds, like 5, a list, like 0,1,7 or 3-5, or one seed with a comma, like "
        f"'7,', not '{text}'."
    )


def test_too_many_seeds_do_not_fill_the_memory() -> None:
    assert len(parse_seeds("99999999999")) == 10_001


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data_dir": "x"}, f"--data-dir: {OWN}"),
        ({"dataset": "npz"}, "--dataset: a dataset named npz needs a path, the file to read."),
        (
            {"dataset": "digits", "data_dir": "x"},
            f"--dataset and --data-dir: {OWN}",
        ),
        (
            {"precision": "mixed_bfloat32"},
            "--precision: mixed_bfloat32 is not a valid value. Did you mean 'mixed_bfloat16'?",
        ),
        (
            {"precision": "bf16"},
            "--precision: bfloat16 would round the weights, too, and lose the small updates of training. Write "
            "mixed_bfloat16, which computes in bfloat16 and keeps the weights in float32.",
        ),
    ],
)
def test_an_override_that_does_not_fit_names_the_option(
    overrides: dict[str, str], message: str, write_grid: Callable[[str], Path]
) -> None:
    study = Study.from_yaml(write_grid("study: s"))
    with pytest.raises(GridError) as error:
        study.with_overrides(**overrides)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_a_precision_for_all_variants_makes_other_trials(tiny_study: Study) -> None:
    faster = tiny_study.with_overrides(precision="mixed_bfloat16", seeds=[3])
    assert {variant.training.precision for variant in faster.variants} == {"mixed_bfloat16"}
    assert names(faster) == names(tiny_study)
    before, after = ({t.id for t in study.trials("d")} for study in (tiny_study, faster))
    assert len(after) == 4
    assert not before & after
    assert tiny_study.with_overrides(precision="float32").trials("d") == tiny_study.trials("d")


def test_one_precision_for_all_is_refused_where_variants_compare_several(write_grid: WriteGrid) -> None:
    study = Study.from_yaml(write_grid("study: s\nfactors: {precision: [float32, mixed_bfloat16]}"))
    with pytest.raises(GridError) as error:
        study.with_overrides(precision="mixed_bfloat16")
    assert str(error.value) == (
        "--precision: the variants of this study compute in float32 and mixed_bfloat16, and one precision for all "
        "would leave nothing of that comparison. Leave out --precision."
    )
