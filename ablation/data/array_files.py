"""Read files of NumPy arrays whose headers may promise more than there is."""

from __future__ import annotations

import math
import os
import zipfile
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_UNKNOWN_MEMORY = 16 * 2**30


def load_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by their names, and run none of the code that pickles may contain.

    Before any memory is taken, the size that each array promises is compared with that of its bytes, and that
    of all arrays with the memory of this machine.

    Raises:
        OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error: The file cannot be read,
            is damaged, or contains something else than arrays of numbers and text.
    """
    with zipfile.ZipFile(path) as archive:
        _require_memory(sum(member.file_size for member in archive.infolist()))
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if not member.filename.endswith(".npy"):
                raise ValueError(f"it contains {name}, which is no array; use numpy.savez")
            with archive.open(member) as stream:
                _checked_header(stream, member.file_size, f"the array {name}")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def load_npy(path: Path) -> NDArray[Any]:
    """Return the array of an .npy file, as `load_npz` does.

    Raises:
        OSError, EOFError, ValueError: The file cannot be read, is damaged, or contains something else.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        _require_memory(size)
        shape, in_columns, dtype = _checked_header(stream, size, "the array")
        content = bytearray(size - stream.tell())
        if stream.readinto(content) != len(content):
            raise ValueError("the array became shorter while it was read")
    array: NDArray[Any] = np.frombuffer(content, dtype)
    return array.reshape(shape, order="F" if in_columns else "C")


def _checked_header(stream: IO[bytes], size: int, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type; raise ValueError for other than plain numbers or text, or other bytes."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{what} has a header of an unknown version")
    length = stream.read(2 if version == (1, 0) else 4)
    header = stream.read(int.from_bytes(length, "little"))
    shape, in_columns, dtype = _parsed_header(version, length + header)
    if dtype.hasobject:
        raise ValueError(
            f"{what} contains Python objects. Save labels that are names as text, with y.astype(str), and "
            "images as one array of numbers, all of the same size"
        )
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError(f"{what} has {size - stream.tell():,} bytes, which is not what its header says")
    return shape, in_columns, dtype


@lru_cache(64)  # a run's trials share one header, and parsing it takes longer than all the rest
def _parsed_header(version: tuple[int, int], header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(BytesIO(header))


def _require_memory(size: int) -> None:
    if size > (memory := _memory()):
        raise ValueError(f"its arrays have {size:,} bytes, and this machine has {memory:,} bytes of memory")


def _memory() -> int:
    """Return the memory of this machine in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _UNKNOWN_MEMORY
