"""Files that a user's code consists of or reads: after a change, trials are trained again and never pooled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablation import Run, Study, run_study
from ablation.store.checked_record import checked_text
from ablation.workflow.dry_run import plan_study

GRID = """
study: read
dataset: {name: digits, train_size: 60, validation_size: 40, test_size: 50}
model: {builder: "reading_%s:build"}
training: {epochs: 1, batch_size: 30}
seeds: 2
factors: {warm: [false, true]}
"""
MODULE = """
from pathlib import Path
import keras, numpy as np
from keras import layers
from helper_%s import UNITS

def build(image_shape, classes, warm=False):
    model = keras.Sequential([
        keras.Input(image_shape), layers.Flatten(), layers.Dense(UNITS, name="hidden"),
        layers.Dense(classes, activation="softmax", name="output"),
    ])
    if warm:
        model.load_weights(Path(__file__).parent / "w.weights.h5")
    return model
"""
pytestmark = pytest.mark.usefixtures("without_report")


def study(folder: Path) -> Study:
    return Study.from_yaml(folder / "grid.yaml")


def write_weights(folder: Path, value: float) -> None:
    import keras
    import numpy as np
    from keras import layers

    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(4, name="hidden"),
                              layers.Dense(10, activation="softmax", name="output")])  # fmt: skip
    model.set_weights([np.full(weights.shape, value) for weights in model.get_weights()])
    model.save_weights(folder / "w.weights.h5")


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    tag = f"{abs(hash(request.node.name))}"
    (tmp_path / "grid.yaml").write_text(GRID % tag)
    (tmp_path / f"reading_{tag}.py").write_text(MODULE % tag)
    (tmp_path / f"helper_{tag}.py").write_text("UNITS = 4\n")
    write_weights(tmp_path, 0.01)
    return tmp_path


def test_a_helper_module_is_part_of_what_names_a_trial(folder: Path) -> None:
    (helper,) = folder.glob("helper_*.py")
    before = study(folder).trials("x")
    helper.write_text("UNITS = 5\n")
    after = study(folder).trials("x")
    assert not {trial.id for trial in before} & {trial.id for trial in after}
    helper.write_text("UNITS = 4\n")
    assert study(folder).trials("x") == before


def test_a_weights_file_that_changes_leads_to_new_trials_of_its_variant(folder: Path) -> None:
    out = folder / "run"
    first = run_study(study(folder), out, executor="inline")
    warm = [trial for trial in first.trials if trial.variant == "+warm"]
    read = [first.trial_results[trial.id].files for trial in first.trials]
    assert ["w.weights.h5" in files for files in read] == [False, False, True, True]
    assert plan_study(study(folder), out).pending_ids == ()
    write_weights(folder, 0.02)
    plan = plan_study(study(folder).with_overrides(seeds=[0, 1, 2]), out)
    assert len(plan.pending_ids) == 4
    assert plan.notes[0] == (
        "Trained again, because w.weights.h5, from which the model was built, has changed since (2 trials)."
    )
    again = run_study(study(folder), out, executor="inline")
    assert plan_study(study(folder), out).pending_ids == ()
    for trial in warm:
        assert again.trial_results[trial.id].metrics != first.trial_results[trial.id].metrics
    kept = sorted(path.name for path in (out / "trials").glob("*warm-*"))
    assert len(kept) == 4  # the former results stay beside the new ones
    assert [name.split(".")[0] for name in kept] == [warm[0].id, warm[0].id, warm[1].id, warm[1].id]


def test_trials_of_an_earlier_file_are_not_pooled_with_the_newest(folder: Path) -> None:
    out = folder / "run"
    run_study(study(folder).with_overrides(seeds=[0]), out, executor="inline")
    write_weights(folder, 0.02)
    run_study(study(folder).with_overrides(seeds=[1]), out, executor="inline")
    mixed = study(folder)
    record = json.loads((out / "study.json").read_text())
    record["study"]["seeds"] = [0, 1]
    (out / "study.json").write_text(checked_text(record))
    run = Run(out)
    assert run.study.seeds == mixed.seeds
    assert run.results["status"].tolist() == ["completed", "completed", "failed", "completed"]
    assert run.notes[0] == (
        "Left out of all results: +warm seed 0: its model was built from an earlier version of w.weights.h5; the same "
        "`ablation run` command trains it again."
    )
    assert run.comparisons["n"].tolist() == [1]
    assert plan_study(mixed, out).pending_ids == (run.trials[2].id,)


def test_models_of_different_structures_are_not_pooled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the model depends on something that is in no file."""
    (helper,) = folder.glob("helper_*.py")
    helper.write_text("import os\nUNITS = int(os.environ.get('UNITS', '4'))\n")
    (module,) = folder.glob("reading_*.py")
    module.write_text(
        module.read_text()
        .replace("from helper", "import os\nfrom helper")
        .replace("UNITS,", "int(os.environ.get('UNITS', '4')),")
    )
    out = folder / "run"
    run_study(study(folder).with_overrides(seeds=[0]), out, only=["plain"], executor="inline")
    monkeypatch.setenv("UNITS", "6")
    run = run_study(study(folder), out, only=["plain"], executor="inline")
    assert run.results["status"].tolist() == ["failed", "completed", "pending", "pending"]
    cause = (
        "its model has a different structure from that of plain, seed 1, the newest trial of the same settings, so that "
        "your code depends on more than its arguments and files, such as an environment variable; delete the folder "
        f"trials/{run.trials[0].id} to train it again"
    )
    assert run.results["cause"].tolist()[0] == cause
    run = run_study(study(folder), out, executor="inline")
    assert run.notes[:2] == [
        f"Left out of all results: plain seed 0: {cause}.",
        "+warm is compared with plain on 0 of 2 pairs, without seed 0 (left out because of its model); seed 1 (not "
        "completed in both variants).",
    ]
    assert [note.split(",")[0] for note in run.notes if "did not complete" in note] == [
        "2 trials of +warm did not complete"
    ]


def test_why_everything_is_trained_again_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "run"
    run_study(study(folder).with_overrides(seeds=[0]), out, only=["plain"], executor="inline")
    (helper,), (module,) = folder.glob("helper_*.py"), folder.glob("reading_*.py")
    helper.write_text("UNITS = 4  # a comment\n")

    def note() -> str:
        return plan_study(study(folder), out, only=["plain"]).notes[0]

    kept = "; the earlier results are kept and not used (1 trial)."
    assert note() == f"Trained from scratch, because {helper.name} has changed since{kept}"
    module.write_text(module.read_text() + "# another comment\n")
    assert note() == f"Trained from scratch, because {helper.name}, {module.name} have changed since{kept}"
    monkeypatch.setattr("ablation.grid.trial.USER_MODEL_VERSION", 99)
    assert note() == f"Trained from scratch, because this version of ablation trains differently{kept}"
