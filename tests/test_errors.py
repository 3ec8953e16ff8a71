# SPDX-License-Identifier: MIT
"""The bridge's own errors: one base, and the builtin class that a program would catch."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import pybridge
from pybridge import _errors

BUILTIN = {"ClosedHandle": ReferenceError, "ConversionError": TypeError}
NAMES = ["ClosedHandle", "ConversionError", "GuestClosed", "GuestNotFound", "StartError"]


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_the_bridge(name):
    cls = getattr(pybridge, name)
    assert issubclass(cls, pybridge.BridgeError) and cls.__module__ == "pybridge"
    assert issubclass(cls, BUILTIN.get(name, Exception))
    assert cls.__doc__


def test_messages_end_with_a_code(guest):
    nested: list = []
    for _ in range(1000):
        nested = [nested]
    with pytest.raises(pybridge.ConversionError, match=r" \[PB302\]$") as caught:
        pybridge.eval("len")(nested)
    assert caught.value.code == "PB302"
    x = pybridge.eval("[1]")
    pybridge.release(x)
    with pytest.raises(pybridge.ClosedHandle, match=r" \[PB210\]$"):
        len(x)


def test_every_code_is_in_the_table_and_in_the_documentation():
    package = Path(pybridge.__file__).parent
    used = set()
    for path in package.glob("*.py"):
        used.update(re.findall(r"code ?= ?\"(PB\d+)\"", path.read_text(encoding="utf-8")))
    assert used == set(_errors.CODES)
    page = (package.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (PB\d+): (.*)$", page, re.M)
    assert dict(headings) == _errors.CODES


def test_an_error_keeps_its_code_when_it_is_copied():
    error = pickle.loads(pickle.dumps(pybridge.StartError("no", code="PB203")))
    assert str(error) == "no [PB203]" and error.args == ("no",)
