# SPDX-License-Identifier: MIT
"""The frames of the host's program, as guest code sees them below its own.

The guest asks for the frame that called it (guest/frames.py) and gets a function of it, which
answers what the frame's attributes are.  Nothing is done before guest code asks.
"""

from __future__ import annotations

import sys

from pybridge import _guest

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable

    Access = Callable[..., Any]


def is_ours(frame: FrameType) -> bool:
    """Is it a frame of the bridge itself?"""
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and (
        name == "pybridge" or name.startswith(("pybridge.", "pybridge-"))
    )


def program_frame(frame: FrameType | None) -> FrameType | None:
    """The first frame of the program's, from this one outwards."""
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    return frame


def _ask(distance: int) -> Access | None:
    """What answers for the frame of the program that called the guest, or `distance` further
    out; None beyond the outermost."""
    frame = program_frame(sys._getframe())
    while frame is not None and distance > 0:
        frame = program_frame(frame.f_back)
        distance -= 1
    return None if frame is None else _access(frame)


def _access(frame: FrameType) -> Access:
    def access(what: str, name: str = "", value: Any = None) -> Any:
        action, _, which = what.rpartition(" ")
        if which == "locals" or which == "globals":
            return _look_up(getattr(frame, "f_" + which), action, name, value)
        return _ATTRIBUTES[what](frame)

    return access


def _look_up(space: Any, action: str, name: str, value: Any) -> Any:
    if action == "names":
        return tuple([key for key in space if isinstance(key, str)])
    if action == "set":
        space[name] = value
        return None
    if action == "delete":
        return space.pop(name, space) is not space
    return (space[name],) if name in space else None


def _back(frame: FrameType) -> Access | None:
    back = program_frame(frame.f_back)
    return None if back is None else _access(back)


_ATTRIBUTES: dict[str, Callable[[FrameType], Any]] = {
    "back": _back,
    "code": lambda f: (f.f_code.co_filename, f.f_code.co_name, f.f_code.co_firstlineno),
    "line": lambda f: f.f_lineno,
    "is module": lambda f: f.f_locals is f.f_globals,
    "id": id,
}


def set_up() -> None:
    """Right after the start, and in a child that the host forked."""
    _guest.call("frames.route", _ask)
