# SPDX-License-Identifier: MIT
"""scipy.integrate.quad of a host function: the host's half of csrc/quadpack.c and points.c.

Nothing is done until a function of the program crosses while scipy's integrators are loaded;
then functions of the bridge take their places in scipy's `_quadpack`, if that is as known.  Of
each of the entry points the host's code is made at its first use, as those of hot functions
(`_callback`), and what they give and raise goes the same way.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._callback import ENTRY_FILE, entry_failed, entry_makers, hot_answer, hot_raised
from pybridge._core import ffi, lib
from pybridge._errors import BridgeError
from pybridge._frame import frame_get, frame_of_callback
from pybridge._host import hidden, module_dict
from pybridge._table import Weak, host_object, objects
from pybridge._take import check_read, get, late, take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

# ORDER POINTS: csrc/points.c.  By how many further arguments there are: the entries' letter,
# how many, their names.  The last: any number.
_KINDS = (("a", 4, ""), ("b", 2, "a,"), ("c", 2, "a, b"), ("n", 2, "*more"))
_KIND = 16
_EXACT = 1 << 53  # up to here an int is a float

# Floats are most of the values; of numpy's float64 the double is taken as it is.
_ENTRY = """
def entry(address, number):
    points = cast(POINTS, address)
    try:
        function = objects[number]
        if type(function) is Weak:
            function = host_object(number, 0)
        {read}
        x = points.x
        y = points.y
        i = points.first
        n = points.count
        float64 = late.float_class
        while i < n:
            result = function(x[i]{passed})
            kind = type(result)
            if kind is float:
                y[i] = result
            elif kind is int and -EXACT <= result <= EXACT:
                y[i] = float(result)
            elif kind is float64:
                y[i] = plain(result)
            elif result is True or result is False:
                y[i] = 1.0 if result else 0.0
            else:
                points.first = i
                return answer(points.frame, result)
            i += 1
        return FLOAT
    except BaseException as error:
        return raised(points.frame, error)
"""


def _entry(kind: int, i: int) -> None:
    """Make entry point `i` of a kind, with code of its own, and so a trace."""
    letter, many, names = _KINDS[kind - _KIND]
    space: Any = module_dict()
    space.update(
        __name__=__name__,  # its frames are the bridge's: _frames
        objects=objects,
        Weak=Weak,
        host_object=host_object,
        cast=ffi.cast,
        POINTS=ffi.typeof("pb_points *"),
        EXACT=_EXACT,
        FLOAT=lib.PB_FLOAT,
        late=late,
        plain=float.__float__,
        further=_further,
        answer=_answer,
        raised=_raised,
    )
    source = _ENTRY.format(
        read=f"{names.lstrip('*')} = further(points)" if names else "pass",
        passed=f", {names.rstrip(',')}" if names else "",
    )
    exec(compile(source, ENTRY_FILE, "exec"), space)
    name = f"pb_points_{letter}{i % many}"
    ffi.def_extern(name=name, error=-1, onerror=entry_failed)(hidden(space["entry"]))


@hidden
def _further(points: Any) -> tuple[Any, ...]:
    """The function's further arguments, which the core wrote."""
    frame = frame_of_callback(points.frame)
    if frame.keep is not None:
        frame.reset()
    ints = points.frame.cells
    doubles = ffi.cast("double *", ints)
    at = 0
    more = []
    for _ in range(points.more):
        x, at = get(frame, ints, doubles, at)
        more.append(x)
    if frame.keep is not None:
        check_read(frame)
    points.frame.given = 0
    if frame.used:  # a frame of the core's is not at hand when a sweep wants its chunk
        frame.renew()
    return tuple(more)


@hidden
def _answer(mem: Any, result: Any) -> int:
    return hot_answer(int(ffi.cast("intptr_t", mem)), result)


@hidden
def _raised(mem: Any, error: BaseException) -> int:
    if mem.given != 0:  # one of the arguments could not be read
        lib.pb_frame_ungive(mem)
    return hot_raised(int(ffi.cast("intptr_t", mem)), error)


def install() -> None:
    """Let functions of the bridge take the places of scipy's."""
    box = _guest.call("quadpack_find")
    if box is None:
        return
    frame = frame_get()
    try:
        take(frame, lib.pb_quadpack_wrap(frame.mem, box._pybridge_handle))
    except BridgeError:
        raise
    except Exception:  # scipy's, of which something is not as known
        return
    _guest.call("quadpack_use", box)


entry_makers[_KIND : _KIND + len(_KINDS)] = [_entry] * len(_KINDS)
