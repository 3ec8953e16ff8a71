# SPDX-License-Identifier: MIT
"""Host objects that the guest holds.

Each has a number, under which this table keeps it alive.  The guest's object for it
(csrc/hostobj.c) carries the number; when the guest drops that object the core lists the
number, and the next sweep here forgets the host object and uses the number again.  Passing
the same host object again while the guest still has it gives the same guest object.

When the guest's object is only referred to weakly (csrc/hosttable.c), a registry of the guest
such as matplotlib's keeps a bound method by weak references, and it must find the object as
long as that lives on the host, and no longer.  So the core keeps the guest's object, and the
table holds the host's by a `Weak` reference; a sweep finds out when it changes again.  What
remains: guest code that makes a strong reference of a weak one, and does not use it before the
host drops the object, holds an object whose every use raises ReferenceError.

Threads: `_lock` is held from finding a number to having a guest reference for it, and while
dropped numbers are forgotten, so that no other thread forgets a number in between; what the
same thread does in between, in a sweep or a finalizer, the core notices.  The guest GIL is
taken under the lock; that cannot deadlock, because host code that the guest calls runs without
the guest GIL, and who keeps it lets go of it to wait for the lock (`_locks`).  A number that
comes from the guest comes with a reference to the guest's object, so it cannot be forgotten
before it is looked up.
"""

from __future__ import annotations

import _thread
from _weakref import ref as _ref

from pybridge import _release
from pybridge._core import ffi, lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import adopt_alone, adopt_nothing
from pybridge._locks import locked
from pybridge._places import Places
from pybridge._put import put
from pybridge._take import late, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_lock = _thread.RLock()
objects: list[Any] = []  # by number; None where the number is free, a Weak where it is kept
companions: dict[int, Any] = {}  # by number: what an upper layer keeps with an object
_free: list[int] = []
_places = Places(objects)
numbers: dict[int, int] = {}  # id of a held object -> number
_kept: set[int] = set()  # numbers of which only the core's table holds the guest's object
_ended: list[Any] = []  # Weak references whose objects have died
_TAKE = 64
_MANY = 32
PLAIN: int = lib.PB_HOST_PLAIN
FUNCTION: int = lib.PB_HOST_FUNCTION
MEMORY: int = lib.PB_HOST_MEMORY
_CLASS_GONE = lib.PB_STOP | 1 << 8


class Weak(_ref):  # type: ignore[type-arg]
    """In the place of a host object to whose guest object only weak references are left."""

    __slots__ = ("key", "number")
    key: int
    number: int


def number_of(x: Any) -> int:
    """The number under which `x` is in the table, or -1."""
    number = numbers.get(id(x), -1)
    if number >= 0:
        held = objects[number]
        if held is x or (type(held) is Weak and held() is x):
            return number
    return -1


def guest_object(x: Any, kind: int) -> tuple[Any, bool]:
    """A proxy for the guest's object that stands for host object `x`; was it made now?

    `kind`: PLAIN, FUNCTION, MEMORY, or the number of its class, whose guest class the guest's
    object is to have.  (None, False) when that class has gone.
    """
    if _release.shared.dropped > _MANY:
        forget_dropped()
    with locked(_lock):
        number = number_of(x)
        # A sweep on this very thread (frame_get may need one, a finalizer may come between)
        # forgets numbers, and the core says so; Ctrl-C there may leave an entry behind.  So
        # a number is believed only while its object is there.
        if number >= 0:
            frame = frame_get()
            word = lib.pb_host_new(frame.mem, number, kind, 0)
            if word == lib.PB_STOP:
                frames.append(frame)
            elif word == _CLASS_GONE:
                frames.append(frame)
                return None, False
            elif word & 255 != lib.PB_OBJECT:
                return take(frame, word), False
            else:
                proxy = adopt_alone(frame.ints[1])
                frames.append(frame)
                if number_of(x) == number:
                    objects[number] = x  # no longer only weakly, if it was
                    return proxy, word >> 8 != 0
        return _enter(x, kind)


def _enter(x: Any, kind: int) -> tuple[Any, bool]:
    """Give `x` a number of its own.  With the lock."""
    frame = frame_get()
    number = _unused()
    objects[number] = x
    numbers[id(x)] = number
    word = lib.pb_host_new(frame.mem, number, kind, 1)
    if word & 255 != lib.PB_OBJECT:
        objects[number] = None
        if numbers.get(id(x)) == number:
            del numbers[id(x)]
        _free.append(number)
        if word == _CLASS_GONE:
            frames.append(frame)
            return None, False
        return take(frame, word), False
    proxy = adopt_alone(frame.ints[1])
    frames.append(frame)
    return proxy, word >> 8 != 0


def _unused() -> int:
    """A number that nobody has.  In one step, see `_places`."""
    try:
        return _free.pop()
    except IndexError:
        return _places.new()


def live(x: Any) -> Any:
    """A proxy for the guest's object that stands for `x` now, or None.  For containers, which
    the core makes with their items."""
    with locked(_lock):
        number = number_of(x)
        if number < 0:
            return None
        frame = frame_get()
        word = lib.pb_host_live(frame.mem, number)
        if word != lib.PB_OBJECT:
            return take(frame, word)
        proxy = adopt_alone(frame.ints[1])
        frames.append(frame)
        return proxy


def number_new(x: Any) -> int:
    """A number for a container that the guest keeps; the core is told by the caller."""
    if _release.shared.dropped > _MANY:
        forget_dropped()
    with locked(_lock):
        number = _unused()
        objects[number] = x
        numbers[id(x)] = number
        return number


def forget_dropped() -> None:
    """Forget the host objects that the guest has dropped."""
    if _release.shared.dropped == 0 and not _ended and not _kept:
        return
    forgotten = []  # their own destructors run after the lock is given back
    dropped = ffi.new("int64_t[]", _TAKE)
    with locked(_lock):
        while True:
            n = lib.pb_dropped_take(dropped, _TAKE)
            for i in range(n):
                number = dropped[i]
                if number < 0:
                    _kept.add(-1 - number)
                else:
                    forgotten.append(companions.pop(number, None))
                    forgotten.append(_forget(number))
            if n < _TAKE:
                break
        unkept = _look_at_kept(forgotten) if _kept else []
        while _ended:
            weak = _ended.pop()
            if objects[weak.number] is weak:
                _kept.discard(weak.number)
                unkept.append((weak.number, 1))
    for number, ended in unkept:  # without the lock: code of the guest may run
        lib.pb_kept_drop(number, ended)


def _forget(number: int) -> Any:
    x = objects[number]
    objects[number] = None
    key = x.key if type(x) is Weak else id(x)
    if numbers.get(key) == number:
        del numbers[key]
    _kept.discard(number)
    _free.append(number)
    return x


def _look_at_kept(forgotten: list[Any]) -> list[tuple[int, int]]:
    """Hold the objects weakly that only weak references of the guest lead to; give the
    numbers that the core is to keep no longer.  With the lock."""
    kept = list(_kept)
    states = ffi.new("int64_t[]", kept)
    unkept: list[tuple[int, int]] = []
    if lib.pb_kept_look(states, len(kept)) != 0:
        return unkept
    for i, number in enumerate(kept):
        x = objects[number]
        if states[i] == 1:
            if type(x) is not Weak:
                forgotten.append(x)
                _weaken(number, x)
            continue
        alive = x() if type(x) is Weak else x
        if alive is not None:
            objects[number] = alive
            _kept.discard(number)
            unkept.append((number, 0))
        # else it is too late to hold it: `_ended` will tell
    return unkept


def _weaken(number: int, x: Any) -> None:
    try:
        weak = Weak(x, _ended.append)
    except TypeError:  # of a type without weak references: held until the guest's are gone
        return
    weak.number = number
    weak.key = id(x)
    objects[number] = weak


def put_object(frame: Frame, at: int, proxy: Any) -> int:
    """Write a guest object made for this crossing only, and keep it until that is over."""
    if frame.keep is None:
        frame.keep = [proxy]
    else:
        frame.keep.append(proxy)
    return put(frame, at, proxy)


def held() -> int:
    """How many host objects the guest holds."""
    return len(numbers)


def host_object(number: int, handle: int) -> Any:
    """The object behind a guest object that has crossed.  Its reference, if it came with one,
    is released later."""
    x = objects[number]
    if type(x) is Weak:
        x = _revived(number, x)
    if handle:
        adopt_nothing(handle)
    return x


def _revived(number: int, weak: Weak) -> Any:
    """A kept object that is used: held until the next sweep looks at it again."""
    x = weak()
    if x is None:
        raise ReferenceError(
            "the host object that a guest object stood for has died: only weak references of "
            "the guest led to it"
        )
    with locked(_lock):
        if objects[number] is weak:
            objects[number] = x
    return x


late.host_object = host_object
_release.on_sweep(forget_dropped)
