# SPDX-License-Identifier: MIT
"""Elements of numpy arrays, by raw loads and stores.

Of an array of exactly the class numpy.ndarray the fields of its C struct are read each time:
where the data are, shape, strides, and which object describes an element.  So nothing can be
stale after `a.resize(...)`, `a.shape = ...` or `a.dtype = ...`, and no held buffer forbids
these.  Elements are read and written with as many plain ints as there are dimensions, up to
three; `_dtypes` says which kinds.  All else is the guest's: other kinds, other indices, those
out of range (with numpy's errors), and arrays that may not be written to.

The methods are source text with the index arithmetic in place: calls of functions are what
makes traces long, and PyPy gives up on long ones.

Threads: as in numpy itself, an array that another thread resizes meanwhile is a race.
"""

from __future__ import annotations

from pybridge._core import ffi
from pybridge._dtypes import INTEGERS, UNSEEN, Kinds
from pybridge._host import hidden, module_dict, promote

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
# PyArrayObject_fields of numpy's C API, in words of 8 bytes
DATA, NDIM, SHAPE, STRIDES, DESCR, FLAGS = 2, 3, 4, 5, 7, 8
_HALF = 0xFFFFFFFF  # ndim and flags are C ints
MAY_WRITE = 0x400 | 1 << 31  # NPY_ARRAYWRITEABLE, NPY_ARRAY_WARN_ON_WRITE
WRITEABLE = 0x400
NEEDED = ("__getitem__", "__setitem__", "__len__", "__iter__")


def fields_of(handle: int) -> tuple[Any, ...]:
    """(data, ndim, shape, strides, descriptor, flags), for a comparison with what is known."""
    words = _cast(_INTS, handle)
    n = words[NDIM] & _HALF
    if n > 64:
        return ()
    shape, strides = _cast(_INTS, words[SHAPE]), _cast(_INTS, words[STRIDES])
    return (
        words[DATA],
        n,
        tuple(shape[0:n]),
        tuple(strides[0:n]),
        words[DESCR],
        words[FLAGS] & _HALF,
    )


# Where an element is.  The lines of $FOUND follow each of the three, with `address`.
_PLACE = """
if type(key) is int:
    if words[NDIM] & HALF == 1:
        d = cast(INTS, words[SHAPE])[0]
        i = key
        if i < 0:
            i += d
            if i < 0:
                return $OTHER
        if i < d:
            address = words[DATA] + i * cast(INTS, words[STRIDES])[0]
            $FOUND
elif type(key) is tuple:
    n = words[NDIM] & HALF
    if len(key) == n:
        if n == 2:
            i, j = key
            if type(i) is int and type(j) is int:
                shape = cast(INTS, words[SHAPE])
                $INSIDE(i, 0)
                $INSIDE(j, 1)
                strides = cast(INTS, words[STRIDES])
                address = words[DATA] + i * strides[0] + j * strides[1]
                $FOUND
        elif n == 3:
            i, j, k = key
            if type(i) is int and type(j) is int and type(k) is int:
                shape = cast(INTS, words[SHAPE])
                $INSIDE(i, 0)
                $INSIDE(j, 1)
                $INSIDE(k, 2)
                strides = cast(INTS, words[STRIDES])
                address = words[DATA] + i * strides[0] + j * strides[1] + k * strides[2]
                $FOUND
"""
_INSIDE = """
d = shape[$N]
if $I < 0:
    $I += d
    if $I < 0:
        return $OTHER
if $I >= d:
    return $OTHER
"""
_FOUND_READ = """
if words[DESCR] == doubles:
    return new(float64, cast(DOUBLES, address)[0])
return read_other(self, key, words[DESCR], address)
"""
_FOUND_WRITE = """
if words[DESCR] == doubles and (type(value) is float or type(value) is float64):
    cast(DOUBLES, address)[0] = value
    return
if write_other(self, words[DESCR], address, value):
    return
return ordinary_setitem(self, key, value)
"""

_TEXT = """
@hidden
def read_other(self, key, descr, address):
    kind = promote(self._pybridge_kind)
    if kind.descr != descr:
        kind = promote(kind_of(self, descr))
    if kind.load is not None:
        return kind.load(address)
    if kind.fields is not None and type(key) is int:
        return record(self, key, kind)
    return ordinary_getitem(self, key)

@hidden
def write_other(self, descr, address, value):
    kind = promote(self._pybridge_kind)
    if kind.descr != descr:
        kind = promote(kind_of(self, descr))
    return kind.store(address, value)

@hidden
def plain(i):
    kind = type(i)
    if kind is not int and ({late}):
        return i._pybridge_plain
    return i

@hidden
def plain_key(key):
    # The key without numpy's own integers, or None: there are none in it.
    if type(key) is not tuple:
        i = plain(key)
        return None if i is key else i
    n = len(key)
    if n == 2:
        i, j = key
        x, y = plain(i), plain(j)
        return None if x is i and y is j else (x, y)
    if n == 3:
        i, j, k = key
        x, y, z = plain(i), plain(j), plain(k)
        return None if x is i and y is j and z is k else (x, y, z)
    return None

@hidden
def getitem_other(self, key):
    other = plain_key(key)
    return ordinary_getitem(self, key) if other is None else __getitem__(self, other)

@hidden
def setitem_other(self, key, value):
    other = plain_key(key)
    if other is None:
        return ordinary_setitem(self, key, value)
    return __setitem__(self, other, value)

@hidden
def __getitem__(self, key):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            $READ
    return getitem_other(self, key)

@hidden
def __setitem__(self, key, value):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            if words[FLAGS] & MAY_WRITE == WRITEABLE:
                $WRITE
    return setitem_other(self, key, value)

@hidden
def __len__(self):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle and cast(INTS, handle)[NDIM] & HALF:
            return cast(INTS, cast(INTS, handle)[SHAPE])[0]
    return ordinary_len(self)

@hidden
def __iter__(self):
    if type(self) is ndarray:
        handle = self._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            if words[NDIM] & HALF == 1:
                descr = words[DESCR]
                if descr == doubles:
                    return Elements(self)
                kind = self._pybridge_kind
                if kind.descr != descr:
                    kind = kind_of(self, descr)
                if kind.load is not None or kind.fields is not None:
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
        handle = array._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            if words[NDIM] & HALF == 1:
                if i < cast(INTS, words[SHAPE])[0]:
                    self.at = i + 1
                    address = words[DATA] + i * cast(INTS, words[STRIDES])[0]
                    if words[DESCR] == doubles:
                        return new(float64, cast(DOUBLES, address)[0])
                    return read_other(array, i, words[DESCR], address)
                self.at = END  # also when the array grows later
                raise StopIteration
        if i >= __len__(array):
            self.at = END
            raise StopIteration
        self.at = i + 1
        return __getitem__(array, i)
"""


def _put_in(text: str, name: str, lines: str) -> str:
    """Text with `lines` in place of a line that has $name alone, and as far to the right."""
    done: list[str] = []
    for line in text.splitlines():
        if line.strip() == name:
            indent = line[: -len(name)]
            done.extend(indent + inner for inner in lines.strip().splitlines())
        else:
            done.append(line)
    return "\n".join(done)


def _text(late: str) -> str:
    place = _PLACE
    for variable, axis in (("i", 0), ("j", 1), ("k", 2)):
        inside = _INSIDE.replace("$I", variable).replace("$N", str(axis))
        place = _put_in(place, f"$INSIDE({variable}, {axis})", inside)
    read = _put_in(place, "$FOUND", _FOUND_READ)
    write = _put_in(place, "$FOUND", _FOUND_WRITE)
    text = _put_in(_TEXT, "$READ", read.replace("$OTHER", "ordinary_getitem(self, key)"))
    text = _put_in(
        text, "$WRITE", write.replace("$OTHER", "ordinary_setitem(self, key, value)")
    )
    return text.replace("{late}", late)


def methods(
    classes: dict[str, Any], kinds: Kinds, record: Any, doubles: int, ordinary: dict[str, Any]
) -> dict[str, Any]:
    """What the mirror of numpy.ndarray gets, in place of the `ordinary` methods; `doubles` is
    the address of the dtype of native float64, `record(array, i, kind)` gives a record."""
    space = module_dict()  # only its look-ups fold in traces
    space.update(
        classes,
        __name__=__name__,
        DATA=DATA,
        DESCR=DESCR,
        DOUBLES=ffi.typeof("double *"),
        END=2**62,
        FLAGS=FLAGS,
        HALF=_HALF,
        INTS=_INTS,
        MAY_WRITE=MAY_WRITE,
        NDIM=NDIM,
        SHAPE=SHAPE,
        STRIDES=STRIDES,
        WRITEABLE=WRITEABLE,
        cast=_cast,
        doubles=doubles,
        hidden=hidden,
        kind_of=kinds.of,
        new=float.__new__,
        promote=promote,
        record=record,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    late = " or ".join(f"kind is {n}" for n in INTEGERS if n in classes)
    exec(compile(_text(late or "False"), "pybridge-ndarray.py", "exec"), space)
    return {"_pybridge_kind": UNSEEN, **{name: space[name] for name in NEEDED}}
