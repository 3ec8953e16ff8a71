# SPDX-License-Identifier: MIT
"""A host sequence on the left of a guest one."""

from __future__ import annotations

import pytest

import pybridge


def test_a_host_list_takes_a_guest_list(guest):
    there = pybridge.eval("[3, 4]")
    here = [1, 2]
    both = here + there
    assert both == [1, 2, 3, 4] and type(both) is list
    assert list(there + here) == [3, 4, 1, 2]
    assert sum([[1], there, [5]], []) == [1, 3, 4, 5]  # noqa: RUF017
    with pytest.raises(TypeError):
        tuple(here) + there
    derived = pybridge.eval("type('L', (list,), {})([9])")
    assert here + derived == [1, 2, 9]


def test_a_host_list_that_grows_stays_itself(guest):
    here = alias = [1]
    here += pybridge.eval("[2, 3]")
    assert here is alias == [1, 2, 3]
    holder = {"x": here}
    for _ in range(2000):  # also when it is compiled
        holder["x"] += pybridge.eval("[5]")
        del here[3:]
    assert holder["x"] is here == [1, 2, 3]
    here.extend(pybridge.eval("[4]"))
    here[1:2] = pybridge.eval("[7, 8]")
    assert alias == [1, 7, 8, 3, 4]


def test_host_bytes_take_a_guest_bytearray(guest):
    there = pybridge.eval("bytearray(b'cd')")
    assert b"ab" + there == b"abcd" and type(b"ab" + there) is bytes
    here = alias = bytearray(b"ab")
    assert here + there == b"abcd" and here == b"ab"
    here += there
    assert here is alias == b"abcd"
