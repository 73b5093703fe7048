"""Compare the declaration of a study before its first trial with a later one."""

from __future__ import annotations

import json
from typing import Any

from ablation.digest import short_digest
from ablation.grid.settings import CONTENT
from ablation.grid.study import Study, Variant
from ablation.grid.value_text import setting_text, yaml_text


def study_digest(study: Study) -> str:
    """Return a hash of everything that a study declares, without the path of its images."""
    record = [_settings(study), [_flat(v.model_dump(mode="json", context=CONTENT)) for v in study.variants]]
    return short_digest(json.dumps(record, sort_keys=True), 12)


def study_changes(first: Study, now: Study) -> list[str]:
    """List the changes between two versions of a study, one line per setting or added or removed variant."""
    before, after = ({variant.name: variant for variant in study.variants} for study in (first, now))
    added, removed = (
        [n for n in side if n not in other] for side, other in ((after, before), (before, after))
    )
    by_fold = [v.name for v in now.added_by_fold] if not first.fold else []
    added = [name for name in added if name not in by_fold]
    renamed = {old: new for old in removed for new in added if _content(before[old]) == _content(after[new])}
    lines = [f"design: folded over on {now.fold}, {len(by_fold)} variants added"] if by_fold else []
    lines += [f"variant {name}: added" for name in added if name not in renamed.values()]
    lines += [f"variant {name}: removed" for name in removed if name not in renamed]
    lines += [f"variant {old}: renamed to {new}" for old, new in renamed.items()]
    for name in (name for name in before if name in after):
        old, new = (_flat(side[name].model_dump(mode="json", context=CONTENT)) for side in (before, after))
        lines += _changed(old, new, f"variants.{name}.")
    return lines + _changed(_settings(first), _settings(now), "")


def _content(variant: Variant) -> dict[str, Any]:
    """Return the settings of a variant that can change its results."""
    return {
        "family": variant.model.family,
        "model": variant.model.effective,
        "training": variant.training.model_dump(mode="json", context=CONTENT),
    }


def _settings(study: Study) -> dict[str, Any]:
    """Return the settings of a study without its variants, one dotted key per setting."""
    excluded: Any = {"variants": True, "fold": True, "gpus": True, "engine": True, "dataset": {"path"}}
    if study.design == "full":  # a study of an earlier version, which knew no other design, keeps its hash
        excluded |= {"design": True}
    excluded |= {} if study.tune else {"tune": True}  # the hash of a study without it stays what it was
    record = study.model_dump(mode="json", exclude=excluded, context=CONTENT)
    return _flat(record)


def _changed(old: dict[str, Any], new: dict[str, Any], prefix: str) -> list[str]:
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = (yaml_text(side[key]) if key in side else "nothing" for side in (old, new))
        if before == after:  # a list may contain components of which only the file has changed
            before, after = (json.dumps(side.get(key)) for side in (old, new))
        if before != after:
            lines.append(f"{prefix}{key}: {before} → {after}")
    return lines


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix[:-1]: value}
    return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{prefix}{key}.").items()}


def changed_settings(variant: Variant, baseline: Variant) -> str:
    """Name the settings in which a variant differs from the baseline, with the variant's values."""
    settings, reference = variant.settings, baseline.settings
    changed = [key for key in settings if key not in reference or settings[key] != reference[key]]
    return ", ".join(f"{key} = {setting_text(settings[key])}" for key in changed)
