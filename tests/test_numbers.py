# SPDX-License-Identifier: MIT
"""numpy's integers and float32 on the host: the guest's results, types, warnings and errors."""

from __future__ import annotations

import math

import guests
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalars import OPERATOR, is_late, outcome

import pybridge
import pybridge.pickle

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS = [*INTEGERS, "float32", "float64", "bool"]
OPERATIONS = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift",
    "rshift", "lt", "le", "eq", "ne", "gt", "ge", "divmod",
]  # fmt: skip
# What takes one operand, beside those of `scalars.OPERATOR`.
SOURCE = """
ALONE = {
    "truth": bool, "int": int, "float": float, "hash": hash, "round": round, "repr": repr,
    "str": str, "item": lambda x: x.item(), "integral": lambda x: x.is_integer(),
    **{f"format {spec}": lambda x, spec=spec: format(x, spec)
       for spec in ("", "10.3f", "+d", "08x", "%", ",", "<12", "s", "n", "c", "nonsense")},
    "format None": lambda x: format(x, None), "fields": lambda x: f"{x} {x!s:>9} {x:>9}",
}
OPERATOR = {**OPERATOR, **ALONE}
"""
ALONE: dict = {}
exec(SOURCE)
UNARY = ["neg", "pos", "abs", "invert", "index", *ALONE]
VALUES = {
    **{name: [0, 1, 3, 64, 100] for name in INTEGERS},
    "float32": [0.0, -0.0, 1.5, -3.0, 0.1, 3e38, -3e38, 1e-38, 1e-44, math.inf, math.nan],
    "float64": [0.0, -0.0, 1.5, -3.0, 0.1, 1e300, 5e-324, math.inf, math.nan],
    "bool": [False, True],
    "host int": [0, 1, -1, 2, 5, 127, 128, -129, 2**31, 2**63, -(2**70)],
    "host float": [0.0, -0.0, 1.0, -2.5, 0.1, 1e39, 1e-46, 1e300, math.inf, math.nan],
    "host bool": [True],
    "host None": [None],
}
for _name in INTEGERS:
    _bits = int(_name.strip("uint"))
    if _name[0] == "u":
        VALUES[_name] += [2**_bits - 1, 2 ** (_bits - 1)]
    else:
        VALUES[_name] += [-7, 2 ** (_bits - 1) - 1, -(2 ** (_bits - 1))]

HOST = [name for name in VALUES if name.startswith("host")]
JUDGE = (
    SOURCE
    + """
def made(kind, x):
    return x if kind.startswith("host") else numpy.array([x], kind)[0]

def judge(name, kind, x, other, y):
    f = OPERATOR[name]
    x, y = made(kind, x), made(other, y)
    return outcome(lambda: f(x, y))

def judge_all(name, kind, xs, other, ys):
    return tuple(judge(name, kind, x, other, y) for x in xs for y in ys)

def judge_alone(name, kind, x):
    x = made(kind, x)
    f = OPERATOR[name]
    return outcome(lambda: f(x))
"""
)


def made(np, kind, x):
    """As an element of an array: without an object of the guest."""
    return x if kind.startswith("host") else np.array([x], kind)[0]


def array(np, kind):
    return VALUES[kind] if kind.startswith("host") else np.array(VALUES[kind], kind)


def check_all(np, judge, name, kind, other):
    f = OPERATOR[name]
    xs, ys = VALUES[kind], VALUES[other]
    expected = iter(judge["judge_all"](name, kind, xs, other, ys))
    a, b = array(np, kind), array(np, other)
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            got = outcome(lambda i=i, j=j: f(a[i], b[j]))
            assert got == next(expected), (name, kind, x, other, y)


@guests.once
@pytest.mark.parametrize("kind", [*INTEGERS, "float32", "bool"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_what_numpy_gives(np, judge, name, kind):
    for other in dict.fromkeys((kind, "float64", "bool", *HOST)):
        check_all(np, judge, name, kind, other)
        if other != kind:
            check_all(np, judge, name, other, kind)


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_of_two_classes(np, judge, kind):
    for other in INTEGERS:
        for name in ("add", "lshift", "eq"):
            check_all(np, judge, name, kind, other)


@pytest.mark.parametrize("kind", [*INTEGERS, "float32", "float64", "bool"])
def test_one_operand(np, judge, kind):
    for name in UNARY:
        f = OPERATOR[name]
        for x in VALUES[kind]:
            if name == "hash" and x != x:
                continue  # by the object's address
            if (kind, name) in (
                *((f"float{bits}", "index") for bits in (32, 64)),
                *(("bool", n) for n in ("index", "pos", "round")),
            ):
                continue  # refused, in other words
            got = outcome(lambda f=f, x=x: f(made(np, kind, x)))
            assert got == judge["judge_alone"](name, kind, x), (name, kind, x)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_operation_gives_what_numpy_gives(np, judge, data):
    kind = data.draw(st.sampled_from([*INTEGERS, "float32", "float64"]))
    other = data.draw(st.sampled_from([*NUMBERS, "host int", "host float"]))

    def value(kind):
        if kind.endswith("bool"):
            return data.draw(st.booleans())
        if "float" in kind:
            return data.draw(st.floats(width=32 if kind == "float32" else 64, allow_nan=False))
        if kind == "host int":
            return data.draw(st.integers(-300, 300) | st.integers())
        bits = int(kind.strip("uint"))
        least = 0 if kind[0] == "u" else -(2 ** (bits - 1))
        return data.draw(st.integers(least, least + 2**bits - 1))

    x, y = value(kind), value(other)
    name = data.draw(st.sampled_from(OPERATIONS))
    f = OPERATOR[name]
    a, b = (kind, x), (other, y)
    if data.draw(st.booleans()):
        a, b = b, a
    expected = judge["judge"](name, *a, *b)
    assert outcome(lambda: f(made(np, *a), made(np, *b))) == expected


def test_a_power_is_that_of_the_guests_c_library(np):
    # PyPy computes x ** 2 as x * x, which is another number for one double in a thousand.
    draws = np.random.default_rng(1).random(3000) * 20 - 10
    for y in (2, 3, 0.5, -1.5):
        if y != int(y):
            draws = np.abs(draws)
        expected = pybridge.eval("lambda a, y: [x ** y for x in a]")(draws, y)
        assert [float(x**y) for x in draws] == [float(x) for x in expected]
    assert pow(np.float64(5.0), 2) == 25.0
    with pytest.raises(TypeError):
        pow(np.float64(5.0), 2, 3)
    with pytest.raises(TypeError):
        pow(np.array([5])[0], 2, 3)


def test_a_result_has_no_object_of_the_guest(np):
    for kind in (*INTEGERS, "float32"):
        x = np.array([5], kind)[0]
        assert type(x) is getattr(np, kind) and is_late(x)
        for y in (
            x + 1,
            x - x,
            2 * x,
            x // np.array([2], kind)[0] if kind != "float32" else +x,
        ):
            assert type(y) is type(x) and is_late(y), kind
        assert is_late(x < 2) and not (x < 2) and is_late(x / 2) and x / 2 == 2.5
        assert is_late(x)
    i = np.array([2])[0]
    assert [10, 20, 30][i] == 30 and "abc"[i] == "c" and list(range(i)) == [0, 1] and is_late(i)
    assert {2: "two"}[i] == "two" and 2 in {i} and is_late(i)
    assert not isinstance(i, int) and isinstance(i, np.integer)


def test_the_guest_gets_one_object_made_when_it_is_needed(np):
    x = np.array([5], "int16")[0]
    kept = pybridge.eval("[]")
    kept.append(x)
    kept.append(x)
    assert not is_late(x) and pybridge.eval("lambda l: l[0] is l[1]")(kept)
    assert x.dtype == np.dtype("int16") and x + 1 == 6 and x.item() == 5 and str(x) == "5"
    assert pybridge.pickle.loads(pybridge.pickle.dumps(x)) == 5
    assert np.array([1, 2, 3])[x - 4] == 2


def test_an_object_of_the_guests_computes_without_a_crossing_too(np):
    make = pybridge.eval("lambda kind, n: getattr(__import__('numpy'), kind)(n)")
    for kind in (*INTEGERS, "float32"):
        x = make(kind, 100)
        assert not is_late(x) and is_late(x + 1) and x + 1 == 101 and type(x + 1) is type(x)
    big = make("uint64", 2**64 - 1)
    assert big == 2**64 - 1 and int(big) == 2**64 - 1 and big // 2 == 2**63 - 1
    assert make("int8", -5) + 1 == -4 and make("int16", -300) - 1 == -301
    assert make("int32", -(2**31)) == -(2**31)
    x = make("int64", 3)
    pybridge.release(x)
    with pytest.raises(pybridge.ClosedHandle):
        x + 1


def test_classes_that_derive_from_a_number_are_left_to_the_guest(np):
    names = {}
    pybridge.exec(
        "import numpy\n"
        "class Odd(numpy.int64):\n"
        "    def __add__(self, other): return 'odd'\n"
        "x = Odd(5)",
        names,
    )
    x = names["x"]
    assert x + 1 == "odd" and x - 1 == 4 and np.array([5])[0] + x == 10


def test_the_truth_of_a_comparison_combines(np):
    a = np.array([1, 5])
    both = (a[0] < 3) & (a[1] > 3)
    assert type(both) is type(np.bool_(True)) and both and is_late(both)
    assert not (~both) and (both | False) and (True ^ both) == False  # noqa: E712
    assert repr(both & 1) == repr(np.bool_(True) & 1)


@pytest.mark.parametrize("kind", ["int64", "uint8", "int32"])
def test_a_list_is_repeated(np, kind):
    """numpy took the guest's list for an array: x * [1, 2] was [2, 4]."""
    x = np.array([2, 0], kind)[0]
    for made in (x * [1, 2], [1, 2] * x):
        assert made == [1, 2, 1, 2]
    assert x * (1, 2) == (1, 2, 1, 2) and x * "ab" == "abab"
    with pytest.raises(TypeError):
        np.float64(2) * [1, 2]


def test_a_list_in_the_guest_is_repeated_there(np):
    times = pybridge.eval("lambda x, y: x * y")
    x = np.int64(2)
    assert times(x, [1, 2]) == times([1, 2], x) == [1, 2, 1, 2]
    with pytest.raises(TypeError, match="can't multiply sequence"):
        times(np.float64(2), [1, 2])
    assert times([1, 2], np.arange(2)).tolist() == [0, 2]
