# SPDX-License-Identifier: MIT
"""Host objects that the guest holds: kept alive as long, forgotten after."""

from __future__ import annotations

import gc
import weakref

import children
import pytest

import pybridge
from pybridge import _release, _table
from pybridge._places import Places


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

    number = _table._unused()
    _table.numbers[id(f)] = number
    assert pybridge.eval("lambda f: f()")(f) == "called"
    assert _table.numbers[id(f)] != number


MEANWHILE = """
    import pybridge
    from pybridge import _release, _table

    class Meanwhile:
        # Numbers; something comes in the middle of an entry, after its number.
        coming = None
        def __init__(self, numbers):
            self.numbers = numbers
        def __next__(self):
            number = next(self.numbers)
            coming, self.coming = self.coming, None
            if coming is not None:
                coming()
            return number

    def interrupt():
        raise KeyboardInterrupt

    pybridge.start()
    entries = _table._places.numbers = Meanwhile(_table._places.numbers)
    batches = _release._places.numbers = Meanwhile(_release._places.numbers)
"""


def test_an_interrupt_as_the_table_grows_spoils_no_number():
    children.run(
        MEANWHILE
        + """
    call = pybridge.eval("lambda f: f()")
    for n in range(3):
        _table._free.clear()
        entries.coming = interrupt
        try:
            call(lambda: n)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("the table has not grown")
        assert call(lambda: n) == n
"""
    )


def test_a_signal_handler_as_the_table_grows_gets_a_number_of_its_own():
    children.run(
        MEANWHILE
        + """
    keep = pybridge.eval("[]")
    functions = [lambda n=n: n for n in range(8)]
    for n in range(0, 8, 2):
        _table._free.clear()
        entries.coming = lambda: keep.append(functions[n])
        keep.append(functions[n + 1])
    assert [f() for f in keep] == list(range(8))
"""
    )


def test_what_comes_as_chunks_are_made_gets_memory_of_its_own():
    children.run(
        MEANWHILE
        + """
    ready, made = _release._ready, pybridge.eval("lambda n: [n]")
    known = len(ready)
    batches.coming = _release._grow
    _release._grow()
    assert len(ready) == known + 2 * _release._BATCH
    batches.coming = interrupt
    try:
        _release._grow()
    except KeyboardInterrupt:
        pass
    _release._grow()
    assert len(set(ready)) == len(ready) == known + 3 * _release._BATCH
    memory = [_release._addresses[number] for number in ready]
    assert len(set(memory)) == len(memory) and all(memory)
    kept = [made(n) for n in range(5000)]
    assert [x[0] for x in kept] == list(range(5000))
"""
    )


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


def test_places_have_room_for_their_numbers_whatever_comes_between():
    a, b = [None, None], [None, None]
    places = Places(a, b, size=2)
    fresh = places.numbers

    class Meanwhile:
        def __next__(self):
            number = next(fresh)
            places.numbers = fresh
            assert places.new() == number + 2 and len(a) == number + 4
            raise KeyboardInterrupt

    places.numbers = Meanwhile()
    with pytest.raises(KeyboardInterrupt):
        places.new()
    assert places.new() == 6 and len(a) == len(b) == 8


def test_threads_that_make_c_functions_at_once_have_each_its_own():
    children.run(
        """
    import sys, threading, pybridge
    sys.setswitchinterval(1e-6)
    call = pybridge.eval("__import__('ctypes').CFUNCTYPE(__import__('ctypes').c_double,"
                         " __import__('ctypes').c_double)")
    made = [[] for _ in range(4)]
    go = threading.Barrier(4)
    def make(n):
        go.wait()
        for i in range(300):
            f = pybridge.lowlevel(lambda x, v=1000 * n + i: x + v, "double(double)")
            made[n].append((1000 * n + i, f))
    pybridge.lowlevel(float, "double(double)")
    threads = [threading.Thread(target=make, args=(n,)) for n in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    for each in made:
        assert len(each) == 300
        for value, f in each:
            assert call(f.address)(0.5) == value + 0.5
"""
    )
