"""A user's model, from a file or a function, taken apart by a grid: without a line of code."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from processes import in_this_process

from ablation import Run, Study, run_study
from ablation.data.datasets import Dataset
from ablation.errors import AblationError, DatasetError, GridError
from ablation.grid.grid_file import read_study
from ablation.grid.seeding import Randomness
from ablation.models.build import build_model
from ablation.report.sections import study_report
from ablation.store.model_layers import kept_accounts
from ablation.store.run_folder import Store
from ablation.training.trial_runner import run_trial
from ablation.workflow.check import check_study
from ablation.workflow.merge import merge_runs
from ablation.workflow.taking_apart import write_ablation

DATA = "dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}"
BUILT_IN = """
    study: built-in
    {data}
    model: {{blocks: {blocks}, dense: [8]}}
    training: {{epochs: 2, batch_size: 16}}
    factors: {{dropout: [0, 0.2], batch_norm: [false, true]}}
    seeds: 2
"""
Write = Callable[[str], Path]


def _study(folder: Path, text: str, name: str = "study.yaml") -> Study:
    file = folder / name
    file.write_text(textwrap.dedent(text), "utf-8")
    return read_study(file)


def _save(folder: Path, model: keras.Model, name: str = "own.keras") -> Path:
    model.save(folder / name)
    return folder / name


def _small() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(momentum=0.5, name="norm"),
            layers.Flatten(name="flat"),
            layers.Dense(8, activation="relu", name="dense"),
            layers.Dropout(0.2, name="drop"),
            layers.Dense(10, activation="softmax", name="out"),
        ]
    )


def _grid(folder: Path, ablate: str, model: str = "file: own.keras", name: str = "study.yaml") -> Study:
    text = f"study: own\n{DATA}\nmodel: {{{model}}}\ntraining: {{epochs: 1, batch_size: 16}}\n"
    return _study(folder, f"{text}ablate: {ablate}\nseeds: 2\n", name)


# --- The notebook's model -----------------------------------------------------------------------------------


def test_the_notebooks_model_as_a_file_gives_the_same_four_variants_by_one_command(tmp_path: Path) -> None:
    given = read_study(Path("experiments/cifar10-small.yaml"), needs_images=False)
    shape, both = (32, 32, 3), given.variants[-1].model
    _save(tmp_path, build_model(both, shape, 10, Randomness(3)), "notebook.keras")
    taken_apart = read_study(write_ablation(str(tmp_path / "notebook.keras"), tmp_path)[0])
    assert [v.name for v in taken_apart.variants] == [v.name for v in given.variants]
    assert taken_apart.baseline == given.baseline == "plain"
    for ours, theirs in zip(taken_apart.variants, given.variants, strict=True):
        mine = build_model(ours.model, shape, 10, Randomness(0))
        model = build_model(theirs.model, shape, 10, Randomness(0))
        assert [layer.name for layer in mine.layers] == [layer.name for layer in model.layers]
        for mine_value, value in zip(mine.variables, model.variables, strict=True):
            np.testing.assert_array_equal(mine_value, value)  # weights, and the states of random generators


def test_a_saved_model_trains_to_the_same_bits_as_the_one_that_it_was_made_of(
    tmp_path: Path, tiny_dataset: Dataset
) -> None:
    given = _study(tmp_path, BUILT_IN.format(data=DATA, blocks="[[4], [6]]"))
    _save(tmp_path, build_model(given.variants[-1].model, (8, 8, 1), 10, Randomness(3)))
    grid = _study(tmp_path, """
        study: own
        dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
        model: {file: own.keras}
        training: {epochs: 2, batch_size: 16}
        ablate: {remove: [Dropout, BatchNormalization], how: all}
        seeds: 2
    """, "own.yaml")  # fmt: skip
    pairs = zip(grid.trials(tiny_dataset.digest), given.trials(tiny_dataset.digest), strict=True)
    for number, (ours, theirs) in enumerate(pairs):
        if ours.seed or ours.variant not in ("plain", "+both"):  # the states of all are compared above
            continue
        for k in range(2):
            (tmp_path / f"{number}{k}").mkdir()
        assert (ours.variant, ours.seed) == (theirs.variant, theirs.seed)
        results = [
            run_trial(trial, tiny_dataset, tmp_path / f"{number}{k}")
            for k, trial in enumerate((ours, theirs))
        ]
        mine, other = ([{**h.model_dump(), "seconds": 0} for h in result.history] for result in results)
        assert mine == other
        assert results[0].metrics == results[1].metrics
        assert results[0].initial_weights == results[1].initial_weights


# --- What a file brings -------------------------------------------------------------------------------------


def test_trained_weights_are_not_used_and_frozen_layers_learn(tmp_path: Path) -> None:
    model = _small()
    model.get_layer("conv").trainable = False
    _save(tmp_path, model)
    study = _grid(tmp_path, "{remove: [Dropout]}")
    built = [build_model(study.variants[0].model, (8, 8, 1), 10, Randomness(seed)) for seed in (0, 0, 1)]
    kernels = [np.asarray(m.get_layer("conv").kernel) for m in (*built, model)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not any(np.array_equal(kernels[0], other) for other in kernels[2:])
    assert built[0].get_layer("conv").trainable


def test_weights_that_are_kept_are_fine_tuned_and_frozen_layers_stay_frozen(
    tmp_path: Path, tiny_dataset: Dataset
) -> None:
    model = _small()
    for name in ("conv", "norm"):
        model.get_layer(name).trainable = False
    model.get_layer("norm").moving_mean.assign([0.5, 0.1, 0.2, 0.3])
    _save(tmp_path, model)
    study = _grid(tmp_path, "{remove: [Dropout]}", "file: own.keras, weights: keep")
    for variant in study.variants:
        kept = build_model(variant.model, (8, 8, 1), 10, Randomness(1))
        for layer in kept.layers:
            for value, given in zip(layer.weights, model.get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(value, given)
    trial = study.model_copy(update={"save_models": True}).trials(tiny_dataset.digest)[0]
    (tmp_path / "t").mkdir()
    run_trial(trial, tiny_dataset, tmp_path / "t", save_model=True)
    trained = keras.saving.load_model(tmp_path / "t" / "model.keras")
    for name in ("conv", "norm"):
        for value, given in zip(trained.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(value, given)
    assert not np.array_equal(trained.get_layer("dense").kernel, model.get_layer("dense").kernel)


def test_seeds_and_precision_of_a_file_are_those_of_the_trial(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Flatten(name="flat"),
                layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(seed=1), name="dense"),
                layers.Dropout(0.5, seed=2, name="drop"),
                layers.Dense(10, "softmax", dtype="float32", name="out"),
            ]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    _save(tmp_path, model)
    study = _grid(tmp_path, "{remove: [Dropout]}")
    one, two = (build_model(study.variants[0].model, (8, 8, 1), 10, Randomness(seed)) for seed in (0, 1))
    assert one.get_layer("dense").compute_dtype == "float32"
    assert not np.array_equal(one.get_layer("dense").kernel, two.get_layer("dense").kernel)
    states = [np.asarray(m.get_layer("drop").seed_generator.state) for m in (one, two)]
    assert not np.array_equal(*states)
    half = study.variants[0].training.model_copy(update={"precision": "mixed_bfloat16"})
    mixed = build_model(study.variants[0].model, (8, 8, 1), 10, Randomness(0), training=half)
    assert mixed.get_layer("dense").compute_dtype == "bfloat16"
    assert mixed.get_layer("out").compute_dtype == "float32"


def test_an_h5_file_and_a_layer_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "my_layers.py").write_text(
        "import keras\nclass Scaled(keras.layers.Layer):\n    def call(self, x):\n        return 2 * x\n",
        "utf-8",
    )
    _save(tmp_path, _small(), "old.h5")
    assert len(_grid(tmp_path, "{remove: [Dropout]}", "file: old.h5").variants) == 2
    namespace: dict[str, type[keras.layers.Layer]] = {}
    exec((tmp_path / "my_layers.py").read_text("utf-8"), namespace)
    scaled = namespace["Scaled"](name="scaled")
    _save(
        tmp_path,
        keras.Sequential([keras.Input((8, 8, 1)), scaled, layers.Flatten(), layers.Dense(10, "softmax")]),
    )
    model = "file: own.keras, custom_objects: my_layers"
    study = _grid(tmp_path, "{remove: [Scaled]}", model)
    assert [v.parameters for v in check_study(study).variants] == [650, 650]
    without_module = _grid(tmp_path, "{remove: [Scaled]}")
    with pytest.raises(DatasetError, match=r"custom_objects: my_layers"):
        check_study(without_module)


def test_a_file_that_changes_makes_other_trials_and_one_that_is_renamed_does_not(tmp_path: Path) -> None:
    file = _save(tmp_path, _small())
    before = _grid(tmp_path, "{remove: [Dropout]}").trials("d")[0].id
    shutil.copy(file, tmp_path / "renamed.keras")
    assert _grid(tmp_path, "{remove: [Dropout]}", "file: renamed.keras").trials("d")[0].id == before
    model = _small()
    model.pop()
    model.add(layers.Dense(10, activation="softmax", name="last"))
    _save(tmp_path, model)
    assert _grid(tmp_path, "{remove: [Dropout]}").trials("d")[0].id != before


# --- Which variants there are -------------------------------------------------------------------------------


def test_each_part_is_a_factor_and_each_variant_has_a_readable_name(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    parts = 'remove: [Dropout, {layers: "de*"}], replace: {relu: gelu}, change: {Dropout.rate: 0.5}'
    study = _grid(tmp_path, f"{{{parts}, matched: true}}")
    assert [v.name for v in study.variants] == [
        "full", "-Dropout", "-de", "gelu for relu", "Dropout.rate=0.5", "-de matched",
    ]  # fmt: skip
    assert study.baseline == "full"
    assert study.factors == {
        "Dropout": ("without", "with"),
        "de": ("without", "with"),
        "relu or gelu": ("relu", "gelu"),
        "Dropout.rate": ("as given", "0.5"),
    }
    added = _grid(tmp_path, "{remove: [Dropout, BatchNormalization], how: add_one_in}")
    assert [v.name for v in added.variants] == ["plain", "+Dropout", "+BatchNorm"]
    crossed = _grid(tmp_path, "{remove: [Dropout], how: all}")
    assert [v.name for v in crossed.variants] == ["plain", "+Dropout"]


def test_parts_are_crossed_with_the_other_factors(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    text = f"study: own\n{DATA}\nmodel: {{file: own.keras}}\nablate: {{remove: [Dropout]}}\n"
    study = _study(tmp_path, f"{text}factors: {{learning_rate: [0.001, 0.01]}}\n")
    assert [v.name for v in study.variants] == [
        "full", "-Dropout", "full learning_rate=0.01", "-Dropout learning_rate=0.01",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "ablate", "message"),
    [
        ("file: own.keras", "{}", "line 5, ablate: name the parts under `remove`, `replace` or `change`."),
        ("file: own.keras", "{remove: [{branch: a, layers: b}]}",
         "line 5, value 1 of ablate.remove: `layers` and `branch` are parts of their own; list them one by one."),
        ("file: own.keras", "{remove: [3]}",
         "line 5, value 1 of ablate.remove: expected the name of a class, like Dropout, or a mapping, like "
         "{layers: block3_*}, not 3."),
        ("file: own.keras", "{remove: [Dropout], how: leave_one_ot}",
         "line 5, ablate.how: leave_one_ot is not a valid value. Did you mean 'leave_one_out'?"),
        ("file: own.keras", "{remov: [Dropout]}",
         "line 5, ablate.remov: unknown key 'remov'. Did you mean 'remove'?"),
        ("file: own.keras", "{remove: [Dropout, {layers: drop, name: Dropout}]}",
         "line 5, value 2 of ablate.remove: 'Dropout' is the name of another part or setting, too; give the part "
         "a `name` of its own."),
        ("blocks: [[4]]", "{remove: [Dropout]}",
         "line 5, ablate: parts can be taken out of a model of your own only, `model: {file: my_model.keras}` or "
         "`model: {builder: my_models:build}`. List settings of the built-in models under `factors:`."),
        ("file: owm.keras", "{remove: [Dropout]}",
         "line 3, model.file: there is no 'owm.keras', relative to the grid file: FOLDER/owm.keras. Did you "
         "mean 'own.keras'?"),
        ("file: own.txt", "{remove: [Dropout]}",
         "line 3, model.file: expected a model that Keras has saved, like model.keras or model.h5, not own.txt."),
        ("file: own.keras, blocks: [[4]]", "{remove: [Dropout]}",
         "line 3, model.blocks: unknown key 'blocks'. Valid names: augmentation, custom_objects, file, weights."),
        ("file: own.keras, builder: 'a:b'", "{remove: [Dropout]}",
         "line 3, model.builder: a model comes from a `builder` or from a `file`; remove one of the two."),
        ("file: own.keras, weights: trained", "{remove: [Dropout]}",
         "line 3, model.weights: trained is not a valid value. Valid names: initial, keep."),
        ("file: own.keras, custom_objects: no_such_layers", "{remove: [Dropout]}",
         "line 3, model.custom_objects: there is no module 'no_such_layers' beside the grid file."),
    ],
)  # fmt: skip
def test_a_grid_that_is_wrong_is_refused_with_its_line(
    tmp_path: Path, model: str, ablate: str, message: str
) -> None:
    _save(tmp_path, _small())
    with pytest.raises(GridError) as caught:
        _grid(tmp_path, ablate, model)
    first = str(caught.value).splitlines()[0].replace(str(tmp_path), "FOLDER")
    assert first.partition("study.yaml, ")[2] == message


def test_a_part_that_is_not_in_the_model_is_refused_before_anything_trains(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    _grid(tmp_path, "\n  remove:\n    - Dropout\n    - {layers: dens}")
    done = in_this_process("run", "--grid", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert (
        "study.yaml, line 8, value 2 of ablate.remove: -dens: the model has no layer 'dens'." in done.stderr
    )
    assert not (tmp_path / "run" / "trials").exists()


# --- From the grid to the report ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that took the small model apart, with its report; tests train no more in it."""
    folder = tmp_path_factory.mktemp("small")
    _save(folder, _small())
    study = _grid(folder, "{remove: [Dropout, {layers: conv}]}")
    return run_study(study, folder / "run", executor="inline")


@pytest.mark.usefixtures("without_report")
def test_a_run_says_what_goes_and_keeps_it_and_resumes(small_run: Run) -> None:
    run = small_run
    assert (run.results["status"] == "completed").all()
    accounts = kept_accounts(run.store)
    assert [layer.name for layer in accounts["-Dropout"].removed] == ["drop"]
    assert [layer.name for layer in accounts["-conv"].removed] == ["conv"]
    assert [layer.name for layer in accounts["-conv"].added] == ["conv_crop", "conv_match"]
    by_variant = run.results.groupby("variant")["parameters"].first()
    for name, account in accounts.items():
        assert by_variant[name] == account.after.parameters
    before = {p: p.read_bytes() for p in (run.folder / "trials").rglob("*") if p.is_file()}
    again = run_study(run.study, run.folder, executor="inline")
    assert {p: p.read_bytes() for p in (run.folder / "trials").rglob("*") if p.is_file()} == before
    assert again.pairing["paired"].fillna(True).all()


def test_check_names_exactly_what_went(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    notes = check_study(_grid(tmp_path, "{remove: [Dropout, {layers: conv}]}")).notes
    assert notes[:2] == (
        "-Dropout: without drop; still 1,306 parameters, still 2,528 multiply-adds.",
        "-conv: without conv, with conv_crop (Cropping2D, 0 parameters); conv_match (Conv2D, 4 parameters) added, "
        "so that the rest fits; 1,306 parameters become 1,270, 2,528 multiply-adds become 1,376.",
    )


def test_what_is_replaced_is_replaced_in_the_plain_and_in_the_full_model(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    how = "{remove: [Dropout], replace: {relu: gelu}, how: [leave_one_out, add_one_in]}"
    names = [variant.name for variant in _grid(tmp_path, how).variants]
    assert names == ["plain", "+Dropout", "gelu for relu", "full gelu for relu"]


@pytest.mark.usefixtures("without_report")  # of the merged run
def test_the_report_has_the_layers_before_and_after(small_run: Run, tmp_path: Path) -> None:
    run = small_run
    section = next(s for s in study_report(run, []).sections if s.id == "models")
    assert section.lines == list(check_study(run.study).notes[:2])
    first, second = section.tables
    assert first.caption == (
        "The model as it is, 1,306 parameters and 2,528 multiply-adds, beside -Dropout, 1,306 parameters and "
        "2,528 multiply-adds: 1 removed, 0 added, 0 changed"
    )
    assert [(row[0].text, row[-1].text) for row in first.rows] == [
        ("conv", "the same"), ("norm", "the same"), ("flat", "the same"), ("dense", "the same"),
        ("drop", "removed"), ("out", "the same"),
    ]  # fmt: skip
    states = {row[0].text: row[-1].text for row in second.rows}
    assert list(states)[:3] == ["conv", "conv_crop", "conv_match"]
    assert (states["conv"], states["conv_crop"], states["conv_match"]) == ("removed", "added", "added")
    assert [picture.name for picture in run.draw_figures(["models"], tmp_path / "drawn")] == [
        "models_01_Dropout", "models_02_conv",
    ]  # fmt: skip
    merged = merge_runs([run.folder], tmp_path / "merged")
    assert kept_accounts(merged.store) == kept_accounts(run.store)


# --- The grid that `init --from` writes ---------------------------------------------------------------------


def test_init_writes_a_grid_of_what_it_found(tmp_path: Path) -> None:
    model = _small()
    model.compile(keras.optimizers.AdamW(0.002), "sparse_categorical_crossentropy")
    _save(tmp_path, model)
    text = write_ablation(str(tmp_path / "own.keras"), tmp_path / "new")[0].read_text("utf-8")
    assert f"model: {{file: {tmp_path}/own.keras}}" in text
    assert "dataset: {name: digits}" in text
    for line in ("- BatchNormalization", "- Dropout", '# - {layers: conv}', "#   relu: gelu", "#   Dropout.rate: 0.5",
                 "optimizer: adamw", "learning_rate: 0.002", "loss: categorical_crossentropy"):  # fmt: skip
        assert f"  {line}" in text
    study = read_study(tmp_path / "new" / "grid.yaml")
    assert [v.name for v in study.variants] == ["plain", "+BatchNorm", "+Dropout", "+both"]
    before, parts = text.split("  how:")
    active = parts.replace("# - {", "- {").replace("# replace:", "replace:").replace("#   ", "  ")
    (tmp_path / "new" / "all.yaml").write_text(
        f"{before}  how:" + active.replace("# change:", "change:").replace(" all ", " leave_one_out ", 1),
        "utf-8",
    )
    everything = check_study(read_study(tmp_path / "new" / "all.yaml"))
    assert len(everything.variants) > 6
    assert not [v.error for v in everything.variants if v.error]


@pytest.mark.parametrize(
    ("optimizer", "loss", "lines"),
    [
        (
            lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
            lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            [
                "optimizer: {SGD: {momentum: 0.9, nesterov: true}}",
                "learning_rate: 0.05",
                "loss: {CategoricalCrossentropy: {from_logits: true}}",
            ],
        ),
        (
            lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 100)),
            lambda: "categorical_crossentropy",
            [
                "optimizer: adam",
                "learning_rate: {CosineDecay: {initial_learning_rate: 0.01, decay_steps: 100, alpha: 0.0, "
                "warmup_steps: 0}}",
                "loss: categorical_crossentropy",
            ],
        ),
        (
            lambda: keras.optimizers.Lion(0.001),
            lambda: "mse",
            ["optimizer: lion", "learning_rate: 0.001"],
        ),
    ],
)
def test_init_keeps_how_a_saved_model_was_compiled(
    optimizer: Callable[[], Any], loss: Callable[[], Any], lines: list[str], tmp_path: Path
) -> None:
    model = _small()
    model.compile(optimizer(), loss())
    _save(tmp_path, model)
    file, _ = write_ablation(str(tmp_path / "own.keras"), tmp_path / "new")
    text = file.read_text("utf-8")
    assert text.partition("batch_size: 32\n")[2].partition("\n\n")[0].split("\n") == [
        f"  {li}" for li in lines
    ]
    if "mse" not in str(loss()):
        read_study(file)  # each is one that a grid accepts


def test_init_takes_a_function_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(textwrap.dedent("""
        import keras
        from keras import layers

        def build(image_shape, classes, filters=4):
            x = inputs = keras.Input(image_shape)
            x = layers.Conv2D(filters, 3, padding="same", name="stem")(x)
            x = x + layers.Conv2D(filters, 3, padding="same", name="branch")(x)
            x = layers.GlobalAveragePooling2D(name="pool")(x)
            return keras.Model(inputs, layers.Dense(classes, "softmax", name="out")(x))
    """), "utf-8")  # fmt: skip
    text = write_ablation("mine:build", tmp_path)[0].read_text("utf-8")
    assert "model: {builder: mine:build}" in text
    assert "  how: leave_one_out" in text
    assert "  - {branch: add}" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.keras", "--from: there is no file missing.keras."),
        ("model", "--from: expected a model that Keras has saved, like model.keras, or a function that builds one, "
         "like my_models:build, not 'model'."),
    ],
)  # fmt: skip
def test_init_refuses_what_is_no_model(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(AblationError) as caught:
        write_ablation(source, tmp_path)
    assert str(caught.value) == message


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    _save(tmp_path, _small())
    (tmp_path / "grid.yaml").write_text("mine", "utf-8")
    done = in_this_process("init", str(tmp_path), "--from", str(tmp_path / "own.keras"))
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert (tmp_path / "grid.yaml").read_text("utf-8") == "mine"


def test_what_a_run_keeps_of_its_models_may_be_damaged(finished_run: Run, tmp_path: Path) -> None:
    assert kept_accounts(finished_run.store) == {}
    (tmp_path / "models.json").write_text(json.dumps({"a": 1}), "utf-8")
    assert kept_accounts(Store(tmp_path)) == {}
