# SPDX-License-Identifier: MIT
"""Elements of numpy arrays, by raw loads and stores.

Of an array of exactly the class numpy.ndarray the fields of its C struct are read each time:
where the data are, shape, strides, and which object describes an element.  So nothing can be
stale after `a.resize(...)`, `a.shape = ...` or `a.dtype = ...`, and no held buffer forbids
these.  Elements of doubles are read, and doubles and int64 written, with as many plain ints
as there are dimensions, up to three.  All else is the guest's: other kinds, other indices,
those out of range (with numpy's errors), and arrays that may not be written to.

Threads: as in numpy itself, an array that another thread resizes meanwhile is a race.
"""

from __future__ import annotations

from pybridge._core import ffi
from pybridge._host import hidden, module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_INTS, _INT32S = ffi.typeof("int64_t *"), ffi.typeof("int32_t *")
_DOUBLES = ffi.typeof("double *")
# PyArrayObject_fields of numpy's C API, in words of 8 and of 4 bytes
_DATA, _SHAPE, _STRIDES, _DESCR = 2, 4, 5, 7
_NDIM, _FLAGS = 6, 16
_MAY_WRITE = 0x400 | 1 << 31  # NPY_ARRAY_WRITEABLE, NPY_ARRAY_WARN_ON_WRITE
_WRITEABLE = 0x400
NEEDED = ("__getitem__", "__setitem__", "__len__", "__iter__")


def fields_of(handle: int) -> tuple[Any, ...]:
    """(data, ndim, shape, strides, descriptor, flags), for a comparison with what is known."""
    words, halves = _cast(_INTS, handle), _cast(_INT32S, handle)
    n = halves[_NDIM]
    if not 0 <= n <= 64:
        return ()
    shape, strides = _cast(_INTS, words[_SHAPE]), _cast(_INTS, words[_STRIDES])
    return (
        words[_DATA],
        n,
        tuple(shape[0:n]),
        tuple(strides[0:n]),
        words[_DESCR],
        halves[_FLAGS],
    )


_TEXT = """
@hidden
def place(words, handle, key):
    # The address of an element of doubles or int64, or 0.
    n = cast(INT32S, handle)[NDIM]
    if type(key) is int:
        if n != 1:
            return 0
        d = cast(INTS, words[SHAPE])[0]
        i = key + d if key < 0 else key
        if not 0 <= i < d:
            return 0
        return words[DATA] + i * cast(INTS, words[STRIDES])[0]
    if type(key) is not tuple or len(key) != n:
        return 0
    if n == 2:
        i, j = key
        if type(i) is not int or type(j) is not int:
            return 0
        shape = cast(INTS, words[SHAPE])
        d = shape[0]
        if i < 0:
            i += d
        if not 0 <= i < d:
            return 0
        d = shape[1]
        if j < 0:
            j += d
        if not 0 <= j < d:
            return 0
        strides = cast(INTS, words[STRIDES])
        return words[DATA] + i * strides[0] + j * strides[1]
    if n == 3:
        i, j, k = key
        if type(i) is not int or type(j) is not int or type(k) is not int:
            return 0
        shape = cast(INTS, words[SHAPE])
        d = shape[0]
        if i < 0:
            i += d
        if not 0 <= i < d:
            return 0
        d = shape[1]
        if j < 0:
            j += d
        if not 0 <= j < d:
            return 0
        d = shape[2]
        if k < 0:
            k += d
        if not 0 <= k < d:
            return 0
        strides = cast(INTS, words[STRIDES])
        return words[DATA] + i * strides[0] + j * strides[1] + k * strides[2]
    return 0

@hidden
def __getitem__(self, key):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            if words[DESCR] == doubles:
                address = place(words, handle, key)
                if address:
                    return new(float64, cast(DOUBLES, address)[0])
    return ordinary_getitem(self, key)

@hidden
def __setitem__(self, key, value):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle and cast(INT32S, handle)[FLAGS] & MAY_WRITE == WRITEABLE:
            words = cast(INTS, handle)
            kind = type(value)
            if words[DESCR] == doubles:
                if kind is float or kind is float64 or (
                    kind is int and -EXACT <= value <= EXACT
                ):
                    address = place(words, handle, key)
                    if address:
                        cast(DOUBLES, address)[0] = value
                        return
            elif kind is int and words[DESCR] == longs and -HALF <= value < HALF:
                address = place(words, handle, key)
                if address:
                    cast(INTS, address)[0] = value
                    return
    ordinary_setitem(self, key, value)

@hidden
def __len__(self):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle and cast(INT32S, handle)[NDIM]:
            return cast(INTS, cast(INTS, handle)[SHAPE])[0]
    return ordinary_len(self)

@hidden
def __iter__(self):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if (
            handle
            and cast(INTS, handle)[DESCR] == doubles
            and cast(INT32S, handle)[NDIM] == 1
        ):
            return Elements(self)
    return ordinary_iter(self)

class Elements:
    # A generator would do, but costs half as much again.
    __slots__ = ("array", "at")

    @hidden
    def __init__(self, array):
        self.array = array
        self.at = 0

    def __iter__(self):
        return self

    @hidden
    def __next__(self):
        i, array = self.at, self.array
        if i >= __len__(array):
            self.at = END  # also when the array grows later
            raise StopIteration
        self.at = i + 1
        return __getitem__(array, i)
"""


def methods(
    ndarray: Any, float64: Any, doubles: int, longs: int, ordinary: dict[str, Any]
) -> dict[str, Any]:
    """What the mirror of numpy.ndarray gets, in place of the `ordinary` methods; `doubles` and
    `longs` are the addresses of the descriptors of native float64 and int64."""
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        DATA=_DATA,
        DESCR=_DESCR,
        DOUBLES=_DOUBLES,
        END=2**62,
        EXACT=2**53,
        FLAGS=_FLAGS,
        HALF=2**63,
        INT32S=_INT32S,
        INTS=_INTS,
        MAY_WRITE=_MAY_WRITE,
        NDIM=_NDIM,
        SHAPE=_SHAPE,
        STRIDES=_STRIDES,
        WRITEABLE=_WRITEABLE,
        cast=_cast,
        doubles=doubles,
        float64=float64,
        hidden=hidden,
        longs=longs,
        ndarray=ndarray,
        new=float.__new__,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    exec(compile(_TEXT, "pybridge-ndarray.py", "exec"), space)
    return {name: space[name] for name in NEEDED}
