# SPDX-License-Identifier: MIT
"""Views: guest memory as the host reads and writes it."""

from __future__ import annotations

import gc
import struct

import children
import pytest

import pybridge


def guest_array(code, values):
    return pybridge.import_module("array").array(code, list(values))


CODES = ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d"]


@pytest.mark.parametrize("code", CODES)
def test_elements_are_plain_host_values(code):
    v = pybridge.view(guest_array(code, [0, 1, 100]))
    kind = float if code in "fd" else int
    assert [type(x) for x in v] == [kind] * 3
    assert list(v) == v.tolist() == [v[0], v[1], v[2]] == [0, 1, 100]
    assert (v.itemsize, v.nbytes, v.ndim) == (struct.calcsize(code), 3 * v.itemsize, 1)


@pytest.mark.parametrize("code", CODES)
def test_the_limits_of_each_type_are_kept(code):
    if code in "fd":
        values = [float("inf"), -0.0, 1.5]
    else:
        bits = 8 * struct.calcsize(code)
        values = (
            [0, 2**bits - 1] if code.isupper() else [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
        )
    a = guest_array(code, values)
    v = pybridge.view(a)
    assert [struct.pack("d", x) if code in "fd" else x for x in v] == [
        struct.pack("d", x) if code in "fd" else x for x in values
    ]
    if code not in "fd":
        with pytest.raises(OverflowError):
            v[0] = values[-1] + 1
    with pytest.raises(TypeError):
        v[0] = "text"


def test_writing_changes_the_guest_object():
    a = guest_array("d", range(5))
    v = pybridge.view(a)
    v[0], v[-1] = 10.0, 40
    v[1:3] = [7, 8]
    v[3:4] = 0.5
    assert list(a.tolist()) == [10.0, 7.0, 8.0, 0.5, 40.0]


def test_read_only_memory_is_not_written():
    v = pybridge.view(pybridge.eval("memoryview(b'abc')"))
    assert v.readonly and v.tolist() == [97, 98, 99]
    for key in (0, slice(0, 2)):
        with pytest.raises(TypeError, match="read-only"):
            v[key] = 1
    writable = pybridge.view(pybridge.eval("bytearray(b'abc')"))
    with pytest.raises(TypeError, match="read-only"):
        writable.toreadonly()[0] = 1


def test_the_guest_does_not_resize_what_is_viewed():
    a = pybridge.eval("bytearray(b'abc')")
    v = pybridge.view(a)
    with pytest.raises(BufferError):
        a.append(1)
    v.release()
    a.append(1)
    assert len(a) == 4


def test_a_view_keeps_its_owner_alive(leakfree):
    v = pybridge.view(pybridge.eval("bytearray(b'abc') * 1000"))
    gc.collect()
    pybridge.statistics()
    assert bytes(v) == b"abc" * 1000
    assert bytes(v.obj.__class__(b"x")) == b"x"
    del v


def test_a_dead_view_lets_the_guest_object_go():
    a = pybridge.eval("bytearray(b'abc')")
    pybridge.view(a)
    gc.collect()
    pybridge.statistics()
    a.append(1)
    assert len(a) == 4


def test_the_newest_view_of_an_address_is_found_while_it_lives():
    from pybridge._buffer import cached_view

    a = guest_array("d", range(3))
    address = a._pybridge_handle
    assert cached_view(address) is None
    v = pybridge.view(a)
    assert cached_view(address) is v
    v.release()
    assert cached_view(address) is None
    v = pybridge.view(a)
    assert cached_view(address) is v
    del v
    gc.collect()
    assert cached_view(address) is None
    for i in range(1000):
        pybridge.view(guest_array("d", range(i)))
    from pybridge import _buffer

    assert len(_buffer._known) < 2 * _buffer._known_limit


def test_what_has_no_buffer_is_refused():
    with pytest.raises(TypeError, match="bytes-like object is required"):
        pybridge.view(pybridge.eval("object()"))
    with pytest.raises(TypeError, match="guest object"):
        pybridge.view(b"abc")


def test_a_view_crosses_as_the_object_it_is_of():
    a = guest_array("d", range(3))
    v = pybridge.view(a)
    assert pybridge.eval("lambda a: list(a) == [0, 1, 2] and type(a).__name__")(v) == "array"
    assert pybridge.eval("lambda x: memoryview(x).tolist() == [1, 2]")(v[1:])


DTYPES = {
    "?": [True, False, True], "f2": [0.5, -1.0, 65504.0], ">f2": [0.5, 2.0, 3.0],
    "c8": [1 + 2j, 0j, -1j], "c16": [1 + 2j, 0j, -1j], ">c16": [1 + 2j, 0j, -1j],
    "S3": [b"ab", b"", b"xyz"], "U3": ["ab", "", "x\U0001f600z"], ">U2": ["ab", "c", ""],
    ">f8": [1.5, -2.0, 0.0], ">i2": [1, -2, 300], ">u8": [0, 1, 2**64 - 1],
    "<i4": [1, -2, 3], "<i8": [1, -2, 2**62], "u1": [0, 1, 255],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_elements_of_every_kind(np, dtype):
    values = DTYPES[dtype]
    a = np.array(values, dtype=dtype)
    v = pybridge.view(a)
    assert v.tolist() == values == list(a.tolist())
    v[0] = values[2]
    assert list(a.tolist()) == v.tolist() == [values[2], values[1], values[2]]
    assert [type(x) for x in v] == [type(x) for x in values]


@pytest.mark.parametrize("dtype", ["[('x', 'f8'), ('y', 'O')]", "object", "'g'"])
def test_elements_without_a_host_form_are_refused(np, dtype):
    a = pybridge.eval(f"np.zeros(3, dtype={dtype})", {"np": np})
    with pytest.raises(pybridge.ConversionError, match="no host form"):
        pybridge.view(a)


def test_a_field_of_a_structured_array_is_viewed(np):
    a = pybridge.eval("np.zeros(3, dtype=[('x', 'f8'), ('y', 'i4')])", {"np": np})
    v = pybridge.view(a["y"])
    v[1] = 7
    assert v.tolist() == [0, 7, 0] and list(a["y"].tolist()) == [0, 7, 0]


def test_a_large_array_is_not_copied(np):
    children.run("""
        import pybridge
        np = pybridge.import_module("numpy")
        a = np.zeros(10**7)
        v = pybridge.view(a)
        v[10**7 - 1] = 2.5
        assert float(a.sum()) == 2.5
    """)


def test_views_of_one_object_share_its_buffer_and_end_one_by_one():
    a = guest_array("d", [1.0, 2.0])
    export = pybridge.eval("lambda a: a.append(3.0)")  # refused while there is a buffer
    views = [pybridge.view(a) for _ in range(5)]
    assert len({v._pin.hold for v in views}) == 1
    for i, v in enumerate(views):
        with pytest.raises(BufferError):
            export(a)
        v.release()
        v.release()
        with pytest.raises(ValueError, match="released"):
            v[0]
        assert [w[1] for w in views[i + 1 :]] == [2.0] * (4 - i)
    export(a)
    assert pybridge.view(a).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.filterwarnings("ignore")  # numpy 2.5's, of setting the shape
def test_a_view_of_an_array_that_was_changed_in_place_is_of_what_it_is_now(np):
    a = np.arange(6.0)
    v = pybridge.view(a)
    a.shape = (2, 3)
    w = pybridge.view(a)
    assert v.shape == (6,) and w.shape == (2, 3) and pybridge.view(a).shape == (2, 3)
    a.flags.writeable = False
    assert pybridge.view(a).readonly and not w.readonly


def test_threads_take_and_release_views_of_one_object():
    import threading

    a = guest_array("d", range(100))
    wrong = []

    def work():
        for _ in range(300):
            v = pybridge.view(a)
            if v[7] != 7.0 or len(v) != 100:
                wrong.append(v)
            v.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()
    pybridge.statistics()
    pybridge.eval("lambda a: a.append(3.0)")(a)
