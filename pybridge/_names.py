# SPDX-License-Identifier: MIT
"""Names: guest strings that are made once, and kept.

Attribute names and keyword names are asked for again and again.  Each becomes an interned guest
string at its first use, each combination of keyword names a guest tuple of such strings;
what is found here is the handle, which is never released.  In a trace it is a constant.
"""

from __future__ import annotations

from pybridge._core import lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._host import module_dict, utf8
from pybridge._put import put
from pybridge._tags import OBJECT
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_interned = module_dict()
_name_tuples: dict[tuple[str, ...], int] = {}


def interned(name: str) -> int:
    """The guest's interned string `name`: a handle that is never released."""
    try:
        return _interned[name]  # type: ignore[no-any-return]
    except KeyError:
        return _intern(name)


def _intern(name: str) -> int:
    frame = frame_get()
    data = utf8(name)
    word = lib.pb_intern(frame.mem, data, len(data))
    if word != OBJECT:
        take(frame, word)
    handle: int = frame.ints[1]
    frames.append(frame)
    _interned[str(name)] = handle
    return handle


def interned_names(names: tuple[str, ...]) -> int:
    """The guest's tuple of keyword names: a handle that is never released."""
    try:
        return _name_tuples[names]
    except KeyError:
        pass
    for name in names:
        if not isinstance(name, str):
            raise TypeError("keywords must be strings")
    handles = [interned(str.__str__(name)) for name in names]  # of a class of the program's
    frame = frame_get()
    frame.grow(len(handles) + 2, 0)
    for i, handle in enumerate(handles):
        frame.ints[2 * i] = OBJECT
        frame.ints[2 * i + 1] = handle
    word = lib.pb_names(frame.mem, len(handles))
    if word != OBJECT:
        take(frame, word)
    frame.reset()
    answer: int = frame.ints[1]
    frames.append(frame)
    _name_tuples[names] = answer
    return answer


class _Node:
    """Keyword names in their order: the handle of the guest's tuple, and by the next name what
    follows.  For `f(x, y=1)`: all that a trace needs of the names is constant in it."""

    __slots__ = ("handle", "more", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.handle = interned_names(names) if names else 0
        self.more = module_dict()


_root = _Node(())


def _next(node: _Node, name: Any) -> _Node:
    try:
        return node.more[name]  # type: ignore[no-any-return]
    except KeyError:
        made = node.more[name] = _Node((*node.names, name))
        return made


def put_arguments(
    frame: Frame, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[int, int]:
    """Positional and keyword arguments as cells: how many, and the names' handle or 0."""
    n, m = len(args), len(kwargs)
    if m == 0:
        _put_positional(frame, args, n)
        return n, 0
    if m == 1:
        (a,) = kwargs
        if type(a) is str:  # another key would make the table an ordinary dict
            node = _next(_root, a)
            at = _put_positional(frame, args, n)
            (x,) = kwargs.values()
            put(frame, at, x)
            return n + 1, node.handle
    elif m == 2:
        a, b = kwargs
        if type(a) is str and type(b) is str:
            node = _next(_next(_root, a), b)
            at = _put_positional(frame, args, n)
            x, y = kwargs.values()
            put(frame, put(frame, at, x), y)
            return n + 2, node.handle
    elif m == 3:
        a, b, c = kwargs
        if type(a) is str and type(b) is str and type(c) is str:
            node = _next(_next(_next(_root, a), b), c)
            at = _put_positional(frame, args, n)
            x, y, z = kwargs.values()
            put(frame, put(frame, put(frame, at, x), y), z)
            return n + 3, node.handle
    names = interned_names(tuple(kwargs))
    at = _put_positional(frame, args, n)
    for x in kwargs.values():
        at = put(frame, at, x)
    return n + m, names


def _put_positional(frame: Frame, args: tuple[Any, ...], n: int) -> int:
    """One after the other up to three: PyPy compiles a loop by itself."""
    at = 0
    if n > 3:
        for x in args:
            at = put(frame, at, x)
    elif n:
        at = put(frame, 0, args[0])
        if n > 1:
            at = put(frame, at, args[1])
            if n > 2:
                at = put(frame, at, args[2])
    return at
