# SPDX-License-Identifier: MIT
"""Views: guest memory read and written by the host, without a crossing.

`view(a)` holds the buffer of a numpy array, or of any other guest object that exports one, and
reads its memory where it lies.  For each kind of element there is a class of its own, made
once, whose `__getitem__` is a bounds check and one typed read: in a loop PyPy compiles
`v[i]` to a raw load, and because each class has its own code, a loop over doubles and one
over bytes do not share a trace.

The interface is memoryview's, with plain host floats, ints, bools, complex numbers, bytes and
texts as elements, and any number of dimensions.

Lifetime: a view keeps the guest object alive and its memory in place; while it lives the guest
refuses to resize it (BufferError).  `release`, the end of a `with` block, or the death of the
last view of it (at a sweep, see `_release`) let it go.

Threads: any.  Reads and writes are not synchronised with the guest's: as with numpy.
"""

from __future__ import annotations

import struct

from pybridge import _release, _runtime
from pybridge._convert import INT, fallbacks, put, take
from pybridge._core import ffi, lib
from pybridge._elements import BULK, make_class
from pybridge._errors import ConversionError
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import Handle

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_cast = ffi.cast


class _Pin:
    """A held buffer.  `chunk` owns it: when the last view is gone a sweep releases it."""

    __slots__ = ("chunk", "guest", "handle")

    def __init__(self, guest: Any) -> None:
        frame = frame_get()
        word = lib.pb_buffer_get(frame.mem, guest._pybridge_handle)
        if word != INT:
            take(frame, word)
        self.handle = frame.ints[1] | 1
        frames.append(frame)
        self.chunk = _release.chunk_new()
        _cast("int64_t *", self.chunk.address)[0] = self.handle
        self.guest = guest

    @property
    def buffer(self) -> Any:
        return _cast("pb_buffer *", self.handle & ~1)

    def release(self) -> None:
        handle, self.handle = self.handle, 0
        if handle:
            _cast("int64_t *", self.chunk.address)[0] = 0
            lib.pb_release_handle(handle)


class View:
    """Guest memory, as the host sees it; made by `pybridge.view`.

    Attributes as memoryview's: `shape`, `strides` (bytes, may be negative), `format` (as the
    struct module and PEP 3118 write it), `itemsize`, `nbytes`, `ndim`, `readonly`,
    `contiguous`, `obj` (the guest object).  `v[i]`, `v[i, j]` give an element; fewer indices
    or slices give a view of the same memory.  Assignment to slices takes an element, or an
    iterable of as many.
    """

    __slots__ = (
        "_address",
        "_length",
        "_pin",
        "_stride",
        "format",
        "itemsize",
        "readonly",
        "shape",
        "strides",
    )

    def __init__(self, pin: _Pin, address: int, shape: Any, strides: Any, like: Any) -> None:
        self._address = address
        self._length = shape[0] if shape else 1
        self._stride = strides[0] if strides else 0
        self._pin = pin
        self.shape: tuple[int, ...] = shape
        self.strides: tuple[int, ...] = strides
        self.format: str = like.format
        self.itemsize: int = like.itemsize
        self.readonly: bool = like.readonly

    # Replaced in each class made by `_class_for`.
    def _read(self, address: int) -> Any:
        raise NotImplementedError

    def _write(self, address: int, x: Any) -> None:
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """How many dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        total = self.itemsize
        for n in self.shape:
            total *= n
        return total

    @property
    def obj(self) -> Any:
        """The guest object."""
        self._check()
        return self._pin.guest

    @property
    def contiguous(self) -> bool:
        """Do the elements lie without gaps, in C order?"""
        return self.nbytes == 0 or self.strides == _c_strides(self.shape, self.itemsize)

    c_contiguous = contiguous

    @property
    def f_contiguous(self) -> bool:
        """Do the elements lie without gaps, in Fortran order?"""
        backwards = _c_strides(self.shape[::-1], self.itemsize)[::-1]
        return self.nbytes == 0 or self.strides == backwards

    def _check(self) -> None:
        if not self._pin.handle:
            raise ValueError("operation forbidden on released view object")

    def __len__(self) -> int:
        self._check()
        if not self.shape:
            raise TypeError("0-dim memory has no length")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __getitem__(self, key: Any) -> Any:
        self._check()
        address, shape, strides = self._select(key)
        if not shape and key is not Ellipsis and not _has_ellipsis(key):
            return self._read(address)
        return type(self)._sub(self, address, shape, strides)

    def _sub(self, address: int, shape: Any, strides: Any) -> View:
        cls = _class_for(self.format, self.itemsize, len(shape))
        return cls(self._pin, address, shape, strides, self)

    def __setitem__(self, key: Any, x: Any) -> None:
        self._check()
        if self.readonly:
            raise TypeError("cannot modify read-only memory")
        address, shape, strides = self._select(key)
        if not shape:
            self._write(address, x)
            return
        target = self._sub(address, shape, strides)
        if isinstance(x, View):
            if x.shape != shape:
                raise ValueError(f"shapes {x.shape} and {shape} differ")
            x = x.tolist()  # a copy first: the two may overlap
        elif isinstance(x, (int, float, complex)):
            x = _full(shape, x)
        else:
            x = list(x)
        if len(x) != shape[0]:
            raise ValueError(f"{len(x)} items for {shape[0]} elements")
        for i, item in enumerate(x):
            target[i] = item

    def _select(self, key: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Address, shape and strides of what basic indexing selects."""
        keys = list(key) if isinstance(key, tuple) else [key]
        given = sum(k is not Ellipsis for k in keys)
        if given > self.ndim:
            raise IndexError(
                f"too many indices: the view is {self.ndim}-dimensional, {given} were given"
            )
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (self.ndim - given)
        if Ellipsis in keys:
            raise IndexError("an index can only have a single ellipsis ('...')")
        address = self._address
        shape, strides = [], []
        for axis, k in enumerate(keys):
            n, stride = self.shape[axis], self.strides[axis]
            if isinstance(k, slice):
                start, stop, step = k.indices(n)
                shape.append(len(range(start, stop, step)))
                strides.append(stride * step)
                address += start * stride if shape[-1] else 0
                continue
            i = k.__index__() if hasattr(k, "__index__") else None
            if i is None:
                raise TypeError(f"indices are integers, slices and '...', not {k!r}")
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
            address += (i + n if i < 0 else i) * stride
        shape.extend(self.shape[len(keys) :])
        strides.extend(self.strides[len(keys) :])
        return address, tuple(shape), tuple(strides)

    def tolist(self) -> Any:
        """The elements as a list, nested as deep as there are dimensions; a 0-dimensional
        view gives its element."""
        self._check()
        if not self.shape:
            return self._read(self._address)
        if len(self.shape) == 1:
            code = BULK.get(self.format)
            if code is not None and self._stride == self.itemsize:
                pointer = _cast(code + " *", self._address)
                return ffi.unpack(pointer, self._length) if self._length else []
            return list(self)
        return [row.tolist() for row in self]

    def tobytes(self) -> bytes:
        """The memory of the elements, in C order."""
        self._check()
        if self.contiguous:
            return bytes(ffi.buffer(_cast("char *", self._address), self.nbytes))
        if not self.shape:
            return bytes(ffi.buffer(_cast("char *", self._address), self.itemsize))
        if len(self.shape) > 1:
            return b"".join(row.tobytes() for row in self)
        return b"".join(
            bytes(ffi.buffer(_cast("char *", self._address + i * self._stride), self.itemsize))
            for i in range(self._length)
        )

    __bytes__ = tobytes

    def cast(self, format: str, shape: Any = None) -> View:
        """The same memory as elements of another format; contiguous views only."""
        self._check()
        if not self.contiguous:
            raise TypeError("casts are restricted to C-contiguous views")
        like = _Like(format, struct.calcsize(format), self.readonly)
        if self.nbytes % like.itemsize:
            raise TypeError(f"{self.nbytes} bytes are no whole number of {format!r} elements")
        count = self.nbytes // like.itemsize
        shape = (count,) if shape is None else tuple(shape)
        total = 1
        for n in shape:
            total *= n
        if total != count or min(shape, default=0) < 0:
            raise TypeError(f"shape {shape} does not hold {count} elements")
        cls = _class_for(format, like.itemsize, len(shape))
        return cls(self._pin, self._address, shape, _c_strides(shape, like.itemsize), like)

    def toreadonly(self) -> View:
        """The same view, that cannot be written through."""
        self._check()
        other = self._sub(self._address, self.shape, self.strides)
        other.readonly = True
        return other

    def release(self) -> None:
        """Let the guest's memory go, for this view and all views of the same buffer."""
        self._pin.release()
        self._length = 0

    def __enter__(self) -> View:
        self._check()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        return self.shape == other.shape and self.tolist() == other.tolist()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self._pin.handle:
            return "<released pybridge view>"
        return f"<pybridge view of {self.shape} {self.format!r}>"


class _Like:
    """What a view's elements are like."""

    def __init__(self, format: str, itemsize: int, readonly: bool) -> None:
        self.format = format
        self.itemsize = itemsize
        self.readonly = readonly


def _has_ellipsis(key: Any) -> bool:
    return isinstance(key, tuple) and any(k is Ellipsis for k in key)


def _full(shape: tuple[int, ...], x: Any) -> Any:
    return x if not shape else [_full(shape[1:], x)] * shape[0]


def _c_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= n
    return tuple(reversed(strides))


_classes: dict[tuple[str, int, int], type[View]] = {}


def _class_for(format: str, itemsize: int, ndim: int) -> type[View]:
    """The class for elements of a format, in so many dimensions."""
    key = (format, itemsize, min(ndim, 3))
    cls = _classes.get(key)
    if cls is None:
        cls = _classes[key] = make_class(View, format, itemsize, ndim)
    return cls


# ---- making one -------------------------------------------------------------------------


def view(x: Any) -> View:
    """View the memory of a guest object without copying it.

    `x`: a proxy of a guest object with a buffer: a numpy array of numbers, bools, fixed bytes
    or texts, in any byte order and with any strides, array.array, bytearray, memoryview, ...
    Elements are read and written as plain host values.  While the view lives, the guest object
    does too and cannot be resized; `release()` or a `with` block end it at once.  Any thread.

    Raises TypeError when `x` has no buffer, ConversionError for elements without a host form
    (structured ones, objects), what the guest raises when it refuses (numpy: dates).
    """
    _runtime.running()
    if isinstance(x, View):
        return x._sub(x._address, x.shape, x.strides)
    if not isinstance(x, Handle):
        raise TypeError(f"a view is of a guest object, not of a host's {type(x).__name__}")
    pin = _Pin(x)
    b = pin.buffer
    try:
        if b.suboffsets != ffi.NULL:
            raise ConversionError("memory that is reached through pointers cannot be viewed")
        shape = tuple(b.shape[i] for i in range(b.ndim))
        strides = tuple(b.strides[i] for i in range(b.ndim))
        format = ffi.string(b.format).decode() if b.format != ffi.NULL else "B"
        like = _Like(format, b.itemsize, bool(b.readonly))
        cls = _class_for(format, like.itemsize, len(shape))
        return cls(pin, int(_cast("intptr_t", b.buf)), shape, strides, like)
    except BaseException:
        pin.release()
        raise


def _view_encoder(x: Any) -> Any:
    return _put_view if isinstance(x, View) else None


def _put_view(frame: Frame, at: int, x: View) -> int:
    x._check()
    whole = x._pin.buffer
    if x._address != int(_cast("intptr_t", whole.buf)) or x.nbytes != whole.len:
        raise ConversionError(
            "a view of a part cannot cross to the guest: slice the guest object (v.obj[...])"
        )
    return put(frame, at, x._pin.guest)


fallbacks.append(_view_encoder)
