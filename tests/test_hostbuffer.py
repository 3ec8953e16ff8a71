# SPDX-License-Identifier: MIT
"""Guest objects as buffers of the host: memoryview, bytes, hashlib, files, struct."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import struct
import sys

import pytest

import pybridge
from pybridge import _hostbuffer, _release

pytestmark = pytest.mark.skipif(
    sys.implementation.name == "cpython" and sys.version_info < (3, 12),
    reason="a CPython before 3.12 cannot be told",
)


@pytest.fixture(scope="module")
def np(guest):
    try:
        return pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")


@pytest.fixture
def space():
    return {}


def test_a_bytearray_of_the_guests_is_read_by_the_hosts_c_code(space):
    x = pybridge.eval("bytearray(b'hello')", space)
    assert bytes(x) == b"hello" and hashlib.md5(x).digest() == hashlib.md5(b"hello").digest()
    assert io.BytesIO(x).read() == b"hello" and b"".join([x, b"!"]) == b"hello!"
    assert struct.unpack_from("2s", x, 1) == (b"el",)
    x.append(33)  # what only reads has got a copy, so that the guest may still do this
    assert bytes(x) == b"hello!"


def test_a_memoryview_is_the_same_memory_and_the_guest_keeps_it(space):
    x = pybridge.eval("bytearray(b'hello')", space)
    m = memoryview(x)
    m[0] = 72
    assert bytes(x) == b"Hello" and m.format == "B" and len(m) == 5
    with pytest.raises(BufferError):
        x.append(33)


def test_read_only_memory_stays_so(space):
    x = pybridge.eval("memoryview(b'abc')", space)
    assert memoryview(x).readonly
    with pytest.raises(TypeError):
        io.BytesIO(b"xyz").readinto(x)
    assert bytes(x) == b"abc"


def test_an_array_is_filled_by_the_host(np):
    a = np.zeros(2)
    assert io.BytesIO(struct.pack("2d", 1.5, 2.5)).readinto(a) == 16
    assert a.tolist() == [1.5, 2.5]


def test_an_array_is_written_to_a_file(np, tmp_path):
    a = np.arange(6.0).reshape(2, 3)
    with open(tmp_path / "x", "wb") as file:
        assert file.write(a) == 48
    with open(tmp_path / "x", "ab", buffering=0) as file:
        assert os.write(file.fileno(), a) == 48
    assert (tmp_path / "x").read_bytes() == a.tobytes() * 2


@pytest.mark.parametrize("kind", "? b B h H i I l L q Q f d".split())
def test_a_memoryview_has_format_and_shape(np, kind):
    a = np.arange(6).astype(kind)
    m = memoryview(a)
    assert m.tolist() == a.tolist() and m.itemsize == a.itemsize and m.shape == (6,)
    assert memoryview(a.reshape(2, 3)).tolist() == a.reshape(2, 3).tolist()


@pytest.mark.parametrize("part", [slice(None, None, 2), slice(None, None, -1), slice(4, 1, -2)])
def test_gaps_and_backwards_in_one_dimension(np, part):
    a = np.arange(6.0)
    assert memoryview(a[part]).tolist() == a[part].tolist() == a.tolist()[part]
    assert bytes(a[part]) == a[part].tobytes()


def test_bytes_of_whatever_numpy_has(np):
    for a in (
        np.arange(6.0).reshape(2, 3).T, np.array([1 + 2j]), np.arange(3).astype(">i4"),
        np.zeros((2, 0)), np.array(3.0), np.array([b"ab", b"c"]), np.arange(3).astype("f2"),
    ):  # fmt: skip
        assert bytes(a) == a.tobytes(), a.dtype


def test_bytes_of_what_the_host_has_no_form_for(space):
    pybridge.exec(
        "import ctypes\n"
        "class S(ctypes.Structure): _fields_ = [('p', ctypes.c_void_p), ('x', ctypes.c_int)]\n"
        "s = S(1, 2)",
        space,
    )
    assert bytes(space["s"]) == struct.pack("Pi4x", 1, 2)
    with pytest.raises(pybridge.ConversionError):
        memoryview(space["s"])


@pytest.mark.parametrize("text", ["np.arange(6.).reshape(2, 3).T", "np.array([1j])"])
def test_what_the_hosts_memoryview_cannot_say_is_refused(np, space, text):
    space["np"] = np
    with pytest.raises(BufferError):
        memoryview(pybridge.eval(text, space))


def test_objects_are_no_bytes(np):
    with pytest.raises(pybridge.ConversionError):
        hashlib.md5(np.array([None]))


def test_who_has_no_buffer_has_none_on_the_host(space):
    for text in ("object()", "[1, 2]", "(i for i in ())"):
        with pytest.raises(TypeError):
            memoryview(pybridge.eval(text, space))


def test_of_a_view_it_is_its_memory(np):
    # On PyPy a class below `bufferable` costs 40 bytes an object, so views are of none.
    a = np.arange(4.0)
    v = pybridge.view(a)
    assert v.memory() == bytes(a) and hashlib.md5(v.memory()).digest()
    v.release()
    with pytest.raises(ValueError, match="released"):
        v.memory()


def test_memory_lives_as_long_as_the_memoryview(np):
    m = memoryview(np.full(1000, 7.0))
    for _ in range(3):
        np.full(1000, 1.0)
    gc.collect()
    _release.sweep()
    assert m.tolist() == [7.0] * 1000


def test_subclasses_of_the_program_are_buffers(np):
    class Mine(np.ndarray):
        pass

    a = np.arange(3.0).view(Mine)
    assert type(a) is Mine and memoryview(a).tolist() == [0.0, 1.0, 2.0]


def test_the_base_is_not_seen(np):
    assert np.ndarray.__bases__ == (object,) and np.ndarray.__mro__ == (np.ndarray, object)
    assert not issubclass(np.float64, _hostbuffer.Exports) and issubclass(np.float64, float)
