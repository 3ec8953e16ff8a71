# SPDX-License-Identifier: MIT
"""Records: elements of structured arrays, as objects with an attribute for each field.

For each layout (`_layout`) there is a class, made once, with one descriptor per field; a
descriptor's offset and functions never change.  So what PyPy sees in `r.x` are constants on a
class, and a loop over a million records is one trace: a bounds check and a raw load.  A record
is an address and the pin that holds the memory; in a loop it is not even allocated.

A record is a view too: what is written to it is in the array, and what the guest writes there
is read from it.  It keeps the memory in place.  Any thread.
"""

from __future__ import annotations

from pybridge import _layout
from pybridge._core import ffi
from pybridge._elements import kind_of

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable

_cast = ffi.cast
# Set by _view: (layout of the items, shape, pin, address, readonly) -> the view of a sub-array
view_of: list[Callable[..., Any]] = []


def _check(r: Any) -> None:
    if not r._pybridge_pin.handle:
        raise ValueError("operation forbidden on a record of a released view")


def _refuse_write(r: Any) -> None:
    _check(r)
    raise ValueError("assignment destination is read-only")


class Field:
    """A field of a record class that holds one value; `name`, `offset` in bytes, `layout`."""

    __slots__ = ("layout", "name", "offset", "read", "write")

    def __init__(self, name: str, offset: int, layout: Any, read: Any, write: Any) -> None:
        self.name = name
        self.offset = offset
        self.layout = layout
        self.read = read
        self.write = write

    def __get__(self, r: Any, owner: Any = None) -> Any:
        if r is None:
            return self
        if not r._pybridge_pin.handle:
            _check(r)
        return self.read(r._pybridge_address + self.offset)

    def __set__(self, r: Any, x: Any) -> None:
        if not r._pybridge_pin.handle or r._pybridge_readonly:
            _refuse_write(r)
        self.write(r._pybridge_address + self.offset, x)

    def __repr__(self) -> str:
        return f"<field {self.name!r} at {self.offset}: {_layout.text(self.layout)}>"


class RecordField(Field):
    """Of a nested record.  `read` is its class and the one for read-only memory."""

    __slots__ = ()

    def __get__(self, r: Any, owner: Any = None) -> Any:
        if r is None:
            return self
        if not r._pybridge_pin.handle:
            _check(r)
        cls = self.read[1] if r._pybridge_readonly else self.read[0]
        return cls(r._pybridge_pin, r._pybridge_address + self.offset)


class ArrayField(Field):
    """Of a sub-array, which is a view.  `read` is the layout of its items and its shape."""

    __slots__ = ()

    def __get__(self, r: Any, owner: Any = None) -> Any:
        if r is None:
            return self
        if not r._pybridge_pin.handle:
            _check(r)
        layout, shape = self.read
        address = r._pybridge_address + self.offset
        return view_of[0](layout, shape, r._pybridge_pin, address, r._pybridge_readonly)


class Record:
    """An element of a structured array, where it lies; what `v[i]` gives for a view of one.

    `r.x` and `r["x"]` read a field, `r.x = 3` writes one, `r[0]` goes by position; a nested
    record is a record, a sub-array a view.  Writing converts as an element of a view does, and
    is refused with numpy's ValueError when the array is read-only.  `len`, iteration and
    `tuple(r)` go over the fields' values; `_fields` are their names, `_asdict()` and
    `_astuple()` copies, the latter deep, as numpy's `item()`.  Equal are records with equal
    names and values, and a tuple of equal values.

    A field whose name has two underscores on both sides, or is one of those above, has no
    attribute: `r["_fields"]`.
    """

    __module__ = "pybridge"
    __slots__ = ("_pybridge_address", "_pybridge_pin")

    # Of each class made by `record_classes`.
    _fields: tuple[str, ...] = ()
    _pybridge_readonly = False
    _pybridge_layout: Any = None
    _pybridge_list: tuple[Any, ...] = ()
    _pybridge_table: Any = None

    def __init__(self, pin: Any, address: int) -> None:
        self._pybridge_pin = pin
        self._pybridge_address = address

    def _field(self, key: Any) -> Any:
        if isinstance(key, str):
            field = self._pybridge_table.get(key)
            if field is None:
                raise ValueError(f"no field of name {key}")
            return field
        i = key.__index__()
        n = len(self._pybridge_list)
        if not -n <= i < n:
            raise IndexError(f"invalid index ({i})")
        return self._pybridge_list[i]

    def __getitem__(self, key: Any) -> Any:
        return self._field(key).__get__(self)

    def __setitem__(self, key: Any, x: Any) -> None:
        self._field(key).__set__(self, x)

    def __len__(self) -> int:
        return len(self._fields)

    def __iter__(self) -> Iterator[Any]:
        for field in self._pybridge_list:
            yield field.__get__(self)

    def _astuple(self) -> tuple[Any, ...]:
        """The values, nested records as tuples and sub-arrays as lists."""
        return tuple([_plain(x) for x in self])

    def _asdict(self) -> dict[str, Any]:
        """The values by name; nested records and sub-arrays as they are."""
        return dict(zip(self._fields, self))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return self._fields == other._fields and self._astuple() == other._astuple()
        if isinstance(other, tuple):
            return self._astuple() == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self._pybridge_pin.handle:
            return "<released pybridge record>"
        items = zip(self._fields, self._astuple())
        return "Record({})".format(", ".join(f"{name}={x!r}" for name, x in items))


def _plain(x: Any) -> Any:
    if isinstance(x, Record):
        return x._astuple()
    return x.tolist() if hasattr(x, "tolist") else x


Record.__module__ = "pybridge"
_RESERVED = frozenset(dir(Record)) - frozenset(dir(object))
_made: dict[Any, Any] = {}


def record_classes(layout: Any) -> tuple[type[Record], type[Record], Any]:
    """The class for a layout, its subclass for read-only memory, and the function that writes
    a whole record: (address, record or sequence of values)."""
    if layout not in _made:
        fields = tuple(_field(*field) for field in layout[1])
        names = tuple(field.name for field in fields)
        write = _record_writer(layout, fields)
        space: dict[str, Any] = {
            "__slots__": (),
            "__doc__": f"Records of layout {_layout.text(layout)}.",
            "__module__": "pybridge",
            "_fields": names,
            "_pybridge_layout": layout,
            "_pybridge_list": fields,
            "_pybridge_table": dict(zip(names, fields)),
        }
        for name, field in zip(names, fields):
            special = name[:2] == name[-2:] == "__"
            if not special and name not in _RESERVED:
                space[name] = field
        cls = type("Record", (Record,), space)
        readonly = type("Record", (cls,), {"__slots__": (), "_pybridge_readonly": True})
        readonly.__module__ = "pybridge"
        _made[layout] = cls, readonly, write
    return _made[layout]  # type: ignore[no-any-return]


def _field(name: str, offset: int, layout: Any) -> Field:
    if layout[0] == "record":
        *classes, write = record_classes(layout)
        return RecordField(name, offset, layout, tuple(classes), write)
    if layout[0] == "array":
        write = _array_writer(layout)
        return ArrayField(name, offset, layout, (layout[2], layout[1]), write)
    return Field(name, offset, layout, *kind_of(layout))


def _record_writer(layout: Any, fields: tuple[Field, ...]) -> Any:
    size = layout[2]

    def write(address: int, x: Any) -> None:
        if isinstance(x, Record):
            _check(x)
            if x._pybridge_layout == layout:  # may overlap: move
                ffi.memmove(
                    _cast("char *", address), _cast("char *", x._pybridge_address), size
                )
                return
            x = x._astuple()
        elif isinstance(x, (str, bytes)) or not hasattr(x, "__iter__"):
            raise TypeError(f"a record is written from a tuple, not from {type(x).__name__}")
        values = tuple(x)
        if len(values) != len(fields):
            raise ValueError(
                f"could not assign tuple of length {len(values)} to structure with "
                f"{len(fields)} fields."
            )
        for field, value in zip(fields, values):
            field.write(address + field.offset, value)

    return write


def _array_writer(layout: Any) -> Any:
    shape, item = layout[1], layout[2]
    write = record_classes(item)[2] if item[0] == "record" else kind_of(item)[1]
    size = _layout.size_of(item)
    strides: list[int] = []
    for n in reversed(shape):
        strides.insert(0, size)
        size *= n

    def write_array(address: int, x: Any, axis: int = 0) -> None:
        if axis == len(shape):
            write(address, x)
            return
        n = shape[axis]
        text = isinstance(x, (str, bytes)) and item[0] in "SUV"
        if text or not hasattr(x, "__iter__") or (item[0] == "record" and type(x) is tuple):
            values = [x] * n  # one value for all, as numpy spreads it
        else:
            values = list(x)
        if len(values) != n:
            raise ValueError(f"{len(values)} items for {n} elements")
        for i, value in enumerate(values):
            write_array(address + i * strides[axis], value, axis + 1)

    return write_array
