# SPDX-License-Identifier: MIT
"""Short texts that programs pass again and again: keys, names of columns, options.

One that comes twice becomes a guest string that is kept; from then on it crosses as a handle,
which in a trace is a constant.  There is one place for each hash, so that they never are more
than `_PLACES`; a text whose place is taken crosses as ever.

Threads: a place is filled by one assignment of both, text and handle.
"""

from __future__ import annotations

from pybridge._core import lib
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_nothing
from pybridge._host import utf8

SHORT = 32  # characters
_PLACES = 1024
_ERROR: int = lib.PB_ERROR
_OBJECT: int = lib.PB_OBJECT
_texts: list[tuple[str, int] | None] = [None] * _PLACES  # (text, handle)
_candidates: list[str | None] = [None] * _PLACES  # the last text that had no place


def known_text(x: str) -> int:
    """The handle of a text of up to SHORT characters, which is never released; 0: none."""
    place = hash(x) & (_PLACES - 1)
    known = _texts[place]
    if known is None:
        return _first(x, place)
    text, handle = known
    return handle if text is x or text == x else 0


def _first(x: str, place: int) -> int:
    if _candidates[place] != x:
        _candidates[place] = x
        return 0
    frame = frame_get()
    data = utf8(x)
    word = lib.pb_intern(frame.mem, data, len(data))
    handle: int = frame.ints[1]
    frames.append(frame)
    if word != _OBJECT:  # no memory, say: it crosses as others do, or fails as they do
        if word == _ERROR:
            adopt_nothing(handle)
        return 0
    _texts[place] = x, handle
    return handle
