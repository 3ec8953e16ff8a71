# SPDX-License-Identifier: MIT
"""Host objects that the guest holds.

Each has a number, under which this table keeps it alive.  The guest's object for it
(csrc/hostobj.c) carries the number; when the guest drops that object the core lists the
number, and the next sweep here forgets the host object and uses the number again.  Passing
the same host object again while the guest still has it gives the same guest object.

Threads: `_lock` is held from finding a number to having a guest reference for it, and while
dropped numbers are forgotten, so that no other thread forgets a number in between; what the
same thread does in between, in a sweep or a finalizer, the core notices.  The guest GIL is
taken under the lock; that cannot deadlock, because host code that the guest calls runs without
the guest GIL.  A number that comes from the guest comes with a reference to the guest's
object, so it cannot be forgotten before it is looked up.
"""

from __future__ import annotations

import _thread

from pybridge import _release
from pybridge._convert import late, put, take
from pybridge._core import ffi, lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import adopt_alone, adopt_nothing

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_lock = _thread.RLock()
objects: list[Any] = []  # by number; None where the number is free
_free: list[int] = []
_numbers: dict[int, int] = {}  # id of a held object -> number
_TAKE = 64
_MANY = 32


def guest_object(x: Any, is_function: bool) -> tuple[Any, bool]:
    """A proxy for the guest's object that stands for host object `x`; was it made now?"""
    if _release.shared.dropped > _MANY:
        forget_dropped()
    with _lock:
        number = _numbers.get(id(x), -1)
        # A sweep on this very thread (frame_get may need one, a finalizer may come between)
        # forgets numbers, and the core says so; Ctrl-C there may leave an entry behind.  So
        # a number is believed only while its object is there.
        if number >= 0 and objects[number] is x:
            frame = frame_get()
            word = lib.pb_host_new(frame.mem, number, is_function, 0)
            if word == lib.PB_STOP:
                frames.append(frame)
            elif word & 255 != lib.PB_OBJECT:
                return take(frame, word), False
            else:
                proxy = adopt_alone(frame.ints[1])
                frames.append(frame)
                if objects[number] is x:
                    return proxy, word >> 8 != 0
        return _enter(x, is_function)


def _enter(x: Any, is_function: bool) -> tuple[Any, bool]:
    """Give `x` a number of its own.  With the lock."""
    frame = frame_get()
    if not _free:
        _free.append(len(objects))
        objects.append(None)
    number = _free.pop()
    objects[number] = x
    _numbers[id(x)] = number
    word = lib.pb_host_new(frame.mem, number, is_function, 1)
    if word & 255 != lib.PB_OBJECT:
        return take(frame, word), False
    proxy = adopt_alone(frame.ints[1])
    frames.append(frame)
    return proxy, word >> 8 != 0


def forget_dropped() -> None:
    """Forget the host objects that the guest has dropped."""
    if _release.shared.dropped == 0:
        return
    forgotten = []  # their own destructors run after the lock is given back
    numbers = ffi.new("int64_t[]", _TAKE)
    with _lock:
        while True:
            n = lib.pb_dropped_take(numbers, _TAKE)
            for i in range(n):
                x = objects[numbers[i]]
                objects[numbers[i]] = None
                if _numbers.get(id(x)) == numbers[i]:
                    del _numbers[id(x)]
                _free.append(numbers[i])
                forgotten.append(x)
            if n < _TAKE:
                break


def put_object(frame: Frame, at: int, proxy: Any) -> int:
    """Write a guest object made for this crossing only, and keep it until that is over."""
    if frame.keep is None:
        frame.keep = [proxy]
    else:
        frame.keep.append(proxy)
    return put(frame, at, proxy)


def held() -> int:
    """How many host objects the guest holds."""
    return len(_numbers)


def _host_object(number: int, handle: int) -> Any:
    x = objects[number]
    adopt_nothing(handle)
    return x


late.host_object = _host_object
_release.on_sweep(forget_dropped)
