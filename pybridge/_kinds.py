# SPDX-License-Identifier: MIT
"""Numbers of guest classes, and what stands on the host for each.

The core tags an object that crosses with the number of its class (csrc/kind.c).  Two lists go
by it: `instances`, the class of the proxies, and `objects`, what the class itself is on the
host: often the same, but `int` for the guest's int, and for an exception class one whose
objects can be raised.  Classes that may die (those that no module has) are watched by weak
references, in `mortal`; the lists have them only from their last use to the next full sweep
(`let_go`).  When one dies its number is used again.

Threads: lists grow under `lock`, which is held from asking whether a type has a number to
giving it one; the guest GIL is taken under it, so it is awaited without (`_locks`).
"""

from __future__ import annotations

import _thread
from _weakref import ref as _ref

from pybridge._core import lib
from pybridge._places import Places

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

UNCLASSIFIED = 0
LIST_ITERATOR: int = lib.PB_LIST_ITERATOR

lock = _thread.RLock()
instances: list[Any] = [None, None]  # number -> class of proxies; None: see `mortal`
objects: list[Any] = [None, None]  # number -> what the class itself is
_places = Places(instances, objects)
mortal: dict[int, Any] = {}  # number -> weak reference to what would be in both lists
# Host class that is no mirror class -> the bare proxy of the guest class that it stands for
guest_classes: dict[Any, Any] = {}
# Not used at once: another thread may be between an answer of the core's that has the number
# and making the proxy.
_free: list[int] = []
_RESTING = 64
_dead: list[int] = []


def number_new() -> int:
    """A number that no class has.  With the lock."""
    while _dead:
        number = _dead.pop()
        mortal.pop(number, None)
        lib.pb_kind_forget(number)
        _free.append(number)
    if len(_free) > _RESTING:
        return _free.pop(0)
    return _places.new()


def enter(number: int, instance: Any, obj: Any) -> None:
    """From now on objects of the class become `instance`s, the class itself is `obj`."""
    instances[number] = instance
    objects[number] = obj


def enter_mortal(number: int, cls: type) -> None:
    """Likewise for a class that both are, and that may die."""
    mortal[number] = _ref(cls, lambda reference: _dead.append(number))
    instances[number] = objects[number] = cls


def alive(number: int) -> Any:
    """The class of a number that has none in the lists, or None if it has died."""
    reference = mortal.get(number)
    return None if reference is None else reference()


def used(number: int) -> Any:
    """Likewise; what is used again is likely to be used soon: the lists have it from now on."""
    cls = alive(number)
    if cls is not None:
        instances[number] = objects[number] = cls
    return cls


def let_go() -> None:
    """Before a full sweep: classes that nobody else holds may die at the next collection."""
    for number in list(mortal):
        instances[number] = objects[number] = None
