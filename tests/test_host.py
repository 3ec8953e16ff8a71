# SPDX-License-Identifier: MIT
"""What stands in for PyPy's own functions is as good."""

from __future__ import annotations

import gc
import sys
import traceback
import weakref

import children
import pytest

from pybridge import _host

COLLECTS = gc.isenabled()  # while test files are imported


@pytest.mark.parametrize("text", ["", "abc", "é", "\U0001f600", "a\0b", "\ud800"], ids=ascii)
def test_utf8_gives_every_text(text):
    assert _host.utf8(text) == text.encode("utf-8", "surrogatepass")


def test_a_module_dict_is_a_dict():
    d = _host.module_dict()
    d["a"] = 1
    assert d == {"a": 1} and type(d) is dict


@pytest.mark.skipif(sys.implementation.name != "pypy", reason="a CPython host hides no frames")
def test_hidden_frames_are_in_no_traceback():
    @_host.hidden
    def between():
        raise ValueError

    try:
        between()
    except ValueError as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names == ["test_hidden_frames_are_in_no_traceback"]


def test_the_young_are_collected():
    class Thing:
        pass

    _host.collect_young()  # or a collection may come while they are made: they would be old
    things = [Thing() for _ in range(100)]
    references = [weakref.ref(x) for x in things]
    del things
    filled = _host.collect_young()
    if _host.collect_step is None:
        assert filled == 0
    else:
        assert 0 < filled <= _host._MOST_FILLED
        # One may be in a trace's hands still.
        assert sum(r() is not None for r in references) <= 1


# After some steps of a major collection lists that are marked by then take over the content of
# others that are not.
EXTENDED = """
import gc, sys
class X(object):
    def __init__(self, n): self.n = n
between = [[X(i) for i in range(2000)] for k in range(100)]
old = []
for i in range(3000):
    one = []
    for j in range(65): one.append(X(j))  # there is room for some more
    old.append(one)
more_between = [[X(i) for i in range(2000)] for k in range(100)]
others = [[X(i) for j in range(3)] for i in range(3000)]
for i in range(4): gc.collect()
def extend():
    for one, other in zip(old, others):
        one.extend(other)
        other[:] = []
for n in range(int(sys.argv[1])): gc.collect_step()
extend()
while not gc.collect_step().major_is_done: pass
junk = [[X(-8)] * 3 for _ in range(300000)]
print(sum(x.n != i for i, one in enumerate(old) for x in one[65:]))
"""


@pytest.mark.skipif(_host.collect_step is None, reason="a host that is not PyPy")
@pytest.mark.parametrize("steps", ["2", "3", "4", "5"])
def test_what_keeps_pypy_from_losing_objects(steps):
    """No list is extended while everything is marked in one step.  Without that PyPy 7.3.11
    loses thousands of the 9,000 objects, or crashes."""
    done = children.run(EXTENDED, steps, env={"PYPY_GC_INCREMENT_STEP": "64GB"})
    assert done.out == "0\n"
    if sys.implementation.version >= (7, 3, 16):
        assert children.run(EXTENDED, steps).out == done.out


def test_nothing_is_collected_while_test_files_are_rewritten():
    assert not COLLECTS


@pytest.mark.skipif(sys.implementation.name != "pypy", reason="a CPython host cannot wait")
def test_signals_wait_and_come_at_the_end():
    children.run(
        """
    import os, signal
    from pybridge._host import signals_off, signals_on

    def interrupted(inner):
        reached = 0
        try:
            were_on = signals_off()
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    pass
                if inner:
                    again = signals_off()
                    signals_on(again)
                    assert again is False
                reached = 1
            finally:
                signals_on(were_on)
            for _ in range(10):
                pass
            reached = 2
        except KeyboardInterrupt:
            return reached
    for i in range(20_000):  # compiled, too
        assert interrupted(i % 2) == 1, i
    """
    )
