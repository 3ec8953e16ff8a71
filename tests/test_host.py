# SPDX-License-Identifier: MIT
"""What stands in for PyPy's own functions is as good."""

from __future__ import annotations

import sys
import traceback
import weakref

import pytest

from pybridge import _host


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
