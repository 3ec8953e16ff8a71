# SPDX-License-Identifier: MIT
"""Where the measured loops get their functions: this interpreter, the bridge, other processes.

native    this interpreter's own; with numpy alone it is PyPy with its own numpy (cpyext)
bridge    a guest in this process
rpyc      a CPython in another process, by proxies
execnet   a CPython in another process, by messages: rows of its own, in execnet_rows.py
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import sysconfig
from typing import Any


class Side:
    """`load(name)`: a module; `run(text)`: the names that a text makes there."""

    name = ""

    def load(self, name: str) -> Any:
        raise NotImplementedError

    def run(self, text: str) -> dict[str, Any]:
        raise NotImplementedError

    def view(self, x: Any) -> Any:
        """What to index in a loop over a buffer."""
        return x

    def native(self, f: Any) -> Any:
        """What to call in a loop over numbers."""
        return f

    def sent(self, x: Any) -> Any:
        """A host object with memory, or a list, as one passes it where it is not shared."""
        return x

    def fetched(self, x: Any) -> Any:
        """The same back."""
        return x


class Native(Side):
    name = "native"

    def load(self, name: str) -> Any:
        return importlib.import_module(name)

    def run(self, text: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(text, names)
        return names


class Bridge(Side):
    name = "bridge"

    def __init__(self) -> None:
        import pybridge

        self._bridge = pybridge

    def load(self, name: str) -> Any:
        return self._bridge.import_module(name)

    def run(self, text: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        self._bridge.exec(text, names)
        return names

    def view(self, x: Any) -> Any:
        return self._bridge.view(x)

    def native(self, f: Any) -> Any:
        return self._bridge.native(f)


# The server has the host's copy of rpyc, which is Python alone, behind its own packages.
_SERVER = """
import os, sys; sys.path.append(sys.argv[1])
from rpyc.core import SlaveService
from rpyc.utils.factory import connect_stdpipes
connect_stdpipes(SlaveService).serve_all()
os._exit(0)  # it has made sys.stdout a number
"""


class Rpyc(Side):
    name = "rpyc"

    def __init__(self, python: str) -> None:
        import rpyc
        from rpyc.core.stream import PipeStream

        process = subprocess.Popen(
            [python, "-c", _SERVER, sysconfig.get_path("purelib")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stream = PipeStream(process.stdout, process.stdin)
        self._there = rpyc.classic.connect_stream(stream)

    def load(self, name: str) -> Any:
        return self._there.modules[name]

    def run(self, text: str) -> dict[str, Any]:
        self._there.execute(text)
        return self._there.namespace  # type: ignore[no-any-return]

    def sent(self, x: Any) -> Any:
        import rpyc

        return rpyc.classic.deliver(self._there, x)

    def fetched(self, x: Any) -> Any:
        import rpyc

        return rpyc.classic.obtain(x)


def side_of(name: str) -> Side:
    """By name; for another process, BENCH_REMOTE names its interpreter."""
    if name == "bridge":
        return Bridge()
    if name == "rpyc":
        return Rpyc(os.environ["BENCH_REMOTE"])
    if name in ("native", "cpyext"):
        side = Native()
        side.name = name
        return side
    sys.exit(f"no such side: {name}")
