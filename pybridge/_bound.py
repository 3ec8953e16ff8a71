# SPDX-License-Identifier: MIT
"""Methods of guest classes written in Python, called in one crossing.

`p.m(1)` reads an attribute, then calls what it read: two crossings, and a bound method made in
between.  What `p.m` is can be known without asking if nothing has changed since it was asked
the last time, and the guest's own memory tells:

    the class        its version, which CPython changes with any change of it or its bases
    the object       has no dict of its own yet: its attributes are in the array that objects of
                     the class share the keys of, and these are as many as then

That is five memory reads.  Then `p.m` is a `method` of the host that knows object and function;
called, it calls the function.  Asked for anything else, or passed to the guest, it becomes the
guest's bound method.  All else, objects with a dict of their own, classes with a
`__getattribute__`, attributes that are no functions, is asked of the guest.

Where these words lie is tried out on a class made for it (`_layout`), in guests 3.11 to 3.13;
where that fails nothing is known beforehand.  Fixed classes need none of this: `_methods`.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._core import ffi, lib
from pybridge._frame import frame_get
from pybridge._handle import Handle
from pybridge._host import hidden, module_dict, promote
from pybridge._identity import kept
from pybridge._metatype import MirrorType
from pybridge._names import interned
from pybridge._proxy import Proxy, call_handle
from pybridge._put import lend, put
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_VERSIONS = ffi.typeof("uint32_t *")
_BYTES = ffi.typeof("uint8_t *")
_new = object.__new__
_set = object.__setattr__
_get_of_type = type.__getattribute__

_VERSION = 384  # bytes from a type to its version tag, in all versions that are served
_DICT = 24  # bytes in front of an object, to the word that says if it has a dict
_USED = 24  # bytes from keys to the number of entries
_ENTRIES = 32  # bytes from keys to their index, behind which the entries are
_MOST_CHANGES = 100  # of a class: one that changes all the time is not watched

_NONE: Any = object()


class _State:
    """A class as it was when its methods were asked for.

    `type`, `version`: its address and version; `keys`: where the word is that leads to its
    objects' shared keys, 0 if they have no attributes of their own; `used`: how many keys.
    """

    def __init__(self, type_: int, version: int, keys: int, used: int) -> None:
        self.type = type_
        self.version = version
        self.keys = keys
        self.used = used
        self.methods: dict[str, Any] = module_dict()


class _Method:
    """A function of a class: the guest's, which its handle is kept by."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        self.function = function
        self.handle: int = function._pybridge_handle


NEW = _State(0, 0, 0, 0)  # of a class that was not asked yet
_changes: dict[Any, int] = {}  # number of a class -> how often its state was made
_keys_at = -1  # bytes from a type to the word that leads to the keys; -1: not tried, 0: no
_bound_class: Any = None


@hidden
def get_attribute(self: Any, name: str) -> Any:
    """`__getattr__` of proxies of such classes."""
    # `_same_class` and `_no_dict` in one piece, for the sake of the traces' length.
    handle = self._pybridge_handle
    state = _get_of_type(promote(type(self)), "_pybridge_state")
    if state is not None and handle != 0:
        keys = state.keys
        if (
            _cast(_INTS, handle)[1] == state.type
            and _cast(_VERSIONS, state.type + _VERSION)[0] == state.version
            and (keys == 0 or _cast(_INTS, _cast(_INTS, keys)[0] + _USED)[0] == state.used)
        ):
            values = 0 if keys == 0 else _cast(_INTS, handle - _DICT)[0]
            if values == 0 or values & 1:
                try:
                    method = state.methods[name]
                except KeyError:
                    return _first(self, state, name)
                if method is not _NONE:
                    bound: Any = _new(promote(_bound_class))
                    _set(bound, "_pybridge_self", self)
                    _set(bound, "_pybridge_method", method)
                    return bound
        else:
            _renew(type(self), handle)
    return Proxy.__getattr__(self, name)


def _same_class(state: _State, handle: int) -> bool:
    return (
        _cast(_INTS, handle)[1] == state.type
        and _cast(_VERSIONS, state.type + _VERSION)[0] == state.version
        and (state.keys == 0 or _used(state.keys) == state.used)
    )


def _used(keys: int) -> int:
    return _cast(_INTS, _cast(_INTS, keys)[0] + _USED)[0]  # type: ignore[no-any-return]


def _no_dict(handle: int) -> bool:
    word = _cast(_INTS, handle - _DICT)[0]
    return bool(word == 0 or word & 1)  # 3.12 marks the array of values so


# ---- asked for the first time ----------------------------------------------------------------


def _first(self: Any, state: _State, name: str) -> Any:
    global _bound_class
    found = Proxy.__getattr__(self, name)
    function = _guest.call("function_of", self, name)
    if function is not None and not _has_key(state, name) and isinstance(found, Handle):
        if _bound_class is None:
            _bound_class = _make_class(type(found))
        state.methods[str(name)] = _Method(str(name), function)
    else:
        state.methods[str(name)] = _NONE
    return found


def _renew(cls: Any, handle: int) -> None:
    """The class is not what it was, or is new."""
    address = _cast(_INTS, handle)[1]
    if cls._pybridge_class._pybridge_handle != address:
        return  # another class's object: this one has been given another `__class__`
    changes = _changes.get(cls._pybridge_number, 0)
    _changes[cls._pybridge_number] = changes + 1
    layout = _layout()
    state = None
    if layout and changes < _MOST_CHANGES:
        own = _guest.call("watched", cls)
        # A class has no version until it is looked up in.
        version = _cast(_VERSIONS, address + _VERSION)[0]
        keys = address + layout if own else 0
        if own is not None:
            state = (
                _State(address, version, keys, _used(keys) if own else 0) if version else NEW
            )
    type.__setattr__(cls, "_pybridge_state", state)


def _has_key(state: _State, name: str) -> bool:
    """Has any object of the class had an attribute of this name?"""
    if state.keys == 0:
        return False
    keys = _cast(_INTS, state.keys)[0]
    entries = keys + _ENTRIES + (1 << _cast(_BYTES, keys)[9])
    wanted = interned(name)
    return any(_cast(_INTS, entries)[2 * i] == wanted for i in range(_used(state.keys)))


def _layout() -> int:
    """Where a type has its objects' keys, in bytes; 0 if that, or the rest, is not known."""
    global _keys_at
    if _keys_at < 0:
        _keys_at = 0
        _keys_at = _tried()
    return _keys_at


def _tried() -> int:
    """Every word that is read above, seen to change as it should."""
    cls, x, name, qualname, size = _guest.call("layout_probe", 0)
    words = _cast(_INTS, cls)
    places = [
        8 * (i + 3)
        for i in range(size // 8 - 3)
        if words[i] == name and words[i + 2] == qualname
    ]
    if len(places) != 1:
        return 0
    state = _State(cls, _cast(_VERSIONS, cls + _VERSION)[0], cls + places[0], 0)
    state.used = _used(state.keys)
    if state.version == 0 or not _same_class(state, x) or not _no_dict(x):
        return 0
    before = state.used, _has_key(state, "spam"), _has_key(state, "eggs")
    _guest.call("layout_probe", 1)  # an attribute: one key more
    after = _used(state.keys), _has_key(state, "spam"), _has_key(state, "eggs")
    if (*before, *after) != (1, True, False, 2, True, True) or not _no_dict(x):
        return 0
    state.used = 2
    _guest.call("layout_probe", 2)  # another method: another version
    if _same_class(state, x):
        return 0
    _guest.call("layout_probe", 3)  # the object's dict
    return 0 if _no_dict(x) else places[0]


# ---- bound methods ---------------------------------------------------------------------------


@hidden
def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    owner = self._pybridge_self
    handle = self._pybridge_method.handle
    n = len(args)
    if kwargs or n > 2:
        return call_handle(handle, (owner, *args), kwargs)
    frame = frame_get()
    at = lend(frame, 0, owner)
    if n == 1:
        put(frame, at, args[0])
    elif n == 2:
        put(frame, put(frame, at, args[0]), args[1])
    word = lib.pb_call(frame.mem, handle, n + 1, 0)
    if not owner._pybridge_identity:
        kept(owner)
    return take(frame, word)


def _real(self: Any) -> Any:
    """The proxy of the guest's bound method."""
    try:
        return object.__getattribute__(self, "_pybridge_real")
    except AttributeError:
        method = self._pybridge_method
        real = _guest.call_raw("bound_method", method.function, self._pybridge_self)
        _set(self, "_pybridge_real", real)
        return real


def _make_class(mirror: Any) -> Any:
    """The class of the bound methods above; `mirror`: that of the guest's."""
    space = {
        "_pybridge_handle": property(
            lambda self: _real(self)._pybridge_handle,
            lambda self, handle: _set(_real(self), "_pybridge_handle", handle),
        ),
        "_pybridge_chunk": property(
            lambda self: _real(self)._pybridge_chunk,
            lambda self, chunk: _set(_real(self), "_pybridge_chunk", chunk),
        ),
        "_pybridge_identity": True,  # they are made anew each time, as on one interpreter
        "__call__": _call,
    }
    return type.__new__(MirrorType, mirror.__name__, (mirror,), space)
