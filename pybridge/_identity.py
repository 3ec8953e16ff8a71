# SPDX-License-Identifier: MIT
"""Identity: one guest object has one live proxy.

`y.base is x`, `pd.NA is pd.NA`, `guest_list[0] is item`: an object that crosses again is the
proxy that it already has.  A table would cost every temporary an entry, and most objects that
cross are the host's alone.  The guest's reference count tells: of an object whose only
reference is the one that just crossed there is no proxy yet, and nobody can send it again,
unless there are weak references to it (csrc/give.c looks).  So a proxy is entered here

    when its object crosses and somebody else has it too        `_handle.adopt`
    when it is passed to the guest, which may keep it           `_put.put`
    when an operation on it, or an operator with it, left       `kept`
    more references than one

The table is a dict of weak references by address.  An address can be used again, so an entry
counts only while its proxy lives and still has its handle: then it owns a reference, and the
object at that address is the same.  Entries whose proxies died are removed when the table has
doubled, and in full sweeps.

Threads: a dict's `setdefault` is atomic.  Only replacing and removing dead entries needs
`lock`; nothing runs under it.
"""

from __future__ import annotations

import _thread
from _weakref import ref as _ref

from pybridge import _release
from pybridge._core import ffi
from pybridge._host import hidden
from pybridge._locks import locked

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_set = object.__setattr__
_set_class = object.__dict__["__class__"].__set__

lock = _thread.RLock()  # a finalizer may come between and need it too
_alive: dict[int, Any] = {}  # address -> weak reference to the proxy
_LEAST = 4096
_limit = _LEAST  # remove dead entries when there are this many


def find(handle: int, cls: Any) -> Any:
    """The proxy that the object at address `handle` has, or None; it becomes a `cls`, if its
    guest class has been changed, and `cls` is not None."""
    reference = _alive.get(handle)
    if reference is None:
        return None
    proxy = reference()
    if proxy is None or proxy._pybridge_handle != handle:
        return None
    if type(proxy) is not cls and cls is not None:
        try:
            _set_class(proxy, cls)
        except TypeError:  # of another layout
            return None
    return proxy


@hidden
def enter(proxy: Any, handle: int) -> Any:
    """From now on `proxy` is what the object at address `handle`, its own, is; or another
    proxy, which is given, if that was first."""
    _set(proxy, "_pybridge_identity", True)
    reference = _ref(proxy)
    before = _alive.setdefault(handle, reference)
    if before is not reference:
        return _replace(proxy, handle, reference)
    if len(_alive) > _limit:
        tidy()
    return proxy


def _replace(proxy: Any, handle: int, reference: Any) -> Any:
    with locked(lock):
        known = find(handle, None)
        if known is None:
            _alive[handle] = reference
            return proxy
    return known


@hidden
def kept(proxy: Any) -> None:
    """After an operation on `proxy`, which is not known: enter it if somebody else has the
    object now."""
    handle = proxy._pybridge_handle
    if handle != 0 and _cast(_INTS, handle)[0] != 1:
        enter(proxy, handle)


def tidy() -> None:
    """Remove the entries of dead proxies."""
    global _limit
    with locked(lock):
        for handle, reference in list(_alive.items()):
            if reference() is None and _alive.get(handle) is reference:
                del _alive[handle]
        _limit = max(_LEAST, 2 * len(_alive))


_release.before_sweep.append(tidy)
