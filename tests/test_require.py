# SPDX-License-Identifier: MIT
"""What a program says that it needs: read from its comments, checked against a guest."""

from __future__ import annotations

import pytest

import pybridge
from pybridge import _require
from pybridge._errors import BridgeError


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("# /// script\n# a = 1\n# ///\n", "a = 1\n"),
        ("x\n# /// script\n#\n# a = [\n#   1]\n# ///\n# more\n", "\na = [\n  1]\n"),
        ("# /// other\n# a = 1\n# ///\n", None),
        ("# /// script\n# a = 1\n", None),
        ("# /// script\na = 1\n# ///\n", None),
        ("# /// script\n# a = 1\n# ///\n# b = 2\n# ///\n", "a = 1\n///\nb = 2\n"),
    ],
)
def test_script_metadata_is_found_as_pep_723_says(text, block):
    assert _require._block(text.splitlines(), "x.py") == block


def test_two_blocks_of_metadata_are_refused():
    text = "# /// script\n# a = 1\n# ///\n\n" * 2
    with pytest.raises(BridgeError, match="more than one block"):
        _require._block(text.splitlines(), "x.py")


def test_a_guest_that_runs_is_checked():
    pybridge.require(python=">=3.9")
    with pytest.raises(
        BridgeError, match=r"the guest that runs: .* pb-nothing is not installed"
    ):
        pybridge.require("pb-nothing>=1")
    with pytest.raises(BridgeError, match=r"Python <3 is wanted, it is 3\."):
        pybridge.require(python="<3")
    with pytest.raises(BridgeError, match="'not a requirement!' is not a requirement"):
        pybridge.require("not a requirement!")
    with pytest.raises(TypeError, match="a requirement is a str, not list"):
        pybridge.require(["numpy"])


def script(*lines: str) -> bytes:
    return "\n".join(["# /// script", *[f"# {line}" for line in lines], "# ///", ""]).encode()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["dependencies = 'numpy'"], "x.py: dependencies must be an array of strings"),
        (["dependencies = [1]"], "x.py: dependencies must be an array of strings"),
        (["requires-python = 3"], "x.py: requires-python must be a string"),
        (["dependencies = ['pb-nothing']"], "pb-nothing is not installed"),
        (["requires-python = '<3'"], "Python <3 is wanted"),
    ],
)
def test_metadata_of_a_script_is_required_or_refused(lines, message):
    with pytest.raises(BridgeError) as caught:
        _require.from_script(script(*lines), "x.py")
    assert message in str(caught.value)


def test_a_script_that_asks_for_nothing_or_for_what_is_there_goes_on():
    for source in (b"print(1)\n", script("a = 1"), script("requires-python = '>=3.9'"),
                   script("dependencies = []"), b"# /// script\n# \xe9\n# ///\n"):  # fmt: skip
        assert _require.from_script(source, "x.py") is None
