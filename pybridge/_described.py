# SPDX-License-Identifier: MIT
"""Exceptions that the core describes (csrc/raised.c): with texts or numbers as arguments,
without links, notes and attributes; and AttributeErrors, for `hasattr`.

Most exceptions are such, and many are caught at once, so all of this is what one trace holds:
class, arguments and traceback are in the frame's cells.  Of the guest's frames the core tells
the number of the code object and the instruction.  What else a traceback shows of a function
is told by the guest (`guest/exceptions.py`) the first time that an exception comes out of it,
as is everything about exceptions that are met the first time.
"""

from __future__ import annotations

from _weakref import ref
from types import TracebackType

from pybridge import _guest
from pybridge._core import lib
from pybridge._frame import Frame, frame_get, frames
from pybridge._handle import adopt, adopt_alone
from pybridge._host import hidden, promote
from pybridge._take import get, late

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

GUEST = "__pybridge_guest__"  # on a host exception: the guest's, which it stands for

_MOST = 64  # csrc/raised.c: MOST_PLAIN
_WITH_NAME = 1 << 8  # and this
_builtin: list[Any] = [None] * (_MOST + 1)  # classes by the core's number
_others: list[Any] = [None] * (_MOST + 1)  # weak references to the program's, likewise
_MOST_CODES = 2000
# By the number of a guest code object, which may have died, but whose number no other has: the
# frame that stands for it, and the lines of the instructions that were met.
_codes: dict[int, tuple[Any, dict[int, int]]] = {}
_WITH_ATTRIBUTES = (
    OSError, ImportError, SyntaxError, UnicodeError, StopIteration, SystemExit, AttributeError,
    NameError,
)  # fmt: skip
_UNKNOWN: Any = object()


def set_up() -> None:
    """Let the guest's half number code objects."""
    frame = frame_get()
    word = lib.pb_code_numberer(frame.mem)
    _guest.call("number_codes", adopt_alone(_guest.handle_in(frame, word)))


def note_place(code: int, instruction: int, frame: Any, lineno: int) -> None:
    """`frame` stands for the guest function whose code has that number; the instruction is on
    that line."""
    known = _codes.get(code)
    if known is None:
        if len(_codes) >= _MOST_CODES:
            _codes.clear()
        known = _codes[code] = frame, {}
    known[1][instruction] = lineno


def note_class(cls: Any, proxy: Any, attributes: list[str]) -> None:
    """The core may describe exceptions of this class, of which `proxy` is one that has these
    attributes."""
    if issubclass(cls, _WITH_ATTRIBUTES) if cls is not AttributeError else attributes != _NAMED:
        return
    if attributes and cls is not AttributeError:
        return
    number = lib.pb_error_plain(proxy._pybridge_handle)
    if not number:
        return
    if cls.__module__ == "builtins":
        _builtin[number] = cls
    else:
        _others[number] = ref(cls)


_NAMED = ["name", "obj"]


def _class_of(number: int) -> Any:
    cls = promote(_builtin[number])
    if cls is None:
        reference = _others[number]
        if reference is not None:
            return reference()
    return cls


@hidden
def _raise(frame: Frame, number: int) -> Any:
    """Raise the exception that the core left in `frame`, of the class of this number."""
    ints = frame.ints
    proxy = adopt(frame, ints[1])
    error = _made(frame, ints, _class_of(number))
    frames.append(frame)
    if error is None:
        try:
            return late.raise_guest(proxy)
        finally:
            del proxy  # on a CPython host its traceback would keep it
    setattr(error, GUEST, proxy)
    del proxy
    try:
        raise error
    finally:
        del error


def _made(frame: Frame, ints: Any, cls: Any) -> BaseException | None:
    """The host exception, or None if the guest must be asked."""
    if cls is None:
        return None
    doubles = frame.doubles
    n = ints[2] & 255
    args: tuple[Any, ...] = ()
    at = 2
    if n == 1:
        x, at = get(frame, ints, doubles, 2)
        args = (x,)
    elif n:
        for _ in range(n):
            x, at = get(frame, ints, doubles, at)
            args = (*args, x)
    name = obj = None
    if ints[2] & _WITH_NAME:
        name, at = get(frame, ints, doubles, at)
        obj, at = get(frame, ints, doubles, at)
        if frame.keep is not None:  # it could not be made: whoever asks the guest hears why
            frame.reset()
            return None
    traceback = _entries(ints, at, ints[3])
    if traceback is _UNKNOWN:
        return None
    error = cls(*args)
    if name is not None:
        error.name = name
    if obj is not None:
        error.obj = obj
    return error.with_traceback(traceback)  # type: ignore[no-any-return]


def _entries(ints: Any, at: int, n: int) -> Any:
    """The traceback of the `n` entries from cell `at` on.  By recursion, because PyPy compiles
    that with its caller, and a loop by itself."""
    if n == 0:
        return None
    inner = _entries(ints, at + 1, n - 1)
    known = _codes.get(ints[2 * at])
    if known is None or inner is _UNKNOWN:
        return _UNKNOWN
    lineno = known[1].get(ints[2 * at + 1])
    if lineno is None:
        return _UNKNOWN
    return TracebackType(inner, known[0], -1, lineno)


late.raise_plain = _raise
