# SPDX-License-Identifier: MIT
"""Host sequences times numbers of numpy's: the sequence's own affair.  What numpy gives for
more of them is compared in test_expressions."""

from __future__ import annotations

import array
import collections

import children
import pytest

SEQUENCES = [[1, None], (1, "a"), "ab", b"ab", bytearray(b"ab"), array.array("d", [1.5])]


@pytest.mark.parametrize("kind", ["int64", "int8", "uint64", "uint16"])
@pytest.mark.parametrize("x", SEQUENCES, ids=lambda x: type(x).__name__)
def test_a_sequence_is_repeated(np, kind, x):
    n = getattr(np, kind)(3)
    for got in (x * n, n * x):
        assert got == x * 3 and type(got) is type(x)


def test_the_items_are_the_very_ones(np):
    x = object()
    n = np.int64(3)
    assert all(y is x for y in [x] * n) and len(n * [x]) == 3


def test_in_place_the_list_stays_the_same_object(np):
    for x in ([1], bytearray(b"a"), array.array("i", [1]), collections.deque([1])):
        same, n = x, len(x)
        x *= np.int64(3)
        assert x is same and len(x) == 3 * n


def test_a_class_with_a_multiplication_of_its_own_is_numpys(np):
    class Own(list):
        def __rmul__(self, other):
            return "own"

    class Plain(list):
        pass

    assert type(np.int64(2) * Plain([1])) is list
    assert (np.int64(2) * Own([1, 2])).tolist() == [2, 4]  # an array, as natively


def test_floats_repeat_nothing(np):
    for x in SEQUENCES:
        for y in (np.float64(2), np.float32(2), np.float16(2), np.complex128(2)):
            with pytest.raises(TypeError):
                x * y
            with pytest.raises(TypeError):
                y * x


def test_arrays_multiply_lists_as_ever(np):
    assert (np.array([1, 2]) * [3, 4]).tolist() == [3, 8]
    assert ([3, 4] * np.array([1, 2])).tolist() == [3, 8]


def test_so_does_an_integer_that_the_guest_made_before_any_element_was_read(np):
    children.run("""
        import pybridge
        n = pybridge.import_module("numpy").int64(3)
        assert type([0] * n) is list and type(n * [0]) is list
        assert bytearray(b"a") * n == b"aaa"
    """)
