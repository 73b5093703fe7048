"""The tests that guard the comparison do guard it: each mistake here makes one of them fail.

    pytest -m slow tests/test_mutations.py

A mistake is made in a copy of the package, and the tests that should find it are run against the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What is broken: (file, what stands there, what is put in its place, the tests that must notice).
MISTAKES = {
    "nothing": (
        "models/build.py",
        "import keras",
        "import keras",
        "models/test_built_in_models.py analysis/test_pairing.py",
    ),
    "a layer added without a named seed": (
        "models/build.py",
        'layers.append(keras.layers.Flatten(name="flatten"))',
        'layers += [keras.layers.Flatten(name="flatten"), keras.layers.Dense(8, name="extra")]',
        "analysis/test_pairing.py",
    ),
    "a layer seeded from the whole model": (
        "models/build.py",
        'randomness.derive("init", f"{name}/kernel"))',
        'randomness.derive("init", f"{name}/kernel{settings.dropout}"))',
        "models/test_built_in_models.py analysis/test_pairing.py",
    ),
    "dropout without a seed": (
        "models/build.py",
        "keras.layers.Dropout(settings.dropout, seed=dropout_seed,",
        "keras.layers.Dropout(settings.dropout,",
        "models/test_built_in_models.py",
    ),
    "batch orders that ignore the seed": (
        "grid/seeding.py",
        'self.derive("order", str(epoch))',
        'derive_seed(0, "order", str(epoch))',
        "models/test_built_in_models.py",
    ),
    "images that do not follow the seed": (
        "grid/seeding.py",
        'self.derive(stream, "images")',
        'derive_seed(0, stream, "images")',
        "data/test_split.py",
    ),
    "test images that a seed also trains on": (
        "data/datasets.py",
        "np.setdiff1d(left, tested)",
        "left",
        "data/test_test_images.py",
    ),
    "a worker that is warm with the images of another seed": (
        "training/trial_runner.py",
        "warm.take(dataset)",
        "pass",
        "training/test_own_split.py -k share",
    ),
    "the gap measured with dropout active": (
        "training/loop.py",
        "self._normalise, PREDICT_BATCH, training=False",
        "self._normalise, PREDICT_BATCH, training=True",
        "training/test_trial_runner.py -k asleep",
    ),
    "the gap computed from the logged accuracy": (
        "training/trial_runner.py",
        "measures = _measures(loop, dataset)",
        'measures = _measures(loop, dataset) | {"train_accuracy": accuracy}',
        "training/test_trial_runner.py -k asleep",
    ),
    "a loss measured on clipped probabilities": (
        "training/outputs.py",
        "with_logits(keras.ops.convert_to_tensor(self.units), logits)",
        "keras.ops.convert_to_tensor(self.units)",
        "training/test_fit.py -k clip",
    ),
    "a measurement that leaves its trace in BatchNorm": (
        "training/loop.py",
        "            variable.assign(value)",
        "            pass",
        "training/test_trial_runner.py -k trace",
    ),
    "a checkpoint without the optimizer": (
        "training/checkpoint.py",
        "[*model.variables, *model.optimizer.variables]",
        "[*model.variables]",
        "training/test_resume.py -k same_bits",
    ),
    "a checkpoint without the random generators": (
        "training/checkpoint.py",
        "[*model.variables, *model.optimizer.variables]",
        '[*(v for v in model.variables if "seed" not in v.path), *model.optimizer.variables]',
        "training/test_resume.py -k same_bits",
    ),
    "a worker that is warm from another seed": (
        "training/trial_runner.py",
        "copy_state(model, warm.model)",
        "pass",
        "training/test_trial_runner.py -k share_its_graphs",
    ),
    "BatchNorm statistics that the faster kernel leaves biased": (
        "training/kernels.py",
        "variance = unbiased * (values - 1) / values",
        "variance = unbiased",
        "training/test_kernels.py",
    ),
    "seeds trained together that share the batches of the first": (
        "training/fused/program.py",
        "order = np.stack(orders)",
        "order = np.stack([orders[0]] * len(orders))",
        "training/test_jax_engine.py -k Dense",
    ),
    "initial weights that each engine draws by itself": (
        "models/build.py",
        "standard_keras(training.precision), drawn_by_numpy():",
        "standard_keras(training.precision):",
        "training/test_jax_engine.py -k start_alike",
    ),
    "a variance shift measured in one mode": (
        "training/variance_shift.py",
        "values = layer(values, training=active)",
        "values = layer(values, training=False)",
        "training/test_trial_runner.py -k shifts_the_variance",
    ),
    "a built-in layer that is seeded otherwise than a user's": (
        "models/build.py",
        'randomness.derive("dropout", f"{name}_dropout")',
        'randomness.derive("dropout", name)',
        "workflow/test_taking_apart.py -k notebooks_model",
    ),
    "a saved model that keeps the seeds of its file": (
        "models/saved_model.py",
        'new["seed"] = None',
        'new["seed"] = value["seed"]',
        "workflow/test_taking_apart.py -k seeds_and_precision",
    ),
    "frozen layers with initial weights": (
        "models/saved_model.py",
        'new["trainable"] = True',
        'new["trainable"] = value["trainable"]',
        "workflow/test_taking_apart.py -k frozen_layers_learn",
    ),
    "layers whose paths shift when another one is removed": (
        "models/layer_paths.py",
        "name = getattr(inner, KEPT_NAME, name)",
        "name = str(name)",
        "models/test_ablated.py -k nested_model_go",
    ),
    "a residual branch that stays instead of the shortcut": (
        "models/ablated/branches.py",
        "shortest = min(sizes)",
        "shortest = max(sizes)",
        "models/test_ablated.py -k shortcut_stays",
    ),
    "a fraction that confuses main effects with interactions": (
        "grid/fractional.py",
        '8: "abc abd acd bcd"',
        '8: "abc abd acd bc"',
        "grid/test_fractional.py",
    ),
    "parts of a sum that are tested as if they were asked alone": (
        "analysis/separated.py",
        '"alpha": compare.alpha / family',
        '"alpha": compare.alpha',
        "analysis/test_designs.py",
    ),
    "doses of which several are compared as if they were one": (
        "analysis/dose_response.py",
        "1 - alpha / (doses - 1)",
        "1 - alpha",
        "analysis/test_dose_response.py",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(mistake: str, tmp_path: Path) -> None:
    name, right, wrong, tests = MISTAKES[mistake]
    shutil.copytree(ROOT / "ablation", tmp_path / "ablation")
    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("runs"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / "ablation" / name
    assert right in source.read_text("utf-8")
    source.write_text(source.read_text("utf-8").replace(right, wrong), "utf-8")
    first, *rest = tests.split(" -k ")
    files = [f"tests/{file}" for file in first.split()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n0", *files, *(["-k", *rest] if rest else [])],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == (0 if mistake == "nothing" else 1), done.stdout
    if mistake != "nothing":
        assert "failed" in done.stdout.splitlines()[-1]
