"""Read a file of the python version of CIFAR without running the pickle that it is.

A pickle is a program that builds objects. These files build dictionaries, lists, text, whole numbers and one
array, with a few instructions; here they are followed, and anything else in a file is refused. No object that
a file chooses is made: an array is a view of bytes of the file, of one of a few types of whole numbers.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ablation.errors import DatasetError

MOST_BYTES = 2**30
"""The largest file that is read: 1 GiB. The largest of the official ones has 155 MB."""

_PLAIN = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_TYPES = {"u1", "i1", "i4", "i8"}
_FUNCTIONS = {
    "numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct", "numpy ndarray",
    "numpy dtype", "_codecs encode",
}  # fmt: skip
_MARK = object()

T = TypeVar("T")


class _OddFileError(Exception):
    """The file contains what no CIFAR file contains."""


@dataclass
class _Name:
    """The name of a function that the file would call."""

    name: str


@dataclass
class _Type:
    """The type of an array's numbers, such as ``u1``."""

    code: str


@dataclass
class _Array:
    """An array, which is empty until its state is known."""

    values: NDArray[Any] | None = None


def read_batch(content: bytes, file: str) -> dict[str, Any]:
    """Return what a file contains, by its keys: arrays, lists, bytes and whole numbers.

    Args:
        content: The bytes of the file.
        file: The name of the file, for errors.

    Raises:
        DatasetError: The file is damaged, is larger than `MOST_BYTES`, or contains something else.
    """
    try:
        if len(content) > MOST_BYTES:
            raise _OddFileError(f"it has {len(content):,} bytes; expected at most {MOST_BYTES:,}")
        data = _Instructions(len(content)).follow(content)
    except (_OddFileError, ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        reason = str(error) if isinstance(error, _OddFileError) else "it is damaged, or another kind of file"
        raise DatasetError(f"{file} is not a CIFAR batch: {reason}.") from None
    values = {_text(key): value for key, value in data.items()}
    return {
        key: value.values if isinstance(value, _Array) else value
        for key, value in values.items()
        if not isinstance(value, _Name | _Type)
    }


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else key if isinstance(key, str) else ""


class _Instructions:
    """Follows the instructions of one file.

    Args:
        budget: The most bytes that text may be decoded to, so that a text used many times fills no memory.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def follow(self, content: bytes) -> dict[Any, Any]:
        """Return the dictionary that the whole file is."""
        for instruction, argument, _ in pickletools.genops(content):
            self._step(instruction.name, argument)
        (data,) = self._stack
        if not isinstance(data, dict):
            raise _OddFileError("it contains no dictionary")
        return data

    def _step(self, name: str, argument: Any) -> None:
        stack, memo = self._stack, self._memo
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _ if name in _PLAIN:
                stack.append(argument)
            case "SHORT_BINSTRING" | "BINSTRING":  # the bytes of Python 2
                stack.append(argument.encode("latin-1"))
            case _ if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case _ if name in _TUPLES:
                stack.append(tuple(self._pop(_TUPLES[name])))
            case "APPEND" | "APPENDS":
                items = self._since_mark() if name == "APPENDS" else self._pop(1)
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self._since_mark() if name == "SETITEMS" else self._pop(2)
                # A key of another kind could be nested so deep that making its hash overflows the stack.
                keys = [
                    _expect(key, bytes) if isinstance(key, bytes) else _expect(key, str) for key in items[::2]
                ]
                _expect(stack[-1], dict).update(zip(keys, items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_function(argument))
            case "STACK_GLOBAL":
                stack.append(_function(" ".join(self._pop(2))))
            case "REDUCE":
                function, arguments = self._pop(2)
                stack.append(self._called(_expect(function, _Name).name, _expect(arguments, tuple)))
            case "BUILD":
                made, state = self._pop(2)
                stack.append(_with_state(made, _expect(state, tuple)))
            case _:
                raise _OddFileError(f"it contains the instruction {name}, which an image file does not need")

    def _pop(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise IndexError
        popped = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return popped

    def _since_mark(self) -> list[Any]:
        start = len(self._stack) - 1
        while self._stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise IndexError
        items = self._pop(len(self._stack) - start)
        return items[1:]

    def _called(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return what a function of the file would return, if it is one that such files call."""
        match name.split()[-1], arguments:
            case "encode", (str() as text, "latin1" | "latin-1"):  # how Python 3 writes bytes for Python 2
                self._budget -= len(text)
                if self._budget < 0:
                    raise _OddFileError("its text is longer than the file")
                return text.encode("latin-1")
            case "_reconstruct", (_Name("numpy ndarray"), (0,), b"b" | "b"):
                return _Array()
            case "dtype", (str() | bytes() as code, 0 | 1, 0 | 1):
                text = _text(code).lstrip("|<")
                if text in _TYPES:
                    return _Type(text)
        raise _OddFileError(f"it calls {name.replace(' ', '.')} in a way that an image file does not need")


def _expect(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise TypeError
    return value


def _function(name: str) -> _Name:
    if name not in _FUNCTIONS:
        raise _OddFileError(f"it asks for {name.replace(' ', '.')}, which an image file does not need")
    return _Name(name)


def _with_state(made: Any, state: tuple[Any, ...]) -> _Type | _Array:
    """Return a type of numbers or an array after its state is known."""
    match made, state:
        case _Type(code), (int(), order, None, None, None, -1, -1, 0) if _text(order) in ("|", "<"):
            return _Type(code)
        case _Array(), (1, tuple() as shape, _Type(code), order, bytes() as content):
            if all(type(length) is int and length >= 0 for length in shape) and order in (False, 0):
                values = np.frombuffer(content, f"<{code}")
                if 1 <= len(shape) <= 2 and math.prod(shape) == len(values):
                    made.values = values.reshape(shape)
                    return made
    raise _OddFileError("it contains an array of a kind that an image file does not need")
