# SPDX-License-Identifier: MIT
"""The parser of PEP 3118 formats: strict, and never wrong by a byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pybridge
from pybridge._layout import described, parse, size_of, text

I1 = ("i", "<", 1, "")
F8 = ("f", "<", 8, "")


@pytest.mark.parametrize(
    ("format", "size", "layout"),
    [
        ("d", 8, F8),
        (">d", 8, ("f", ">", 8, "")),
        ("=l", 4, ("i", "<", 4, "")),
        ("l", 8, ("i", "<", 8, "")),
        ("3s", 3, ("S", "<", 3, "")),
        (">2w", 8, ("U", ">", 8, "")),
        ("7x", 7, ("V", "<", 7, "")),
        ("(2,3)d", 48, ("array", (2, 3), F8, 48)),
        ("2d", 16, ("array", (2,), F8, 16)),
        ("T{}", 0, ("record", (), 0)),
        ("T{d:x:}", 8, ("record", (("x", 0, F8),), 8)),
        ("T{b:a:d:x:}", 16, ("record", (("a", 0, I1), ("x", 8, F8)), 16)),
        ("T{=b:a:d:x:}", 9, ("record", (("a", 0, I1), ("x", 1, F8)), 9)),
        ("T{d:x:b:a:}", 16, ("record", (("x", 0, F8), ("a", 8, I1)), 16)),
        ("T{d:x:b:a:}", 9, ("record", (("x", 0, F8), ("a", 8, I1)), 9)),
        ("T{3xB:a:}", 4, ("record", (("a", 3, ("u", "<", 1, "")),), 4)),
        (
            "T{T{=b:a:}:i:xxxxxxxd:x:}",  # the order holds past the end of the inner record
            16,
            ("record", (("i", 0, ("record", (("a", 0, I1),), 1)), ("x", 8, F8)), 16),
        ),
    ],
)  # fmt: skip
def test_formats(format, size, layout):
    assert parse(format, size) == layout
    assert parse(text(layout), size) == layout


UNCERTAIN = (
    "T{|T{d|T{d:x|T{d:x:|T{d:x:}}|T{d:x:}d|(2|(2,|()d|(a)d|Z|Zg|O|&d|X{}|t|u|g|T{d:x:d:x:}|=n"
    "|T{O:x:}||@|T|{}|d:|d:x|!!d|P|\0|d d"
).split("|")


@pytest.mark.parametrize("format", [*UNCERTAIN, "9" * 40 + "d", "T{" * 40 + "d"])
def test_what_is_not_certain_is_refused(format):
    for size in (0, 1, 2, 4, 8, 16):
        with pytest.raises(pybridge.ConversionError, match="no host form"):
            parse(format, size)


@given(
    st.text(alphabet="T{}()@=<>!^0123,:xdbhilqQZefgswcOn? ", max_size=24), st.integers(0, 64)
)
def test_any_text_is_a_layout_of_the_right_size_or_refused(format, size):
    try:
        layout = parse(format, size)
    except pybridge.ConversionError:
        return
    assert size_of(layout) == size
    assert size_of(described(layout)) == size  # no field reaches beyond its record
    assert parse(text(layout), size) == layout or ":" in "".join(names(layout))


def names(layout):
    if layout[0] == "record":
        for name, _, item in layout[1]:
            yield name
            yield from names(item)
    elif layout[0] == "array":
        yield from names(layout[2])


codes = st.sampled_from(["b", "B", "h", "H", "i", "I", "l", "q", "Q", "f", "d", "?", "2s", "x"])


@given(st.sampled_from("@=<>!"), st.lists(codes, min_size=1, max_size=6))
def test_offsets_are_those_of_the_struct_module(order, parts):
    format = order + "".join(parts)
    size = struct.calcsize(format)
    named = [i for i, code in enumerate(parts) if code != "x"]
    described_format = "T{" + order + "".join(
        code if code == "x" else f"{code}:n{i}:" for i, code in enumerate(parts)
    ) + "}"  # fmt: skip
    layout = parse(described_format, size)
    assert [name for name, _, _ in layout[1]] == [f"n{i}" for i in named]
    offsets = [struct.calcsize(order + "".join(parts[: i + 1])) - struct.calcsize(
        "=" + parts[i] if order != "@" else "@" + parts[i]) for i in named]  # fmt: skip
    assert [offset for _, offset, _ in layout[1]] == offsets


@pytest.mark.parametrize("offset", [-1, 1, 1 << 40])
def test_a_description_that_reaches_beyond_is_refused(offset):
    with pytest.raises(pybridge.ConversionError, match="beyond its record"):
        described(("record", (("x", offset, F8),), 8))
