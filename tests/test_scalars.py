# SPDX-License-Identifier: MIT
"""numpy.float64 on the host: the guest's results, types, warnings and errors."""

from __future__ import annotations

import gc
import math
import threading

import children
import guests
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import OPERATOR, comparable, is_late, outcome

import pybridge
from pybridge import _release

OPERATIONS = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "lt", "le", "eq", "ne",
    "gt", "ge",
]  # fmt: skip
TINY = 2.2250738585072014e-308
DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 0.1, 3.0, 1e300, -1e300, 1e-300, 5e-324, -5e-324, TINY, -TINY, 1e-160,
    1.7976931348623157e308, math.inf, -math.inf, math.nan, 2.0**-1000,
]  # fmt: skip
OTHERS = [*DOUBLES, 0, 1, -7, 2**53, 2**53 + 1, -(2**53) - 1, 2**64, 10**400, True, None]

JUDGE = """
def judge(name, x, y, left):
    x = numpy.float64(x)
    f = OPERATOR[name]
    return outcome(lambda: f(x, y) if left else f(y, x))

def judge_both(name, x, y):
    x, y = numpy.float64(x), numpy.float64(y)
    f = OPERATOR[name]
    return outcome(lambda: f(x, y))
"""


def lazy(np, x):
    """As an element of an array, without an object of the guest."""
    a = np.zeros(1)
    a[0] = x
    return a[0]


@guests.once
@pytest.mark.parametrize("actions", ["warn", "raise", "ignore"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_what_numpy_gives(np, judge, name, actions):
    f = OPERATOR[name]
    before = np.seterr(all=actions)
    try:
        for x in DOUBLES:
            for y in OTHERS:
                z = lazy(np, x)
                assert is_late(z)
                expected = judge["judge"](name, x, y, True)
                assert outcome(lambda z=z, y=y: f(z, y)) == expected, (x, y)
                expected = judge["judge"](name, x, y, False)
                assert outcome(lambda x=x, y=y: f(y, lazy(np, x))) == expected, (y, x)
            for y in DOUBLES:
                expected = judge["judge_both"](name, x, y)
                got = outcome(lambda x=x, y=y: f(lazy(np, x), lazy(np, y)))
                assert got == expected, (x, y)
    finally:
        np.seterr(**before)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(OPERATIONS),
    x=st.floats(allow_nan=False),
    y=st.floats(allow_nan=False) | st.integers(),
    left=st.booleans(),
)
def test_any_operation_gives_what_numpy_gives(np, judge, name, x, y, left):
    f = OPERATOR[name]
    z = lazy(np, x)
    assert outcome(lambda: f(z, y) if left else f(y, z)) == judge["judge"](name, x, y, left)


def test_a_result_is_a_host_float_without_an_object_of_the_guest(np):
    x = lazy(np, 1.5)
    for y in (x + 1, x - x, 2.0 * x, x / 4, -x, abs(x), +x):
        assert type(y) is np.float64 and isinstance(y, float) and is_late(y)
    assert is_late(x < 2) and type(x < 2) is type(np.bool_(True))
    assert [type(f(x)) for f in (float, int, bool, hash)] == [float, int, bool, int]
    assert is_late(x)


@pytest.mark.parametrize("x", DOUBLES, ids=repr)
def test_host_functions_see_the_double(np, x):
    z = lazy(np, x)
    assert repr(float(z)) == repr(x)
    assert bool(z) is bool(x)
    assert repr(abs(z)) == repr(np.float64(abs(x)))
    assert repr(-z) == repr(np.float64(-x))
    if x == x:
        assert hash(z) == hash(x) and {z: 1}[x] == 1
    if math.isfinite(x):
        assert int(z) == int(x) and math.sin(z) == math.sin(x)
    else:
        with pytest.raises((OverflowError, ValueError), match="cannot convert float"):
            int(z)


def test_the_guest_gets_one_object_made_when_it_is_needed(np):
    x = lazy(np, 2.5)
    identity = pybridge.eval("id")
    assert pybridge.eval("lambda x: type(x).__name__")(x) == "float64"
    assert not is_late(x)
    assert identity(x) == identity(x)
    assert (repr(x), str(x), x.dtype.name, x.item()) == (
        repr(np.float64(2.5)),
        "2.5",
        "float64",
        2.5,
    )
    assert x.is_integer() is False and f"{x:.3f}" == "2.500"


def test_a_comparison_gives_numpys_bool(np):
    x = lazy(np, 2.5)
    yes, no = x > 1, x > 3
    assert yes and not no
    assert repr(yes) == repr(np.bool_(True)) and repr(no) == repr(np.bool_(False))
    assert pybridge.eval("lambda x: x is __import__('numpy').True_")(x > 1)
    assert repr(yes & no) == repr(no) and yes == True  # noqa: E712
    assert bool(np.bool_(True)) is True


def test_a_scalar_older_than_a_scope_outlives_it(np):
    x, y = lazy(np, 2.5), lazy(np, 0.5)
    with pybridge.scope():
        y += 0.25
        assert x.dtype.name == y.dtype.name == "float64"
    assert x.dtype.name == y.dtype.name == "float64"


def test_a_released_scalar_is_released(np):
    x = lazy(np, 2.5)
    pybridge.release(x)
    with pytest.raises(pybridge.ClosedHandle):
        x.dtype  # noqa: B018


def test_objects_made_late_die_with_their_scalars(np):
    def make():
        for i in range(3000):
            lazy(np, i).dtype  # noqa: B018

    make()
    for _ in range(3):
        gc.collect()
        _release.chunk_new()
    before = pybridge.statistics().handles_open
    make()
    for _ in range(5):
        gc.collect()
        make()
    gc.collect()
    assert pybridge.statistics().handles_open < before + 3000


def test_threads_that_need_the_same_object_get_the_same(np):
    identity = pybridge.eval("id")
    for _ in range(50):
        x, seen, barrier = lazy(np, 2.5), [], threading.Barrier(4)

        def ask(x=x, seen=seen, barrier=barrier):
            barrier.wait()
            seen.append((x._pybridge_handle, identity(x)))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(set(seen)) == 1 and len(seen) == 4
        assert seen[0][0] == seen[0][1]


def test_a_class_that_derives_from_float64_is_left_to_the_guest(np):
    children.run("""
        import pybridge
        np = pybridge.import_module("numpy")
        names = {}
        pybridge.exec('''
        import numpy
        class Metre(numpy.float64):
            def __add__(self, other): return "sum"
            def __radd__(self, other): return "reflected"
        ''', names)
        x = names["Metre"](1.5)
        a = np.ones(3)
        assert x + 1.0 == "sum" and a[0] + x == "reflected" and 1.0 + x == "reflected"
        assert type(x * 2.0) is np.float64 and x.dtype.name == "float64"
    """)


def test_a_result_that_nobody_else_has_crosses_as_a_double(np):
    x = np.arange(5.0).sum()
    assert (
        type(x) is np.float64 and is_late(x) and x == 10.0 and repr(x) == repr(np.float64(10))
    )
    assert pybridge.eval("lambda x: type(x).__name__")(x) == "float64"
    kept = pybridge.eval("[__import__('numpy').float64(1.5)]")
    y = kept[0]
    assert not is_late(y) and pybridge.eval("lambda l, y: l[0] is y")(kept, y)
    pair = pybridge.eval("lambda: (__import__('numpy').float64(0.5), 'x')")()
    assert pair == (0.5, "x") and type(pair[0]) is np.float64


# ---- what these tests are made of --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lambda: 1.5", ("float", "1.5", ())),
        ("lambda: [][1]", ("IndexError", "list index out of range", ())),
        ("lambda: __import__('warnings').warn('careful')", ("NoneType", "None", ("careful",))),
    ],
)
def test_an_outcome_is_told_alike_on_both_sides(judge, text, expected):
    assert judge["outcome"](pybridge.eval(text)) == outcome(eval(text)) == expected
    assert outcome(pybridge.eval(text)) == expected


def test_results_are_compared_as_far_as_they_are_to_be_the_same():
    assert comparable(("int", "1"), ("float", "1"), "f8") == (("int", "1"), ("float", "1"))
    assert comparable(("list", "[]"), ("proxy", "[]"), "object") == (("[]",), ("[]",))
    assert comparable(("ndarray", "a"), ("ndarray", "a"), "i4") == (("a",), ("a",))
