# SPDX-License-Identifier: MIT
"""Records of structured arrays, made late: `a[i]` is a numpy.void that has no guest object yet.

numpy's record is a view of its array's memory.  One that is made here has the array and its
place in it, and reads a field by a raw load from wherever the array's memory is by then.  Each
use looks again whether there is such an element, of the same dtype; if not, because the array
was resized or given another dtype in place (which numpy refuses while there is a record), using
the record is a ValueError.

What needs the guest's object makes it, by `a[i]` in the guest; from then on it is like any
proxy.  Any thread.
"""

from __future__ import annotations

from pybridge import _templates
from pybridge._core import ffi
from pybridge._handle import adopt_from, closed
from pybridge._host import hidden, module_dict, promote
from pybridge._ndarray import (
    DATA,
    DESCR,
    FLAGS,
    MAY_WRITE,
    NDIM,
    SHAPE,
    STRIDES,
    WRITEABLE,
)

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

NEEDED = ("__getitem__", "__setitem__")
_CHANGED = "the array that this was a part of was given another dtype or shape"

_TEXT = """
@hidden
def record(array, i, kind):
    r = create(void)
    set(r, "_pybridge_layout", kind)
    set(r, "_pybridge_descr", kind.descr)
    set(r, "_pybridge_array", array)
    set(r, "_pybridge_at", i if i >= 0 else i + len(array))
    set(r, "_pybridge_offset", 0)
    set(r, "_pybridge_path", ())
    return r

@hidden
def nested(outer, field):
    r = create(void)
    set(r, "_pybridge_layout", field.kind)
    set(r, "_pybridge_descr", outer._pybridge_descr)
    set(r, "_pybridge_array", outer._pybridge_array)
    set(r, "_pybridge_at", outer._pybridge_at)
    set(r, "_pybridge_offset", outer._pybridge_offset + field.offset)
    set(r, "_pybridge_path", outer._pybridge_path + (field.name,))
    return r

@hidden
def place(self, words):
    # The address of the outermost record, or 0: the array is another by now.
    if words[DESCR] == self._pybridge_descr and words[NDIM] & HALF == 1:
        i = self._pybridge_at
        if i < cast(INTS, words[SHAPE])[0]:
            return words[DATA] + i * cast(INTS, words[STRIDES])[0]
    return 0

@hidden
def __getitem__(self, name):
    kind = promote(self._pybridge_layout)
    if kind is not None and type(name) is str:
        field = kind.fields.get(name)
        if field is not None:
            handle = self._pybridge_array._pybridge_handle
            if handle:
                address = place(self, cast(INTS, handle))
                if address:
                    if field.load is None:
                        return nested(self, field)
                    return field.load(address + self._pybridge_offset + field.offset)
    return ordinary_getitem(self, name)

@hidden
def __setitem__(self, name, value):
    kind = promote(self._pybridge_layout)
    if kind is not None and type(name) is str:
        field = kind.fields.get(name)
        if field is not None:
            handle = self._pybridge_array._pybridge_handle
            if handle:
                words = cast(INTS, handle)
                if words[FLAGS] & MAY_WRITE == WRITEABLE:
                    address = place(self, words)
                    if address and field.store(
                        address + self._pybridge_offset + field.offset, value
                    ):
                        return
    ordinary_setitem(self, name, value)
"""


def methods(void: Any, ordinary: dict[str, Any]) -> dict[str, Any]:
    """What the mirror of numpy.void gets in place of the `ordinary` methods, and `record`."""
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        DATA=DATA,
        DESCR=DESCR,
        FLAGS=FLAGS,
        HALF=0xFFFFFFFF,
        INTS=ffi.typeof("int64_t *"),
        MAY_WRITE=MAY_WRITE,
        NDIM=NDIM,
        SHAPE=SHAPE,
        STRIDES=STRIDES,
        WRITEABLE=WRITEABLE,
        cast=ffi.cast,
        create=object.__new__,
        hidden=hidden,
        promote=promote,
        set=object.__setattr__,
        void=void,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    _templates.run(_TEXT, "pybridge-void.py", space)
    names = ("record", *NEEDED)
    return {"_pybridge_layout": None, **{name: space[name] for name in names}}


def make_record(x: Any, read: Any) -> int:
    """The guest's object for the record `x`, which has none; `read(array, i)` asks for it."""
    proxy = _asked(x, x._pybridge_array, 1, read)
    for name in x._pybridge_path:
        proxy = proxy[name]
    return adopt_from(x, proxy, "_pybridge_layout")


def make_row(x: Any, read: Any) -> int:
    """Likewise for a row of a matrix (`_ndarray`)."""
    matrix = x._pybridge_matrix
    if matrix._pybridge_handle:
        words = ffi.cast("int64_t *", matrix._pybridge_handle)
        if words[NDIM] & 0xFFFFFFFF == 2:
            columns = ffi.cast("int64_t *", words[SHAPE])[1]
            if columns != x._pybridge_columns:
                raise ValueError(_CHANGED)
    return adopt_from(x, _asked(x, matrix, 2, read), "_pybridge_matrix")


def _asked(x: Any, array: Any, ndim: int, read: Any) -> Any:
    if not array._pybridge_handle:
        raise closed(x)
    words = ffi.cast("int64_t *", array._pybridge_handle)
    if words[DESCR] != x._pybridge_descr or words[NDIM] & 0xFFFFFFFF != ndim:
        raise ValueError(_CHANGED)
    try:
        return read(array, x._pybridge_at)
    except IndexError:
        raise ValueError("the array that this was a part of was resized") from None
