# SPDX-License-Identifier: MIT
"""Handles: what a proxy holds, and what stays when it is gone."""

from __future__ import annotations

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


@pytest.mark.parametrize("x", [None, 1, "text", [1], object()], ids=repr)
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
