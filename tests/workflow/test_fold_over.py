"""A fold-over adds variants where a verdict is open between aliased interactions, once, and is remembered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ablation import Run, Study, run_study
from ablation.errors import GridError
from ablation.executors.shard import Shard
from ablation.figures.effects import drawings, effects_data
from ablation.report.sections import study_report
from ablation.store.run_folder import Store
from ablation.workflow.check import check_study
from ablation.workflow.dry_run import plan_study
from ablation.workflow.fold_over import NOTHING_OPEN, fold_over, open_groups, with_earlier_fold

pytestmark = pytest.mark.slow  # they train dozens of models

WriteGrid = Callable[[str], Path]
# A rate of 0.95 learns nothing, and neither do tiny steps: the two depend on each other, and on little else.
GRID = """
study: folded
dataset: {name: digits, train_size: 100, validation_size: 40, test_size: 300}
model: {family: dense, dense: [16]}
training: {epochs: 4, batch_size: 10}
design: fractional
factors:
  dropout: [0, 0.95]
  learning_rate: [0.01, 0.000001]
  width: [1, 1.25]
  activation: [relu, elu]
compare: {alpha: 0.05, holds_for: [seeds]}
seeds: 3
"""


def read(write_grid: WriteGrid, *changes: tuple[str, str]) -> Study:
    text = GRID
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return Study.from_yaml(write_grid(text))


@pytest.fixture(scope="module")
def folded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was folded over, without its report; tests copy it."""
    folder = tmp_path_factory.mktemp("folded")
    (folder / "grid.yaml").write_text(GRID, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablation.workflow.run_study.write_report", lambda run: run.folder / "report.html")
        study = Study.from_yaml(folder / "grid.yaml")
        first = run_study(study, folder / "run", executor="inline")
        shutil.copytree(first.folder, folder / "first", copy_function=shutil.copy2)
        return run_study(study, first.folder, executor="inline", fold_over=True).folder


@pytest.fixture
def run(folded_run: Path, tmp_path: Path) -> Run:
    shutil.copytree(folded_run, tmp_path / "run", copy_function=shutil.copy2)
    return Run(tmp_path / "run")


@pytest.fixture
def first(folded_run: Path, tmp_path: Path) -> Run:
    """The run before its fold-over."""
    shutil.copytree(folded_run.parent / "first", tmp_path / "first", copy_function=shutil.copy2)
    return Run(tmp_path / "first")


def test_the_fold_over_separates_the_open_interactions_and_keeps_what_was_trained(
    run: Run, first: Run
) -> None:
    assert [group.name for group in open_groups(first)] == ["dropout × learning_rate + width × activation"]
    assert run.study.fold in ("dropout", "learning_rate")  # the factors that have the largest main effects
    assert [v.name for v in run.study.variants[:8]] == [v.name for v in first.study.variants]
    assert len(run.study.variants) == 16
    assert (run.results["status"] == "completed").all()
    for trial in first.trials:
        assert run.store.ended_at(trial) == first.store.ended_at(trial)
    # the declared questions have the answers that they had, and the interaction is named
    declared = run.effects[run.effects["kind"].isin(["main effect", "interaction"])]
    assert declared.reset_index(drop=True).equals(first.effects.reset_index(drop=True))
    separated = run.effects[run.effects["kind"] == "separated interaction"].set_index("effect")
    assert separated.loc["dropout × learning_rate", "verdict"] == "better"  # less harm than twice the harm
    assert separated.loc["width × activation", "verdict"] in ("equivalent", "unresolved")
    assert separated["declared"].to_dict() == {
        name: name in ("dropout × learning_rate", "width × activation") for name in separated.index
    }
    assert run.changes == [f"design: folded over on {run.study.fold}, 8 variants added"]


@pytest.mark.usefixtures("without_report")
def test_a_later_run_keeps_the_fold_over(run: Run, write_grid: WriteGrid) -> None:
    study = read(write_grid)
    written = {name: (run.folder / name).read_bytes() for name in ("study.json", "effects.csv")}
    for again in (
        run_study(study, run.folder, executor="inline"),
        run_study(study, run.folder, executor="inline", fold_over=True),
    ):
        assert again.study.fold == run.study.fold
        assert {name: (run.folder / name).read_bytes() for name in written} == written
    plan = plan_study(study, run.folder, fold_over=True)
    assert plan.pending_ids == ()
    assert f"The design is folded over on {run.study.fold}." in plan.notes
    longer = read(write_grid, ("seeds: 3", "seeds: 4"))
    assert len(plan_study(longer, run.folder).pending_ids) == 16  # one seed more, of all variants
    assert with_earlier_fold(longer, run.store).fold == run.study.fold


def test_other_settings_or_factors_have_no_fold_over_yet(run: Run, write_grid: WriteGrid) -> None:
    for change in (("epochs: 4", "epochs: 5"), ("[1, 1.25]", "[1, 1.5]"), ("elu]", "gelu]")):
        assert with_earlier_fold(read(write_grid, change), run.store).fold == ""
    full = read(write_grid, ("design: fractional\n", ""))
    assert with_earlier_fold(full, run.store) is full


def test_the_plan_of_a_fold_over(first: Run, write_grid: WriteGrid, tmp_path: Path) -> None:
    study = read(write_grid)
    plan = plan_study(study, first.folder, fold_over=True)
    assert (len(plan.variants), len(plan.pending_ids)) == (16, 24)
    assert sum("is folded over on" in note for note in plan.notes) == 1
    before = plan_study(study, tmp_path / "new", fold_over=True)
    assert len(before.pending_ids) == 24
    assert (
        "The results of these trials decide whether the design is folded over, and on which factor."
        in before.notes
    )
    aliases = "dropout × learning_rate is measured together with width × activation: this design cannot tell them apart."
    assert aliases in before.notes
    assert aliases in check_study(study).notes


@pytest.mark.usefixtures("without_report")
def test_nothing_is_added_if_no_verdict_is_open(first: Run, write_grid: WriteGrid) -> None:
    study = read(write_grid, ("alpha: 0.05", "alpha: 0.0000001"))
    assert plan_study(study, first.folder, fold_over=True).notes[0] == NOTHING_OPEN
    again = run_study(study, first.folder, executor="inline", fold_over=True)
    assert again.study.fold == ""
    assert len(again.study.variants) == 8
    assert fold_over(again) is None


def test_a_fold_over_that_is_not_possible_is_refused(write_grid: WriteGrid, tmp_path: Path) -> None:
    study, full = read(write_grid), read(write_grid, ("design: fractional\n", ""))
    together = " cannot be combined with --fold-over, which looks at all trials together and adds variants once; run one after the other."
    for asked, options, message in (
        (full, {}, "--fold-over: the design of this study has no aliases to separate; a fold-over needs `design: fractional` in the grid."),
        (study, {"only": ["plain"]}, f"--only{together}"),
        (study, {"max_seeds": 9}, f"--until-resolved{together}"),
        (study, {"shard": Shard(1, 2)}, f"--shard{together}"),
    ):  # fmt: skip
        for start in (run_study, plan_study):
            with pytest.raises(GridError) as error:
                start(asked, tmp_path / "new", fold_over=True, **options)  # type: ignore[operator]
            assert str(error.value) == message
    assert not (tmp_path / "new").exists()
    assert not Store(tmp_path / "new").study_file.exists()


def test_the_report_has_effects_first_and_names_aliases(run: Run, first: Run) -> None:
    report = study_report(first, [])
    assert [section.id for section in report.sections][:3] == ["effects", "variants", "support"]
    (effects, *_) = report.sections
    assert list(effects.lines) == [
        "dropout × learning_rate is measured together with width × activation: this design cannot tell them apart.",
        "dropout × width is measured together with learning_rate × activation: this design cannot tell them apart.",
        "dropout × activation is measured together with learning_rate × width: this design cannot tell them apart.",
    ]
    assert [table.caption.partition(":")[0] for table in effects.tables] == ["Main effects", "Interactions"]
    sentences = " ".join(finding.text for finding in effects.findings)
    assert "At least one of the interactions dropout × learning_rate and width × activation" in sentences
    folded = study_report(run, [])
    captions = [table.caption for table in folded.sections[0].tables]
    assert captions[2:] == [
        "Interactions that the fold-over separates, over all variants",
        "Effects that were declared, with the variants of the fold-over (exploratory)",
    ]
    found = folded.sections[0].findings
    assert any("together, dropout = 0.95 and learning_rate = 1e-06 give" in f.text for f in found)
    assert any(warning.text.startswith("The design was folded over on") for warning in folded.warnings)


def test_the_figure_of_the_effects(run: Run, first: Run) -> None:
    data = effects_data(run.effects)
    assert list(dict.fromkeys(data["kind"])) == ["main effect", "interaction", "separated interaction"]
    for _, of_kind in data.groupby("kind"):
        assert of_kind["difference"].abs().is_monotonic_decreasing
    assert list(data["name"][:2]) in (
        ["dropout = 0.95", "learning_rate = 1e-06"],
        ["learning_rate = 1e-06", "dropout = 0.95"],
    )
    assert "dropout × learning_rate + width × activation" in list(data["name"])
    (drawing,) = drawings(first)
    assert drawing.title == "Effects on test accuracy"
    assert "n = 3 seeds" in drawing.caption
    assert drawing.alt.startswith("Effects on test accuracy: ")
