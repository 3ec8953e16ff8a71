# SPDX-License-Identifier: MIT
"""The modules of layouts and views are loaded by the first host memory that crosses."""

from __future__ import annotations

import sys
import types

import children
import pytest

from pybridge import _hostctypes, _memory

MEMORY = {
    "bytearray": "bytearray(b'abc')",
    "memoryview": "memoryview(b'abc')",
    "array": "__import__('array').array('b', [97, 98, 99])",
    "mmap": "filled(__import__('mmap').mmap(-1, 3))",
    "cffi": "__import__('cffi').FFI().new('char[]', [b'a', b'b', b'c'])",
    "buffer": "buffer()",
}


@pytest.mark.parametrize("text", MEMORY.values(), ids=MEMORY)
def test_the_first_memory_loads_them_and_crosses(text):
    children.run(
        f"""
        import sys
        import pybridge
        def filled(x):
            x[:] = b"abc"
            return x
        def buffer():
            import cffi
            ffi = cffi.FFI()
            global keep
            keep = ffi.new("char[]", b"abc")
            return ffi.buffer(keep, 3)
        take = pybridge.eval("lambda x: bytes(memoryview(x))")
        values = (1, "a", [2.5], {{3: b"d"}})
        assert pybridge.eval("lambda *x: x")(*values) == values
        loaded = {{"pybridge._exporter", "pybridge._view", "pybridge._layout"}}
        assert not loaded & set(sys.modules), sorted(sys.modules)
        x = {text}
        assert take(x) == b"abc"
        assert "pybridge._exporter" in sys.modules
        assert take(x) == b"abc"                        # by the exporter's own rows now
        assert take(bytearray(b"de")) == b"de"
        assert pybridge.eval("lambda x: x[0]")([bytearray(b"f")])[0] == 102
        """,
    )


def test_an_object_that_is_no_memory_loads_nothing():
    children.run(
        """
        import sys
        import pybridge
        class Thing: pass
        x = Thing()
        assert pybridge.eval("lambda x: x")(x) is x
        assert pybridge.eval("lambda f: f(1)")(lambda n: n + 1) == 2
        assert "pybridge._exporter" not in sys.modules
        """
    )


def test_memory_before_the_start_and_inside_a_callback():
    children.run(
        """
        import pybridge
        x = bytearray(b"ab")
        pybridge.start()
        assert pybridge.eval("lambda f: bytes(f())")(lambda: x) == b"ab"
        assert pybridge.eval("lambda x: memoryview(x).__setitem__(0, 99)")(x) is None
        assert x == b"cb"
        """
    )


def test_a_module_that_another_thread_is_importing_is_no_obstacle(monkeypatch):
    monkeypatch.setitem(sys.modules, "pybridge._view", types.ModuleType("pybridge._view"))
    assert _memory._has_memory(bytearray(1)) and not _memory._has_memory(object())
    monkeypatch.setitem(sys.modules, "_ctypes", types.ModuleType("_ctypes"))
    assert not _hostctypes.is_ctypes(object())
