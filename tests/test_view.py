# SPDX-License-Identifier: MIT
"""What can be done with a view: parts of it, other formats, its memory, and its end."""

from __future__ import annotations

import gc
import struct

import pytest

import pybridge


def guest_array(code, values):
    return pybridge.import_module("array").array(code, list(values))


@pytest.mark.parametrize("index", [5, -6, 2**40, 2**70])
def test_an_index_outside_is_an_index_error_and_touches_nothing(index):
    v = pybridge.view(guest_array("d", range(5)))
    with pytest.raises(IndexError, match="out of bounds"):
        v[index]
    with pytest.raises(IndexError, match="out of bounds"):
        v[index] = 1.0


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(1, 4),
        slice(None, None, -1),
        slice(4, 0, -2),
        slice(9, 20),
        slice(-2, None),
    ],
    ids=str,
)
def test_a_slice_is_a_view_of_the_same_memory(key):
    v = pybridge.view(guest_array("i", range(6)))
    part = v[key]
    assert part.tolist() == list(range(6))[key]
    assert part.tobytes() == struct.pack(f"{len(part)}i", *list(range(6))[key])
    if len(part):
        part[0] = 99
        assert v.tolist()[key][0] == 99


def test_a_released_view_and_its_parts_refuse_everything():
    v = pybridge.view(guest_array("d", range(5)))
    part, iterator = v[1:], iter(v)
    next(iterator)
    with v:
        assert v[0] == 0.0
    for use in (
        lambda: v[0],
        lambda: part[0],
        lambda: next(iterator),
        lambda: len(v),
        lambda: v.tolist(),
        lambda: part.tobytes(),
        lambda: v.cast("B"),
        lambda: part.__setitem__(0, 1.0),
        lambda: iter(part),
    ):
        with pytest.raises((ValueError, StopIteration)):
            use()
    v.release()
    assert repr(v) == "<released pybridge view>"


@pytest.mark.parametrize("name", [
    "shape", "strides", "suboffsets", "format", "itemsize", "nbytes", "ndim", "readonly", "obj",
    "contiguous", "c_contiguous", "f_contiguous",
])  # fmt: skip
def test_attributes_are_read_only_and_refused_after_release(name):
    v = pybridge.view(pybridge.eval("bytearray(5)"))
    with pytest.raises(AttributeError):
        setattr(v, name, getattr(v, name))  # v.shape = (10**9,) let loops read beyond the end
    v.release()
    with pytest.raises(ValueError, match="operation forbidden on released view object"):
        getattr(v, name)


def test_an_iteration_ends_with_an_error_when_the_view_is_released():
    v = pybridge.view(pybridge.eval("bytearray(5)"))
    items = iter(v)
    next(items)
    v.release()
    with pytest.raises(ValueError, match="released"):
        next(items)


_SHAPED = [
    "memoryview(bytes(range(24)))",
    "memoryview(bytearray(range(24)))",
    "memoryview(bytes(range(24))).cast('H')",
    "memoryview(bytes(range(24))).cast('B', (2, 3, 4))",
    "memoryview(bytes(range(24)))[::-2]",
    "memoryview(bytes(range(24))).cast('c')",
    "memoryview(b'')",
    "memoryview(bytes(range(4))).cast('i', ())",
]
_ASKED = [
    "m.tobytes()", "m.tobytes('F')", "m.tobytes('A')", "m.tobytes(None)",
    "m.tobytes(order='C')",
    "m.hex()", "m.hex(':')", "m.hex('-', 2)", "m.tolist()", "m.suboffsets", "m.contiguous",
    "m == bytes(range(24))", "m == bytearray(m.tobytes())", "m == memoryview(m.tobytes())",
    "m != m", "m == m.toreadonly()", "m == 3", "m == 'abc'", "hash(m) == hash(m.tobytes())",
    "m.tobytes('X')", "m.cast('?!')", "m.cast('B', 3)",
    "m.cast('B', (24.0,))", "isinstance(m, Sequence)", "m.foo",
]  # fmt: skip


# For both sides.
_ANSWERS = """
from collections.abc import Sequence

def answers(m, questions):
    return [answer(m, question) for question in questions]

def answer(m, question):
    try:
        return eval(question, {"Sequence": Sequence, "m": m})
    except Exception as error:
        return next(c for c in type(error).__mro__ if c.__module__ == "builtins")
"""


@pytest.mark.parametrize("source", _SHAPED)
def test_answers_as_memoryview(source):
    here, there = {}, {}
    exec(_ANSWERS, here)
    pybridge.exec(_ANSWERS, there)
    m = pybridge.eval(source)
    got = here["answers"](pybridge.view(m), _ASKED)
    expected = there["answers"](m, _ASKED)
    assert dict(zip(_ASKED, got)) == dict(zip(_ASKED, expected))


def test_an_array_is_compared_by_numpy_and_not_by_its_view(np):
    a = np.arange(3)
    assert (pybridge.view(a) == a).tolist() == [True, True, True]


def test_cast_as_memoryview_does():
    v = pybridge.view(pybridge.eval("bytearray(range(16))"))
    assert v.cast("d").tolist() == list(memoryview(bytes(range(16))).cast("d"))
    square = v.cast("B", (4, 4))
    assert square[1, 2] == 6 and square[3].tolist() == [12, 13, 14, 15]
    for format, shape in (("d", (3,)), ("B", (5, 5))):
        with pytest.raises(TypeError):
            v.cast(format, shape)
    with pytest.raises(TypeError):
        v[::2].cast("B")
    with pytest.raises(ValueError, match="integers"):
        v.cast("B", (-1, -16))


def test_the_memory_is_a_host_buffer_that_outlives_the_view(np):
    import hashlib

    a = np.arange(1000.0)
    v = pybridge.view(a)
    memory = v.memory()
    assert memory.nbytes == 8000 and bytes(memory) == v.tobytes()
    assert hashlib.sha256(memory).digest() == hashlib.sha256(v.tobytes()).digest()
    memory[:8] = struct.pack("d", -2.5)
    assert float(a[0]) == -2.5
    v.release()
    del v, a
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
        np.zeros(1000)
    assert struct.unpack_from("d", memory, 8) == (1.0,)
    with pytest.raises(BufferError, match="not C-contiguous"):
        pybridge.view(np.arange(10))[::2].memory()
    assert pybridge.view(pybridge.eval("memoryview(b'abc')")).memory().readonly


@pytest.mark.parametrize(
    "shaped",
    [
        "a",
        "a.T",
        "a[::-1]",
        "a[:, ::-2]",
        "a[1:2]",
        "a[:, None]",
        "np.asfortranarray(a)",
        "a[:0]",
    ],
)
def test_numpy_shapes_and_strides(np, shaped):
    a = pybridge.eval(shaped, {"a": np.arange(24.0).reshape(4, 6), "np": np})
    v = pybridge.view(a)
    lent = pybridge.eval("memoryview")(a)  # numpy evens out strides that do not matter
    assert v.shape == a.shape == lent.shape and v.strides == lent.strides
    nested = pybridge.eval("lambda a: repr(a.tolist())")(a)
    assert repr(v.tolist()) == nested
    assert v.tobytes() == a.tobytes()
    assert v.c_contiguous == a.flags.c_contiguous or 0 in v.shape
    assert v.contiguous == (a.flags.c_contiguous or a.flags.f_contiguous) or 0 in v.shape
    if v.ndim == 2 and 0 not in v.shape:
        i, j = v.shape[0] - 1, v.shape[1] - 1
        assert v[i, j] == v[-1, -1] == v[i][j] == float(a[i, j])
        v[0, j] = -5.0
        assert float(a[0, j]) == -5.0
        assert v[..., 0].tolist() == list(a[..., 0].tolist())


def test_three_dimensions_and_none(np):
    a = np.arange(24).reshape(2, 3, 4)
    v = pybridge.view(a)
    assert v[1, 2, 3] == 23 and v[1].shape == (3, 4) and v[1, :, 0].tolist() == [12, 16, 20]
    v[0] = [[0] * 4, [1] * 4, [2] * 4]
    assert int(a[0, 2, 3]) == 2
    zero = pybridge.view(np.array(3.5))
    assert zero.shape == () and zero[()] == zero.tolist() == 3.5
    with pytest.raises(TypeError, match="0-dim"):
        len(zero)
    for key in ((0, 0, 0, 0), (..., ...), 1.5, "x"):
        with pytest.raises((IndexError, TypeError)):
            v[key]
