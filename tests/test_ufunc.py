# SPDX-License-Identifier: MIT
"""Calls of ufuncs with floats, through ordinary proxies."""

from __future__ import annotations

import math

import pytest
from scalars import is_late, outcome

import pybridge
from pybridge import _ufunc

ONE = ["sqrt", "exp", "log", "sin", "negative", "isnan", "floor", "square", "reciprocal"]
TWO = ["add", "hypot", "maximum", "power", "divide", "less", "fmod", "arctan2", "ldexp"]
DOUBLES = [0.0, -0.0, 1.0, -2.5, 1e300, 1e-300, 5e-324, math.inf, -math.inf, math.nan, 710.0]


@pytest.mark.parametrize("actions", ["warn", "raise"])
@pytest.mark.parametrize("name", ONE + TWO)
def test_a_call_gives_what_numpy_gives(np, judge, name, actions):
    f = getattr(np, name)
    before = np.seterr(all=actions)
    try:
        for x in DOUBLES:
            for args in [(x,)] if name in ONE else [(x, y) for y in DOUBLES]:
                expected = judge["outcome"](f, *args)
                assert outcome(lambda args=args: f(*args)) == expected, args
                lazy = [np.full(1, each)[0] for each in args]
                assert outcome(lambda lazy=lazy: f(*lazy)) == expected, args
    finally:
        np.seterr(**before)


def test_from_the_second_call_on_no_object_is_made(np):
    cbrt = np.cbrt
    assert cbrt(8.0) == cbrt(8.0) == cbrt(8.0) == 2.0
    assert isinstance(cbrt._pybridge_loop, _ufunc.Prepared)
    x = cbrt(8.0)
    assert type(x) is np.float64 and is_late(x)


def test_other_arguments_are_the_guests(np):
    for _ in range(4):
        assert np.sqrt(4) == 2.0 and np.add(1, 2) == 3 and type(np.add(1, 2)) is np.int64
        assert np.sqrt(np.arange(2.0)).tolist() == [0.0, 1.0]
        assert np.sqrt([4.0]).tolist() == [2.0]
        assert np.sqrt(4.0, dtype="f4") == 2.0
        assert np.add(1.0, True) == 2.0 and np.add(1.0, 2j) == 1 + 2j
        assert type(np.sqrt(np.float32(4.0))) is np.float32
        assert [float(x) for x in np.modf(1.5)] == [0.5, 1.0]
        with pytest.raises(TypeError):
            np.sqrt()
        with pytest.raises(TypeError):
            np.sqrt(1.0, 2.0, 3.0, 4.0)
    out = np.zeros(())
    np.sqrt(4.0, out)
    assert out == 2.0


def test_a_released_ufunc_refuses(np):
    f = pybridge.eval("lambda: __import__('numpy').sin")()
    assert f(0.0) == f(0.0) == f(0.0) == 0.0
    pybridge.release(f)
    with pytest.raises(pybridge.ClosedHandle):
        f(0.0)


def test_functions_of_scipy(np):
    try:
        special = pybridge.import_module("scipy.special")
    except ModuleNotFoundError:
        pytest.skip("this guest has no scipy")
    for _ in range(4):
        assert special.jv(1.0, 0.5) == pybridge.eval("lambda f: float(f(1.0, 0.5))")(special.jv)
        assert special.expit(0.0) == 0.5 and special.ndtr(0.0) == 0.5
        assert special.eval_hermite(2, 0.5) == pytest.approx(-1.0)
        assert special.betainc(1.0, 2.0, 0.5) == 0.75
        assert math.isnan(special.jv(1.0, math.nan))


@pytest.mark.parametrize("name", ["erf", "ndtr", "jv", "gamma"])
def test_flags_of_the_hosts_arithmetic_are_not_reported(judge, name):
    """scipy's loops look at the floating-point flags themselves."""
    try:
        special = pybridge.import_module("scipy.special")
    except ModuleNotFoundError:
        pytest.skip("this guest has no scipy")
    before = special.seterr(all="warn")
    f, huge, infinite = getattr(special, name), 1e308, math.inf
    rest = (0.5,) if name == "jv" else ()
    try:
        for _ in range(4):
            for x in (-40.5, 0.25, math.nan):
                assert huge * huge == infinite and infinite - infinite != 0.0
                assert outcome(f, x, *rest) == judge["outcome"](f, x, *rest)
    finally:
        special.seterr(**before)


@pytest.mark.parametrize("action", ["ignore", "warn", "raise"])
@pytest.mark.parametrize("name", ["ndtr", "ndtri", "expit", "erf", "erfc"])
def test_functions_of_scipy_report_what_they_always_do(judge, name, action):
    try:
        special = pybridge.import_module("scipy.special")
    except ModuleNotFoundError:
        pytest.skip("this guest has no scipy")
    f = getattr(special, name)
    for _ in range(3):
        f(0.25)
    edges = [
        0.0,
        -0.0,
        1.0,
        5e-324,
        1e-310,
        1e-300,
        8.2,
        8.4,
        26.0,
        26.7,
        37.4,
        37.7,
        40.0,
        709.0,
    ]
    edges += [710.0, 745.0, 1e3, 1e300, math.inf, math.nan, 1e-3, 0.3, 0.999999999999]
    before = special.seterr(all=action)
    try:
        for x in (*edges, *(-x for x in edges), *(1 - 2.0**-k for k in range(1, 54))):
            assert outcome(lambda x=x: f(x)) == judge["outcome"](f, x), x
    finally:
        special.seterr(**before)
