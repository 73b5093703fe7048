"""In which section of a grid file a key belongs, for keys that are written in another one."""

from __future__ import annotations

from collections.abc import Collection

from ablation.grid.compare_settings import CompareSettings
from ablation.grid.dataset_settings import DatasetSettings
from ablation.grid.settings import MODEL_FAMILIES, TrainingSettings

MODEL_KEYS = frozenset(key for family in MODEL_FAMILIES.values() for key in family.model_fields)
TRAINING_KEYS = frozenset(TrainingSettings.model_fields)
STUDY_KEYS = frozenset(
    {
        "study", "question", "dataset", "model", "training", "factors", "variants", "ablate", "design",
        "baseline", "compare", "seeds", "save_models", "threads", "vary", "timeout", "engine", "gpus",
        "search", "tune",
    }
)  # fmt: skip
SECTIONS: dict[str, Collection[str]] = {
    "model": MODEL_KEYS,
    "training": TRAINING_KEYS,
    "dataset": frozenset(DatasetSettings.model_fields) - {"name", "id"},  # which are used anywhere
    "compare": frozenset(CompareSettings.model_fields),
}


def belongs(key: str, excepted: Collection[str] = ()) -> str:
    """Return a sentence that says where a key belongs; empty if no section has it.

    Args:
        key: The key.
        excepted: Sections in which it is not valid.
    """
    sections = [f"`{name}:`" for name, keys in SECTIONS.items() if key in keys and name not in excepted]
    if sections:
        return f" It belongs under {' or '.join(sections)}."
    return " It belongs to no section; write it without indentation." if key in STUDY_KEYS else ""


def why_not_varied(setting: str) -> str:
    """Return why a setting cannot differ between variants; empty if it is not one of the whole study."""
    section, _, key = setting.rpartition(".")
    if section in ("", "dataset") and key in SECTIONS["dataset"]:
        if key in TRAINING_KEYS:
            return f"the dataset is the same for all variants; to vary '{key}', write `{key}` alone."
        return (
            f"'{key}' belongs to the dataset, which is the same for all variants. Set it under `dataset:`, "
            "and run one study per value to compare several."
        )
    if section in ("", "compare") and key in SECTIONS["compare"]:
        return f"'{key}' is the same for all variants.{belongs(key)}"
    if not section and key in STUDY_KEYS - {"model", "training", "dataset"}:
        return (
            f"'{key}' is the same for all variants; it belongs to no section. Write it without indentation."
        )
    return ""
