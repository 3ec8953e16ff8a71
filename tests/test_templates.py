# SPDX-License-Identifier: MIT
"""Methods made from text: what is kept on disk, and what is not."""

from __future__ import annotations

import os
import sys

import pytest

from pybridge import _templates

TEXT = "def f(x):\n    return x + CONSTANT\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the texts of this test are kept."""
    monkeypatch.setattr(_templates, "_PACKAGE", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return tmp_path / "__pycache__"


@pytest.fixture
def compiled(monkeypatch):
    """The file names of the texts that were compiled."""
    names = []

    def spy(text, filename, mode):
        names.append(filename)
        return compile(text, filename, mode)

    monkeypatch.setattr(_templates, "compile", spy, raising=False)
    return names


def made(text=TEXT, **names):
    _templates.run(text, "pybridge-spam.py", names)
    return names["f"]


def test_a_text_is_compiled_once_and_read_again(place, compiled):
    first, second = made(CONSTANT=1), made(CONSTANT=10)
    assert (first(1), second(1)) == (2, 11)
    assert compiled == ["pybridge-spam.py"]
    assert first.__code__ is not second.__code__, "each has traces of its own"
    assert second.__code__.co_filename == "pybridge-spam.py"
    (file,) = place.iterdir()
    assert file.name == f"pybridge-spam.{sys.implementation.cache_tag}.pyc"


def test_another_text_takes_the_place_of_the_first(place, compiled):
    made(CONSTANT=1)
    other = TEXT.replace("+", "-")
    assert made(other, CONSTANT=1)(1) == 0
    assert made(other, CONSTANT=1)(1) == 0
    assert len(compiled) == 2
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize("harm", ["cut", "empty", "other interpreter", "nonsense"])
def test_a_file_that_is_no_good_is_made_anew(place, compiled, harm):
    made(CONSTANT=1)
    (file,) = place.iterdir()
    data = file.read_bytes()
    harmed = {
        "cut": data[:-20],
        "empty": b"",
        "other interpreter": b"\0\0" + data[2:],
        "nonsense": data[:16] + b"\xff" * 50,
    }[harm]
    file.write_bytes(harmed)
    assert made(CONSTANT=1)(1) == 2
    assert len(compiled) == 2
    assert file.read_bytes() == data


def test_nothing_is_written_when_python_may_not(place, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert made(CONSTANT=1)(1) == 2
    assert not place.exists()


def test_it_goes_where_python_keeps_code(place, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert made(CONSTANT=1)(1) == 2
    assert not place.exists()
    assert [
        f for f in (tmp_path / "elsewhere").rglob("*") if f.name.startswith("pybridge-spam")
    ]


def test_a_place_that_cannot_be_written_to(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(_templates, "_PACKAGE", str(tmp_path / "file"))
    assert made(CONSTANT=1)(1) == 2


def test_an_unfinished_file_is_taken_away(place, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert made(CONSTANT=1)(1) == 2
    assert list(place.iterdir()) == []
