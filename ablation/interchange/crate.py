"""The RO-Crate of a packed run: what was trained from what, with what, and when, as a Process Run Crate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from ablation.grid.trial import Trial, TrialResult
from ablation.grid.value_text import counted
from ablation.results.run import Run
from ablation.training.provenance import digest

CRATE = "ro-crate-metadata.json"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [f"{_SPECIFICATION}/context", {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}]
_FORMATS = {
    ".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".md": "text/markdown",
    ".npz": "application/zip", ".parquet": "application/vnd.apache.parquet", ".py": "text/x-python",
    ".txt": "text/plain",
}  # fmt: skip
_DESCRIPTIONS = {
    "README.md": "How to check this run and to repeat a trial.",
    "study.json": "The study: the grid with every setting resolved.",
    "declared.json": "The study as it was declared before the first trial.",
    "dataset.npz": "The images, split and ready for training.",
    "croissant.json": "The data set, described in Croissant.",
    "requirements.lock.txt": "The packages that trained the trials, with exact versions.",
    "report.html": "The report, with figures and charts inside.",
    "report.md": "The report for a repository.",
    "results.csv": "One row per trial: status, accuracies, losses, gap, parameters and seconds.",
    "history.csv": "One row per epoch of each trial.",
    "comparisons.csv": "Every variant compared with the baseline.",
    "code": "The modules and files of the user from which models are built.",
    "figures": "The figures, as PNG and SVG.",
    "paper": "Pieces of a paper: a table, methods, references, figures and a checklist.",
    "tuned": "The searches that tuned the variants, and the run of the tuned variants.",
}  # fmt: skip
_STUDY = ("study.json", "dataset.npz")  # what every trial is trained from
_PACKAGES = {
    "python": "https://www.python.org/",
    "tensorflow": "https://www.tensorflow.org/",
    "jax": "https://docs.jax.dev/",
    "keras": "https://keras.io/",
    "numpy": "https://numpy.org/",
}
_NO_LICENSE = {
    "@id": "#license",
    "@type": "CreativeWork",
    "name": "No license is stated",
    "description": "Ask whoever packed this run before you use or pass on any of it.",
}

Entity = dict[str, Any]


def crate(run: Run, sizes: Mapping[str, int], digests: Mapping[str, str]) -> Entity:
    """Return the metadata of a pack as JSON-LD.

    It names nobody: a run does not record who started it.

    Args:
        run: The run.
        sizes: The size in bytes of each file of the pack, by its path.
        digests: The SHA-256 of each of them.
    """
    actions = [*_trainings(run, sizes), _reporting(run, sizes)]
    parts = [*_files(sizes, digests), *_folders(run, sizes)]
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": _reference("./"),
        "conformsTo": _reference(_SPECIFICATION),
    }
    profile = {
        "@id": _PROFILE,
        "@type": "CreativeWork",
        "name": "Process Run Crate",
        "version": PurePosixPath(_PROFILE).name,
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": run.study.name,
        "description": _description(run),
        "datePublished": max(action["endTime"] for action in actions),
        "license": _reference(_NO_LICENSE["@id"]),
        "conformsTo": _reference(_PROFILE),
        "hasPart": [_reference(part["@id"]) for part in parts],
        "mentions": [_reference(action["@id"]) for action in actions],
    }
    graph = [descriptor, root, profile, _NO_LICENSE, *_software(run), *actions, *parts]
    return {"@context": _CONTEXT, "@graph": [_compact(entity) for entity in graph]}


def _compact(entity: Entity) -> Entity:
    """Return an entity with a list of one as that one, as RO-Crate recommends, and without empty lists."""
    flat = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }
    return {key: value for key, value in flat.items() if value != []}


def _reference(name: str) -> Entity:
    return {"@id": name}


def _description(run: Run) -> str:
    variants = counted(len(run.study.variants), "variant")
    about = (
        f"An ablation study of {variants}, {counted(len(run.trials), 'trial')}, on {run.dataset.describe()}."
    )
    return f"{run.study.question} {about}".strip()


def _files(sizes: Mapping[str, int], digests: Mapping[str, str]) -> Iterator[Entity]:
    """Yield the files that lie directly in the pack, and those of the user's code."""
    for name in sorted(sizes):
        place = PurePosixPath(name)
        if len(place.parts) > 1 and place.parts[0] != "code":
            continue
        file = {
            "@id": quote(name),
            "@type": "File",
            "name": place.name,
            "description": _DESCRIPTIONS.get(
                name, f"The file {place.name}; the page of the run folder explains it."
            ),
            "contentSize": str(sizes[name]),
            "sha256": digests[name],
        }
        known = _FORMATS.get(place.suffix)
        yield file | {"encodingFormat": known} if known else file


def _folders(run: Run, sizes: Mapping[str, int]) -> Iterator[Entity]:
    """Yield the folders that hold the other files: those of trials one by one."""
    names = {PurePosixPath(name).parts[0] for name in sizes if "/" in name} - {"trials"}
    for name in sorted(names):
        yield _folder(f"{name}/", name, _DESCRIPTIONS[name])
    trials = {_place(run, trial): trial for trial in run.trials}
    for place in dict.fromkeys(
        "/".join(name.split("/")[:2]) + "/" for name in sorted(sizes) if name.startswith("trials/")
    ):
        trial = trials.get(place)
        about = f"{trial.variant}, seed {trial.seed}" if trial else "an earlier version of the study"
        yield _folder(
            place, PurePosixPath(place).name, f"Settings, result and test probabilities of {about}."
        )


def _folder(place: str, name: str, description: str) -> Entity:
    return {"@id": quote(place), "@type": "Dataset", "name": name, "description": description}


def _place(run: Run, trial: Trial) -> str:
    return f"{run.store.place(trial).relative_to(run.folder).as_posix()}/"


def _trainings(run: Run, sizes: Mapping[str, int]) -> Iterator[Entity]:
    """Yield one action for each trial that has a result."""
    used = [*_STUDY, *(name for name in sorted(sizes) if name.startswith("code/"))]
    for trial in run.trials:
        result = run.trial_results.get(trial.id)
        if result is None:
            continue
        ended = run.store.ended_at(trial)
        training = {
            "@id": f"#{quote(trial.id)}",
            "@type": "CreateAction",
            "name": f"Training of {trial.variant} with seed {trial.seed}",
            "description": f"{counted(len(result.history), 'epoch')}; {result.status}.",
            "startTime": _time(ended - result.seconds),
            "endTime": _time(ended),
            "instrument": _reference(_instrument(result)),
            "object": [_reference(quote(name)) for name in used],
            "result": [_reference(quote(_place(run, trial)))],
        }
        yield training | _status(result)


def _status(result: TrialResult) -> Entity:
    if result.is_completed:
        return {"actionStatus": "http://schema.org/CompletedActionStatus"}
    return {"actionStatus": "http://schema.org/FailedActionStatus", "error": result.cause or result.status}


def _reporting(run: Run, sizes: Mapping[str, int]) -> Entity:
    """Return the action that computed tables, figures and report from the trials."""
    written = [n for n in sorted(sizes) if "/" not in n and n.endswith((".csv", ".parquet", ".html"))]
    written += ["report.md"] if "report.md" in sizes else []
    folders = ["figures/"] if any(name.startswith("figures/") for name in sizes) else []
    ended = [trial for trial in run.trials if trial.id in run.trial_results]
    return {
        "@id": "#report",
        "@type": "CreateAction",
        "name": "Tables, figures and report",
        "description": "Everything is computed from the trials; `ablation verify` computes it again.",
        "endTime": _time((run.folder / "report.html").stat().st_mtime),
        "instrument": _reference(_instrument(run.trial_results[ended[-1].id])),
        "object": [*map(_reference, _STUDY), *(_reference(quote(_place(run, trial))) for trial in ended)],
        "result": [_reference(name) for name in [*map(quote, written), *folders]],
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _instrument(result: TrialResult) -> str:
    return f"#ablation-{digest(result.provenance)}"


def _software(run: Run) -> Iterator[Entity]:
    """Yield ablation in each environment that trials ran in, and the packages that it computed with."""
    found: dict[str, Entity] = {}
    for result in run.trial_results.values():
        about = result.provenance
        packages = [_package(name, about[name]) for name in _PACKAGES if name in about]
        found |= {package["@id"]: package for package in packages}
        machine = [
            f"{k} {about[k]}" for k in ("machine", "processor", "accelerator", "threads") if k in about
        ]
        where = f"; here on {', '.join(machine)}" if machine else ""
        found[_instrument(result)] = {
            "@id": _instrument(result),
            "@type": "SoftwareApplication",
            "name": "ablation",
            "description": f"Trains a grid of model variants with paired seeds, and compares them{where}.",
            "softwareVersion": about.get("ablation-harness", "unknown"),
            "softwareRequirements": [_reference(package["@id"]) for package in packages],
        }
    yield from found.values()


def _package(name: str, version: str) -> Entity:
    url = _PACKAGES[name]
    return {
        "@id": f"{url}#{quote(version)}",
        "@type": "SoftwareApplication",
        "name": name,
        "softwareVersion": version,
        "url": url,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
