# SPDX-License-Identifier: MIT
"""The guest's standard streams are the host's.

Guest code that prints calls a function here, which writes to what `sys.stdout` is at that
moment: lines come out in order with the host's, `contextlib.redirect_stdout`, pytest's capture
and a notebook's see them, and a closed pipe is the same error on either side.  The guest's
half, guest/streams.py, says what happens in forked processes and after the end.

What compiled code prints by itself, with C's `printf`, goes to descriptor 1 as ever, at the
moment C's own buffer is written.  PYBRIDGE_HOST_STREAMS=0 leaves the guest its own streams.
"""

from __future__ import annotations

import sys

from pybridge import _guest
from pybridge._host import hidden

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

_connected = False


def _writer(name: str) -> Callable[[str], int]:
    @hidden
    def write(text: str) -> int:
        stream = getattr(sys, name)
        if stream is not None:  # print() is silent then
            stream.write(text)
        return len(text)

    return write


def _found(name: str, path: str) -> Any:
    x = getattr(sys, name)
    for attribute in path.split("."):
        x = getattr(x, attribute)
    return x


def _get(name: str, path: str) -> Any:
    """An attribute of a stream, as a plain value; None where it has none."""
    try:
        value = _found(name, path)
    except AttributeError:
        return None
    if path == "buffer":
        return value is not None
    return value if type(value) in (str, bool, int) else None


@hidden
def _call(name: str, path: str, *args: Any) -> Any:
    """Call a method of a stream.  What a stream need not have does nothing."""
    stream = getattr(sys, name)
    if path == "reconfigure":
        return stream.reconfigure(**dict(args))
    if stream is None and path in ("isatty", "seekable", "flush", "close", "fileno"):
        return None
    try:
        method = _found(name, path)
    except AttributeError:
        if path in ("isatty", "seekable", "flush"):
            return None
        raise
    answer = method(*args)
    return answer if type(answer) in (str, bytes, bool, int) else None


_WRITERS = {name: _writer(name) for name in ("stdout", "stderr", "__stdout__", "__stderr__")}


def connect() -> None:
    """Right after the start."""
    global _connected
    _guest.call("streams_use", _get, _call, _WRITERS)
    _connected = True


def forked() -> None:
    """In the child that the host forked: the guest took it for one of its own."""
    if _connected:
        _guest.call("streams_remote")
