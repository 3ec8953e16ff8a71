# SPDX-License-Identifier: MIT
"""Five ways to decode binary messages, from the one written by hand to the convenient ones.

Each gives a function `measured(n)` that goes over n messages and adds up what it reads from
three fields.  The first four are those of a talk about PyPy, brought to Python 3; they read
bytes and run on any interpreter:

    0  struct.unpack_from, by hand
    1  a Message that has a dict of fields, looked up in each instance
    2  a class per type of message, with the dict on the class
    3  a class per type of message, with one descriptor per field
    4  pybridge's records (on CPython: numpy's own), straight from the array

What the talk teaches: the more the class says, the more the JIT knows.  For it 3 is what a
programmer means and as fast as 0, which is what a machine wants.  4 is 3 with the descriptors
made from the array's dtype, reading the guest's memory without struct.
"""

from __future__ import annotations

import struct
from typing import Any, Callable

DTYPE = [
    ("kind", "u1"),
    ("flags", "<u2"),
    ("number", "<u4"),
    ("time", "<f8"),
    ("value", "<f8"),
    ("weight", "<f4"),
]
# name: how struct writes it, where it lies.  Packed, as numpy packs it.
FIELDS = {
    "kind": ("<B", 0),
    "flags": ("<H", 1),
    "number": ("<I", 3),
    "time": ("<d", 7),
    "value": ("<d", 15),
    "weight": ("<f", 23),
}
SIZE = 27
NAMES = (
    "struct by hand",
    "a dict of fields",
    "a class per message",
    "descriptors",
    "records",
)


def messages(np: Any, n: int) -> Any:
    """n messages in a numpy structured array, the same ones each time."""
    random = np.random.default_rng(11)
    a = np.zeros(n, dtype=DTYPE)
    assert a.dtype.itemsize == SIZE
    a["kind"] = random.integers(0, 4, n)
    a["number"] = np.arange(n)
    a["time"] = random.random(n)
    a["value"] = random.standard_normal(n)
    a["weight"] = random.random(n)
    return a


def by_hand(buffer: Any, _: Any) -> Callable[[int], float]:
    """Decoder 0."""
    unpack_from = struct.unpack_from

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            at = i * SIZE
            if unpack_from("<B", buffer, at)[0] == 1:
                total += unpack_from("<d", buffer, at + 15)[0]
            else:
                total += unpack_from("<f", buffer, at + 23)[0]
        return total

    return measured


class Message:
    """Bytes from an offset on, and a dict that says where the fields are."""

    def __init__(self, fields: dict[str, tuple[str, int]], buffer: Any, at: int) -> None:
        self.fields = fields
        self.buffer = buffer
        self.at = at

    def __getattr__(self, name: str) -> Any:
        try:
            format, offset = self.fields[name]
        except KeyError:
            raise AttributeError(name) from None
        return struct.unpack_from(format, self.buffer, self.at + offset)[0]


def with_dict(buffer: Any, _: Any) -> Callable[[int], float]:
    """Decoder 1."""
    fields = dict(FIELDS)

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            m = Message(fields, buffer, i * SIZE)
            total += m.value if m.kind == 1 else m.weight
        return total

    return measured


class Typed:
    """Likewise, with the dict on a class for each type of message."""

    fields: dict[str, tuple[str, int]]

    def __init__(self, buffer: Any, at: int) -> None:
        self.buffer = buffer
        self.at = at

    def __getattr__(self, name: str) -> Any:
        try:
            format, offset = type(self).fields[name]
        except KeyError:
            raise AttributeError(name) from None
        return struct.unpack_from(format, self.buffer, self.at + offset)[0]


def with_class(buffer: Any, _: Any) -> Callable[[int], float]:
    """Decoder 2."""
    cls = type("Measurement", (Typed,), {"fields": dict(FIELDS)})

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            m = cls(buffer, i * SIZE)
            total += m.value if m.kind == 1 else m.weight
        return total

    return measured


class Field:
    """One field: knows its format and where it is."""

    def __init__(self, format: str, offset: int) -> None:
        self.format = format
        self.offset = offset

    def __get__(self, m: Any, owner: Any = None) -> Any:
        return struct.unpack_from(self.format, m.buffer, m.at + self.offset)[0]


class Described:
    """Bytes from an offset on; the fields are descriptors of subclasses."""

    def __init__(self, buffer: Any, at: int) -> None:
        self.buffer = buffer
        self.at = at


def with_descriptors(buffer: Any, _: Any) -> Callable[[int], float]:
    """Decoder 3."""
    fields = {name: Field(*field) for name, field in FIELDS.items()}
    cls = type("Measurement", (Described,), fields)

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            m = cls(buffer, i * SIZE)
            total += m.value if m.kind == 1 else m.weight
        return total

    return measured


def with_records(_: Any, records: Any) -> Callable[[int], float]:
    """Decoder 4, of a view."""

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            m = records[i]
            total += m.value if m.kind == 1 else m.weight
        return total

    return measured


def with_numpy(_: Any, array: Any) -> Callable[[int], float]:
    """Decoder 4, where there is only numpy."""

    def measured(n: int) -> float:
        total = 0.0
        for i in range(n):
            m = array[i]
            # A float plus a numpy.float32 is one: the sum would be, until a float64 comes.
            total += float(m["value"] if m["kind"] == 1 else m["weight"])
        return total

    return measured


DECODERS = (by_hand, with_dict, with_class, with_descriptors, with_records)
