# SPDX-License-Identifier: MIT
"""Handles on the host side: one owned reference to a guest object.

`Handle` is the base of every proxy class.  Its two slots have names that no guest class
uses, because a guest's own attribute must win over the bridge's.

`adopt` turns the reference that a crossing left in a frame into a proxy: it stores the
address in the frame's chunk, from which a sweep releases it when the proxies of that chunk
are dead.  An adopted object that owns much memory gets a chunk for itself.
"""

from __future__ import annotations

import _thread
from _weakref import ref

from pybridge import _kinds, _release
from pybridge._core import ffi, lib
from pybridge._errors import ClosedHandle
from pybridge._frame import Failed, Frame
from pybridge._host import hidden, promote, signals_off, signals_on
from pybridge._identity import enter, find
from pybridge._kinds import instances
from pybridge._locks import locked

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_LAST = _release.CHUNK - 1
SHARED = 1 << (lib.PB_SHARED_SHIFT - 8)
_PART = 1 << (lib.PB_PART_SHIFT - 8)


class Handle:
    """Base of proxies: `_pybridge_handle` is the guest address, 0 when released;
    `_pybridge_chunk` keeps the chunk alive in which the address stands;
    `_pybridge_identity`: it need not be entered in `_identity`; `_pybridge_new` makes one.

    No __slots__: a class with slots could not be a base of one that is also a host float or
    tuple.  On PyPy an instance's dict costs what slots cost.
    """

    _pybridge_handle: int
    _pybridge_chunk: _release.Chunk
    _pybridge_identity: bool = False
    _pybridge_new = staticmethod(object.__new__)
    locals().pop("__annotations__", None)  # read from a proxy, they are the guest's


_of_class = type.__getattribute__  # mirror classes override it
_set = object.__setattr__  # proxy classes override it
_get = object.__getattribute__

makers: dict[int, Any] = {}  # number of a class -> function(handle, proxy), by upper layers
_scopes: list[Any] = []


def adopt(frame: Frame, handle: int, number: int = _kinds.UNCLASSIFIED) -> Any:
    """The proxy for `handle` (new), which a crossing left in `frame`, of class `number`; above
    it SHARED, if somebody else has the object too."""
    if number >= SHARED:
        return _adopt_shared(frame, handle, number - SHARED)
    used = frame.used
    _cast(_INTS, frame.words)[used] = handle
    chunk = frame.chunk
    if used == _LAST:
        frame.renew()
    else:
        frame.used = used + 1
    cls = promote(instances[number])
    if cls is None:
        return _adopt_other(frame, handle, chunk, number)
    return _proxy(cls, handle, chunk)


@hidden
def _adopt_shared(frame: Frame, handle: int, number: int) -> Any:
    cls = instances[number]
    if cls is None:
        if number in makers:
            return adopt(frame, handle, number)  # what they make is theirs
        cls = _kinds.used(number)
    known = find(handle, cls)
    if known is None:
        return _entered(adopt(frame, handle, number), handle)
    return _met_again(known, handle)


def _entered(proxy: Any, handle: int) -> Any:
    """A new proxy of an object that somebody else has too; another one if there is one now."""
    if (
        isinstance(proxy, Handle)
        and not proxy._pybridge_identity
        and proxy._pybridge_handle == handle
    ):
        return enter(proxy, handle)
    return proxy


def _met_again(proxy: Any, handle: int) -> Any:
    """`proxy`, for another reference to its object (new)."""
    if lib.pb_release_second(handle) != 0:  # no stack left, say
        adopt_nothing(handle)
    if _scopes:
        _scope_share(proxy)
    return proxy


def _adopt_other(frame: Frame | None, handle: int, chunk: _release.Chunk, number: int) -> Any:
    """Of a class that may die, or whose objects are no proxies."""
    maker = makers.get(number)
    cls = _kinds.used(number) if maker is None else instances[_kinds.UNCLASSIFIED]
    proxy = _proxy(cls or instances[_kinds.UNCLASSIFIED], handle, chunk)
    try:
        if maker is not None:
            return maker(handle, proxy)
        return reclassify[0](proxy) if cls is None else proxy
    except BaseException as error:
        if frame is None:
            raise
        frame.keep = [Failed(error)]  # until all cells have been read
        return None


reclassify: list[Any] = [None]  # function(proxy) -> the object, set by _values


def adopt_as(other: Any, proxy: Any) -> Any:
    """The same handle in a new object of another class; `proxy` is not used any more."""
    _set(other, "_pybridge_handle", proxy._pybridge_handle)
    _set(other, "_pybridge_chunk", proxy._pybridge_chunk)
    if _scopes:
        scope_leave(proxy)
        _scope_note(other)
    return other


def adopt_late(frame: Frame, handle: int, x: Any) -> int:
    """`handle` (new), which a crossing left in `frame`, becomes that of `x`, which had none;
    if another thread was first, it keeps that one's.  Gives the handle of `x`.

    No scope notes it: `x` may be older than the scope."""
    used = frame.used
    _cast(_INTS, frame.words)[used] = handle
    chunk = frame.chunk
    if used == _LAST:
        frame.renew()
    else:
        frame.used = used + 1
    with locked(_release_lock):
        try:
            _get(x, "_pybridge_chunk")
        except AttributeError:
            _set(x, "_pybridge_chunk", chunk)
            _set(x, "_pybridge_handle", handle)
            return handle
    return x._pybridge_handle  # type: ignore[no-any-return]


def adopt_from(x: Any, proxy: Any, name: str) -> int:
    """The handle of `proxy` becomes that of `x` too, which had none; as `adopt_late`.  The
    attribute `name` becomes None: from now on `x` is like any proxy."""
    scope_leave(proxy)
    with locked(_release_lock):
        try:
            _get(x, "_pybridge_chunk")
        except AttributeError:
            _set(x, "_pybridge_chunk", proxy._pybridge_chunk)
            _set(x, "_pybridge_handle", proxy._pybridge_handle)
            _set(x, name, None)
    return x._pybridge_handle  # type: ignore[no-any-return]


def adopt_nothing(handle: int) -> None:
    """Release `handle` at the next sweep: no proxy is wanted."""
    ffi.cast("int64_t *", _release.chunk_new().address)[0] = handle


def adopt_alone(handle: int, number: int = _kinds.UNCLASSIFIED) -> Any:
    """As `adopt` with a chunk of its own, for what must not wait for its neighbours: a guest
    object that holds a host object, which may hold, through a closure or a traceback, any
    proxy, so also one of those neighbours."""
    return _adopt_in(None, _release.chunk_new(), 0, handle, number)


def _adopt_in(
    frame: Frame | None, chunk: _release.Chunk, at: int, handle: int, number: int
) -> Any:
    """In word `at` of `chunk`."""
    _cast(_INTS, chunk.address)[at] = handle
    cls = promote(instances[number])
    if cls is None:
        return _adopt_other(frame, handle, chunk, number)
    return _proxy(cls, handle, chunk)


def adopt_heavy(frame: Frame, handle: int, number: int) -> Any:
    """Likewise for an object that owns much memory, or is PART of an array that does; it may be
    SHARED, as in `adopt`."""
    if number >= SHARED:
        number -= SHARED
        plain = number & (_PART - 1)
        if plain in makers:
            return adopt_heavy(frame, handle, number)
        known = find(handle, instances[plain] or _kinds.used(plain))
        if known is not None:
            return _met_again(known, handle)
        return _entered(adopt_heavy(frame, handle, number), handle)
    try:
        _release.heavy_step()  # before there is a proxy: what is alive then becomes old
    except BaseException:  # Ctrl-C
        adopt_nothing(handle)
        raise
    if number >= _PART:
        return _adopt_part(frame, handle, number - _PART)
    return _adopt_in(frame, _release.chunk_new(_release.young_heavy), 0, handle, number)


def _adopt_part(frame: Frame, handle: int, number: int) -> Any:
    """A part of an array waits for other parts of the same one, not more than a chunk of them:
    they all keep the same memory."""
    owner = _cast(_INTS, handle)[lib.PB_PART_BASE]
    chunk = frame.part_chunk() if frame.part_of == owner else None
    if chunk is None or frame.parts > _LAST:
        chunk = _release.chunk_new(_release.young_heavy)
        frame.part_of, frame.part_chunk, frame.parts = owner, ref(chunk), 0
    at, frame.parts = frame.parts, frame.parts + 1
    return _adopt_in(frame, chunk, at, handle, number)


def _proxy(cls: type, handle: int, chunk: _release.Chunk) -> Any:
    proxy: Any = _of_class(cls, "_pybridge_new")(cls)
    _set(proxy, "_pybridge_handle", handle)
    _set(proxy, "_pybridge_chunk", chunk)
    if _scopes:
        _scope_note(proxy)
    return proxy


_release_lock = _thread.RLock()  # a finalizer may come between and release something too
_settled: list[Any] = [None, _release.CHUNK]  # a chunk of proxies kept for ever, words used


def settle(proxy: Any) -> Any:
    """Move a proxy that is kept for ever to a chunk of such: it keeps no neighbours alive."""
    handle = proxy._pybridge_handle
    scope_leave(proxy)
    fresh = None
    while True:
        signals = signals_off()  # else Ctrl-C leaves a handle in two chunks
        try:
            with locked(_release_lock):
                if _settled[1] == _release.CHUNK and fresh is not None:
                    _settled[:] = fresh, 0
                chunk, used = _settled
                if used < _release.CHUNK:
                    _settled[1] = used + 1
                    _cast(_INTS, chunk.address)[used] = handle
                    _clear_word(proxy._pybridge_chunk.address, handle)
                    _set(proxy, "_pybridge_chunk", chunk)
                    return proxy
        finally:
            signals_on(signals)
        fresh = _release.chunk_new()  # without the lock: guest destructors may run


def isolate(proxy: Any) -> Any:
    """Move a proxy to a chunk of its own: it keeps no neighbours alive, and waits for none."""
    handle = proxy._pybridge_handle
    scope_leave(proxy)
    chunk = _release.chunk_new()
    signals = signals_off()
    try:
        with locked(_release_lock):
            _cast(_INTS, chunk.address)[0] = handle
            _clear_word(proxy._pybridge_chunk.address, handle)
            _set(proxy, "_pybridge_chunk", chunk)
    finally:
        signals_on(signals)
    return proxy


def _clear_word(address: int, handle: int) -> None:
    words = _cast(_INTS, address)
    for i in range(_release.CHUNK):
        if words[i] == handle:  # a second equal word belongs to another proxy
            words[i] = 0
            break


def release(proxy: Any) -> None:
    """Release the guest object behind `proxy` now instead of when the proxy dies.

    The proxy can be used no more, by whatever name the program has it: ClosedHandle.
    Releasing twice is silent; other objects than proxies are ignored.  References in the guest
    keep the guest object alive, and it gets a new proxy when it crosses again.  Any thread,
    but no other thread may be using the very same proxy at that moment.  Runs the guest's
    destructor if this was the last reference.
    """
    if not isinstance(proxy, Handle):
        return
    with locked(_release_lock):
        handle = proxy._pybridge_handle
        if handle == 0:
            return
        _set(proxy, "_pybridge_handle", 0)
        _clear_word(proxy._pybridge_chunk.address, handle)
    if handle in remembering:
        remembering.pop(handle)()
    lib.pb_release_handle(handle)


# handle -> what forgets the proxy of it, if that is released: of proxies that upper layers give
# again without a crossing.  A handle that is another object's by now is forgotten in vain.
remembering: dict[int, Callable[[], None]] = {}


class scope:
    """A context manager that releases, on leaving, the proxies made inside it.

    Only those that this thread made.  `s.keep(x)` takes a proxy out and returns it.  Scopes
    nest; the inner one takes what is made inside it.  Using a released proxy raises
    ClosedHandle.
    """

    def __init__(self) -> None:
        self._proxies: list[Any] = []
        self._thread = 0

    def __enter__(self) -> scope:
        self._thread = _thread.get_ident()
        _scopes.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.remove(self)
        proxies, self._proxies = self._proxies, []
        for proxy in reversed(proxies):
            release(proxy)

    def keep(self, proxy: Any) -> Any:
        """Take `proxy` out of the scope: it lives as long as it is used."""
        self._proxies = [p for p in self._proxies if p is not proxy]
        return proxy


def _scope_note(proxy: Any) -> None:
    me = _thread.get_ident()
    for s in reversed(_scopes):
        if s._thread == me:
            s._proxies.append(proxy)
            break


def scope_leave(proxy: Any) -> None:
    """No scope releases `proxy`: the bridge keeps it, or its handle is another object's."""
    for s in reversed(_scopes):
        proxies = s._proxies
        if proxies and proxies[-1] is proxy:  # just made
            proxies.pop()
            return
    for s in _scopes:
        s.keep(proxy)


def _scope_share(proxy: Any) -> None:
    # This thread has it now: no other thread's scope may release it.
    me = _thread.get_ident()
    for s in _scopes:
        if s._thread != me:
            s.keep(proxy)


def closed(handle: Any) -> ClosedHandle:
    """The error for a proxy that was released."""
    return ClosedHandle(
        "this proxy was released (by pybridge.release, or because its pybridge.scope "
        "ended): its guest object is gone; use scope.keep(x) for what must outlive the scope"
    )
