# SPDX-License-Identifier: MIT
"""Names: guest strings that are made once, and kept.

Attribute names and keyword names are asked for again and again.  Each becomes an interned guest
string at its first use, each combination of keyword names a guest tuple of such strings;
what is found here is the handle, which is never released.  In a trace it is a constant.
"""

from __future__ import annotations

from pybridge._convert import OBJECT, put, take
from pybridge._core import lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._host import module_dict, utf8

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
    handles = [interned(name) for name in names]
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


def put_arguments(
    frame: Frame, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[int, int]:
    """Positional and keyword arguments as cells: how many, and the names' handle or 0."""
    names = 0
    if kwargs:
        keys = tuple(kwargs)
        names = interned_names(keys)
        args = args + tuple([kwargs[key] for key in keys])
    at = 0
    for x in args:
        at = put(frame, at, x)
    return len(args), names
