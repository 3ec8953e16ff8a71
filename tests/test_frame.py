# SPDX-License-Identifier: MIT
"""Frames: one user each, room when it is needed, nothing kept afterwards."""

from __future__ import annotations

import pybridge
from pybridge import _frame
from pybridge._put import put


def test_a_frame_is_taken_out_of_the_pool_and_put_back():
    first = _frame.frame_get()
    second = _frame.frame_get()
    assert first is not second
    _frame.frames.append(second)
    assert _frame.frame_get() is second
    _frame.frames.extend([first, second])


def test_both_views_are_the_same_memory():
    frame = _frame.frame_get()
    frame.doubles[1] = 1.0
    assert frame.ints[1] == 0x3FF0000000000000
    _frame.frames.append(frame)


def test_growing_keeps_what_was_written_and_reset_goes_back():
    frame = _frame.frame_get()
    n = _frame.BASE - 2
    for i in range(n):
        put(frame, i, i)
    frame.grow(1000, n)
    assert frame.capacity >= 1000 and frame.cells != frame.base
    assert [frame.ints[2 * i + 1] for i in range(_frame.BASE - 2)] == list(
        range(_frame.BASE - 2)
    )
    frame.reset()
    assert (frame.capacity, frame.cells, frame.keep) == (_frame.BASE, frame.base, None)
    # not put back: the core still has the larger block until a crossing


def test_large_arguments_and_results_leave_a_small_frame():
    echo = pybridge.eval("lambda *args: args")
    many = tuple(range(5000))
    assert echo(*many) == many
    assert all(f.capacity == _frame.BASE and f.keep is None for f in _frame.frames)
    assert all(f.mem.capacity == _frame.BASE for f in _frame.frames)


def test_nested_calls_use_frames_of_their_own():
    def nest(depth):
        return depth if depth == 0 else call(nest, depth - 1) + 1

    call = pybridge.eval("lambda f, *args: f(*args)")
    assert nest(20) == 20
