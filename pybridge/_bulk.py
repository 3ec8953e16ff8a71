# SPDX-License-Identifier: MIT
"""Lists of numbers to guest arrays in one piece, and back.

PyPy stores a list of floats, or of ints of 64 bits, as raw numbers.  Those are copied to the
memory of a new array; no guest object is made for any.  Lists of such lists likewise.  The
other way, `a.tolist()` gives a host list, whose numbers are copied from the array's memory; of
elements that are no numbers it gives the guest's list.
"""

from __future__ import annotations

import _cffi_backend

from pybridge import _guest, _runtime
from pybridge._core import ffi
from pybridge._dtypes import INTEGERS
from pybridge._host import list_strategy
from pybridge._ndarray import DATA, DESCR, NDIM, SHAPE, STRIDES

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# By how PyPy stores a list.  Floats and ints of 32 bits, mixed, are floats to numpy.
_ITEMS = {
    "FloatListStrategy": "double",
    "IntOrFloatListStrategy": "double",
    "IntegerListStrategy": "int64_t",
}
_POINTERS = {"double": ffi.typeof("double *"), "int64_t": ffi.typeof("int64_t *")}
_WIDE = 1024  # items: shorter rows are put together first
_MOST_DIMENSIONS = 32
_cast, _unpack = ffi.cast, ffi.unpack
_INTS = ffi.typeof("int64_t *")


def array(values: Any) -> Any:
    """A numpy array in the guest of the numbers in a list, or in a list of rows, and so on.

    As numpy.array(values), without a guest object for each number: a million floats take about
    as long as copying them.  All must be floats or ints of 64 bits, and rows of one length;
    anything else goes to numpy as a nested list.  Back: `a.tolist()`.  Gives a proxy of the
    array (float64 or int64), which owns the copy.  Any thread.  Raises what numpy raises,
    ImportError in a guest without it.
    """
    _runtime.running()
    numpy = _guest.import_guest("numpy")
    made = block(values, None) if type(values) is list else None
    return numpy.array(values) if made is None else made


def block(values: list[Any], dtype: Any) -> Any:
    """An array of the numbers, of a dtype that holds them all (None: numpy's choice), or None
    if they have to cross one by one."""
    try:
        found = _rows(values)
    except IndexError:  # another thread has changed a list
        return None
    if found is None:
        return None
    rows, shape, ctype = found
    answer = _guest.call("numpy_block", shape, ctype == "double", dtype)
    if answer is None:
        return None
    made, address, doubles = answer
    try:
        _fill("double" if doubles else "int64_t", address, rows, shape)
    except (TypeError, IndexError, OverflowError):  # likewise
        return None
    return made


def _rows(values: list[Any]) -> tuple[list[list[Any]], tuple[int, ...], str] | None:
    """The innermost lists, the shape of all, and the C type of the numbers; None: not so."""
    shape = [len(values)]
    rows = [values]
    while rows and rows[0] and type(rows[0][0]) is list:
        if len(shape) == _MOST_DIMENSIONS:
            return None
        width = len(rows[0][0])
        inner = []
        for outer in rows:
            for row in outer:
                if type(row) is not list or len(row) != width:
                    return None
                inner.append(row)
        rows = inner
        shape.append(width)
    ctypes = {_ITEMS.get(list_strategy(row)) for row in rows}
    if None in ctypes:
        return None
    return rows, tuple(shape), "int64_t" if ctypes == {"int64_t"} else "double"


def _fill(ctype: str, address: int, rows: list[list[Any]], shape: tuple[int, ...]) -> None:
    """Copy the rows to `address`.  TypeError, IndexError: they are not that long any more."""
    width = shape[-1]
    if width >= _WIDE:
        of_row = _array_at(ctype, width)
        for row in rows:
            _cast(of_row, address)[0] = row  # writes no more than `width`
            if len(row) != width:
                raise TypeError
            address += 8 * width
        return
    together = _WIDE // width if width else len(rows)
    for at in range(0, len(rows), together):
        items: list[Any] = []
        some = rows[at : at + together]
        for row in some:
            items += row
        if len(items) != width * len(some):
            raise TypeError
        _cast(_array_at(ctype, len(items)), address)[0] = items
        address += 8 * len(items)


def _array_at(ctype: str, n: int) -> Any:
    """The type of pointers to arrays of `n`.  cffi would remember each that is named in a
    text; one that is put together is forgotten."""
    return _cffi_backend.new_pointer_type(_cffi_backend.new_array_type(_POINTERS[ctype], n))


# ---- back ------------------------------------------------------------------------------------

_CTYPES = {
    "float64": "double",
    "float32": "float",
    "truth": "uint8_t",
    **{name: ctype for name, (ctype, _, _) in INTEGERS.items()},
}


def lister(dtypes: Any) -> Any:
    """A function that gives the host list of an array's numbers, or None.  `dtypes`: names of
    dtypes, and the addresses at which arrays have them."""
    known = {}
    for name, descr in dtypes:
        pointer = ffi.typeof(_CTYPES[name] + " *")
        known[descr] = pointer, ffi.sizeof(_CTYPES[name]), name == "truth"

    def tolist(array: Any) -> Any:
        handle = array._pybridge_handle
        if handle == 0:
            return None
        words = _cast(_INTS, handle)
        ndim = words[NDIM] & 255
        element = known.get(words[DESCR])
        if element is None or ndim == 0:
            return None
        pointer, size, truth = element
        shape, strides = _cast(_INTS, words[SHAPE]), _cast(_INTS, words[STRIDES])
        n = shape[ndim - 1]
        if strides[ndim - 1] != size and n > 1:
            array = _guest.call("numpy_copy", array)
            words = _cast(_INTS, array._pybridge_handle)
            shape, strides = _cast(_INTS, words[SHAPE]), _cast(_INTS, words[STRIDES])

        def items(address: int, axis: int) -> Any:
            if axis < ndim - 1:
                step = strides[axis]
                return [items(address + i * step, axis + 1) for i in range(shape[axis])]
            if n == 0:
                return []
            found = _unpack(_cast(pointer, address), n)
            return [x != 0 for x in found] if truth else found

        return items(words[DATA], 0)

    return tolist
