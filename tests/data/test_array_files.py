"""A file of arrays that promises more than it holds, or holds more than fits, is a sentence and takes no memory."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from ablation.data import array_files
from ablation.data.array_files import load_npy
from ablation.data.datasets import prepare_dataset
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": descr})
    return stream.getvalue()


def message(file: Path) -> str:
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError) as caught:
            prepare_dataset(DatasetSettings(name="npz", path=str(file)))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize(
    ("member", "content", "expected"),
    [
        (
            "x.npy",
            header((10**12, 8, 8)),
            "the array x has 0 bytes, which is not what its header says",
        ),
        (
            "x.npy",
            header((-1, -1)) + b"a",
            "the array x has 1 bytes, which is not what its header says",
        ),
        ("x.npy", b"\x93NUMPY\x03\x00" + header((1,))[8:] + b"a", "the array x has a header of an unknown version"),
        ("x.txt", b"hello", "it contains x.txt, which is no array; use numpy.savez"),
    ],
)  # fmt: skip
def test_a_header_that_promises_too_much_is_refused(
    tmp_path: Path, member: str, content: bytes, expected: str
) -> None:
    file = tmp_path / "own.npz"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    assert message(file) == f"{file} cannot be read as an .npz file: {expected}."


def test_what_decompresses_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.npz"
    np.savez_compressed(file, x=np.zeros((10_000, 8, 8), np.uint8), y=np.zeros(10_000, np.uint8))
    monkeypatch.setattr(array_files, "_memory", lambda: 500_000)
    assert message(file) == (
        f"{file} cannot be read as an .npz file: its arrays have 650,256 bytes, and this machine has 500,000 "
        "bytes of memory."
    )


def test_the_memory_of_this_machine_is_known() -> None:
    assert 2**28 < array_files._memory() < 2**50


@pytest.mark.parametrize("largest", [10**12, 2**63 - 1])
def test_a_label_of_a_million_millions_is_a_sentence(tmp_path: Path, largest: int) -> None:
    file = tmp_path / "own.npz"
    labels = np.arange(60) % 3
    labels[7] = largest
    np.savez(file, x=np.zeros((60, 2, 2), np.uint8), y=labels)
    assert message(file) == (
        f"{file}: no training image has the label 3, one of {largest + 1} classes. The largest label is {largest}."
    )


def test_a_truncated_array_of_predictions_is_no_array(tmp_path: Path) -> None:
    file = tmp_path / "test_probabilities.npy"
    file.write_bytes(header((10**12, 10), "<f4"))
    with pytest.raises(ValueError, match="the array has 0 bytes, which is not what its header says"):
        load_npy(file)


def test_an_array_is_read_into_the_memory_that_it_takes(tmp_path: Path) -> None:
    array = np.arange(2e6).reshape(-1, 8)
    np.save(tmp_path / "x.npy", array)
    tracemalloc.start()
    try:
        assert np.array_equal(load_npy(tmp_path / "x.npy"), array)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * array.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "array", [np.zeros((0, 3)), np.zeros((2, 3), order="F"), np.float64(5), np.arange(3, dtype=">f4"), np.array(["", "a"])]
)  # fmt: skip
def test_an_array_of_any_shape_and_order_is_read_as_it_was_saved(
    tmp_path: Path, array: np.ndarray[Any, Any]
) -> None:
    np.save(tmp_path / "x.npy", array)
    found = load_npy(tmp_path / "x.npy")
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())
    assert found.flags.writeable
