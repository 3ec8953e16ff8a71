# SPDX-License-Identifier: MIT
"""What stands in for PyPy's own functions is as good."""

from __future__ import annotations

import sys
import traceback

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
