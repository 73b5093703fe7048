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
    "nothing": ("models.py", "import os", "import os", "test_models.py test_pairing.py"),
    "a layer added without a named seed": (
        "models.py",
        'layers.append(keras.layers.Flatten(name="flatten"))',
        'layers += [keras.layers.Flatten(name="flatten"), keras.layers.Dense(8, name="extra")]',
        "test_pairing.py",
    ),
    "a layer seeded from the whole model": (
        "models.py",
        'randomness.derive("init", name))',
        'randomness.derive("init", name + str(settings.dropout)))',
        "test_models.py test_pairing.py",
    ),
    "dropout without a seed": (
        "models.py",
        "keras.layers.Dropout(settings.dropout, seed=dropout_seed,",
        "keras.layers.Dropout(settings.dropout,",
        "test_models.py",
    ),
    "batch orders that ignore the seed": (
        "randomness.py",
        'self.derive("order", str(epoch))',
        'derive_seed(0, "order", str(epoch))',
        "test_models.py",
    ),
    "the gap measured with dropout active": (
        "loop.py",
        "((_PREDICT_BATCH, False), ",
        "((_PREDICT_BATCH, True), ",
        "test_training.py -k asleep",
    ),
    "the gap computed from the logged accuracy": (
        "training.py",
        'train_accuracy=train.pop("accuracy"),',
        'train_accuracy=accuracy + 0 * train.pop("accuracy"),',
        "test_training.py -k asleep",
    ),
    "a measurement that leaves its trace in BatchNorm": (
        "loop.py",
        "            variable.assign(value)",
        "            pass",
        "test_training.py -k trace",
    ),
    "a checkpoint without the optimizer": (
        "checkpoint.py",
        "[*model.variables, *model.optimizer.variables]",
        "[*model.variables]",
        "test_resume.py -k same_bits",
    ),
    "a checkpoint without the random generators": (
        "checkpoint.py",
        "[*model.variables, *model.optimizer.variables]",
        '[*(v for v in model.variables if "seed" not in v.path), *model.optimizer.variables]',
        "test_resume.py -k same_bits",
    ),
    "a worker that is warm from another seed": (
        "training.py",
        "copy_state(model, warm.model)",
        "pass",
        "test_training.py -k share_its_graphs",
    ),
    "BatchNorm statistics that the faster kernel leaves biased": (
        "kernels.py",
        "variance = unbiased * (values - 1) / values",
        "variance = unbiased",
        "test_kernels.py",
    ),
    "a variance shift measured in one mode": (
        "loop.py",
        "values = layer(values, training=active)",
        "values = layer(values, training=False)",
        "test_training.py -k shifts_the_variance",
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
