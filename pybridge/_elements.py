# SPDX-License-Identifier: MIT
"""Kinds of elements: how one is read from memory and written, and the view classes.

`kind_of` gives the two functions for a layout (`_layout`): through a typed pointer where the
host has one, else through the struct module or by hand.  `make_class` makes the view class of
elements of one layout as source text, so that each has its own code and therefore its own
traces; the functions are inlined there.
"""

from __future__ import annotations

import struct
from operator import index

from pybridge import _layout
from pybridge._core import ffi
from pybridge._errors import ConversionError
from pybridge._host import module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    Kind = tuple[Callable[[int], Any], Callable[[int, Any], None]]

_cast = ffi.cast

# (kind, size): C type.  A native read gives the host's float, int or bool.
_NATIVE = {
    ("f", 8): "double", ("f", 4): "float", ("b", 1): "_Bool",
    ("i", 1): "int8_t", ("i", 2): "int16_t", ("i", 4): "int32_t", ("i", 8): "int64_t",
    ("u", 1): "uint8_t", ("u", 2): "uint16_t", ("u", 4): "uint32_t", ("u", 8): "uint64_t",
}  # fmt: skip

# What the struct module reads.
_STRUCT = {
    ("f", 8): "d", ("f", 4): "f", ("f", 2): "e",
    ("i", 2): "h", ("i", 4): "i", ("i", 8): "q", ("u", 2): "H", ("u", 4): "I", ("u", 8): "Q",
}  # fmt: skip


def native(layout: Any) -> str:
    """The C type of values that a typed pointer reads, or ""."""
    if layout[0] in ("record", "array") or (layout[1] == ">" and layout[2] > 1):
        return ""
    return _NATIVE.get((layout[0], layout[2]), "")


def bulk(layout: Any) -> str:
    """Likewise, of those that `ffi.unpack` turns into a list at once."""
    return "" if layout[0] == "b" else native(layout)


def _memory(address: int, n: int) -> Any:
    return ffi.buffer(_cast("char *", address), n)


def kind_of(layout: Any) -> Kind:
    """Functions that read the value at an address, and write it; ConversionError if there are
    none.  Values are the host's own: float, int, bool, complex, bytes, str, and of dates what
    `datetime` has for them."""
    kind = layout[0]
    if kind == "b":
        return _bool_kind()
    ctype = native(layout)
    if ctype:
        return _native_kind(ctype)
    order, size = layout[1], layout[2]
    if (kind, size) in _STRUCT:
        return _struct_kind(order + _STRUCT[kind, size], size, kind != "f")
    if kind == "c" and size in (8, 16):
        return _complex_kind(order, size // 2)
    if kind in ("S", "V"):
        return _bytes_kind(size, kind == "V")
    if kind == "U":
        return _text_kind(size, "utf-32-le" if order == "<" else "utf-32-be")
    if kind in ("M", "m") and size == 8:
        from pybridge import _dates  # datetime is slow to import, and rarely needed

        of_dates: Kind = _dates.kind_of(kind, layout[3], *kind_of(("i", order, 8, "")))
        return of_dates
    names = {
        "O": "objects",
        "f": "long doubles",
        "c": "long doubles",
        "T": "texts of any length",
    }
    raise ConversionError(
        f"elements of numpy's kind {kind!r} in {size} bytes ({names.get(kind, 'unknown')}) "
        "have no host form: read them in the guest, or view a single field (a['name']) of a "
        "structured array",
        code="PB304",
    )


def _bool_kind() -> Kind:
    def read(address: int) -> bool:
        return _cast(_BYTES, address)[0] != 0  # type: ignore[no-any-return]  # 2 is true too

    def write(address: int, x: Any) -> None:
        _cast(_BOOLS, address)[0] = x

    return read, write


_BYTES, _BOOLS = ffi.typeof("uint8_t *"), ffi.typeof("_Bool *")


def _native_kind(ctype: str) -> Kind:
    text = (
        "def read(address):\n    return cast(POINTER, address)[0]\n\ndef write(address, x):\n"
    )
    if "int" in ctype:  # cffi would take numpy.float32(2.5) as 2
        text += "    if type(x) is not int:\n        x = index(x)\n"
    text += "    cast(POINTER, address)[0] = x\n"
    space = module_dict()
    space.update({"cast": _cast, "POINTER": ffi.typeof(ctype + " *"), "__name__": __name__})
    space["index"] = index
    exec(compile(text, f"pybridge-kind-{ctype}.py", "exec"), space)
    return space["read"], space["write"]


def _struct_kind(format: str, size: int, whole: bool) -> Kind:
    layout = struct.Struct(format)

    def read(address: int) -> Any:
        return layout.unpack(_memory(address, size)[:])[0]

    def write(address: int, x: Any) -> None:
        if whole and type(x) is not int:
            x = index(x)
        try:
            data = layout.pack(x)
        except struct.error as error:  # as a typed pointer refuses
            raise (TypeError if not hasattr(x, "__index__") else OverflowError)(
                str(error)
            ) from None
        _memory(address, size)[:] = data

    return read, write


def _complex_kind(order: str, part: int) -> Kind:
    read_part, write_part = kind_of(("f", order, part, ""))

    def read(address: int) -> complex:
        return complex(read_part(address), read_part(address + part))

    def write(address: int, x: Any) -> None:
        z = complex(x)
        write_part(address, z.real)
        write_part(address + part, z.imag)

    return read, write


def _bytes_kind(size: int, raw: bool) -> Kind:
    def read(address: int) -> bytes:
        data: bytes = ffi.unpack(_cast("char *", address), size) if size else b""
        return data if raw else data.rstrip(b"\0")

    def write(address: int, x: Any) -> None:
        if not isinstance(x, bytes):
            raise TypeError(f"an element is bytes, not {type(x).__name__}")
        _memory(address, size)[:] = x[:size].ljust(size, b"\0")

    return read, write


def _text_kind(size: int, encoding: str) -> Kind:
    def read(address: int) -> str:
        return bytes(_memory(address, size)[:]).decode(encoding, "surrogatepass").rstrip("\0")

    def write(address: int, x: Any) -> None:
        if not isinstance(x, str):
            raise TypeError(f"an element is str, not {type(x).__name__}")
        data = x[: size // 4].encode(encoding, "surrogatepass")
        _memory(address, size)[:] = data.ljust(size, b"\0")

    return read, write


# ---- view classes -----------------------------------------------------------------------

_ANY = """
class View_(View):
    __slots__ = ()

    _read = staticmethod(read)
    _write = staticmethod(write)
"""

# One dimension: an integer index is a bounds check and a raw read.  {item} is what an element
# at an address is: `read(address)`, or a record there.
_ONE = """
    def __getitem__(self, key):
        if type(key) is int and self._pin.handle:
            n = self._length
            i = key + n if key < 0 else key
            if 0 <= i < n:
                return {item}(self._address + i * self._stride)
        return View.__getitem__(self, key)

    def __setitem__(self, key, x):
        if type(key) is int and self._pin.handle and not self._readonly:
            n = self._length
            i = key + n if key < 0 else key
            if 0 <= i < n:
                write(self._address + i * self._stride, x)
                return
        View.__setitem__(self, key, x)

    def __iter__(self):
        self._check()
        return Iterator_(self)


class Iterator_:
    __slots__ = ("i", "self")

    def __init__(self, view):
        self.i = 0
        self.self = view

    def __iter__(self):
        return self

    def __next__(iterator):
        self, i = iterator.self, iterator.i
        if not self._pin.handle:
            self._check()
        if i >= self._length:
            raise StopIteration
        iterator.i = i + 1
        return {item}(self._address + i * self._stride)
"""

_TWO = """
    def __getitem__(self, key):
        if type(key) is tuple and len(key) == 2:
            i, j = key
            if type(i) is int and type(j) is int and self._pin.handle:
                shape, strides = self._shape, self._strides
                if 0 <= i < self._length and 0 <= j < shape[1]:
                    return {item}(self._address + i * self._stride + j * strides[1])
        return View.__getitem__(self, key)

    def __setitem__(self, key, x):
        if type(key) is tuple and len(key) == 2 and not self._readonly:
            i, j = key
            if type(i) is int and type(j) is int and self._pin.handle:
                shape, strides = self._shape, self._strides
                if 0 <= i < self._length and 0 <= j < shape[1]:
                    write(self._address + i * self._stride + j * strides[1], x)
                    return
        View.__setitem__(self, key, x)
"""

_THREE = """
    def __getitem__(self, key):
        if type(key) is tuple and len(key) == 3:
            i, j, k = key
            if type(i) is int and type(j) is int and type(k) is int and self._pin.handle:
                shape, strides = self._shape, self._strides
                if 0 <= i < self._length and 0 <= j < shape[1] and 0 <= k < shape[2]:
                    return {item}(
                        self._address + i * self._stride + j * strides[1] + k * strides[2]
                    )
        return View.__getitem__(self, key)

    def __setitem__(self, key, x):
        if type(key) is tuple and len(key) == 3 and not self._readonly:
            i, j, k = key
            if type(i) is int and type(j) is int and type(k) is int and self._pin.handle:
                shape, strides = self._shape, self._strides
                if 0 <= i < self._length and 0 <= j < shape[1] and 0 <= k < shape[2]:
                    write(self._address + i * self._stride + j * strides[1] + k * strides[2], x)
                    return
        View.__setitem__(self, key, x)
"""


def make_class(base: Any, layout: Any, ndim: int, record: Any = None) -> Any:
    """The class of views of elements of a layout in `ndim` dimensions (4: and more).

    `record`: for records, their class and the one of read-only ones, whose objects are made of
    a pin and an address, and the function that writes one.
    """
    if record is None:
        read, write = kind_of(layout)
        classes, item = (None, None), "read"
    else:
        *classes, write = record
        read = None
        item = "(READONLY if self._readonly else RECORD)(self._pin, "
    text = _ANY + {1: _ONE, 2: _TWO, 3: _THREE}.get(ndim, "")
    text = text.replace("{item}(" if record else "{item}", item)
    space = module_dict()
    space.update(
        {"View": base, "RECORD": classes[0], "READONLY": classes[1], "__name__": __name__}
    )
    space.update({"read": read, "write": write})
    if record is not None:
        text = text.replace("    _read = staticmethod(read)\n", _RECORD_READ)
    exec(compile(text, f"pybridge-view-{_layout.text(layout)[:40]}-{ndim}.py", "exec"), space)
    made = space["View_"]
    made.__name__ = made.__qualname__ = "View"
    made.layout, made._format, made._itemsize = (
        layout,
        _layout.text(layout),
        _layout.size_of(layout),
    )
    return made


_RECORD_READ = """
    def _read(self, address):
        return (READONLY if self._readonly else RECORD)(self._pin, address)
"""
