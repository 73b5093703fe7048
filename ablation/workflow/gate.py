"""A merge gate: the code of a branch and that of its base train the same grid, and are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ablation.analysis.inference import FEWEST_PAIRS
from ablation.analysis.trial_tables import table_text
from ablation.data.datasets import Dataset, prepare_dataset
from ablation.errors import GridError, did_you_mean, refuse_file, writing
from ablation.executors.make import make_executor
from ablation.files import write_atomically
from ablation.grid.grid_file import read_study
from ablation.grid.setting_place import located
from ablation.grid.settings import metric_name
from ablation.grid.study import Study
from ablation.grid.study_diff import study_changes
from ablation.grid.trial import TrialResult
from ablation.grid.user_code import modules_of
from ablation.grid.user_files import file_digest
from ablation.report.gate_summary import gate_summary
from ablation.results.gate import Gate
from ablation.results.run import Run
from ablation.store.run_folder import Store
from ablation.workflow.ablated_models import keep_layers
from ablation.workflow.observers import NullObserver, Observer
from ablation.workflow.preflight import require_fit
from ablation.workflow.run_study import train_round

SUMMARY, COMPARISONS = "summary.md", "comparisons.csv"


@dataclass(frozen=True)
class Side:
    """The code of base or branch: its folder, and the grid file in it, both with absolute paths."""

    folder: Path
    grid: Path

    @classmethod
    def of(cls, option: str, folder: str | Path, grid: str | Path) -> Side:
        """Return a side whose grid file exists.

        Raises:
            GridError: There is no such folder or file.
        """
        root, relative = Path(folder).absolute(), Path(grid)
        if relative.is_absolute():
            raise GridError(
                f"--grid: expected a path in --base and --branch, like study/grid.yaml, not {grid}."
            )
        if not root.is_dir():
            raise GridError(f"--{option}: there is no folder {folder}.")
        file = root / relative
        if not file.is_file():
            names = [near.relative_to(root).as_posix() for near in file.parent.glob("*.y*ml")]
            if relative.is_file() and relative.absolute().is_relative_to(root):
                names = [relative.absolute().relative_to(root).as_posix()]
            hint = did_you_mean(relative.as_posix(), names)
            raise GridError(f"--grid: there is no {relative} in --{option} {folder}.{hint}")
        return cls(root, file)

    @contextmanager
    def code(self) -> Iterator[None]:
        """Use the code of this side alone within the block, and name its grid file in errors."""
        try:
            with modules_of(self.grid.parent), located(self.grid):
                yield
        except GridError as error:
            text = str(error)
            is_placed = text.startswith((str(self.grid), "--"))
            raise GridError(text if is_placed else f"{self.grid}: {text}") from None


def run_gate(
    base: str | Path,
    branch: str | Path,
    grid: str | Path,
    out: str | Path,
    *,
    seeds: Sequence[int] | None = None,
    data_dir: str | Path | None = None,
    executor: str = "local",
    observer: Observer | None = None,
) -> Gate:
    """Train the variants of a grid with the code of base and of a branch, and compare them seed by seed.

    Models, training and code are those of each side. All else is that of the grid file of base: the images,
    the seeds, and how results are compared. A trial of the branch whose settings, code and files are those
    of base is not trained again. What is finished is kept, and the same call continues it.

    Args:
        base: The folder with the code that the branch is merged into.
        branch: The folder with the code of the branch.
        grid: The grid file, relative to both folders.
        out: The folder for the runs ``base`` and ``branch``, ``summary.md`` and ``comparisons.csv``.
        seeds: The seeds, instead of those of the grid.
        data_dir: The folder, archive or .npz file to read the images from, instead of the grid's.
        executor: ``local`` (worker processes) or ``inline`` (this process).
        observer: Its methods are called as trials are trained.

    Returns:
        Both runs, their comparison, and whether the branch passes.

    Raises:
        AblationError: A grid file, the images or the folder cannot be used; nothing was trained.
    """
    before, after = Side.of("base", base, grid), Side.of("branch", branch, grid)
    with before.code():
        declared = read_study(before.grid, needs_images=data_dir is None)
        study = _with_seeds(declared.with_overrides(data_dir=data_dir), seeds)
        dataset = prepare_dataset(study.dataset, study.vary)
    with after.code():
        changed = read_study(after.grid, needs_images=False)
    of_base, of_branch = _in_common(study, changed)
    for side, one in ((before, of_base), (after, of_branch)):
        with side.code():
            require_fit(one, dataset)
    refuse_file(Path(out))
    stores = Store(Path(out) / "base"), Store(Path(out) / "branch")
    with before.code():
        first = _trained(of_base, stores[0], dataset, executor, observer)
    _adopt(first, of_branch, stores[1], (before, after))
    with after.code():
        second = _trained(of_branch, stores[1], dataset, executor, observer)
    gate = Gate(first, second, _differences(declared, changed))
    with writing(Path(out)):
        write_atomically(Path(out) / COMPARISONS, table_text(gate.comparisons))
        write_atomically(Path(out) / SUMMARY, gate_summary(gate))
    return gate


def _with_seeds(study: Study, seeds: Sequence[int] | None) -> Study:
    """Return a study with other seeds; refuse fewer than a verdict needs, with which no branch could fail."""
    study = study.with_overrides(seeds=seeds)
    if len(study.seeds) < FEWEST_PAIRS:
        where = "seeds" if seeds is None else "--seeds"
        raise GridError(
            f"{where}: a gate needs {FEWEST_PAIRS} seeds or more, because a verdict needs {FEWEST_PAIRS} "
            f"pairs; with {len(study.seeds)}, no branch could fail."
        )
    return study


def _in_common(study: Study, changed: Study) -> tuple[Study, Study]:
    """Return the studies of base and branch with the variants that both grid files have.

    Raises:
        GridError: They have no variant in common, or the branch does not measure what is compared.
    """
    of_branch = {variant.name: variant for variant in changed.variants}
    kept = tuple(variant for variant in study.variants if variant.name in of_branch)
    if not kept:
        raise GridError(
            "the grid files of base and branch have no variant in common: "
            f"{', '.join(v.name for v in study.variants)}, and {', '.join(of_branch)}."
        )
    names = [variant.name for variant in kept]
    baseline = study.baseline if study.baseline in names else names[0]
    common = study.model_copy(update={"variants": kept, "baseline": baseline, "tune": None})
    theirs = tuple(of_branch[name] for name in names)
    metric = study.compare.metric.partition("_")[2]
    for variant in theirs:
        if metric not in ("accuracy", "loss", *map(metric_name, variant.training.metrics)):
            raise GridError(
                f"the grid file of base compares {study.compare.metric}, and {variant.name} of the branch "
                f"does not measure {metric}."
            )
    return common, common.model_copy(update={"variants": theirs, "factors": changed.factors})


def _trained(study: Study, store: Store, dataset: Dataset, executor: str, observer: Observer | None) -> Run:
    """Train what is not finished of one side, in processes of its own."""
    logs = store.folder / "logs"
    runner = make_executor(executor, None, study.threads, logs, gpus=study.gpus, engine=study.engine)
    with store.locked():
        run = train_round(study, store, dataset, runner, observer or NullObserver())
        keep_layers(study, dataset, store)
    return run


def _adopt(run: Run, study: Study, store: Store, sides: tuple[Side, Side]) -> None:
    """Copy the trials of base that the code of the branch would repeat to the bit."""
    dataset = run.dataset
    with store.locked():
        store.open(study, dataset)
        for trial in study.trials(dataset.digest):
            result = run.trial_results.get(trial.id)
            is_new = result and result.status in ("completed", "diverged") and not store.result(trial)
            if result and is_new and reads_the_same(result, *sides):
                store.adopt(run.store, trial)


def reads_the_same(result: TrialResult, base: Side, branch: Side) -> bool:
    """Return whether the files from which a model of base was built are the same in the branch.

    A file beside the grid is recorded by its relative path. Of any other file of base, the branch may have
    another version, so the trial is trained again.

    Args:
        result: A result of base.
        base: The side of base.
        branch: The side of the branch.
    """
    for name, digest in result.files.items():
        file = branch.grid.parent / name
        if Path(name).is_absolute():
            if file.is_relative_to(base.folder):
                return False
        elif not file.is_file() or file_digest(file) != digest:
            return False
    return True


def _differences(declared: Study, changed: Study) -> tuple[str, ...]:
    """Return what the branch declares otherwise for the study as a whole, one line per setting."""
    lines = study_changes(declared, changed)
    return tuple(line for line in lines if not line.startswith("variants."))
