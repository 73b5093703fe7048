"""A CIFAR file is followed and never run: whatever its bytes say, it is what such files contain, or a sentence."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation.data.batch_file import read_batch
from ablation.errors import DatasetError

ROWS = np.arange(3 * 3072, dtype=np.uint8).reshape(3, 3072)
PYTHON_2 = (  # as Python 2 wrote it: the bytes of text, and the module's old name
    b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05(K\x06K\x09K\x01e"
    b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U\x01b\x87q\nRq\x0b"
    b"(K\x01K\x03M\x00\x0c\x86q\x0ccnumpy\ndtype\nq\rU\x02u1K\x00K\x01\x87q\x0eRq\x0f(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89T\x00\x24\x00\x00" + ROWS.tobytes() + b"tbu."
)


def message(content: bytes) -> str:
    with pytest.raises(DatasetError) as caught:
        read_batch(content, "data_batch_1")
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_batch_is_what_pickle_makes_of_it(protocol: int) -> None:
    batch = {b"labels": [6, 9, 1], b"data": ROWS, b"filenames": [b"a.png", "b.png", "ü"], b"n": 70_000}
    read = read_batch(pickle.dumps(batch, protocol), "data_batch_1")
    np.testing.assert_array_equal(read.pop("data"), ROWS)
    assert read == {"labels": [6, 9, 1], "filenames": [b"a.png", "b.png", "ü"], "n": 70_000}


def test_a_batch_of_python_2_is_read() -> None:
    read = read_batch(PYTHON_2, "data_batch_1")
    np.testing.assert_array_equal(read.pop("data"), ROWS)
    assert read == {"batch_label": b"training batch 1 of 5", "labels": [6, 9, 1]}


class Pointers:
    """Bytes that NumPy would take for pointers to objects: unpickled by the ordinary means, a crash."""

    def __reduce__(self) -> Any:
        class Type:
            def __reduce__(self) -> Any:
                state = (3, "|", None, ("f0",), {"f0": (np.dtype("O"), 0)}, 8, 1, 0)
                return np.dtype, ("V8", False, True), state

        return np.ndarray, ((40,), Type(), b"A" * 320)


class Calls:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def deep(key: bool) -> bytes:
    nested = b")" + b"\x85" * 500_000  # tuples within tuples
    return b"\x80\x02}" + (nested + b"K\x01s." if key else b"U\x06labels" + nested + b"s.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is damaged, or another kind of file"),
        (b"PK\x03\x04 no pickle", "it is damaged, or another kind of file"),
        (PYTHON_2[:-4000], "it is damaged, or another kind of file"),
        (b"\x80\x02]q\x00.", "it contains no dictionary"),
        (b"\x80\x02}q\x00}q\x01.", "it is damaged, or another kind of file"),
        (deep(key=True), "it is damaged, or another kind of file"),
        (
            pickle.dumps({b"data": Pointers()}, 2),
            "it calls numpy.dtype in a way that an image file does not need",
        ),
        (
            pickle.dumps({b"data": Calls(print, "hello")}, 2),
            "it asks for __builtin__.print, which an image file does not need",
        ),
        (
            pickle.dumps({b"data": np.array([None])}, 2),
            "it calls numpy.dtype in a way that an image file does not need",
        ),
        (
            pickle.dumps({b"data": np.zeros(2, "u1,u1")}, 2),
            "it calls numpy.dtype in a way that an image file does not need",
        ),
        (
            pickle.dumps({b"data": ROWS.T}, 2),
            "it contains an array of a kind that an image file does not need",
        ),
        (
            PYTHON_2.replace(b"K\x03M\x00\x0c\x86", b"K\x04M\x00\x0c\x86"),
            "it contains an array of a kind that an image file does not need",
        ),
        (
            pickle.dumps({b"x": {1, 2}}, 4),
            "it contains the instruction EMPTY_SET, which an image file does not need",
        ),
    ],
)
def test_anything_else_is_refused_in_a_sentence(content: bytes, expected: str) -> None:
    assert message(content) == f"data_batch_1 is not a CIFAR batch: {expected}."


def test_what_is_nested_deep_or_used_often_fills_no_memory() -> None:
    assert isinstance(read_batch(deep(key=False), "data_batch_1")["labels"], tuple)
    once = (
        b"c_codecs\nencode\nq\x00X\x40\x42\x0f\x00"
        + b"a" * 1_000_000
        + b"q\x01X\x06\x00\x00\x00latin1q\x02\x86q\x03"
    )
    content = b"\x80\x02}U\x04data](" + once + b"R" + b"h\x00h\x03R" * 10_000 + b"es."
    tracemalloc.start()
    try:
        assert message(content) == "data_batch_1 is not a CIFAR batch: its text is longer than the file."
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@given(at=st.integers(0, len(PYTHON_2) - 1), byte=st.integers(0, 255), cut=st.integers(0, 400))
def test_any_damage_is_a_sentence_or_harmless(at: int, byte: int, cut: int) -> None:
    for place in (at, at % 400):  # most bytes are pixels; the first ones are instructions
        damaged = PYTHON_2[:place] + bytes([byte]) + PYTHON_2[place + 1 : len(PYTHON_2) - cut]
        try:
            read_batch(damaged, "data_batch_1")
        except DatasetError as error:
            assert str(error).startswith("data_batch_1 is not a CIFAR batch: ")


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_sentence_or_harmless(content: bytes) -> None:
    try:
        read_batch(b"\x80\x02}(" + content + b"u.", "data_batch_1")
    except DatasetError as error:
        assert str(error).startswith("data_batch_1 is not a CIFAR batch: ")
