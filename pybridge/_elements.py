# SPDX-License-Identifier: MIT
"""Kinds of elements: how one is read from memory and written, by its PEP 3118 format.

`make_class` makes the view class of a kind: as source text with a typed pointer where the host
has one, so that each kind has its own code and therefore its own traces; with functions that
go through the struct module for the rest (other byte orders, half floats, complex numbers,
fixed bytes and texts).
"""

from __future__ import annotations

import struct

from pybridge._core import ffi
from pybridge._errors import ConversionError
from pybridge._host import module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast

# PEP 3118 code: C type.  A native read gives the host's float, int or bool.
_NATIVE = {
    "d": "double", "f": "float", "?": "_Bool",
    "b": "int8_t", "B": "uint8_t", "h": "int16_t", "H": "uint16_t",
    "i": "int32_t", "I": "uint32_t", "l": "int64_t", "L": "uint64_t",
    "q": "int64_t", "Q": "uint64_t", "n": "int64_t", "N": "uint64_t",
}  # fmt: skip
BULK = {code: ctype for code, ctype in _NATIVE.items() if code != "?"}
_PLAIN = "@=<"  # byte orders that are this machine's


def _native_code(format: str) -> str:
    """The one letter of a format that a typed pointer reads, or ""."""
    code = format.lstrip(_PLAIN) if format[:1] in _PLAIN else format
    # In standard sizes (= and <) l is four bytes long.
    if format[:1] in ("=", "<"):
        code = {"l": "i", "L": "I"}.get(code, code)
    return code if code in _NATIVE else ""


_NATIVE_CLASS = """
class View_{name}(View):
    __slots__ = ()

    def _read(self, address):
        return cast(POINTER, address)[0]

    def _write(self, address, x):
        cast(POINTER, address)[0] = x
"""

# One dimension: an integer index is a bounds check and a raw read.
_ONE = """
    def __getitem__(self, key):
        if type(key) is int and self._pin.handle:
            n = self._length
            i = key + n if key < 0 else key
            if 0 <= i < n:
                return cast(POINTER, self._address + i * self._stride)[0]
        return View.__getitem__(self, key)

    def __setitem__(self, key, x):
        if type(key) is int and self._pin.handle and not self.readonly:
            n = self._length
            i = key + n if key < 0 else key
            if 0 <= i < n:
                cast(POINTER, self._address + i * self._stride)[0] = x
                return
        View.__setitem__(self, key, x)

    def __iter__(self):
        self._check()
        return Iterator_{name}(self)


class Iterator_{name}:
    __slots__ = ("i", "view")

    def __init__(self, view):
        self.i = 0
        self.view = view

    def __iter__(self):
        return self

    def __next__(self):
        view, i = self.view, self.i
        if i >= view._length:
            raise StopIteration
        if not view._pin.handle:
            view._check()
        self.i = i + 1
        return cast(POINTER, view._address + i * view._stride)[0]
"""

_TWO = """
    def __getitem__(self, key):
        if type(key) is tuple and len(key) == 2:
            i, j = key
            if type(i) is int and type(j) is int and self._pin.handle:
                shape, strides = self.shape, self.strides
                if 0 <= i < self._length and 0 <= j < shape[1]:
                    return cast(POINTER, self._address + i * self._stride + j * strides[1])[0]
        return View.__getitem__(self, key)

    def __setitem__(self, key, x):
        if type(key) is tuple and len(key) == 2 and not self.readonly:
            i, j = key
            if type(i) is int and type(j) is int and self._pin.handle:
                shape, strides = self.shape, self.strides
                if 0 <= i < self._length and 0 <= j < shape[1]:
                    cast(POINTER, self._address + i * self._stride + j * strides[1])[0] = x
                    return
        View.__setitem__(self, key, x)
"""


def make_class(base: type, format: str, itemsize: int, ndim: int) -> Any:
    code = _native_code(format)
    if not code:
        read, write = _slow_kind(format, itemsize)
        space = {"__slots__": (), "_read": read, "_write": write}
        return type("View_other", (base,), space)
    text = _NATIVE_CLASS
    text += {1: _ONE, 2: _TWO}.get(ndim, "")
    text = text.format(name=code if code != "?" else "bool")
    pointer = ffi.typeof(_NATIVE[code] + " *")
    space = module_dict()
    space.update({"View": base, "cast": _cast, "POINTER": pointer, "__name__": __name__})
    exec(compile(text, f"pybridge-view-{code}-{ndim}.py", "exec"), space)
    return next(v for k, v in space.items() if k.startswith("View_"))


def _memory(address: int, n: int) -> Any:
    return ffi.buffer(_cast("char *", address), n)


def _slow_kind(format: str, itemsize: int) -> Any:
    """Reading and writing elements that no typed pointer gives, or ConversionError."""
    order = format[0] if format and format[0] in "@=<>!" else "="
    code = format.lstrip("@=<>!")
    if code in ("Zd", "Zf"):
        return _complex_kind("<" if order in "@=<" else ">", code[1])
    if code in ("e", *_NATIVE):
        layout = struct.Struct(("<" if order in "@=<" else ">") + code)
        if layout.size != itemsize:  # 'l' in native size, swapped
            layout = struct.Struct(layout.format.replace("l", "q").replace("L", "Q"))

        def read(self: Any, address: int) -> Any:
            return layout.unpack(_memory(address, itemsize)[:])[0]

        def write(self: Any, address: int, x: Any) -> None:
            _memory(address, itemsize)[:] = layout.pack(x)

        return read, write
    if code == "c" or code.lstrip("0123456789") == "s":
        return _bytes_kind(itemsize)
    if code.lstrip("0123456789") == "w":
        return _text_kind(itemsize, "utf-32-le" if order in "@=<" else "utf-32-be")
    raise ConversionError(
        f"elements of format {format!r} have no host form: read them in the guest, or view a "
        "single field (a['name']) of a structured array"
    )


def _complex_kind(order: str, part: str) -> Any:
    layout = struct.Struct(order + part * 2)

    def read(self: Any, address: int) -> complex:
        return complex(*layout.unpack(_memory(address, layout.size)[:]))

    def write(self: Any, address: int, x: Any) -> None:
        z = complex(x)
        _memory(address, layout.size)[:] = layout.pack(z.real, z.imag)

    return read, write


def _bytes_kind(itemsize: int) -> Any:
    def read(self: Any, address: int) -> bytes:
        return bytes(_memory(address, itemsize)[:]).rstrip(b"\0")

    def write(self: Any, address: int, x: Any) -> None:
        if not isinstance(x, bytes):
            raise TypeError(f"an element is bytes, not {type(x).__name__}")
        _memory(address, itemsize)[:] = x[:itemsize].ljust(itemsize, b"\0")

    return read, write


def _text_kind(itemsize: int, encoding: str) -> Any:
    def read(self: Any, address: int) -> str:
        return bytes(_memory(address, itemsize)[:]).decode(encoding).rstrip("\0")

    def write(self: Any, address: int, x: Any) -> None:
        if not isinstance(x, str):
            raise TypeError(f"an element is str, not {type(x).__name__}")
        _memory(address, itemsize)[:] = x.encode(encoding)[:itemsize].ljust(itemsize, b"\0")

    return read, write
