# SPDX-License-Identifier: MIT
"""Traceback entries for the guest's frames, made of real frames of the host.

Each function of the guest has one frame here, whose code has the guest's file and name, so that
`traceback`, `logging` and debuggers show it in its place, with its source line.
"""

from __future__ import annotations

import types

from pybridge._described import note_place

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any


def _code(filename: str, name: str, first: int) -> Any:
    return _pattern.__code__.replace(co_filename=filename, co_name=name, co_firstlineno=first)


def _pattern() -> Any:
    yield


def guest_traceback(
    entries: tuple[tuple[str, int, str, str, int, int, int], ...],
    inner: types.TracebackType | None,
) -> types.TracebackType | None:
    """Host traceback entries for guest frames, in front of `inner`."""
    for filename, lineno, name, line, first, code, instruction in reversed(entries):
        if line:
            _remember(filename, lineno, line)
        # At no instruction, else newer hosts show the position of that instead of the line.
        frame = _shown.get((filename, name, first)) or _frame_new(filename, name, first)
        lineno = max(lineno, 1)
        inner = types.TracebackType(inner, frame, -1, lineno)
        if code:
            note_place(code, instruction, frame, lineno)
    return inner


_MOST_SHOWN = 2000
_shown: dict[tuple[str, str, int], Any] = {}  # frames that stand for a function of the guest


def _frame_new(filename: str, name: str, first: int) -> Any:
    """A generator that never ran has a frame: the cheapest real one there is."""
    generator = types.FunctionType(_code(filename, name, first), {"__name__": "guest"})()
    if len(_shown) > _MOST_SHOWN:
        _shown.clear()
    frame = _shown[filename, name, first] = generator.gi_frame
    return frame


def _remember(filename: str, lineno: int, line: str) -> None:
    """Let the host print a line of code that is in no file."""
    import linecache

    if linecache.getline(filename, lineno).strip():
        return
    known = linecache.cache.get(filename)
    lines = list(known[2]) if known is not None and len(known) == 4 else []
    lines.extend(["\n"] * (lineno - len(lines)))
    lines[lineno - 1] = line
    linecache.cache[filename] = (len(line), None, lines, filename)
