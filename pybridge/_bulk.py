# SPDX-License-Identifier: MIT
"""Lists of numbers to guest arrays in one piece."""

from __future__ import annotations

from pybridge import _guest, _runtime
from pybridge._core import ffi
from pybridge._host import list_strategy

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# PyPy stores a list of floats or of small ints as raw numbers, which cffi copies at once.
_ITEMS = {"FloatListStrategy": "double", "IntegerListStrategy": "int64_t"}


def array(values: Any) -> Any:
    """A numpy array in the guest of the numbers in a list, or in a list of rows, and so on.

    As numpy.array(values), without a guest object for each number: a million floats take about
    as long as copying them. All must be floats, or all ints of 64 bits, and rows of one length;
    anything else goes to numpy as a nested list.  Back: `pybridge.view(a).tolist()`.  Gives a
    proxy of the array (float64 or int64), which owns the copy.  Any thread.  Raises what numpy
    raises, ImportError in a guest without it.
    """
    _runtime.running()
    numpy = _guest.import_guest("numpy")
    shape = _shape(values)
    code = _items(values, len(shape)) if shape else ""
    if code:
        total = 1
        for n in shape:
            total *= n
        try:
            memory = ffi.new(code + "[]", values if len(shape) == 1 else total)
            if len(shape) > 1 and _fill(code, memory, values, shape, 0) != total:
                raise TypeError
        except (TypeError, OverflowError):  # another thread has changed a list
            pass
        else:
            return numpy.asarray(memory).reshape(shape)
    return numpy.array(values)


def _shape(values: Any) -> tuple[int, ...]:
    """How long the lists are at each depth, by the first of each."""
    shape: list[int] = []
    while type(values) is list and values and len(shape) < 32:
        shape.append(len(values))
        values = values[0]
    return tuple(shape)


def _items(values: Any, depth: int) -> str:
    """The C type of all numbers, or "" when they differ or PyPy does not store them so."""
    if depth == 1:
        return _ITEMS.get(list_strategy(values), "")
    codes = {_items(row, depth - 1) if type(row) is list else "" for row in values}
    return codes.pop() if len(codes) == 1 else ""


def _fill(code: str, memory: Any, values: Any, shape: tuple[int, ...], at: int) -> int:
    """Copy lists from position `at` on; the position after them.  TypeError: not that shape."""
    if len(values) != shape[0]:
        raise TypeError
    if len(shape) == 1:
        row = ffi.new(code + "[]", values)
        if len(row) != shape[0]:
            raise TypeError
        ffi.memmove(memory + at, row, ffi.sizeof(row))
        return at + len(row)
    for row in values:
        at = _fill(code, memory, row, shape[1:], at)
    return at
