# SPDX-License-Identifier: MIT
"""The first host memory that crosses loads `_exporter`, which enters its own rows.

Until then its row here is all that the tables of `_put` have of it: a program that passes
no memory does without the modules of layouts and views.  What pickles have of a proxy
(`_pickled`), and numpy's classes of the host's speed (`_numpy`), come with the guest; what
scipy's integrators need (`_quadpack`), when they are there.
"""

from __future__ import annotations

import sys

from pybridge import _guest, _hostbuffer, _runtime
from pybridge._core import ffi
from pybridge._frame import Frame
from pybridge._host import is_array
from pybridge._put import encoders, fallbacks

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

    from pybridge._put import Encoder

_PLAIN = (bytearray, memoryview, ffi.CData, ffi.buffer)
# Classes of modules that are loaded already if there is an object of theirs.
_CLASSES = (
    ("array", "array"),
    ("mmap", "mmap"),
    ("_cffi_backend", "buffer"),
    *(
        ("_ctypes", name)
        for name in ("_SimpleCData", "Array", "Structure", "Union", "_Pointer")
    ),
    ("pybridge._view", "View"),
    ("pybridge._records", "Record"),
)


def _has_memory(x: Any) -> bool:
    if isinstance(x, _PLAIN):
        return True
    for module, name in _CLASSES:
        # Not there yet, when another thread is importing it.
        if isinstance(x, getattr(sys.modules.get(module), name, ())):
            return True
    return is_array(x)  # `sys.modules` may have the guest's numpy


def _fallback(x: Any) -> Encoder | None:
    return _put if _has_memory(x) else None


def _put(frame: Frame, at: int, x: Any) -> int:
    from pybridge import _exporter

    if _fallback in fallbacks:
        fallbacks.remove(_fallback)
    at = _exporter.encoder_of(x)(frame, at, x)
    return at


def _integrating() -> None:
    from pybridge import _quadpack

    _quadpack.install()


def _lend(x: Any, flags: int) -> memoryview:
    from pybridge import _buffer

    return _buffer.lent(x, flags)


def _copy(x: Any) -> bytes:
    return _guest.call("to_bytes", x)  # type: ignore[no-any-return]


def _at_start() -> None:
    # For what they add to proxies and to numpy's classes.
    from pybridge import _arraycalls, _callback, _numpy, _pickled  # noqa: F401

    _callback.integrating.append(_integrating)
    # Before the one that takes any object, and behind the exporter's own, if that is loaded.
    if encoders.setdefault(bytearray, _put) is _put:
        encoders[memoryview] = _put
        fallbacks.insert(0, _fallback)


_hostbuffer.lend.append(_lend)
_hostbuffer.copy.append(_copy)
_runtime.at_start.append(_at_start)
