# SPDX-License-Identifier: MIT
"""Keyword arguments of callbacks.

A call in the guest's code that has keywords has their names as one tuple, the same object
each time.  Of one that comes again the core tells the host once (csrc/sitenames.c), and gives
just the values from then on.  For each such tuple and each number of positional arguments
there is a function here that reads the values and passes them by these very names: no
dictionary is made, and PyPy compiles it with the called function.
"""

from __future__ import annotations

from pybridge._core import ffi
from pybridge._host import module_dict
from pybridge._take import check_read, get

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

MOST = 3  # positional arguments, and keywords: csrc/callback.h: SITE_MOST
_callers: list[Any] = []  # by number: the names and, by how many positional ones, functions

_FILE = "<pybridge keywords>"
_SOURCE = """
def call(function, frame, mem):
    ints = mem.cells
    doubles = cast(DOUBLES, ints)
    at = 0
{reads}
    if frame.keep is not None:
        check_read(frame)
    mem.given = 0
    return function({arguments})
"""


def note(number: int, names: tuple[str, ...]) -> None:
    """The core will tell of these names by this number."""
    while len(_callers) <= number:
        _callers.append(None)
    _callers[number] = [names, *[None] * (MOST + 1)]


def caller(number: int, nargs: int) -> Callable[[Any, Any, Any], Any]:
    """The function(function, frame, mem) for these names and `nargs` positional arguments."""
    callers = _callers[number]
    known = callers[1 + nargs]
    if known is None:
        known = callers[1 + nargs] = _made(callers[0], nargs)
    return known  # type: ignore[no-any-return]


def _made(names: tuple[str, ...], nargs: int) -> Callable[[Any, Any, Any], Any]:
    from keyword import iskeyword

    n = nargs + len(names)
    reads = [f"    x{i}, at = get(frame, ints, doubles, at)" for i in range(n)]
    arguments = [f"x{i}" for i in range(nargs)]
    for i, name in enumerate(names, nargs):
        if name.isascii() and name.isidentifier() and not iskeyword(name):
            arguments.append(f"{name}=x{i}")
        else:  # a compiler would refuse it, or change its letters
            arguments.append(f"**{{{name!r}: x{i}}}")
    space: Any = module_dict()
    space.update(cast=ffi.cast, DOUBLES=ffi.typeof("double *"), check_read=check_read, get=get)
    space["__name__"] = __name__  # a frame of the bridge: _frames
    source = _SOURCE.format(reads="\n".join(reads), arguments=", ".join(arguments))
    exec(compile(source, _FILE, "exec"), space)
    return space["call"]  # type: ignore[no-any-return]
