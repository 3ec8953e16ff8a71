# SPDX-License-Identifier: MIT
"""numpy's classes called with one number: the guest's results, warnings and errors."""

from __future__ import annotations

import math

import children
import guests
import pytest
from scalars import is_late, outcome

import pybridge

NAMES = [
    "float64", "float32", "bool_", "int64", "int32", "int16", "int8", "uint64", "uint32",
    "uint16", "uint8",
]  # fmt: skip
VALUES = [
    0, 1, -1, 127, 128, -128, -129, 255, 256, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1,
    2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400, 16777217, True, False, None,
    0.0, -0.0, 0.5, -0.5, 2.7, -2.7, 254.9, 255.5, 2.0**63, -(2.0**63), 2.0**64, 1e300, 1e-300,
    1e-40, 5e-324, 3.4028235677973366e38, 3.4028234e38, 1.1754943508222875e-38, 0.1,
    math.inf, -math.inf, math.nan, 1j, "1", "1.5", "a", b"1", "", [], [1], [1, 2], (1,),
]  # fmt: skip
JUDGE = """
def judge(name, x):
    return outcome(getattr(numpy, name), x)

def judge_of(name, other, x):
    return outcome(getattr(numpy, name), numpy.array([x], other)[0])
"""


@pytest.fixture(autouse=True)
def used(np):
    assert np.arange(3)[1] == 1  # numbers are made on the host from then on


@guests.once
@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_numpy_makes(np, judge, name):
    make = getattr(np, name)
    for x in VALUES:
        assert outcome(make, x) == judge["judge"](name, x), x


@guests.once
@pytest.mark.parametrize("other", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_of_another_number_of_numpys_too(np, judge, name, other):
    make = getattr(np, name)
    for x in (0, 1, 3, 100, 127, 255, -1, 2**31, 2**40, 0.1, 2.5, -2.5, 1e30, math.nan):
        try:
            y = np.array([x], other)
        except (OverflowError, ValueError):
            continue
        assert outcome(make, y[0]) == judge["judge_of"](name, other, x), (x, y)


def test_of_a_number_it_has_no_object_yet(np):
    for name in NAMES:
        x = getattr(np, name)(1)
        assert is_late(x) and x == 1
        assert x.dtype.name == name.rstrip("_") and not is_late(x)


def test_other_arguments_are_numpys(np):
    assert np.float64() == 0.0 and np.int64("12", *()) == 12
    assert np.float64([1, 2]).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError):
        np.float64(nothing=1)
    with pytest.raises(OverflowError):
        np.int64(2**63)
    with pytest.raises(ValueError, match="could not convert"):
        np.float64("a")


def test_classes_below_are_made_by_themselves(np):
    class Mine(np.float64):
        def twice(self):
            return self * 2

    x = Mine(1.5)
    assert type(x) is Mine and x.twice() == 3.0
    names = pybridge.eval("{}")
    pybridge.exec("import numpy\nclass G(numpy.float64):\n    own = 5\n", names)
    x = names["G"](2.5)
    assert type(x) is names["G"] and x.own == 5 and x == 2.5


def test_a_converter_sees_each(np):
    children.run("""
        import pybridge
        np = pybridge.import_module("numpy")
        assert np.arange(3)[1] + np.int64(1) == 2
        pybridge.converter("numpy:int64")(lambda x: "converted")
        assert np.int64(3) == "converted", np.int64(3)
    """)
