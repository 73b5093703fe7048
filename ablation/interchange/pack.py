"""Packing a run for another person: its files, the code that it needs, and what describes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import metadata
from pathlib import Path
from shlex import quote

from ablation.errors import RunError
from ablation.files import json_text
from ablation.grid.value_text import counted
from ablation.interchange.archive import write_archive
from ablation.interchange.code import Code, code_of
from ablation.interchange.contents import CODE, Contents, run_contents
from ablation.interchange.crate import CRATE, crate
from ablation.interchange.croissant import CROISSANT, croissant
from ablation.interchange.environment import lock_text
from ablation.results.derived import DERIVED, are_derived
from ablation.results.run import Run
from ablation.results.tuning import tuned_folder
from ablation.store.manifest import MANIFEST, manifest_text, sha256_of
from ablation.workflow.scaffold import rendered

LOCK, README = "requirements.lock.txt", "README.md"
_IMAGES = "dataset.npz"


def pack_run(run: Run, out: str | Path | None = None, models: bool = False) -> Path:
    """Write a run as a folder or a zip file that another person can check and repeat.

    Packing an unchanged run again writes the same bytes. While it is packed, the run cannot be continued.

    Args:
        run: The run.
        out: The folder to write or, if its name ends in ``.zip``, the file; it must not exist yet. The
            default is a zip file in the current folder, named like the run folder.
        models: Whether saved models are in it, too.

    Returns:
        The folder or the file.

    Raises:
        RunError: The run is being trained; its report is missing or out of date; a trial is damaged, or
            cannot be repeated because code has changed; or the pack exists already, would be in the run
            folder, or cannot be written.
    """
    out = Path(out) if out else Path(f"{run.folder.resolve().name}.zip")
    if run.folder.resolve() in out.resolve().parents:  # the next pack might contain it
        raise RunError(f"{out} would be in the run folder itself; choose a place outside of it with --out.")
    with _at_rest(run):
        run.refresh()
        _require_whole(run)
        code = code_of(run)
        contents: Contents = run_contents(run, models)
        _require_up_to_date(run)
        contents |= {f"{CODE}/{name}": file for name, file in code.files.items()}
        _describe(run, contents, code)
        write_archive(contents, out)
    return out


@contextmanager
def _at_rest(run: Run) -> Iterator[None]:
    """Hold the run folder, so that nothing is trained in it meanwhile.

    Raises:
        RunError: Another process is training in it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(run.store.locked())
        except RunError as error:
            text = str(error).replace(", or choose another folder with --out.", " before you pack the run.")
            raise RunError(text) from None
        yield


def _require_whole(run: Run) -> None:
    """Raise an error if a run could not be checked by whoever receives it."""
    if not run.completed_trials:
        raise RunError(f"{run.folder} has no completed trial, so that there is nothing to pack.")
    _require_undamaged(run)
    for trial_id, reason in run.other_models.items():
        raise RunError(
            f"{run.folder} cannot be packed: trial {trial_id} is left out of all results: {reason}."
        )
    tuning = run.tuning
    for part in (*tuning.searches.values(), *tuning.comparisons.values()):
        assert isinstance(part, Run)
        _require_undamaged(part)
        _ = part.dataset  # which raises an error if it is damaged


def _require_up_to_date(run: Run) -> None:
    """Raise an error if tables, figures or reports that are packed do not follow from their trials."""
    _require_derived(run)
    if run.tuning.comparisons:
        _require_derived(Run(tuned_folder(run.folder)))


def _require_derived(run: Run) -> None:
    """Raise an error if the tables, figures or report of a run are not those of its trials."""
    if run.is_reported and (are_derived(run) or not (run.folder / DERIVED).exists()):
        return  # earlier versions recorded nothing, and neither does a pack
    raise RunError(
        f"{run.folder} cannot be packed: its tables, figures or report are missing, damaged or edited, or "
        f"older than its trials. `ablation report {quote(str(run.folder))}` writes them."
    )


def _require_undamaged(run: Run) -> None:
    """Raise an error if a trial of a run is damaged."""
    for trial in run.trials:
        if damage := run.store.damage(trial):
            raise RunError(
                f"{run.folder} cannot be packed: trial {trial.id}: {damage}. The same `ablation run` command "
                "trains it again."
            )


def _describe(run: Run, contents: Contents, code: Code) -> None:
    """Add what describes the files of a pack: README, lock, Croissant, RO-Crate and, last, the manifest."""
    contents[LOCK] = lock_text(run, [file for file in code.files.values() if file.suffix == ".py"]).encode()
    contents[README] = _readme(run, contents, code).encode()
    images = run.store.dataset_file
    about = croissant(run.study.dataset, run.dataset, _IMAGES, images.stat().st_size, sha256_of(images))
    contents[CROISSANT] = json_text(about).encode()
    digests = {name: sha256_of(content) for name, content in contents.items()}
    contents[CRATE] = json_text(crate(run, _sizes(contents), digests)).encode()
    digests[CRATE] = sha256_of(contents[CRATE])
    contents[MANIFEST] = manifest_text(digests).encode()


def _sizes(contents: Contents) -> dict[str, int]:
    return {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size
        for name, content in contents.items()
    }


def _readme(run: Run, contents: Contents, code: Code) -> str:
    trial = min(run.completed_trials, key=lambda trial: run.trial_results[trial.id].seconds)
    versions = sorted(metadata("ablation-harness")["Requires-Python"].split(","), reverse=True)
    return rendered(
        "pack.md", study=run.study, dataset=run.dataset.describe(), trial=trial, lock=LOCK,
        python=", ".join(versions), code=sorted(code.files), elsewhere=code.elsewhere,
        variants=counted(len(run.study.variants), "variant"), trials=counted(len(run.trials), "trial"),
        has_models=any(name.endswith("/model.keras") for name in contents), manifest=MANIFEST,
    )  # fmt: skip
