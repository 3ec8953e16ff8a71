# SPDX-License-Identifier: MIT
"""Texts that programs pass again and again.

Short ones, keys, names of columns, options: one that comes twice becomes a guest string that is
kept; from then on it crosses as a handle, which in a trace is a constant.  There is one place
for each hash, so that they never are more than `_PLACES`; a text whose place is taken crosses
as ever.

Of longer ones the last that came twice, the very object, has a *twin*, a guest string that is
kept until another takes its place, or to the next full sweep; passed again it is not copied,
and the twin as a result is that object again.  So what is searched a thousand times crosses
once.

Threads: a place is filled by one assignment of both, text and handle.  Whoever passes the twin
keeps it alive for that crossing; who gets it from the guest has a reference of its own.
"""

from __future__ import annotations

from pybridge import _release
from pybridge._core import ffi, lib
from pybridge._frame import frame_get, frames
from pybridge._handle import adopt_nothing
from pybridge._host import utf8

SHORT = 32  # characters
_PLACES = 1024
_ERROR: int = lib.PB_ERROR
_OBJECT: int = lib.PB_OBJECT
_texts: list[tuple[str, int] | None] = [None] * _PLACES  # (text, handle)
_candidates: list[str | None] = [None] * _PLACES  # the last text that had no place


class _Twin:
    """`text`: the host's; `handle`: the guest's string, in `chunk`."""

    __slots__ = ("chunk", "handle", "text")

    def __init__(self, text: str | None, chunk: object, handle: int) -> None:
        self.text = text
        self.chunk = chunk
        self.handle = handle


_LONGEST = 1 << 22  # characters: both copies are kept
_NO_TWIN = _Twin(None, None, 0)
_twins = [_NO_TWIN]
_candidate: list[str | None] = [None]  # the last long text


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


def twin_of(x: str) -> _Twin | None:
    """The twin of a longer text, to be kept until the crossing is over."""
    twin = _twins[0]
    return twin if twin.text is x else _twin_new(x)


def _twin_new(x: str) -> _Twin | None:
    if _candidate[0] is not x:
        _candidate[0] = x if len(x) <= _LONGEST else None
        return None
    frame = frame_get()
    data = utf8(x)
    word = lib.pb_text_new(frame.mem, data, len(data))
    handle: int = frame.ints[1]
    frames.append(frame)
    if word != _OBJECT:
        return None
    chunk = _release.chunk_new()
    ffi.cast("int64_t *", chunk.address)[0] = handle
    twin = _Twin(x, chunk, handle)
    _release.shared.twin = 0
    _twins[0] = twin
    _release.shared.twin = handle
    return twin


def _forget() -> None:
    """Before a full sweep: the twin may go."""
    _release.shared.twin = 0
    _twins[0] = _NO_TWIN
    _candidate[0] = None


_release.before_sweep.append(_forget)


def text_of_twin(handle: int) -> str | None:
    """The host's text of a guest string, or None: it is the twin no more."""
    twin = _twins[0]
    if twin.handle == handle:
        return twin.text
    if _release.shared.twin == handle:  # two threads at once: nobody keeps it alive
        _release.shared.twin = 0
    return None
