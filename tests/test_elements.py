# SPDX-License-Identifier: MIT
"""Kinds of elements: read and written as the struct module does, for every format."""

from __future__ import annotations

import struct

import pytest

import pybridge
from pybridge._core import ffi
from pybridge._elements import make_class
from pybridge._layout import parse

FORMATS = [order + code for order in ("", "@", "=", "<", ">") for code in "bBhHiIlLqQfde?"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("x", [0, 1, 100])
def test_what_is_read_is_what_struct_unpacks(format, x):
    value = bool(x) if format[-1] == "?" else float(x) if format[-1] in "fde" else x
    memory = ffi.new("char[]", 16)
    address = int(ffi.cast("intptr_t", memory))
    size = struct.calcsize(format)
    element = make_class(object, parse(format, size), 0)()
    element._write(address, value)
    assert bytes(ffi.buffer(memory, size)) == struct.pack(format, value)
    read = element._read(address)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize("format", ["P", "O", "T{O:x:}", "g", "Zg", "s*", ""])
def test_other_formats_are_refused_by_name(format):
    with pytest.raises(pybridge.ConversionError, match="no host form"):
        make_class(object, parse(format, 8), 0)


@pytest.mark.parametrize("kind", ["int8", "uint64", ">i4", ">u2"])
def test_whole_numbers_are_written_from_whole_numbers_only(np, kind):
    """numpy.float32(2.5) was written as 2: cffi asks for `__int__`."""
    v = pybridge.view(np.zeros(2, kind))
    for x in (np.ones(1, "float32")[0], np.float16(2), np.float64(1), 1.0, np.bool_(True)):
        with pytest.raises(TypeError):
            v[0] = x
    for x in (np.int8(3), np.arange(4)[3], True, np.array(3)):
        v[0] = x
        assert v[0] == int(x)
