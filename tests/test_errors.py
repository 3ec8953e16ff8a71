# SPDX-License-Identifier: MIT
"""The bridge's own errors: one base, and the builtin class that a program would catch."""

from __future__ import annotations

import pytest

import pybridge

BUILTIN = {"ClosedHandle": ReferenceError, "ConversionError": TypeError}
NAMES = ["ClosedHandle", "ConversionError", "GuestClosed", "GuestNotFound", "StartError"]


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_the_bridge(name):
    cls = getattr(pybridge, name)
    assert issubclass(cls, pybridge.BridgeError) and cls.__module__ == "pybridge"
    assert issubclass(cls, BUILTIN.get(name, Exception))
    assert cls.__doc__
