# SPDX-License-Identifier: MIT
"""Names: made once, the right ones, also the odd ones."""

from __future__ import annotations

import pytest

import pybridge
from pybridge import _names


@pytest.mark.parametrize(
    "name", ["x", "", "é", "\U0001f600", "a\0b", "\ud800", "x" * 5000], ids=ascii
)
def test_a_name_is_the_guests_string_of_that_text(name):
    made = pybridge.eval("type('Any', (), {'__getattr__': lambda self, name: [name]})()")
    assert getattr(made, name)[0] == name
    assert _names.interned(name) == _names.interned("".join(name))


def test_the_same_keywords_are_the_same_tuple():
    first = _names.interned_names(("b", "a"))
    assert first == _names.interned_names(("b", "a")) != _names.interned_names(("a", "b"))


def test_keywords_that_are_no_text_are_refused():
    with pytest.raises(TypeError, match="keywords must be strings"):
        _names.interned_names(("a", 1))
