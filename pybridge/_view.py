# SPDX-License-Identifier: MIT
"""View: memory that a pin holds, as the host reads and writes it.

The interface is memoryview's, with plain host floats, ints, bools, complex numbers, bytes,
texts, dates and records as elements, and any number of dimensions.  For each layout of
elements there is a class of its own (`class_for`), whose `v[i]` is a bounds check and one
typed read.

A pin is whatever keeps the memory where it is: it has `handle`, 0 once released, `guest`, the
object that the memory belongs to, `lent`, set when something else than views reads the memory,
and `release()`.  See `_buffer`.
"""

from __future__ import annotations

import struct
from _collections_abc import Sequence  # as collections.abc, which costs 4 ms at import
from operator import index

from pybridge import _layout, _records
from pybridge._core import ffi
from pybridge._elements import bulk, make_class
from pybridge._extent import Extent, c_strides
from pybridge._proxy import Proxy
from pybridge._records import Record, record_classes

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_cast = ffi.cast
_FORMATS = frozenset("?bBhHiIlLqQfdc")
_HASHED = frozenset("Bbc")
_FORMAT = 4  # PyBUF_FORMAT


class View(Extent):
    """Guest memory, as the host sees it; made by `pybridge.view`.

    Attributes as memoryview's: `shape`, `strides` (bytes, may be negative), `suboffsets`,
    `format` (as the struct module and PEP 3118 write it), `itemsize`, `nbytes`, `ndim`,
    `readonly`, `contiguous`, `c_contiguous`, `f_contiguous`, `obj` (the guest object).  `v[i]`,
    `v[i, j]` give an element; fewer indices or slices give a view of the same memory.
    Assignment to slices takes an element, or an iterable of as many.  An element of a
    structured array is a `Record`, of the class `v.record`; `v["x"]` is a view of one field of
    all.  Views are equal to views, and to host buffers, of the same shape with equal elements;
    as with memoryview one that is read-only, of bytes, has a hash.

    Once released, all but `release`, `repr` and `==` is a ValueError.
    """

    __module__ = "pybridge"
    __slots__ = (
        "__weakref__",
        "_address",
        "_length",
        "_pin",
        "_readonly",
        "_shape",
        "_stride",
        "_strides",
    )

    # Of each class made by `class_for`.
    layout: Any = None
    record: type[Record] | None = None

    def __init__(
        self, pin: Any, address: int, shape: Any, strides: Any, readonly: bool
    ) -> None:
        self._address = address
        self._length = shape[0] if shape else 1
        self._stride = strides[0] if strides else 0
        self._pin = pin
        self._shape: tuple[int, ...] = shape
        self._strides: tuple[int, ...] = strides
        self._readonly: bool = readonly

    def _read(self, address: int) -> Any:
        raise NotImplementedError

    def _write(self, address: int, x: Any) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        self._check()
        if not self._shape:
            raise TypeError("0-dim memory has no length")
        return self._length

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __getitem__(self, key: Any) -> Any:
        self._check()
        if isinstance(key, str):
            return self._column(key)
        address, shape, strides = self._select(key)
        if not shape and key is not Ellipsis and not _has_ellipsis(key):
            return self._read(address)
        return type(self)._sub(self, address, shape, strides)

    def _sub(self, address: int, shape: Any, strides: Any) -> View:
        cls = class_for(self.layout, len(shape))
        return cls(self._pin, address, shape, strides, self._readonly)

    def _column(self, name: str) -> View:
        """A field of all records."""
        if self.record is None:
            raise IndexError(f"only views of records have fields, such as {name!r}")
        field = self.record._pybridge_table.get(name)
        if field is None:
            raise ValueError(f"no field of name {name}")
        layout, shape, strides = field.layout, self._shape, self._strides
        if layout[0] == "array":
            shape += layout[1]
            layout = layout[2]
            strides += c_strides(field.layout[1], _layout.size_of(layout))
        address = self._address + field.offset
        cls = class_for(layout, len(shape))
        return cls(self._pin, address, shape, strides, self._readonly)

    def __setitem__(self, key: Any, x: Any) -> None:
        self._check()
        if self._readonly:
            raise TypeError("cannot modify read-only memory")
        if isinstance(key, str):
            self._column(key)[...] = x
            return
        address, shape, strides = self._select(key)
        if not shape:
            self._write(address, x)
            return
        target = self._sub(address, shape, strides)
        if isinstance(x, View):
            if x.shape != shape:
                raise ValueError(f"shapes {x.shape} and {shape} differ")
            x = x.tolist()  # a copy first: the two may overlap
        elif self._is_element(x):
            x = _full(shape, x)
        else:
            x = list(x)
        if len(x) != shape[0]:
            raise ValueError(f"{len(x)} items for {shape[0]} elements")
        for i, item in enumerate(x):
            target[i] = item

    def _is_element(self, x: Any) -> bool:
        """Is it one value for all elements, or an iterable of values?"""
        if self.record is not None:
            return isinstance(x, (Record, tuple))
        return not hasattr(x, "__iter__") or (
            isinstance(x, (str, bytes)) and self.layout[0] in "SUV"
        )

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
            n, stride = self._shape[axis], self._strides[axis]
            if isinstance(k, slice):
                start, stop, step = k.indices(n)
                shape.append(len(range(start, stop, step)))
                strides.append(stride * step)
                address += start * stride if shape[-1] else 0
                continue
            i = k.__index__() if hasattr(k, "__index__") else None
            if type(i) is not int:
                raise TypeError(f"indices are integers, slices and '...', not {k!r}")
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
            address += (i + n if i < 0 else i) * stride
        shape.extend(self._shape[len(keys) :])
        strides.extend(self._strides[len(keys) :])
        return address, tuple(shape), tuple(strides)

    def tolist(self) -> Any:
        """The elements as a list, nested as deep as there are dimensions; a 0-dimensional
        view gives its element.  Records are tuples."""
        self._check()
        if not self._shape:
            x = self._read(self._address)
            return x if self.record is None else x._astuple()
        if len(self._shape) == 1:
            if self.record is not None:
                return [r._astuple() for r in self]
            ctype = bulk(self.layout)
            if ctype and self._stride == self._itemsize:
                pointer = _cast(ctype + " *", self._address)
                return ffi.unpack(pointer, self._length) if self._length else []
            return list(self)
        return [row.tolist() for row in self]

    def tobytes(self, order: str | None = "C") -> bytes:
        """The memory of the elements, in C order; in Fortran order with "F", and with "A" if it
        lies so."""
        self._check()
        if order not in ("C", "F", "A", None):
            raise ValueError("order must be 'C', 'F' or 'A'")
        if order == "F" or (order == "A" and self.f_contiguous):
            return self._sub(self._address, self._shape[::-1], self._strides[::-1]).tobytes()
        if self.c_contiguous:
            return bytes(ffi.buffer(_cast("char *", self._address), self.nbytes))
        if not self._shape:
            return bytes(ffi.buffer(_cast("char *", self._address), self._itemsize))
        if len(self._shape) > 1:
            return b"".join(row.tobytes() for row in self)
        return b"".join(
            bytes(ffi.buffer(_cast("char *", self._address + i * self._stride), self._itemsize))
            for i in range(self._length)
        )

    def __bytes__(self) -> bytes:
        return self.tobytes()

    def hex(self, *separation: Any) -> str:
        """The memory of the elements in hexadecimal digits; arguments as for `bytes.hex`."""
        return self.tobytes().hex(*separation)

    def memory(self) -> memoryview:
        """The memory as a host memoryview of bytes, for what wants a host buffer: struct,
        hashlib, `file.write`, ffi.from_buffer.  No copy; C-contiguous views only; read-only
        if the view is.  It keeps the memory in place by itself, also past `release()`, until
        the host's collector finds it dead.
        """
        self._check()
        if not self.c_contiguous:
            raise BufferError("memory that is not C-contiguous is no host buffer: copy it")
        return self._lend(self._address, self.nbytes)  # type: ignore[no-any-return]

    def __buffer__(self, flags: int) -> Any:
        """For `_buffer.lent`: as `memory`, with format and shape where
        they are asked for and the host's memoryview has them; also of one dimension with
        gaps or backwards."""
        self._check()
        if flags & _FORMAT and self._format not in _FORMATS:
            raise BufferError(f"a memoryview of the host has no format {self._format!r}")
        if self.c_contiguous:
            whole = self._lend(self._address, self.nbytes)
            # On PyPy a memoryview without a dimension may end the process, and one that was
            # cast to a shape of one dimension is unreadable.
            if not flags & _FORMAT or self.nbytes == 0 or self.ndim == 0:
                return whole
            if self.ndim == 1:
                return whole if self._format == "B" else whole.cast(self._format)
            return whole.cast(self._format, self._shape)
        step, rest = divmod(self._stride, self._itemsize)
        if self._format not in _FORMATS or self.ndim != 1 or rest or step == 0:
            raise BufferError("memory that is not C-contiguous is no host buffer: copy it")
        first = self._address + min(0, self._stride * (self._length - 1))
        n = abs(step) * (self._length - 1) + 1
        return self._lend(first, n * self._itemsize).cast(self._format)[::step]

    def _lend(self, address: int, n: int) -> Any:
        self._pin.lent = True
        pin = self._pin
        start = ffi.gc(_cast("char *", address), lambda _: pin)  # keeps the pin alive
        whole = memoryview(ffi.buffer(start, n))
        return whole.toreadonly() if self._readonly else whole

    def cast(self, format: str, shape: Any = None) -> View:
        """The same memory as elements of another format; contiguous views only."""
        self._check()
        if not self.c_contiguous:
            raise TypeError("casts are restricted to C-contiguous views")
        try:
            size = struct.calcsize(format)
        except struct.error as error:
            raise ValueError(f"no format of elements: {format!r} ({error})") from None
        if self.nbytes % size:
            raise TypeError(f"{self.nbytes} bytes are no whole number of {format!r} elements")
        count = self.nbytes // size
        if shape is None:
            shape = (count,)
        elif not isinstance(shape, (list, tuple)):
            raise TypeError("shape must be a list or a tuple")
        shape = tuple(map(index, shape))
        if min(shape, default=0) < 0:
            raise ValueError("elements of shape must be integers >= 0")
        total = 1
        for n in shape:
            total *= n
        if total != count:
            raise TypeError(f"shape {shape} does not hold {count} elements")
        cls = class_for(_layout.parse(format, size), len(shape))
        return cls(self._pin, self._address, shape, c_strides(shape, size), self._readonly)

    def toreadonly(self) -> View:
        """The same view, that cannot be written through."""
        self._check()
        other = self._sub(self._address, self._shape, self._strides)
        other._readonly = True
        return other

    def release(self) -> None:
        """Let the guest's memory go, for this view and all views of the same buffer."""
        self._pin.release()

    def __enter__(self) -> View:
        self._check()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return not self._pin.handle or self._equals(self)
        if isinstance(other, View):
            if not (self._pin.handle and other._pin.handle):
                return False
            return self._equals(other)
        if isinstance(other, Proxy):
            return NotImplemented
        try:
            memory = memoryview(other)  # type: ignore[arg-type]
        except TypeError:
            return NotImplemented
        return self._pin.handle != 0 and self._equals(memory)

    def _equals(self, other: Any) -> bool:
        return self._shape == tuple(other.shape) and self.tolist() == other.tolist()

    def __hash__(self) -> int:
        self._check()
        if not self._readonly:
            raise ValueError("a writable view cannot be hashed")
        if self._format not in _HASHED:
            raise ValueError("only views of formats 'B', 'b' and 'c' can be hashed")
        return hash(self.tobytes())

    def __repr__(self) -> str:
        if not self._pin.handle:
            return "<released pybridge view>"
        return f"<pybridge view of {self._shape} {self._format!r}>"


def _has_ellipsis(key: Any) -> bool:
    return isinstance(key, tuple) and any(k is Ellipsis for k in key)


def _full(shape: tuple[int, ...], x: Any) -> Any:
    return x if not shape else [_full(shape[1:], x)] * shape[0]


_classes: dict[Any, type[View]] = {}


def class_for(layout: Any, ndim: int) -> type[View]:
    """The class for elements of a layout, in so many dimensions."""
    key = (layout, min(ndim, 4))
    cls = _classes.get(key)
    if cls is None:
        record = record_classes(layout) if layout[0] == "record" else None
        cls = _classes[key] = make_class(View, layout, key[1], record)
        cls.record = record[0] if record else None
    return cls


def _sub_array(layout: Any, shape: Any, pin: Any, address: int, readonly: bool) -> View:
    strides = c_strides(shape, _layout.size_of(layout))
    return class_for(layout, len(shape))(pin, address, shape, strides, readonly)


_records.view_of.append(_sub_array)
Sequence.register(View)  # as memoryview
