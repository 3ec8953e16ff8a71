# SPDX-License-Identifier: MIT
"""The guest's half: loaded once, found by name."""

from __future__ import annotations

import pytest

import pybridge
from pybridge import _guest


def test_functions_are_looked_up_once():
    assert _guest.support("genuine") is _guest.support("genuine")
    with pytest.raises(AttributeError):
        _guest.support("nothing_of_the_kind")


def test_imports_and_calls_for_the_bridge_itself():
    path = _guest.import_guest("os.path")
    assert _guest.call_guest(_guest.get_attribute(path, "join"), "a", "b") == "a/b"


def test_what_tells_of_errors_is_found_before_the_first_error():
    # At its recursion limit the guest cannot load anything any more.
    assert "describe_exception" in _guest._functions


def test_the_guests_half_is_not_among_its_modules():
    assert not pybridge.eval("[m for m in __import__('sys').modules if 'pybridge' in m]")
