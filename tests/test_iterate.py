# SPDX-License-Identifier: MIT
"""Iterating over guest lists: read ahead, and never noticed."""

from __future__ import annotations

import gc

import pytest

import pybridge
from pybridge import _iterate


def guest_list(*items):
    return pybridge.eval("lambda items: list(items)")(items)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 1000])
def test_every_item_comes_once_and_in_order(n):
    assert list(guest_list(*range(n))) == list(range(n))


@pytest.mark.parametrize(
    "items",
    [
        [i / 3 for i in range(500)],
        [float("nan"), float("inf"), -0.0, *map(float, range(100))],
        [*range(200), 2.5, *range(200)],
        [*range(200), 2**29, 2**30, 2**31, 2**62, 2**63, 2**64, -(2**30), -(2**64), *range(99)],
        [1.5] * 50 + [1] * 50 + [None] * 50 + [True] * 50 + ["x"] * 50,
        [1, 1.5] * 200,
        [*range(7), "x"] * 30,
        [True] * 100,
    ],
    ids=[
        "floats",
        "odd floats",
        "a float",
        "large ints",
        "rows",
        "mixed",
        "short rows",
        "truths",
    ],
)
def test_rows_of_numbers_are_these_numbers(items):
    assert [repr(x) for x in guest_list(*items)] == [repr(x) for x in items]


def test_subclasses_of_numbers_keep_their_class():
    make = pybridge.eval("lambda: [type('F', (float,), {})(i) for i in range(50)]")
    assert {type(x).__name__ for x in make()} == {"F"}


def test_few_crossings_for_many_items():
    numbers = guest_list(*range(10000))
    before = _iterate.shared.entered
    assert sum(numbers) == sum(range(10000))
    assert _iterate.shared.entered - before < 10000 / _iterate._MOST + 20


def test_a_loop_that_crosses_reads_nothing_in_vain():
    names = pybridge.eval("{}")
    pybridge.exec(
        "class Thing:\n    def __init__(self, x):\n        self.x = x\n"
        "things = [Thing(i) for i in range(1000)]",
        names,
    )
    objects = names["things"]
    numbers = guest_list(*range(1000))
    absolute = pybridge.eval("abs")
    for loop in (
        lambda: sum([thing.x for thing in objects]),
        lambda: sum([absolute(x) for x in numbers]),
    ):
        gc.collect()
        pybridge.statistics()  # releases what died before
        before, released = _iterate.shared.entered, _iterate.shared.released
        assert loop() == sum(range(1000))
        assert _iterate.shared.entered - before < 2 * 1000 + 300
        assert _iterate.shared.released - released < 1000 + 300


@pytest.mark.parametrize("at", [0, 1, 5, 70])
def test_what_the_loop_appends_is_seen(at):
    numbers = guest_list(*range(100))
    seen = []
    for x in numbers:
        seen.append(x)
        if x == at:
            numbers.append("more")
    assert seen == [*range(100), "more"]


def test_what_the_loop_removes_is_not_seen():
    numbers = guest_list(*range(100))
    seen = []
    for x in numbers:
        seen.append(x)
        if x < 10:
            numbers.pop()
    assert seen == list(range(90))


def test_a_change_in_place_is_seen():
    numbers = guest_list(*range(100))
    for i, x in enumerate(numbers):
        assert x == (i if i == 0 else i * 10)
        if i + 1 < 100:
            numbers[i + 1] = (i + 1) * 10


def test_the_guest_goes_on_where_the_host_stopped():
    iterator = iter(guest_list(*range(10)))
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    assert pybridge.eval("next")(iterator) == 3
    assert next(iterator) == 4
    assert list(pybridge.eval("list")(iterator)) == [5, 6, 7, 8, 9]
    with pytest.raises(StopIteration):
        next(iterator)


def test_an_exhausted_iterator_stays_exhausted():
    numbers = guest_list(1)
    iterator = iter(numbers)
    assert list(iterator) == [1]
    numbers.append(2)
    assert list(iterator) == []


def test_attributes_of_the_iterator_are_the_guests():
    iterator = iter(guest_list(1, 2, 3))
    next(iterator)
    assert iterator.__length_hint__() == 2
    assert "list_iterator" in repr(iterator)
    assert iter(iterator) is iterator


def test_items_that_are_objects_are_released(leakfree):
    nested = pybridge.eval("[[i] for i in range(200)]")
    for _ in range(2):
        for i, item in enumerate(nested):
            assert item[0] == i


def test_the_value_that_a_guest_generator_returns_reaches_yield_from():
    names = {}
    pybridge.exec("def numbers():\n    yield 1\n    return 5", names)

    def outer():
        returned.append((yield from names["numbers"]()))

    returned = []
    assert list(outer()) == [1]
    assert returned == [5]


def test_next_on_something_else_is_a_type_error():
    with pytest.raises(TypeError, match="not an iterator"):
        next(guest_list(1))
