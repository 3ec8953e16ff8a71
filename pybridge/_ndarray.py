# SPDX-License-Identifier: MIT
"""Elements of numpy arrays, by raw loads and stores.

Of an array of exactly the class numpy.ndarray the fields of its C struct are read each time:
where the data are, shape, strides, and which object describes an element.  So nothing can be
stale after `a.resize(...)`, `a.shape = ...` or `a.dtype = ...`, and no held buffer forbids
these.  Elements are read and written with as many plain ints as there are dimensions, up to
three; `_dtypes` says which kinds.  All else is the guest's: other kinds, other indices, those
out of range (with numpy's errors), and arrays that may not be written to.

A row `a[i]` of a matrix of such elements is an array without a guest object: its matrix and
which row it is.  Its elements are read from wherever the matrix is by then; what else is asked
of it makes the object, by `a[i]` in the guest.  (So numpy does not know of such a row when it
is asked to resize the matrix, and it is as writeable as the matrix is.  Of a matrix that was
given other rows in place, by `a.shape = ...`, the use of an old row is a ValueError.)

The methods are source text with the index arithmetic in place: calls of functions are what
makes traces long, and PyPy gives up on long ones.

Threads: as in numpy itself, an array that another thread resizes meanwhile is a race.
"""

from __future__ import annotations

from pybridge import _hostbuffer, _templates
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
HALF = 0xFFFFFFFF  # ndim and flags are C ints
MAY_WRITE = 0x400 | 1 << 31  # NPY_ARRAYWRITEABLE, NPY_ARRAY_WARN_ON_WRITE
WRITEABLE = 0x400
NEEDED = ("__getitem__", "__setitem__", "__len__", "__iter__")


def fields_of(handle: int) -> tuple[Any, ...]:
    """(data, ndim, shape, strides, descriptor, flags), for a comparison with what is known."""
    words = _cast(_INTS, handle)
    n = words[NDIM] & HALF
    if n > 64:
        return ()
    shape, strides = _cast(_INTS, words[SHAPE]), _cast(_INTS, words[STRIDES])
    return (
        words[DATA],
        n,
        tuple(shape[0:n]),
        tuple(strides[0:n]),
        words[DESCR],
        words[FLAGS] & HALF,
    )


# Where an element is.  The lines of $FOUND follow each of the three, with `address`.
_PLACE = """
if type(key) is int:
    n = words[NDIM] & HALF
    if n == 1:
        d = cast(INTS, words[SHAPE])[0]
        i = key
        if i < 0:
            i += d
            if i < 0:
                return $OTHER
        if i < d:
            address = words[DATA] + i * cast(INTS, words[STRIDES])[0]
            $FOUND
    $ROW
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
_ROW = """
elif n == 2:
    d = cast(INTS, words[SHAPE])[0]
    i = key
    if i < 0:
        i += d
        if i < 0:
            return $OTHER
    if i < d and has_rows(self, words[DESCR]):
        return row(self, i, words[DESCR])
"""
# The same for an element of a row.
_PLACE_IN_ROW = """
if type(key) is int:
    words = cast(INTS, matrix._pybridge_handle)
    if words[DESCR] == self._pybridge_descr and words[NDIM] & HALF == 2:
        shape = cast(INTS, words[SHAPE])
        i = self._pybridge_at
        if i < shape[0] and shape[1] == self._pybridge_columns:
            j = key
            $INSIDE(j, 1)
            strides = cast(INTS, words[STRIDES])
            address = words[DATA] + i * strides[0] + j * strides[1]
            $FOUND
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
def has_rows(self, descr):
    if descr == doubles:
        return True
    kind = promote(self._pybridge_kind)
    if kind.descr != descr:
        kind = promote(kind_of(self, descr))
    return kind.load is not None

@hidden
def row(matrix, i, descr):
    r = create(ndarray)
    set(r, "_pybridge_matrix", matrix)
    set(r, "_pybridge_at", i)
    set(r, "_pybridge_descr", descr)
    set(r, "_pybridge_columns", cast(INTS, cast(INTS, matrix._pybridge_handle)[SHAPE])[1])
    return r

@hidden
def __getitem__(self, key):
    if type(self) is ndarray:
        matrix = self._pybridge_matrix
        if matrix is not None:
            if matrix._pybridge_handle:
                $READ_ROW
        else:
            handle = self._pybridge_handle
            if handle:
                words = cast(INTS, handle)
                $READ
    return getitem_other(self, key)

@hidden
def __setitem__(self, key, value):
    if type(self) is ndarray:
        matrix = self._pybridge_matrix
        if matrix is not None:
            handle = matrix._pybridge_handle
            if handle and cast(INTS, handle)[FLAGS] & MAY_WRITE == WRITEABLE:
                $WRITE_ROW
        else:
            handle = self._pybridge_handle
            if handle:
                words = cast(INTS, handle)
                if words[FLAGS] & MAY_WRITE == WRITEABLE:
                    $WRITE
    return setitem_other(self, key, value)

@hidden
def __len__(self):
    if type(self) is ndarray:
        matrix = self._pybridge_matrix
        if matrix is not None:
            handle = matrix._pybridge_handle
            if handle:
                words = cast(INTS, handle)
                if words[NDIM] & HALF == 2 and self._pybridge_at < cast(INTS, words[SHAPE])[0]:
                    n = cast(INTS, words[SHAPE])[1]
                    if n == self._pybridge_columns:
                        return n
        handle = self._pybridge_handle
        if handle and cast(INTS, handle)[NDIM] & HALF:
            return cast(INTS, cast(INTS, handle)[SHAPE])[0]
    return ordinary_len(self)

@hidden
def __iter__(self):
    if type(self) is ndarray:
        if self._pybridge_matrix is not None:
            return Elements(self)
        handle = self._pybridge_handle
        if handle:
            words = cast(INTS, handle)
            n = words[NDIM] & HALF
            if n == 2:
                if has_rows(self, words[DESCR]):
                    return Elements(self)
            elif n == 1:
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
        if array._pybridge_matrix is None and array._pybridge_handle:
            words = cast(INTS, array._pybridge_handle)
            n = words[NDIM] & HALF
            if n == 2:
                if i < cast(INTS, words[SHAPE])[0]:
                    self.at = i + 1
                    return row(array, i, words[DESCR])
            elif n == 1:
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


def inside_of(variable: str, axis: int) -> str:
    """The lines that make an index positive, if it is one."""
    return _INSIDE.replace("$I", variable).replace("$N", str(axis))


def _text(late: str) -> str:
    place = _PLACE
    for variable, axis in (("i", 0), ("j", 1), ("k", 2)):
        place = _put_in(place, f"$INSIDE({variable}, {axis})", inside_of(variable, axis))
    in_row = _put_in(_PLACE_IN_ROW, "$INSIDE(j, 1)", inside_of("j", 1))
    text = _TEXT
    for name, lines in (("$READ", place), ("$READ_ROW", in_row)):
        lines = _put_in(_put_in(lines, "$FOUND", _FOUND_READ), "$ROW", _ROW)
        text = _put_in(text, name, lines.replace("$OTHER", "ordinary_getitem(self, key)"))
    for name, lines in (("$WRITE", place), ("$WRITE_ROW", in_row)):
        lines = _put_in(_put_in(lines, "$FOUND", _FOUND_WRITE), "$ROW", "")
        text = _put_in(
            text, name, lines.replace("$OTHER", "ordinary_setitem(self, key, value)")
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
        HALF=HALF,
        INTS=_INTS,
        MAY_WRITE=MAY_WRITE,
        NDIM=NDIM,
        SHAPE=SHAPE,
        STRIDES=STRIDES,
        WRITEABLE=WRITEABLE,
        cast=_cast,
        create=_hostbuffer.new,
        doubles=doubles,
        hidden=hidden,
        kind_of=kinds.of,
        new=float.__new__,
        promote=promote,
        record=record,
        set=object.__setattr__,
    )
    for name, method in ordinary.items():
        space["ordinary_" + name.strip("_")] = method
    late = " or ".join(f"kind is {n}" for n in INTEGERS if n in classes)
    _templates.run(_text(late or "False"), "pybridge-ndarray.py", space)
    fixed = {"_pybridge_kind": UNSEEN, "_pybridge_matrix": None}
    return {**fixed, **{name: space[name] for name in NEEDED}}
