# SPDX-License-Identifier: MIT
"""Stub files of guest modules can be parsed, and say what the guest says."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap

import pytest

import pybridge
from pybridge import _stubs


@pytest.mark.parametrize("name", ["math", "json", "datetime", "numpy"])
def test_the_stubs_of_a_module_can_be_parsed_and_have_its_names(tmp_path, name):
    try:
        module = pybridge.import_module(name)
    except ImportError:
        pytest.skip(f"no {name} in this guest")
    written = _stubs.write([name], str(tmp_path))
    assert len(written) == len(set(written)) >= (10 if name == "numpy" else 1)
    names = set()
    for path in written:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read(), path)
        if path == written[0] or path.endswith(f"/{name}/__init__.pyi"):
            for node in tree.body:
                names |= {getattr(node, "name", "")}
                names |= {alias.name for alias in getattr(node, "names", ())}
                names |= {getattr(getattr(node, "target", None), "id", "")}
    public = {n for n in dir(module) if n.isidentifier() and not n.startswith("_")}
    assert public <= names


def test_signatures_and_kinds_are_the_guests(tmp_path, monkeypatch):
    (tmp_path / "shapes.py").write_text(
        textwrap.dedent('''
        """Shapes "and \\\\ such\\0."""
        import os
        from json import JSONDecoder as Elsewhere
        LIMIT = 3
        NAMES = ["a"]
        def area(w: int, h: float = 2.0, /, *more, unit: str = "m", **rest) -> float:
            """The area.

            More text."""
        def odd(x=lambda: None, *, y): "ends in a quote\\""
        class Shape(ValueError):
            """A shape\'\'\'"""
            kind = "plain"
            def __init__(self, n): pass
            def grow(self, by=1): pass
            @classmethod
            def make(cls, n): pass
            @staticmethod
            def unit(): pass
            @property
            def size(self): pass
            lambda_ = lambda self: 0
        class Plain:
            def __init__(self, a, b=2): pass
            def blank(self): "  "
        ''')
    )
    pybridge.import_module("sys").path.append(str(tmp_path))
    (path,) = _stubs.write(["shapes"], str(tmp_path / "out"))
    with open(path) as file:
        text = file.read()
    ast.parse(text)
    for line in (
        "LIMIT: int",
        "NAMES: list",
        "os: ModuleType",
        "Elsewhere: type[Any]",
        "def area(w: int, h: float = ..., /, *more: Any, unit: str = ..., **rest: Any)"
        " -> float:",
        "def odd(x: Any = ..., *, y: Any) -> Any:",
        "class Shape(ValueError):",
        "    kind: str",
        "    def grow(self, by: Any = ...) -> Any: ...",
        "    def make(cls, n: Any) -> Any: ...",
        "    def unit() -> Any: ...",
        "    def size(self) -> Any: ...",
        "    def __init__(self, a: Any, b: Any = ...) -> Any: ...",
        "    def blank(self) -> Any: ...",
    ):
        assert line in text.splitlines(), line + "\n" + text
    done = subprocess.run([sys.executable, "-m", "ast", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
