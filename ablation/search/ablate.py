"""From a search to an ablation study: the grid that takes the winner apart."""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml import YAML

from ablation.errors import RunError, writing
from ablation.grid.grid_file import read_study
from ablation.grid.study import Study, Variant
from ablation.grid.value_text import yaml_text
from ablation.search.results import SearchRun
from ablation.search.settings import Search
from ablation.search.tables import winner

GRID = "ablation.yaml"


def ablation_study(searched: SearchRun) -> Study:
    """Write the grid that takes the winner of a search apart, and return it as a study.

    The baseline is the winner with all of its changes. Each change is taken out of it, and added alone to the
    setting that the search started from; if there is only one change, it is compared with that setting. The
    seeds are new: neither the search nor the confirmation has used them.

    Raises:
        RunError: No setting was confirmed, the winner is the setting that the search started from, the search
            was over a HyperModel, or the folder cannot be written to.
    """
    if searched.search.settings.hypermodel:
        raise RunError(
            "--then-ablate cannot be used with a HyperModel: it ablates settings, and those of a "
            "HyperModel are its own."
        )
    search, best = searched.search, winner(searched.confirmation, searched.search.settings.maximise)
    if best is None:
        raise RunError(
            f"{searched.folder}: no trial of the confirmation completed, so there is no winner to ablate. "
            "See the logs in its subfolder confirmation/logs."
        )
    variant = next(v for v in searched.confirmed.study.variants if v.name == best)
    changed = changed_settings(search.baseline, variant)
    # A setting of a component that is off changes nothing on its own: it comes with the component.
    idle = {key: with_ for key, (_, with_) in changed.items() if _is_idle(search, key, with_)}
    parts = {key: levels for key, levels in changed.items() if key not in idle}
    if not parts:
        raise RunError(f"{best} changes nothing, so there is nothing to ablate.")
    grid = _grid(searched, variant, parts, idle)
    file = searched.folder / GRID
    with writing(searched.folder), file.open("w", encoding="utf-8") as stream:
        YAML().dump(grid, stream)
    return read_study(file)


def changed_settings(baseline: Variant, variant: Variant) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two variants differ, each with the baseline's and the variant's value."""
    flat = [v.model.model_dump(mode="json") | v.training.model_dump(mode="json") for v in (baseline, variant)]
    return {key: (flat[0][key], flat[1][key]) for key in flat[0] if flat[0][key] != flat[1][key]}


def _is_idle(search: Search, key: str, value: Any) -> bool:
    plain, alone = search.baseline, search.variant("", {key: value})
    return plain.model.effective == alone.model.effective and plain.training == alone.training


def _grid(
    searched: SearchRun, variant: Variant, changed: dict[str, tuple[Any, Any]], idle: dict[str, Any]
) -> dict[str, Any]:
    study, base = searched.search.study, searched.search.baseline
    given: dict[str, Any] = {
        "study": f"{study.name} ablation",
        "question": f"Which of the changes that the search found ({variant.name}) are worth anything?",
        "dataset": study.dataset.model_dump(mode="json", exclude_defaults=True)
        or {"name": study.dataset.name},
        "model": {"family": base.model.family} | _unchanged(base.model, changed) | idle,
        "training": _unchanged(base.training, changed),
        "factors": {key: {_label(level): level for level in levels} for key, levels in changed.items()},
        "seeds": [
            max(searched.confirmed.study.seeds) + 1 + k for k in range(searched.search.settings.confirm.seeds)
        ],
        "compare": study.compare.with_the_baseline().model_dump(mode="json"),
        "threads": study.threads,
        "gpus": study.gpus,
        "vary": list(study.vary),
    }
    if len(changed) > 1:
        given |= {"ablate": ["leave_one_out", "add_one_in"], "baseline": "full"}
    plain: dict[str, Any] = json.loads(json.dumps(given))  # lists instead of tuples
    return plain


def _label(level: Any) -> str:
    return f"{level:.4g}" if isinstance(level, float) else yaml_text(level)


def _unchanged(settings: Any, changed: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True)
    return {key: value for key, value in given.items() if key not in changed and key != "family"}
