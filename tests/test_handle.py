# SPDX-License-Identifier: MIT
"""Handles: what a proxy holds, and what stays when it is gone."""

from __future__ import annotations

import children
import pytest

import pybridge
from pybridge import _handle


def test_a_proxy_holds_the_address_of_its_object():
    x = pybridge.eval("object()")
    assert isinstance(x, _handle.Handle)
    assert x._pybridge_handle == pybridge.eval("id")(x)


def test_a_released_handle_is_zero_and_its_word_is_cleared():
    x = pybridge.eval("object()")
    before = pybridge.statistics().handles_open
    pybridge.release(x)
    assert x._pybridge_handle == 0
    assert pybridge.statistics().handles_open < before
    with pytest.raises(pybridge.ClosedHandle, match="was released"):
        hash(x)


@pytest.mark.parametrize("x", [None, 1, "text", [1], object()], ids=lambda x: type(x).__name__)
def test_releasing_what_is_no_proxy_does_nothing(x):
    assert pybridge.release(x) is None


def test_scopes_nest_and_the_inner_one_takes_what_is_made_in_it():
    with pybridge.scope():
        outer = pybridge.eval("object()")
        with pybridge.scope() as s:
            inner, kept = pybridge.eval("object()"), s.keep(pybridge.eval("object()"))
        assert "object" in repr(outer) and "object" in repr(kept)
        with pytest.raises(pybridge.ClosedHandle):
            hash(inner)
    with pytest.raises(pybridge.ClosedHandle):
        hash(outer)
    assert "object" in repr(kept)


def test_a_scope_releases_no_class_function_or_value_that_the_bridge_keeps():
    children.run("""
        import pybridge
        names = {}
        pybridge.exec("class Length(float): pass", names)
        statistics = pybridge.import_module("statistics")
        with pybridge.scope():
            Length = names["Length"]
            for i in range(100):
                length = Length(i)
            mean = statistics.mean
        assert type(Length(1.5)) is Length and Length.__name__ == "Length"
        assert statistics.mean([1, 2]) == 1.5
        try:
            length.nothing
        except pybridge.ClosedHandle:
            pass
        else:
            raise AssertionError("the value outlived the scope")
    """)
