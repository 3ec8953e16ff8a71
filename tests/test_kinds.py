# SPDX-License-Identifier: MIT
"""Numbers of guest classes: given once, and again when a class has died."""

from __future__ import annotations

import gc
import threading

import pybridge
from pybridge import _kinds


def collected(reference):
    for _ in range(8):
        gc.collect()
        pybridge.eval("__import__('gc').collect()")
        pybridge.statistics()
        if reference() is None:
            return True
    return False


def number_of(cls) -> int:
    return type.__getattribute__(cls, "_pybridge_number")


def make_class(name: str):
    return pybridge.eval(f"type({name!r}, (), {{'x': {name!r}}})")


def test_each_class_has_a_number_of_its_own_and_keeps_it():
    a, b = make_class("A"), make_class("B")
    assert number_of(a) != number_of(b)
    assert _kinds.used(number_of(a)) is a
    gc.collect()
    pybridge.statistics()
    assert _kinds.alive(number_of(a)) is a and type(a()) is a and type(b()) is b
    assert pybridge.eval("lambda x: type(x)")(a()) is a


def test_a_class_is_held_from_its_use_to_the_next_full_sweep():
    cls = make_class("Held")
    number = number_of(cls)
    assert type(cls()) is cls and _kinds.used(number) is cls
    assert _kinds.instances[number] is _kinds.objects[number] is cls
    _kinds.let_go()
    assert _kinds.instances[number] is None and _kinds.objects[number] is None
    assert _kinds.alive(number) is cls
    assert cls().x == "Held" and type(cls()) is cls  # asked for again


def test_classes_of_modules_are_kept(guest):
    fraction = pybridge.import_module("collections").OrderedDict
    number = number_of(fraction)
    _kinds.let_go()
    assert number not in _kinds.mortal
    assert _kinds.instances[number] is fraction


def test_no_number_is_that_of_another_class():
    before = len(_kinds.instances)
    for i in range(8):
        names = []
        for n in range(30):
            cls = make_class(f"Short{i}x{n}")
            x = cls()
            names.append(x.x)
            assert type(x) is cls
        assert names == [f"Short{i}x{n}" for n in range(30)]
        del cls, x
        _kinds.let_go()
        for _ in range(4):
            gc.collect()
            pybridge.eval("__import__('gc').collect()")
            pybridge.statistics()
    # Dead numbers rest a while before they are used again; a trace may hold a class longer.
    assert len(_kinds.instances) - before <= _kinds._RESTING + 60 < 8 * 30


def test_threads_that_meet_a_class_at_once_see_one():
    make = pybridge.eval("lambda c: c()")
    for i in range(10):
        cls_maker = pybridge.eval(f"lambda c=type('Met{i}', (), {{}}): c()")
        start, seen = threading.Barrier(4), []

        def meet(cls_maker=cls_maker, start=start, seen=seen):
            start.wait()
            seen.append(type(cls_maker()))

        threads = [threading.Thread(target=meet) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 4 and len(set(seen)) == 1, seen
        assert type(make(seen[0])) is seen[0]
