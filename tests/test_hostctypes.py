# SPDX-License-Identifier: MIT
"""Objects of the host's ctypes in the guest: their own memory."""

from __future__ import annotations

import ctypes
import gc

import pytest

import pybridge


class Point(ctypes.Structure):
    _fields_ = (("i", ctypes.c_int), ("x", ctypes.c_double), ("name", ctypes.c_char * 4))


class Below(Point):
    _fields_ = (("y", ctypes.c_float), ("inner", Point * 2))


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("a", ctypes.c_byte), ("b", ctypes.c_double))


class Big(ctypes.BigEndianStructure):
    _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_short * 2))


class Either(ctypes.Union):
    _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_double))


class Bits(ctypes.Structure):
    _fields_ = (("a", ctypes.c_int, 3), ("b", ctypes.c_int, 5))


class Pointing(ctypes.Structure):
    _fields_ = (("p", ctypes.c_void_p),)


_POINT = "T{<i:i:4x<d:x:(4)c:name:4x}"
_CASES = {
    "doubles": ((ctypes.c_double * 3)(1, 2, 3), "d", (3,)),
    "rows": (((ctypes.c_short * 2) * 3)(), "h", (3, 2)),
    "number": (ctypes.c_int(5), "i", ()),
    "bools": ((ctypes.c_bool * 2)(True, False), "?", (2,)),
    "chars": (ctypes.create_string_buffer(b"abc"), "c", (4,)),
    "text": (ctypes.create_unicode_buffer("ab"), "1w", (3,)),
    "record": (Point(1, 2.5, b"abc"), _POINT, ()),
    "records": ((Point * 2)(), _POINT, (2,)),
    "packed": (Packed(1, 2.5), "T{b:a:<d:b:}", ()),
    "big": (Big(1, (2, 3)), "T{>i:a:(2)>h:b:}", ()),
    "union": (Either(a=3), "B", (8,)),
    "bits": ((Bits * 2)(), "B", (2, 4)),
    "empty": ((ctypes.c_int * 0)(), "i", (0,)),
}


@pytest.mark.parametrize("name", _CASES)
def test_it_is_its_own_memory_and_comes_back_as_itself(name):
    x, format, shape = _CASES[name]
    said = pybridge.eval("lambda x: (memoryview(x).format, memoryview(x).shape, bytes(x))")(x)
    content = ctypes.string_at(ctypes.addressof(x), ctypes.sizeof(x))
    assert said == (format, shape, content)
    assert pybridge.eval("lambda x: x")(x) is x


def test_fields_are_where_ctypes_has_them():
    """PyPy's own format of a structure has the padding in another place."""
    x = Below(1, 2.5, b"abc", 3.5, (Point(7, 8.5, b"x"), Point(9, 10.5, b"yz")))
    v = pybridge.view(pybridge.eval("memoryview")(x))
    r = v[()]
    assert (r.i, r.x, r.y) == (1, 2.5, 3.5) and r.name.tobytes() == b"abc\0"
    assert [(p.i, p.x) for p in r.inner] == [(7, 8.5), (9, 10.5)]


def test_what_either_side_writes_the_other_sees(np):
    x = (ctypes.c_double * 3)(1, 2, 3)
    a, b = np.frombuffer(x), np.ctypeslib.as_array(x)
    a[1] = 9
    x[2] = 5
    assert x[1] == 9 and a.tolist() == b.tolist() == [1, 9, 5]
    del x
    gc.collect()
    pybridge.statistics()
    assert a.tolist() == [1, 9, 5]
    point = Point(1, 2.5)
    np.asarray(point)["x"] = 7.5
    assert point.x == 7.5


@pytest.mark.parametrize(
    "x", [Pointing(), ctypes.pointer(ctypes.c_int(3)), ctypes.c_char_p(b"x"), Pointing * 2]
)
def test_pointers_are_refused(x):
    x = x() if isinstance(x, type) else x
    with pytest.raises(pybridge.ConversionError, match="no form in the guest"):
        pybridge.eval("id")(x)
