# SPDX-License-Identifier: MIT
"""Methods of guest classes that never change, called in one crossing.

`l.append(x)` reads an attribute, then calls what it read: two crossings.  For an object without
a dict, of a class that nobody can change (numpy.ndarray, list, deque: most classes written in
C), what the attribute is is known beforehand.  For those `__getattr__` gives a bound method of
the host, which calls the guest's method by name in one crossing; in a trace nothing else is
left of it.  Passed to the guest it is the guest's own bound method.

Likewise for a name under which such a class has nothing, and never will:
`hasattr(a, "columns")` is answered here.

One dict for each mirror class, not inherited: a class below may have something
else under the name.
"""

from __future__ import annotations

from types import MethodType

from pybridge import _guest
from pybridge._core import lib
from pybridge._frame import frame_get
from pybridge._host import hidden, module_dict, promote
from pybridge._identity import kept
from pybridge._names import interned, put_arguments
from pybridge._proxy import Proxy
from pybridge._put import put
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_NONE: Any = object()


@hidden
def get_attribute(self: Any, name: str) -> Any:
    """`__getattr__` of proxies of such classes, and of those below."""
    methods = promote(type(self))._pybridge_methods
    if methods is not None:
        try:
            method = methods[name]
        except KeyError:
            method = _look_up(self, methods, name)
        if type(method) is str:
            if self._pybridge_handle:
                raise _missing(self, name, method)
        elif method is not _NONE:
            return MethodType(method, self)
    return Proxy.__getattr__(self, name)


def _look_up(self: Any, methods: Any, name: str) -> Any:
    found = _guest.call("method_of", self, name)
    method = _NONE
    if type(found) is str:
        method = found
    elif found is not None:
        method, quick = _method(name, *found), _quick.get((type(self), name))
        if quick is not None:
            method = _shortened(method, name, quick)
    methods[str(name)] = method
    return method


@hidden
def _missing(x: Any, name: str, text: str) -> AttributeError:
    error: Any = AttributeError(text)
    error.name, error.obj = name, x  # as from Python 3.10 on
    return error  # type: ignore[no-any-return]


def _method(name: str, guest: Any, doc: Any) -> Any:
    handle = interned(name)

    @hidden
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        frame = frame_get()
        n = len(args)
        names = 0
        if kwargs or n > 2:
            n, names = put_arguments(frame, args, kwargs)
        elif n == 1:
            put(frame, 0, args[0])
        elif n == 2:
            put(frame, put(frame, 0, args[0]), args[1])
        word = lib.pb_call_method(frame.mem, self._pybridge_handle, handle, n, names)
        if not self._pybridge_identity:
            kept(self)
        return take(frame, word)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc if type(doc) is str else None
    method.__wrapped__ = guest  # type: ignore[attr-defined]
    return method


_quick: dict[tuple[type, str], Any] = {}


def shorten(cls: Any, name: str, quick: Any) -> Any:
    """Have `quick(self)` asked first when the method is called without arguments, for objects
    of the mirror class; it gives None for what it does not know.  Gives what undoes this."""

    def undo() -> None:
        _quick.pop((cls, name), None)
        _forget(cls, name)

    _quick[cls, name] = quick
    _forget(cls, name)
    return undo


def _forget(cls: Any, name: str) -> None:
    methods = type.__getattribute__(cls, "_pybridge_methods")
    if methods is not None:
        methods.pop(name, None)


def _shortened(ordinary: Any, name: str, quick: Any) -> Any:
    @hidden
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            result = quick(self)
            if result is not None:
                return result
        return ordinary(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = ordinary.__doc__
    method.__wrapped__ = ordinary.__wrapped__  # type: ignore[attr-defined]
    return method


def new() -> Any:
    """The dict of a mirror class."""
    return module_dict()


def guest_method(x: Any) -> Any:
    """The guest's bound method for one that `get_attribute` gave, else None."""
    function = x.__func__
    if getattr(function, "__code__", None) not in _METHOD_CODES:
        return None
    return _guest.get_attribute(x.__self__, function.__name__)


_METHOD_CODES = [
    next(c for c in maker.__code__.co_consts if getattr(c, "co_name", "") == "method")
    for maker in (_method, _shortened)
]
