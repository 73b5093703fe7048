"""A merge gate: base and branch as two versions of one folder, trained with the same seeds.

pytest -m slow tests/test_gate_action.py  # the same from two git checkouts, by the script of the action
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from gate_checkouts import BROKEN, UNCHANGED, checkout, masked
from invented_runs import invented_run, run_of_variants
from typer.testing import CliRunner

import ablation
from ablation.cli.app import app
from ablation.errors import GridError
from ablation.grid.trial import TrialResult
from ablation.grid.user_files import file_digest
from ablation.report.gate_summary import gate_summary
from ablation.results.gate import Gate
from ablation.results.run import Run
from ablation.workflow.gate import Side, reads_the_same


def gate(folder: Path, branch: Path, out: str) -> ablation.Gate:
    return ablation.run_gate(folder / "base", branch, "study/grid.yaml", folder / out, executor="inline")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Gate]:
    """A folder with base, a branch that changes nothing, and what the gate found."""
    folder = tmp_path_factory.mktemp("gate")
    checkout(folder / "base")
    return folder, gate(folder, checkout(folder / "branch"), "out")


def with_base_trained(unchanged: tuple[Path, Gate], folder: Path, **changed: str | None) -> Gate:
    """Return what the gate finds of a branch with changed files."""
    shutil.copytree(unchanged[0] / "out" / "base", folder / "out" / "base")
    shutil.copytree(unchanged[0] / "base", folder / "base")
    return gate(folder, checkout(folder / "branch", **changed), "out")


@pytest.fixture(scope="module")
def broken(unchanged: tuple[Path, Gate], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Gate]:
    """A branch that breaks the model by a file that its code reads."""
    folder = tmp_path_factory.mktemp("broken")
    return folder, with_base_trained(unchanged, folder, scale_dot_json="0.0")


def test_a_branch_that_changes_nothing_is_identical_and_is_trained_once(unchanged: tuple[Path, Gate]) -> None:
    folder, found = unchanged
    assert found.passed
    assert found.comparisons["verdict"].tolist() == ["identical"]
    for trial in found.branch.trials:
        assert found.branch.store.fingerprint(trial) == found.base.store.fingerprint(trial) != ""
    assert masked((folder / "out" / "summary.md").read_text("utf-8")) == UNCHANGED


def test_a_branch_that_breaks_the_model_by_a_file_that_its_code_reads_is_worse(
    broken: tuple[Path, Gate],
) -> None:
    folder, found = broken
    assert [t.id for t in found.branch.trials] == [t.id for t in found.base.trials]  # the code is the same
    assert not found.passed
    assert found.faults == ["branch is worse than base in test accuracy."]
    assert masked((folder / "out" / "summary.md").read_text("utf-8")) == BROKEN


def test_a_module_that_the_branch_lacks_is_not_taken_from_base(
    unchanged: tuple[Path, Gate], tmp_path: Path
) -> None:
    found = with_base_trained(unchanged, tmp_path, my_layers_dot_py=None)
    assert found.faults == ["3 of 3 trials of branch did not complete."]
    failed = "failed, ModuleNotFoundError: No module named 'my\\_layers' (my\\_models.py, line 9)"
    assert gate_summary(found).partition("Trials that did not complete:\n\n")[2] == "".join(
        f"- branch, seed {seed}: {failed}\n" for seed in (0, 1, 2)
    )


@pytest.mark.parametrize(
    ("read", "changed", "same"),
    [
        ("scale.json", {}, True),
        ("scale.json", {"scale_dot_json": "2.0"}, False),
        ("scale.json", {"scale_dot_json": None}, False),
        ("{0}/base/settings.json", {}, False),  # of which the branch has a version of its own
        ("{0}/images.json", {}, True),  # of neither side
    ],
)
def test_a_trial_is_copied_only_if_the_branch_would_read_the_same_files(
    read: str, changed: dict[str, str | None], same: bool, tmp_path: Path
) -> None:
    base, branch = (
        Side.of(name, checkout(tmp_path / name, **of_side), "study/grid.yaml")
        for name, of_side in (("base", {}), ("branch", changed))
    )
    digest = file_digest(base.grid.parent / "scale.json")
    result = TrialResult(trial_id="plain-s0", status="completed", files={read.format(tmp_path): digest})
    assert reads_the_same(result, base, branch) is same


def test_the_command_prints_the_summary_and_fails_with_the_gate(
    unchanged: tuple[Path, Gate], broken: tuple[Path, Gate]
) -> None:
    """All is trained already, so that it starts no worker."""
    for folder, code in ((unchanged[0], 0), (broken[0], 1)):
        options = {name: str(folder / name) for name in ("base", "branch", "out")} | {
            "grid": "study/grid.yaml"
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        done = CliRunner().invoke(app, ["gate", *words])
        assert done.exit_code == code, done.output
        assert done.stdout == (folder / "out" / "summary.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": "grid.yml"}, "--grid: there is no grid.yml in --base base. Did you mean 'grid.yaml'?"),
        ({"grid": "/grid.yaml"}, "--grid: expected a path in --base and --branch, like study/grid.yaml, not /grid.yaml."),
        ({"branch": "brunch"}, "--branch: there is no folder brunch."),
        ({"seeds": [0, 1]}, "--seeds: a gate needs 3 seeds or more, because a verdict needs 3 pairs; with 2, no branch could fail."),
        ({"branch": "other"}, "the grid files of base and branch have no variant in common: plain, and full, -Dropout, -width=two."),
        ({"base": "of_f1"}, "the grid file of base compares test_f1_score, and plain of the branch does not measure f1_score."),
    ],
)  # fmt: skip
def test_a_gate_that_cannot_be_run_says_why(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Before anything is trained."""
    plain = "study: guarded\nmodel: {dense: [4], blocks: [[4]]}\n"
    f1 = "compare: {metric: test_f1_score}\ntraining: {metrics: [f1_score]}\n"
    texts = {
        "base": plain + "seeds: 3\n",
        "branch": plain,
        "other": plain
        + "factors: {dropout: {no: 0, yes: 0.1}, width: {one: 1, two: 2}}\nablate: leave_one_out\n",
        "of_f1": plain + f1,
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "grid.yaml").write_text(text, "utf-8")
    given = {"base": "base", "branch": "branch", "grid": "grid.yaml", "out": "out"} | changes
    folders = {name: tmp_path / given.pop(name) for name in ("base", "branch", "out")}
    with pytest.raises(GridError) as caught:
        ablation.run_gate(**folders, **given)
    assert str(caught.value).replace(f"{tmp_path}/", "") == message
    assert not folders["out"].exists()


def invented(folder: Path, accuracies: dict[str, float], broken: int | str = "none") -> Run:
    """Return a run in which one seed of narrow, or all, did not complete."""
    study = run_of_variants(folder / "study", list(accuracies), seeds=5, epochs=3).study
    return invented_run(
        study,
        folder / "run",
        accuracies,
        deviation=0.01,
        fail=lambda trial: trial.variant == "narrow" and broken in (trial.seed, "all"),
    )


def test_all_variants_of_a_grid_are_one_family(tmp_path: Path) -> None:
    base = invented(tmp_path / "base", {"plain": 0.7, "wide": 0.7, "deep": 0.7, "narrow": 0.7})
    branch = invented(
        tmp_path / "branch", {"plain": 0.7, "wide": 0.4, "deep": 0.72, "narrow": 0.706}, broken=3
    )
    found = Gate(
        base, branch, ("compare.margin: 0.005 → 0.1", "variant wider: added", "variant tall: removed")
    )
    assert gate_summary(found) == FAMILY
    assert found.faults == [
        "wide on branch is worse than wide on base in test accuracy.",
        "1 of 5 trials of narrow on branch did not complete.",
    ]


FAMILY = """\
## Merge gate: failed

**wide on branch is worse than wide on base in test accuracy. 1 of 5 trials of narrow on branch did not complete.**

- plain on branch is identical to plain on base: all numbers of all pairs are the same to the last bit (n = 5 pairs).
- wide on branch is worse than wide on base in test accuracy (−42.5 points, 98.8% interval −49.8 to −35.2, n = 5 pairs). wide on base was still improving, so this holds for this budget of epochs.
- deep on branch is better than deep on base in test accuracy (+1.9 points, 98.3% interval +0.7 to +3.1, n = 5 pairs). deep on branch and deep on base were still improving, so this holds for this budget of epochs.
- Whether narrow on branch differs from narrow on base in test accuracy is unresolved (+0.8 points, 98.8% interval −1.1 to +2.6, n = 4 pairs). narrow on branch and narrow on base were still improving, so this holds for this budget of epochs.

| variant | base | branch | difference | interval | pairs | verdict |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| plain | 78.7% | 78.7% | +0.00 | – | 5 | = identical |
| wide | 78.3% | 35.8% | −42.5 | −49.8 to −35.2 | 5 | ▼ worse |
| deep | 77.2% | 79.1% | +1.9 | +0.7 to +3.1 | 5 | ▲ better |
| narrow | 77.4% | 78.1% | +0.8 | −1.1 to +2.6 | 4 | ? unresolved |

The test accuracy of the study invented with the seeds 0, 1, 2, 3, 4, as means over the pairs. The difference is branch minus base, in percentage points, seed by seed on the same images: paired t-test over seeds and test images, alpha 0.05, Holm, margin 0.5 pp, as the grid file of base declares. Unresolved is not "no effect": more seeds, or more test images, may resolve it.

Variants that only one of the grid files has are not compared:

- variant wider: added
- variant tall: removed

The grid file of the branch declares other settings. They take effect once the branch is merged; here, those of base are used:

- compare.margin: 0.005 → 0.1

Trials that did not complete:

- narrow on branch, seed 3: failed, out of memory
"""


def test_a_loss_that_is_the_same_in_all_seeds_cannot_pass(tmp_path: Path) -> None:
    """No interval can be computed of it, so that it has no verdict but unresolved."""
    runs = {name: invented(tmp_path / name, {"plain": level}) for name, level in (("all", 5.0), ("no", -5.0))}
    reason = "all 5 differences are the same, so their spread is not known"
    assert Gate(runs["all"], runs["no"]).faults == [f"plain could not be judged: {reason}."]
    assert Gate(runs["no"], runs["all"]).passed  # it gains


def test_a_branch_without_a_pair_cannot_pass(tmp_path: Path) -> None:
    """Base did not complete, so that nothing is known of the branch."""
    base = invented(tmp_path / "base", {"narrow": 0.7, "plain": 0.7}, broken="all")
    branch = invented(tmp_path / "branch", {"narrow": 0.7, "plain": 0.7})
    assert Gate(base, branch).faults == ["narrow could not be judged: 0 pairs; a verdict needs 3."]
