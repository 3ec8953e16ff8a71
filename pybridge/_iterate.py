# SPDX-License-Identifier: MIT
"""Iteration over a guest list, reading ahead.

A crossing an item is what iterating costs in general.  From a list's own iterator the core
can read items ahead without moving it, so `for x in guest_list:` crosses once for many.  What
was read is thrown away as soon as anything else has crossed to the guest, because that may
have changed the list; the iterator in the guest is then moved to where the program is.
How far is read ahead doubles while nothing crosses in between; where something does, items come
one by one, and move the guest's iterator.  A row of floats, or of ints, comes as bare numbers.

`ListIterator` is no proxy: it holds one.  When it is passed to the guest, or asked for an
attribute, the guest's iterator is moved first, so that both sides agree.

Threads: one iterator has one user, as a list iterator has.  A guest thread that changes the
list meanwhile may be seen late, by at most what was read ahead.
"""

from __future__ import annotations

from pybridge._core import ffi, lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import makers
from pybridge._host import hidden
from pybridge._kinds import LIST_ITERATOR
from pybridge._put import encoders, put
from pybridge._release import shared
from pybridge._tags import FLOATS, INTS, STOP
from pybridge._take import end, get, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_MOST = 120  # numbers; of other items the core gives 64
_CELL = 16  # bytes
_DOUBLES, _INTEGERS = ffi.typeof("double *"), ffi.typeof("int64_t *")
_TUPLE: int = lib.PB_TUPLE


class ListIterator:
    """Iterates over a guest list; the guest's iterator is `_pybridge_proxy`."""

    __slots__ = (
        "_pybridge_ahead",
        "_pybridge_entered",
        "_pybridge_items",
        "_pybridge_proxy",
        "_pybridge_seen",
    )

    def __init__(self, handle: int, proxy: Any) -> None:
        self._pybridge_proxy = proxy
        self._pybridge_items: list[Any] = []
        self._pybridge_seen = 0
        self._pybridge_ahead = 2
        self._pybridge_entered = 0

    def __iter__(self) -> ListIterator:
        return self

    @hidden
    def __next__(self) -> Any:
        seen = self._pybridge_seen
        if shared.entered != self._pybridge_entered:
            if self._pybridge_items:
                self._pybridge_agree()
                self._pybridge_ahead = 1
            frame = frame_get()
            word = lib.pb_next(frame.mem, self._pybridge_proxy._pybridge_handle)
            if word == STOP:
                frames.append(frame)
                raise StopIteration
            x = take(frame, word)
            self._pybridge_entered = shared.entered
            return x
        if seen >= len(self._pybridge_items):
            self._pybridge_fetch()
            seen = 0
        self._pybridge_seen = seen + 1
        return self._pybridge_items[seen]

    @hidden
    def _pybridge_fetch(self) -> None:
        seen, ahead = self._pybridge_seen, min(2 * self._pybridge_ahead, _MOST)
        self._pybridge_items = []
        self._pybridge_seen = 0
        self._pybridge_ahead = ahead
        frame = frame_get()
        mem = frame.mem
        handle = self._pybridge_proxy._pybridge_handle
        word = lib.pb_fetch(mem, handle, seen, ahead)
        self._pybridge_entered = frame.ints[1]
        if word == STOP:
            frames.append(frame)
            raise StopIteration
        tag = word & 255
        if tag == FLOATS or tag == INTS:
            pointer = _DOUBLES if tag == FLOATS else _INTEGERS
            numbers = ffi.unpack(ffi.cast(pointer, frame.base + _CELL), word >> 8)
            frames.append(frame)
            self._pybridge_items = numbers
            return
        if tag != _TUPLE:
            take(frame, word)
        ints = mem.cells
        doubles = ffi.cast("double *", ints)
        fetched = []
        at = 1
        try:
            for _ in range(word >> 8):
                x, at = get(frame, ints, doubles, at)
                fetched.append(x)
        except BaseException:
            end(frame, failed=True)
            raise
        end(frame)
        self._pybridge_items = fetched

    def _pybridge_agree(self) -> Any:
        """Move the guest's iterator to where this one is, and give its proxy."""
        seen, self._pybridge_seen = self._pybridge_seen, 0
        self._pybridge_items = []
        if seen:
            frame = frame_get()
            word = lib.pb_fetch(frame.mem, self._pybridge_proxy._pybridge_handle, seen, 0)
            if word != STOP:
                take(frame, word)
            else:
                frames.append(frame)
        return self._pybridge_proxy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pybridge_agree(), name)

    def __length_hint__(self) -> int:
        return self._pybridge_agree().__length_hint__()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return repr(self._pybridge_proxy)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._pybridge_agree().__reduce_ex__(protocol)


def _put_iterator(frame: Frame, at: int, x: ListIterator) -> int:
    return put(frame, at, x._pybridge_agree())


makers[LIST_ITERATOR] = ListIterator
encoders[ListIterator] = _put_iterator
