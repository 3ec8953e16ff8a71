# SPDX-License-Identifier: MIT
"""Columns: Arrow arrays in guest memory that are more than a row of numbers.

A row of numbers without nulls is a `View`.  What has nulls, or is made of bits, texts, lists,
records or parts is a `Column`: `c[i]` reads one value where it lies, None for a null; values
are what Arrow's own `to_pylist` gives, but a moment with a time zone comes in UTC.

The structs of the Arrow C data interface are read as words: of a schema 0 format, 1 name,
4 and 5 children, 6 dictionary; of an array 0 length, 1 nulls, 2 offset, 5 buffers, 6 children,
7 dictionary.  Everything stays where the guest has it; the pin holds it.  Any thread.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import index

from pybridge._core import ffi
from pybridge._elements import kind_of
from pybridge._errors import ConversionError
from pybridge._view import View, class_for

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable

    Read = Callable[[int], Any]

_cast = ffi.cast
_WORDS = ffi.typeof("int64_t *")
_INTS = ffi.typeof("int32_t *")
_BYTES = ffi.typeof("uint8_t *")
_CHARS = ffi.typeof("char *")

_NUMBERS = {
    "c": ("i", "<", 1, ""), "C": ("u", "<", 1, ""), "s": ("i", "<", 2, ""),
    "S": ("u", "<", 2, ""), "i": ("i", "<", 4, ""), "I": ("u", "<", 4, ""),
    "l": ("i", "<", 8, ""), "L": ("u", "<", 8, ""), "e": ("f", "<", 2, ""),
    "f": ("f", "<", 4, ""), "g": ("f", "<", 8, ""),
}  # fmt: skip
_UNITS = {"s": "s", "m": "ms", "u": "us", "n": "ns"}


class Column:
    """An Arrow column: `len(c)`, `c[i]`, slices (a list of values), iteration, `tolist()`.

    `null_count` counts the nulls; `format` is the type as the C data interface writes it;
    `obj` the guest object.  Read-only.  It keeps the guest's memory; `release()` lets it go.
    """

    __module__ = "pybridge"
    __slots__ = ("_length", "_pin", "_read", "format", "null_count")

    def __init__(self, pin: Any, format: str, length: int, nulls: int, read: Read) -> None:
        self._pin = pin
        self._length = length
        self._read = read
        self.format = format
        self.null_count = nulls

    @property
    def obj(self) -> Any:
        """The guest object."""
        return self._pin.guest

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: Any) -> Any:
        if not self._pin.handle:
            raise ValueError("operation forbidden on released column object")
        if isinstance(i, slice):
            return [self._read(k) for k in range(*i.indices(self._length))]
        k = index(i)
        if k < 0:
            k += self._length
        if not 0 <= k < self._length:
            raise IndexError(f"index {i} is out of bounds for a column of {self._length}")
        return self._read(k)

    def __iter__(self) -> Iterator[Any]:
        for i in range(self._length):
            yield self[i]

    def tolist(self) -> list[Any]:
        """All values."""
        return self[:]  # type: ignore[no-any-return]

    def release(self) -> None:
        """Let the guest's memory go."""
        self._pin.release()

    def __enter__(self) -> Column:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def __repr__(self) -> str:
        if not self._pin.handle:
            return "<released pybridge column>"
        return f"<pybridge column of {self._length} {self.format!r}, {self.null_count} nulls>"


def chunked(chunks: list[Any], pin: Any, format: str) -> Any:
    """Several columns or views one after another as one."""
    if len(chunks) == 1:
        return chunks[0]
    starts, total = [], 0
    for chunk in chunks:
        starts.append(total)
        total += len(chunk)

    def read(i: int) -> Any:
        at = bisect_right(starts, i) - 1
        return chunks[at][i - starts[at]]

    nulls = sum(getattr(chunk, "null_count", 0) for chunk in chunks)
    return Column(pin, format, total, nulls, read)


def text_at(address: int) -> str:
    """A C string."""
    return ffi.string(_cast(_CHARS, address)).decode() if address else ""


def column(pin: Any, schema_address: int, array_address: int) -> Any:
    """The view or column of an ArrowArray with its ArrowSchema."""
    schema, array = _cast(_WORDS, schema_address), _cast(_WORDS, array_address)
    format, length, offset = text_at(schema[0]), array[0], array[2]
    if format in _NUMBERS and not schema[6] and not _nulls(array):
        layout = _NUMBERS[format]
        size = layout[2]
        data = _cast(_WORDS, array[5])[1] + offset * size
        return class_for(layout, 1)(pin, data, (length,), (size,), True)
    return Column(pin, format, length, _nulls(array, format), _nullable(schema, array))


def children(pin: Any, schema_address: int, array_address: int) -> dict[str, Any]:
    """The columns of a record batch by name."""
    schema, array = _cast(_WORDS, schema_address), _cast(_WORDS, array_address)
    schemas, arrays = _cast(_WORDS, schema[5]), _cast(_WORDS, array[6])
    if array[2] or _nulls(array):
        raise ConversionError(
            "a record batch with an offset or nulls of its own has no columns", code="PB304"
        )
    found = {}
    for i in range(schema[4]):
        name = text_at(_cast(_WORDS, schemas[i])[1])
        if name in found:
            raise ConversionError(
                f"two columns are named {name!r}: rename one in the guest", code="PB304"
            )
        found[name] = column(pin, schemas[i], arrays[i])
    return found


def names(schema_address: int) -> list[str]:
    """The names of the columns of a record batch."""
    schema = _cast(_WORDS, schema_address)
    return [text_at(_cast(_WORDS, _cast(_WORDS, schema[5])[i])[1]) for i in range(schema[4])]


def _nulls(array: Any, format: str = "") -> int:
    if format == "n":
        return array[0]  # type: ignore[no-any-return]
    valid = _cast(_WORDS, array[5])[0] if array[3] else 0
    if not valid or array[1] == 0:
        return 0
    if array[1] > 0:
        return array[1]  # type: ignore[no-any-return]
    bits, offset = _cast(_BYTES, valid), array[2]  # -1: nobody has counted
    return sum(not bits[(offset + i) >> 3] >> ((offset + i) & 7) & 1 for i in range(array[0]))


def _nullable(schema: Any, array: Any) -> Read:
    """Reads value i, None for a null."""
    read = _reader(schema, array)
    if text_at(schema[0]) == "n" or not _nulls(array):
        return read
    bits, offset = _cast(_BYTES, _cast(_WORDS, array[5])[0]), array[2]

    def read_or_none(i: int) -> Any:
        k = offset + i
        return read(i) if bits[k >> 3] >> (k & 7) & 1 else None

    return read_or_none


def _reader(schema: Any, array: Any) -> Read:
    """Reads value i of an array, which is not null."""
    format, offset = text_at(schema[0]), array[2]
    buffers = _cast(_WORDS, array[5])
    if schema[6]:
        values = _nullable(_cast(_WORDS, schema[6]), _cast(_WORDS, array[7]))
        keys = _fixed(_NUMBERS[format], buffers[1], offset)
        return lambda i: values(keys(i))
    if format in _NUMBERS:
        return _fixed(_NUMBERS[format], buffers[1], offset)
    if format == "n":
        return lambda i: None
    if format == "b":
        bits = _cast(_BYTES, buffers[1])
        return lambda i: bits[(offset + i) >> 3] >> ((offset + i) & 7) & 1 != 0
    if format in ("u", "z", "U", "Z"):
        return _texts(format, buffers, offset)
    if format in ("vu", "vz"):
        return _text_views(format, buffers, offset)
    if format[:2] == "w:":
        return _fixed(("V", "<", int(format[2:]), ""), buffers[1], offset)
    if format[:2] in ("td", "ts", "tD"):
        return _moments(format, buffers[1], offset)
    if format[:1] == "+":
        return _nested(format, schema, array, buffers, offset)
    raise ConversionError(
        f"Arrow columns of type {format!r} have no host form: cast the column in the guest",
        code="PB304",
    )


def _fixed(layout: Any, address: int, offset: int) -> Read:
    read, _ = kind_of(layout)
    size = layout[2]
    start = address + offset * size
    return lambda i: read(start + i * size)


def _texts(format: str, buffers: Any, offset: int) -> Read:
    ends = _cast(_INTS if format in "uz" else _WORDS, buffers[1])
    data, is_text = buffers[2], format in "uU"

    def read(i: int) -> Any:
        begin = ends[offset + i]
        n = ends[offset + i + 1] - begin
        value = ffi.unpack(_cast(_CHARS, data + begin), n) if n else b""
        return value.decode() if is_text else value

    return read


def _text_views(format: str, buffers: Any, offset: int) -> Read:
    entries, is_text = buffers[1], format == "vu"

    def read(i: int) -> Any:
        at = entries + 16 * (offset + i)
        words = _cast(_INTS, at)
        n = words[0]
        start = at + 4 if n <= 12 else buffers[2 + words[2]] + words[3]
        value = ffi.unpack(_cast(_CHARS, start), n) if n else b""
        return value.decode() if is_text else value

    return read


def _moments(format: str, address: int, offset: int) -> Read:
    if format == "tdD":
        from pybridge import _dates

        days, write = kind_of(("i", "<", 4, ""))
        read, _ = _dates.kind_of("M", "D", days, write)
        start = address + 4 * offset
        return lambda i: read(start + 4 * i)
    kind = "m" if format[1] == "D" else "M"
    moment = _fixed((kind, "<", 8, _UNITS[format[2]]), address, offset)
    if format == "tdm":
        return lambda i: moment(i).date()
    if format[:2] == "ts" and format[4:]:
        import datetime

        def in_utc(i: int) -> Any:
            x = moment(i)
            known = isinstance(x, datetime.datetime)
            return x.replace(tzinfo=datetime.timezone.utc) if known else x

        return in_utc
    return moment


def _nested(format: str, schema: Any, array: Any, buffers: Any, offset: int) -> Read:
    schemas, arrays = _cast(_WORDS, schema[5]), _cast(_WORDS, array[6])
    pairs = [(_cast(_WORDS, schemas[i]), _cast(_WORDS, arrays[i])) for i in range(schema[4])]
    reads = [_nullable(*pair) for pair in pairs]
    if format == "+s":
        found = [(text_at(pair[0][1]), read) for pair, read in zip(pairs, reads)]
        return lambda i: {name: read(offset + i) for name, read in found}
    if format in ("+l", "+L"):
        item, ends = reads[0], _cast(_INTS if format == "+l" else _WORDS, buffers[1])
        return lambda i: [item(k) for k in range(ends[offset + i], ends[offset + i + 1])]
    if format[:3] == "+w:":
        item, n = reads[0], int(format[3:])
        return lambda i: [item((offset + i) * n + k) for k in range(n)]
    raise ConversionError(
        f"Arrow columns of type {format!r} have no host form: cast the column in the guest",
        code="PB304",
    )


__all__ = ["Column", "View", "children", "chunked", "column", "names", "text_at"]
