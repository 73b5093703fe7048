"""`model: {file: …}`: a model that Keras has saved, as a grid names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablation.errors import AblationError, did_you_mean
from ablation.grid.schema_errors import unknown_key, validate
from ablation.grid.settings import FileSettings
from ablation.grid.user_code import module_source
from ablation.grid.user_files import file_digest
from ablation.grid.value_text import yaml_text
from ablation.grid.yaml_positions import LocatedYaml
from ablation.operating_system import written_here

FILE_KEYS = ("file", "weights", "custom_objects")
SUFFIXES = (".keras", ".h5", ".hdf5")


def model_file(model: Mapping[str, Any], source: LocatedYaml) -> FileSettings:
    """Return the settings of a saved model, without its augmentation.

    Args:
        model: The section `model:` of a grid.
        source: The grid file.

    Raises:
        GridError: There is no such file, or a key is not valid.
    """
    for key in model:
        if key not in (*FILE_KEYS, "augmentation"):
            if key == "builder":
                message = "a model comes from a `builder` or from a `file`; remove one of the two."
            else:
                message = unknown_key(key, (*FILE_KEYS, "augmentation"), ("model",))
            raise source.error(("model", key), message)
    given = model["file"]
    if not isinstance(given, str) or not given.endswith(SUFFIXES):
        raise source.error(
            ("model", "file"),
            f"expected a model that Keras has saved, like model.keras or model.h5, not {yaml_text(given)}.",
        )
    folder = Path(source.file).absolute().parent
    file = written_here(given, folder)
    if file.is_dir():
        raise source.error(("model", "file"), f"'{given}' is a folder; expected a file, like model.keras.")
    if not file.is_file():
        beside = did_you_mean(file.name, [p.name for p in file.parent.glob("*") if p.suffix in SUFFIXES])
        place = "" if Path(given).expanduser().is_absolute() else f", relative to the grid file: {file}"
        raise source.error(("model", "file"), f"there is no '{given}'{place}.{beside}")
    values = {key: model[key] for key in FILE_KEYS if key in model}
    digest = file_digest(file)
    settings = validate(
        FileSettings, values | {"folder": str(folder), "source": digest}, source, {}, ("model",)
    )
    if settings.custom_objects:
        try:
            of_module = module_source(settings.custom_objects, folder)
        except AblationError as error:
            raise source.error(("model", "custom_objects"), str(error)) from None
        settings = settings.model_copy(update={"source": f"{digest} {of_module}"})
    return settings
