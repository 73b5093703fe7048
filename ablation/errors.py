"""The exceptions whose messages are written for users and shown without a traceback."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ablation.control_characters import visible


class AblationError(Exception):
    """Base class of the errors that the command line shows as a message instead of a traceback."""


class GridError(AblationError):
    """The grid file, or an override of it, does not describe a study."""


class DatasetError(AblationError):
    """The dataset cannot be read, or cannot be split as requested.

    Args:
        message: What is wrong, and what was expected.
        setting: The setting that does not fit, like ``dataset.train_size``, if it is one.
        value: Its value.
    """

    def __init__(self, message: str, setting: str = "", value: object = None) -> None:
        super().__init__(message, setting, value)
        self.message, self.setting, self.value = message, setting, value

    def __str__(self) -> str:
        return f"{self.setting}: {self.message}" if self.setting else self.message


class RunError(AblationError):
    """A run folder is missing, or does not contain what was requested."""


class AblationWarning(UserWarning):
    """A warning that the command line shows as a sentence."""


def did_you_mean(wrong: str, valid: Iterable[str]) -> str:
    """Return ``" Did you mean 'dropout'?"`` for the nearest valid name, or else a list of all valid names.

    Args:
        wrong: The name that was given.
        valid: The valid names.
    """
    names = sorted(set(valid))
    folded = {name.lower(): name for name in names}
    begun = [name for name in folded if name.startswith(wrong.lower())] if len(wrong) > 1 else []
    near = begun or difflib.get_close_matches(wrong.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{folded[near[0]]}'?"
    return f" Valid names: {', '.join(names)}." if names else ""


def refuse_file(folder: Path) -> None:
    """Refuse a file where a folder is expected, or a folder below a file.

    Raises:
        RunError: ``folder`` is a file, or lies below one.
    """
    if file := next((path for path in (folder, *folder.parents) if path.is_file()), None):
        below = "" if file == folder else f", so that {folder} cannot be below it"
        raise RunError(f"{file} is a file{below}; name a folder.")


def unreadable(place: Path | str, error: OSError) -> str:
    """Return the sentence of an error of the operating system while reading a file or a folder."""
    reason = (error.strerror or str(error)).lower()
    remedy = (
        " Remove it, and repeat the command that wrote it." if isinstance(error, IsADirectoryError) else ""
    )
    return f"{place} cannot be read: {reason}.{remedy}"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the operating system while writing to a folder into a message for the user.

    Raises:
        RunError: The folder cannot be written to; for example, the disk is full or read-only, or the folder
            has been removed.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{folder} or a part of it is missing: {error.filename} does not exist.") from None
    except IsADirectoryError as error:
        place = error.filename2 or error.filename or folder
        raise RunError(
            f"{place} is a folder in the place of a file. Remove it, and repeat the command; finished work "
            "is kept."
        ) from None
    except OSError as error:
        refuse_file(folder)
        reason, place = (error.strerror or str(error)).lower(), folder
        if isinstance(error, PermissionError) and error.filename2:  # of a rename, on Windows
            place, reason = error.filename2, f"{reason}; close it if another program has it open"
        raise RunError(
            f"{place} cannot be written to: {reason}. Finished work is kept; when it can be written to, "
            "repeat the command."
        ) from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error of the operating system while reading something that is there into a message.

    Raises:
        RunError: It cannot be read; for example, it belongs to another user.
        FileNotFoundError: It does not exist.
        NotADirectoryError: It is a file.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"{error.filename or path} cannot be read: {reason}.") from None


def show_warning(message: Warning | str, category: type[Warning], *place: Any, **named: Any) -> None:
    """Print a warning that is meant for the user as a sentence; others as Python does."""
    if issubclass(category, AblationWarning):
        print(f"Warning: {visible(str(message))}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, *place[:2]), end="", file=sys.stderr)
