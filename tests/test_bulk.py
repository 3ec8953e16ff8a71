# SPDX-License-Identifier: MIT
"""Lists of numbers to arrays and back, in one piece."""

from __future__ import annotations

import gc

import pytest

import pybridge


@pytest.fixture(scope="module")
def np(guest):
    try:
        return pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")


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
