# SPDX-License-Identifier: MIT
"""Layouts: where the values of an element lie, read from a PEP 3118 format.

A layout is made of tuples, so that equal ones are equal keys:

    (kind, order, size, unit)                   one value: kind as numpy's letters, below;
                                                order "<" or ">"; size in bytes
    ("record", ((name, offset, layout), ...), size)
    ("array", shape, layout, size)              a sub-array, in C order

Kinds: "i" and "u" ints, "f" float, "c" complex, "b" bool, "S" bytes and "U" text of fixed
length, "V" raw bytes (one with `unit` "c": a char), "M" and "m" dates and durations, which
count `unit`s since 1970.

`parse` is strict: what it does not know for certain, or what does not fill the element exactly,
is refused.  One thing no format says: numpy leaves out the padding at the end of a nested
record, so a sub-array of such records is written as if its items were closer together
(numpy 2.5).  So the layout of a numpy array is asked of its dtype (guest/arrays.py).
"""

from __future__ import annotations

from pybridge._errors import ConversionError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, NoReturn

# PEP 3118 code: kind, size in standard formats, size in native ones (0: not there)
_CODES = {
    "?": ("b", 1, 1), "b": ("i", 1, 1), "B": ("u", 1, 1), "h": ("i", 2, 2), "H": ("u", 2, 2),
    "i": ("i", 4, 4), "I": ("u", 4, 4), "l": ("i", 4, 8), "L": ("u", 4, 8), "q": ("i", 8, 8),
    "Q": ("u", 8, 8), "n": ("i", 0, 8), "N": ("u", 0, 8), "e": ("f", 2, 2), "f": ("f", 4, 4),
    "d": ("f", 8, 8), "Zf": ("c", 8, 8), "Zd": ("c", 16, 16),
}  # fmt: skip
_SIZED = {"s": ("S", 1), "w": ("U", 4), "x": ("V", 1)}  # a count before them is a length
_ORDERS = "@=<>!^"
_DEEPEST = 32
_MOST_DIGITS = 18


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.order = "@"  # holds until another is given, also past the end of a record

    def refuse(self, why: str) -> NoReturn:
        raise ConversionError(
            f"elements of format {self.text!r} have no host form ({why}): read them in the "
            "guest, or view a single field (a['name']) of a structured array",
            code="PB304",
        )

    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, what: str) -> bool:
        found = self.text.startswith(what, self.at)
        if found:
            self.at += len(what)
        return found

    def number(self) -> int | None:
        start = self.at
        while self.next() in tuple("0123456789"):
            self.at += 1
        if self.at - start > _MOST_DIGITS:
            self.refuse("a number in it is too long")
        return int(self.text[start : self.at]) if self.at > start else None

    def shape(self) -> tuple[int, ...]:
        """After "(": the numbers up to ")"."""
        shape = []
        while True:
            n = self.number()
            if n is None:
                self.refuse("a shape is not made of numbers")
            shape.append(n)
            if self.skip(")"):
                return tuple(shape)
            if not self.skip(","):
                self.refuse("a shape has no end")

    def items(self, end: str, depth: int) -> tuple[list[Any], int, int]:
        """Items up to `end`: (name or None, offset, layout) of each, where the last one ends,
        and to a multiple of what a size is to be rounded."""
        if depth > _DEEPEST:
            self.refuse("it is nested too deep")
        found: list[Any] = []
        offset, alignment = 0, 1
        while not (end and self.skip(end)):
            if not self.next():
                if end:
                    self.refuse("a record in it has no end")
                break
            shape = self.shape() if self.skip("(") else ()
            if self.next() in tuple(_ORDERS):
                self.order = self.next()
                self.at += 1
            layout, aligned, padding = self.element(depth)
            if shape:
                layout = array(shape, layout)
            if self.order == "@":
                offset += -offset % aligned
                alignment = max(alignment, aligned)
            if self.skip(":"):
                stop = self.text.find(":", self.at)
                if stop < 0:
                    self.refuse("a name in it has no end")
                found.append((self.text[self.at : stop], offset, layout))
                self.at = stop + 1
            elif not padding:
                found.append((None, offset, layout))
            offset += size_of(layout)
        return found, offset, alignment if self.order == "@" else 1

    def element(self, depth: int) -> tuple[Any, int, bool]:
        """The layout of one element, its alignment, is it padding if it has no name?"""
        count = self.number()
        if self.skip("T{"):
            found, size, alignment = self.items("}", depth + 1)
            size += -size % alignment
            return repeated(count, self.record(found, size)), alignment, False
        code = self.next()
        self.at += 1
        if code == "Z":
            code += self.next()
            self.at += 1
        order = ">" if self.order in ">!" else "<"
        if code in _SIZED:
            kind, size = _SIZED[code]
            size *= 1 if count is None else count
            return (kind, order, size, ""), 4 if code == "w" else 1, code == "x"
        if code == "c":
            return repeated(count, ("V", order, 1, "c")), 1, False
        if code not in _CODES:
            self.refuse(
                f"{code!r} at {self.at - 1}" if code else "it is empty or ends too early"
            )
        kind, standard, native = _CODES[code]
        size = native if self.order in "@^" else standard
        if size == 0:
            self.refuse(f"{code!r} has no standard size")
        return repeated(count, (kind, order, size, "")), size // (1 + (kind == "c")), False

    def checked(self, layout: Any, itemsize: int) -> Any:
        if size_of(layout) != itemsize:
            self.refuse(f"it describes {size_of(layout)} bytes of {itemsize}")
        return layout

    def record(self, found: list[Any], size: int) -> Any:
        names = [name for name, _, _ in found]
        fields = tuple(
            (f"f{i}" if name is None else name, offset, layout)
            for i, (name, offset, layout) in enumerate(found)
        )
        if len({name for name, _, _ in fields}) != len(names):
            self.refuse("two fields have the same name")
        return ("record", fields, size)


def repeated(count: int | None, layout: Any) -> Any:
    """`count` elements in a row, as a number before a code says."""
    return layout if count is None or count == 1 else array((count,), layout)


def array(shape: tuple[int, ...], layout: Any) -> Any:
    """A sub-array; one of sub-arrays is one with more dimensions."""
    if layout[0] == "array":
        return array(shape + layout[1], layout[2])
    size = size_of(layout)
    for n in shape:
        size *= n
    return ("array", shape, layout, size)


def size_of(layout: Any) -> int:
    """In bytes."""
    return layout[2] if layout[0] != "array" else layout[3]  # type: ignore[no-any-return]


def parse(format: str, itemsize: int) -> Any:
    """The layout of elements of `itemsize` bytes and a PEP 3118 format.

    Raises ConversionError when the format is not understood, when elements have no host form
    (objects, pointers, long doubles), or when it describes another number of bytes.
    """
    parser = _Parser(format)
    if parser.skip("T{"):
        found, size, alignment = parser.items("}", 0)
        if parser.next():
            parser.refuse("something follows the record")
        # The struct module counts no padding at the end of a record, C does.
        padded = size + -size % alignment
        return parser.checked(
            parser.record(found, padded if padded == itemsize else size), itemsize
        )
    found, size, _ = parser.items("", 0)
    if len(found) == 1 and found[0][:2] == (None, 0):
        layout = found[0][2]
    elif not found and 0 < size and format.lstrip(_ORDERS + "0123456789") == "x":
        layout = ("V", "<", size, "")
    elif not found:
        parser.refuse("it is empty or ends too early")
    else:
        layout = parser.record(found, size)
    return parser.checked(layout, itemsize)


_LETTERS = {
    ("b", 1): "?", ("f", 2): "e", ("f", 4): "f", ("f", 8): "d", ("c", 8): "Zf", ("c", 16): "Zd",
    ("i", 1): "b", ("i", 2): "h", ("i", 4): "i", ("i", 8): "q",
    ("u", 1): "B", ("u", 2): "H", ("u", 4): "I", ("u", 8): "Q",
}  # fmt: skip


def text(layout: Any, inside: bool = False) -> str:
    """A layout as PEP 3118 writes it; dates, which it does not know, as numpy does.

    `inside` a record each field says its byte order, which means too that none is aligned."""
    kind = layout[0]
    if kind == "array":
        return "({}){}".format(",".join(map(str, layout[1])), text(layout[2], inside))
    if kind == "record":
        parts, end = [], 0
        for name, offset, item in layout[1]:
            if offset > end:
                parts.append(f"{offset - end}x")
            parts.append(f"{text(item, True)}:{name}:")
            end = offset + size_of(item)
        if layout[2] > end:
            parts.append(f"{layout[2] - end}x")
        return "T{" + "".join(parts) + "}"
    _, order, size, unit = layout
    if unit == "c":
        return "c"
    if kind in "SV":
        return f"{size}{'s' if kind == 'S' else 'x'}"
    if kind == "U":
        return f"{order if inside or order == '>' else ''}{size // 4}w"
    if kind in "Mm":
        return f"{order}{kind}{size}[{unit}]"
    prefix = order if size > 1 and (inside or order == ">") else ""
    if not prefix and size == 8 and kind in "iu":  # numpy's int64; "q" is its longlong
        return "l" if kind == "i" else "L"
    return prefix + _LETTERS[kind, size]


def described(description: Any) -> Any:
    """The layout that the guest described: in the same tuples, checked.

    Raises ConversionError when it is not one: a field that reaches beyond its record.
    """
    if description[0] == "array":
        return array(tuple(description[1]), described(description[2]))
    if description[0] != "record":
        kind, order, size, unit = description
        return (kind, order, size, unit)
    fields = tuple((name, offset, described(item)) for name, offset, item in description[1])
    size = description[2]
    for name, offset, item in fields:
        if offset < 0 or offset + size_of(item) > size:
            raise ConversionError(f"the field {name!r} reaches beyond its record", code="PB304")
    return ("record", fields, size)
