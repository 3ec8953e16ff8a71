# SPDX-License-Identifier: MIT
"""Host objects that the guest holds: kept alive as long, forgotten after."""

from __future__ import annotations

import gc
import weakref

import pybridge
from pybridge import _release, _table


def settle():
    for _ in range(4):
        gc.collect()
        pybridge.eval("__import__('gc').collect()")
        pybridge.statistics()


def test_an_object_lives_as_long_as_the_guest_holds_it():
    class Callable:
        def __call__(self):
            return 42

    f = Callable()
    alive = weakref.ref(f)
    keep = pybridge.eval("[]")
    keep.append(f)
    del f
    settle()
    assert alive() is not None and keep[0]() == 42
    keep.clear()
    settle()
    assert alive() is None


def test_a_number_is_used_again():
    sink = pybridge.eval("lambda f: None")
    settle()
    before = len(_table.objects)
    for _ in range(200):
        sink(lambda: None)
        if _ % 20 == 19:
            settle()
    assert len(_table.objects) < before + 200


def test_the_same_object_is_the_same_in_the_guest():
    def f():
        pass

    assert pybridge.eval("lambda a, b: a is b")(f, f)
    assert pybridge.eval("lambda a: a")(f) is f


def test_an_entry_that_an_interrupt_left_behind_is_not_believed():
    def f():
        return "called"

    number = len(_table.objects)
    _table.objects.append(None)
    _table.numbers[id(f)] = number
    assert pybridge.eval("lambda f: f()")(f) == "called"
    assert _table.numbers[id(f)] != number


def test_a_number_that_a_sweep_forgets_meanwhile_is_not_used(monkeypatch):
    def f():
        return "called"

    call = pybridge.eval("lambda f: f()")
    settle()
    assert call(f) == "called"  # leaves a number behind that the next sweep forgets
    gc.collect()
    frame_get = _table.frame_get

    def frame_get_after_a_sweep():
        _release.sweep()
        return frame_get()

    monkeypatch.setattr(_table, "frame_get", frame_get_after_a_sweep)
    assert call(f) == "called"
    assert call(f) == "called"
