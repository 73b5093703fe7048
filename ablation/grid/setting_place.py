"""Where a grid file sets what its images do not allow, for errors that are found after it was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ablation.errors import DatasetError
from ablation.grid.ablate_settings import edit_place
from ablation.grid.overrides import Override
from ablation.grid.yaml_positions import KeyPath, read_yaml


@contextmanager
def located(file: Path, overrides: Sequence[Override] = ()) -> Iterator[None]:
    """Give an error about a setting its file, its line and its key.

    Args:
        file: The grid file.
        overrides: Settings that were put in the place of those of the file.

    Raises:
        GridError: Instead of a `DatasetError` that names a setting.
    """
    try:
        yield
    except DatasetError as error:
        if not error.setting:
            raise
        source = read_yaml(file, overrides)
        place = _place(source.data, error.setting, error.value)
        raise source.error(place, error.message) from None


def _place(data: Mapping[str, Any], setting: str, value: Any) -> KeyPath:
    """Return the place of a setting: in a variant or a factor that has this value, or in its section."""
    section, _, key = setting.partition(".")
    if section == "ablate":
        return edit_place(data, key, value)
    if section != "dataset":
        for name, settings in (data.get("variants") or {}).items():
            for written in (key, setting):
                if written in settings and settings[written] == value:
                    return ("variants", name, written)
        for written in (key, setting):
            levels = (data.get("factors") or {}).get(written, [])
            pairs = levels.items() if isinstance(levels, dict) else enumerate(levels)
            for label, level in pairs:
                if level == value:
                    return ("factors", written, label)
    return (section, key) if key else (section,)
