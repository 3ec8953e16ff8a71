# SPDX-License-Identifier: MIT
"""Lists of numbers to arrays and back, in one piece."""

from __future__ import annotations

import gc
import threading
import time

import pytest

import pybridge
from pybridge import _guest
from pybridge._host import list_strategy


@pytest.mark.parametrize(
    "values",
    [
        [1.5, -2.0, float("inf")],
        [1, 2, -(2**62)],
        [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]],
        [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
        [[1.5, 2.5], [3, 4]],
        [1, 2.5],
        [True, False],
        ["a", "bc"],
        [2**70, 1],
        [],
        [[], []],
        [1 + 2j],
    ],
    ids=repr,
)
def test_an_array_is_what_numpy_makes_of_the_list(np, values):
    a, b = pybridge.array(values), np.array(values)
    assert a.dtype.str == b.dtype.str and tuple(a.shape) == tuple(b.shape)
    assert repr(a.tolist()) == repr(b.tolist())


def test_rows_of_different_lengths_are_numpys_error(np):
    for values in ([[1.0, 2.0], [3.0]], [[1, 2], [3, 4], [5]], [[1.0], 2.0]):
        with pytest.raises(ValueError, match="inhomogeneous"):
            pybridge.array(values)


def test_a_million_numbers_go_and_come_back(np):
    values = [float(i) for i in range(1_000_000)]
    a = pybridge.array(values)
    values[0] = 5.0  # it is a copy
    gc.collect()
    assert float(np.sum(a)) == 499999500000.0
    back = pybridge.view(a).tolist()
    assert type(back) is list and back[0] == 0.0 and back[1:] == values[1:]
    rows = pybridge.view(a.reshape(1000, 1000)).tolist()
    assert rows[999][999] == 999999.0 and pybridge.array(rows).shape == (1000, 1000)


JUDGE = """
import numpy

def made(name, values, dtype):
    # A list of the guest's own: what numpy does with a list on one interpreter.
    values = [list(row) if isinstance(row, list) else row for row in list(values)]
    try:
        a = getattr(numpy, name)(values, *dtype)
    except Exception as error:
        return type(error).__name__, str(error)
    return described(a)

def described(a):
    return a.dtype.str, a.dtype.char, a.shape, repr(a.tolist()), str(a.flags), a.base is None

def listed(a):
    return repr(a.tolist())

def called(f):
    return type(f).__name__, repr(f())
"""


@pytest.fixture(scope="module")
def judge(np):
    names = {}
    pybridge.exec(JUDGE, names)
    return names


LONG = {
    "floats": [i / 7 for i in range(100)] + [float("nan"), float("inf"), -0.0],
    "ints": [*range(-50, 50), 2**63 - 1, -(2**63)],
    "mixed": [*range(100), 2.5],
    "large ints": [*range(100), 2**63],
    "ints and a truth": [*range(100), True],
    "texts": ["a"] * 100,
    "rows": [[i + 0.5, i + 1.5, 2.0] for i in range(50)],
    "rows of ints": [[i, -i] for i in range(50)],
    "rows of both": [[1.5, 2.5]] * 20 + [[2**53 + 1, 4]],
    "ragged": [[1.5, 2.5]] * 20 + [[3.5]],
    "a number among rows": [[1.5, 2.5]] * 20 + [3.5],
    "deep": [[[float(i), 1.0]] * 3 for i in range(20)],
    "wide": [[float(i + j) for j in range(2000)] for i in range(3)],
    "empty rows": [[]] * 20,
}
SHORT = {  # these cross as tuples
    "few floats": [0.5, float("nan"), -0.0],
    "few ints": [1, -(2**63), 2**63 - 1],
    "few of both": [1, 2.5],
    "one": [7],
    "a large int": [2**63, 1],
    "truths": [True, False],
    "an int and a truth": [1, True],
    "a text": [1.0, "x"],
    "few rows": [[1.5, 2.5], [3.5, 4.5]],
    "few rows of both": [[1, 2], [3.5, 4.5]],
    "few ragged": [[1.5, 2.5], [3.5]],
    "few rows and a number": [[1.5, 2.5], 3.5],
    "few empty rows": [[], []],
    "rows of pairs": [[(1, 2), (3, 4)]],
    "few deep": [[[1.0], [2.0]]],
}


@pytest.mark.parametrize(
    "name", ["array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"]
)
@pytest.mark.parametrize(
    "values", [*LONG.values(), *SHORT.values()], ids=[*LONG.keys(), *SHORT.keys()]
)
def test_numpys_functions_make_of_a_host_list_what_they_make_of_a_list(np, judge, name, values):
    make = getattr(np, name)
    for dtype in ((), (None,), (float,), ("int64",), (int,), ("f4",), ("longlong",), (">f8",)):
        expected = judge["made"](name, pybridge.copy(values), dtype)
        for keyword in (False, True):
            try:
                given = {"dtype": dtype[0]} if keyword and dtype else {}
                a = make(values, **given) if keyword else make(values, *dtype)
            except Exception as error:
                assert (type(error).__name__, str(error)) == expected, dtype
            else:
                assert judge["described"](a) == expected, dtype


SCALARS = {  # of a float64, an int64, a float32, an int32, a truth, an array of no dimension
    "doubles": lambda d, i, f, k, t, z: [d, d * 2, -d * 0],
    "doubles and floats": lambda d, i, f, k, t, z: [d, 1.5, float("nan"), 3],
    "not a number": lambda d, i, f, k, t, z: [d * float("nan"), d],
    "ints": lambda d, i, f, k, t, z: [i, 7, -i],
    "ints and doubles": lambda d, i, f, k, t, z: [i, d],
    "a large int": lambda d, i, f, k, t, z: [i, 2**63],
    "a large int and a double": lambda d, i, f, k, t, z: [d, 2**40 + 1],
    "a truth": lambda d, i, f, k, t, z: [i, True],
    "numpy's truth": lambda d, i, f, k, t, z: [d, t],
    "single": lambda d, i, f, k, t, z: [f, f],
    "single and a double": lambda d, i, f, k, t, z: [d, f],
    "short ints": lambda d, i, f, k, t, z: [i, k],
    "no dimension": lambda d, i, f, k, t, z: [d, z],
    "a text": lambda d, i, f, k, t, z: [d, "x"],
    "rows": lambda d, i, f, k, t, z: [[d, 1.0], [2.0, i]],
    "ragged": lambda d, i, f, k, t, z: [[d, 1.0], [2.0]],
    "a number among rows": lambda d, i, f, k, t, z: [[d, 1.0], d],
    "rows after a number": lambda d, i, f, k, t, z: [d, [d, 1.0]],
    "deep": lambda d, i, f, k, t, z: [[[d], [1.0]], [[i], [2]]],
}


@pytest.mark.parametrize("times", [1, 50])
@pytest.mark.parametrize("of", SCALARS.values(), ids=SCALARS.keys())
def test_likewise_of_a_list_with_numbers_of_numpys(np, judge, of, times):
    kinds = ("f8", "i8", "f4", "i4", "?")
    values = of(*[np.array([2], k)[0] for k in kinds], np.array(2.5)) * times
    for dtype in ((), (None,), (float,), (int,), ("f4",)):
        expected = judge["made"]("array", pybridge.copy(values), dtype)
        for _ in range(3):  # from the third call on it is known what the function makes
            try:
                a = np.array(values, *dtype)
            except Exception as error:
                assert (type(error).__name__, str(error)) == expected, dtype
            else:
                assert judge["described"](a) == expected, dtype


def test_a_list_with_itself_and_a_number_of_numpys_is_as_numpy_says(np):
    values: list = [np.array([2.0])[0]]
    values.append(values)
    for _ in range(3):
        with pytest.raises((ValueError, RecursionError)):
            np.array(values)


def test_a_short_list_is_no_record(np):
    for _ in range(3):  # from the third call on it is known what the function makes
        for values in ([1, 2], [[1, 2], [3, 4]]):
            a = np.array(values, dtype=[("a", int), ("b", float)])
            assert a.shape == np.shape(values) and a.dtype.names == ("a", "b")


def test_a_function_is_asked_once_and_a_method_that_is_new_each_time_never(np, monkeypatch):
    asked = []
    call = _guest.call
    monkeypatch.setattr(
        _guest, "call", lambda name, *args: asked.append((name, *args)) or call(name, *args)
    )
    guest_list, total, extend = pybridge.eval("([], sum, lambda x: x.extend)")
    for i in range(5):
        extend(guest_list)([i, 2])
        assert total([i, 7]) == i + 7
    once = [("numpy_makes", total)] if list_strategy([1]) else []  # a CPython host cannot tell
    assert [question for question in asked if question[0] == "numpy_makes"] == once
    assert list(guest_list) == [0, 2, 1, 2, 2, 2, 3, 2, 4, 2]


def test_an_array_of_a_list_is_like_any_other(np):
    values = [float(i) for i in range(100)]
    a = np.array(values)
    a.resize(200, refcheck=False)
    a[150] = 7.0
    assert a[99] == 99.0 and a[150] == 7.0 and values[99] == 99.0
    if np.__version__[0] == "1":
        assert np.array(values, copy=False).shape == (100,)
    else:
        with pytest.raises(ValueError, match="copy"):
            np.array(values, copy=False)
    with pytest.raises(TypeError):
        np.array(values, nonsense=1)
    with pytest.raises(TypeError):
        np.array(values, dtype="nonsense")
    assert np.array(values, ndmin=2).shape == (1, 100)
    assert np.array(object=values).shape == (100,)


def test_a_list_that_other_threads_change_gives_an_array_of_some_moment(np):
    values = [1.0] * 5000
    np.array(values).tolist()
    stop = threading.Event()

    def change():
        while not stop.is_set():
            values.append(1.0)
            values.append(1.0)
            time.sleep(0)
            del values[-2:]
            values[:] = [1.0] * 4000
            time.sleep(0)
            values.append("x")
            time.sleep(0)
            values[:] = [1.0] * 5000

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(100):
            try:
                a = np.array(values)
            except (RuntimeError, ValueError):  # with the text in it
                continue
            if a.dtype.kind == "f":
                assert set(a.tolist()) == {1.0}
    finally:
        stop.set()
        thread.join()


KINDS = (
    "f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "c16", ">f8", ">i4",
    "S3", "U3", "M8[s]", "O", "longlong", "longdouble",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_tolist_gives_what_numpys_gives(np, judge, kind):
    whole = np.arange(24).astype(kind) if kind != "M8[s]" else np.arange(24).astype("M8[s]")
    if kind == "u8":
        whole[3] = 2**64 - 1
    shapes = [
        whole, whole[::2], whole[::-1], whole[5:5], whole[7:8], whole.reshape(4, 6),
        whole.reshape(4, 6)[:, ::2], whole.reshape(4, 6).T, whole.reshape(2, 3, 4)[::-1],
        whole.reshape(2, 3, 4)[:, :, 1], whole.reshape(4, 6)[:0], whole.reshape(4, 6)[:, :0],
        np.asfortranarray(whole.reshape(4, 6)), np.broadcast_to(whole[:3], (2, 3)),
        np.broadcast_to(whole[:1], (3,)), whole.reshape(4, 6)[1], np.array(5).astype(kind),
        whole.reshape((1,) * 10 + (24,)),
    ]  # fmt: skip
    for a in shapes:
        assert repr(a.tolist()) == judge["listed"](a), (kind, a.shape, a.strides)
    if np.dtype(kind).kind in "fiub?" and np.dtype(kind).isnative and kind[:4] != "long":
        if kind != "f2":
            assert type(whole.tolist()) is list
            assert type(whole.tolist()[3]) in (float, int, bool)


def test_the_list_is_the_programs_own(np):
    a = np.arange(3.0)
    one, other = a.tolist(), a.tolist()
    one[0] = "x"
    assert one is not other and other == [0.0, 1.0, 2.0] and a[0] == 0.0
    assert [row.tolist() for row in np.ones((2, 2))] == [[1.0, 1.0], [1.0, 1.0]]


def test_tolist_of_a_released_array_is_refused(np):
    a = np.arange(3.0)
    a.tolist()
    f = a.tolist
    pybridge.release(a)
    with pytest.raises(pybridge.ClosedHandle):
        f()


@pytest.mark.filterwarnings("ignore")  # numpy 2.5's, of setting the dtype
def test_the_method_itself_is_the_guests_in_the_guest(np, judge):
    a = np.arange(3.0)
    expected = ("builtin_function_or_method", "[0.0, 1.0, 2.0]")
    assert judge["called"](a.tolist) == expected
    assert a.tolist.__name__ == "tolist" and "list" in a.tolist.__doc__
    with pytest.raises(TypeError):
        a.tolist(1)
    a.dtype = "int64"  # the same memory as other elements
    assert a.tolist() == [0, 0x3FF0000000000000, 0x4000000000000000]
