"""What was changed in a study since its first trial."""

from __future__ import annotations

from ablation.grid.study import Study
from ablation.grid.study_diff import study_changes

_OLDER_RULES = (
    "compare: declared for an earlier version of ablation, which judged the comparisons and each kind of "
    "effect as families of their own, for other seeds only"
)


def changes_since(declared: tuple[Study, str], study: Study, dataset_digest: str) -> list[str]:
    """Return the changes, one line per setting.

    Args:
        declared: The study and the digest of its dataset as they were before the first trial.
        study: The study as it is now.
        dataset_digest: The digest of its dataset.
    """
    lines = study_changes(declared[0], study)
    if "questions" not in declared[0].compare.model_fields_set:
        lines.insert(0, _OLDER_RULES)
    if declared[1] != dataset_digest and not any(line.startswith("dataset.") for line in lines):
        lines.append("dataset: its images, their labels or their order have changed")
    return lines
