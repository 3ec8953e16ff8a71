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


@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("names", ["", "a", "b", "ab", "ba", "abc", "cab", "abcd", "dcba"])
def test_arguments_and_keywords_arrive_in_their_order(guest, n, names):
    back = pybridge.eval("lambda *args, **kwargs: (args, tuple(kwargs.items()))")
    args = tuple([float(i) for i in range(n)])
    kwargs = {name: f"{name} of {n}" for name in names}
    for _ in range(3):
        assert back(*args, **kwargs) == (args, tuple(kwargs.items()))
        assert back(*args, **{name: (name, [1]) for name in names})[0] == args


def test_names_that_are_texts_of_the_programs_are_names(guest):
    class Text(str):
        pass

    back = pybridge.eval("lambda **kwargs: tuple(kwargs)")
    for names in (["a"], ["a", "b"], ["a", "b", "c"], ["b", "a", "c", "d"], ["\u00e4"]):
        assert back(**{Text(name): 1 for name in names}) == tuple(names)
        assert back(**dict.fromkeys(names, 1)) == tuple(names)
    with pytest.raises(TypeError):
        back(**{1: 2})
