"""A run for DVC: the metrics, parameters and plots of every trial, in the files that DVCLive writes.

They are plain JSON, YAML and TSV, so that no package of DVC's is needed to write them, no repository is
touched, and nothing is sent anywhere. (`dvclive.Live` would create a DVC repository in the user's Git
repository, and report to DVC Studio if it is configured.)
"""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ablation.errors import writing
from ablation.export.places import Place, forget_others, trial_places
from ablation.export.records import all_settings, epoch_measures, final_measures
from ablation.export.results_files import results_files
from ablation.files import write_atomically
from ablation.grid.study import Study
from ablation.grid.trial import TrialResult
from ablation.results.run import Run

FOLDER = "dvclive"
_METRICS, _PARAMS, _PLOTS = "metrics.json", "params.yaml", "plots/metrics"
_RESULTS = "_results"  # no variant has a folder of this name


def write_dvc(run: Run) -> Path:
    """Write the trials of a run that have ended, and its report; trials that are there already stay.

    Each trial is a folder ``dvclive/<variant>/s<seed>`` as DVCLive writes it, and ``dvclive/dvc.yaml`` names
    the files of all of them for ``dvc metrics``, ``dvc params`` and ``dvc plots``.

    Args:
        run: The run, finished or not.

    Returns:
        The path of ``dvc.yaml``.

    Raises:
        RunError: The folder cannot be written to.
    """
    root = run.folder / FOLDER
    places = trial_places(run, root)
    with writing(root):
        root.mkdir(exist_ok=True)
        forget_others(root, places)
        written = []
        for trial in run.trials:
            result, place = run.trial_results.get(trial.id), places[trial.id]
            if result is None:
                continue
            written.append(place.folder.relative_to(root).as_posix())
            if not place.holds(fingerprint := run.store.fingerprint(trial)):
                place.clear()
                _write_trial(run.study, place, result)
                place.write_about(fingerprint)
        pictures = _copy_results(run, root / _RESULTS)
        return write_atomically(root / "dvc.yaml", _yaml(_named_files(written, pictures)))


def _write_trial(study: Study, place: Place, result: TrialResult) -> None:
    """Write the three kinds of files of a trial: a value per setting, per measure, and per epoch."""
    settings = all_settings(study, place.trial)
    (place.folder / _PARAMS).write_text(_yaml(settings), "utf-8")
    curves = [epoch_measures(record) for record in result.history]
    for name in curves[0] if curves else ():
        file = place.folder / _PLOTS / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"step\t{file.stem}"]
        lines += [f"{r.epoch}\t{m[name]}" for r, m in zip(result.history, curves, strict=True)]
        file.write_text("\n".join(lines) + "\n", "utf-8")
    last = (curves[-1] if curves else {}) | final_measures(result)
    summary = _nested(last) | {"step": len(result.history), "status": result.status}
    (place.folder / _METRICS).write_text(json.dumps(summary, indent=4) + "\n", "utf-8")


def _nested(measures: Mapping[str, float]) -> dict[str, Any]:
    """Return measures by the parts of their names; what JSON cannot hold is text, as DVCLive writes it."""
    nested: dict[str, Any] = {}
    for name, value in measures.items():
        group, _, measure = name.partition("/")
        nested.setdefault(group, {})[measure] = value if math.isfinite(value) else str(value)
    return nested


def _copy_results(run: Run, folder: Path) -> list[str]:
    """Copy the report, the tables and the figures; return the names of the figures' files."""
    files = results_files(run)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in (*files.documents, *files.pictures):
        shutil.copy(file, folder)
    return [file.name for file in files.pictures]


def _named_files(folders: Sequence[str], pictures: Sequence[str]) -> dict[str, Any]:
    """Return the content of a ``dvc.yaml`` without stages, which only names what DVC shows."""
    plots: list[Any] = [{f"{folder}/{_PLOTS}": {"x": "step"}} for folder in folders]
    return {
        "params": [f"{folder}/{_PARAMS}" for folder in folders],
        "metrics": [f"{folder}/{_METRICS}" for folder in folders],
        "plots": plots + [f"{_RESULTS}/{name}" for name in pictures],
    }


def _yaml(content: Any) -> str:
    yaml, stream = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.dump(content, stream)
    return stream.getvalue()
