# SPDX-License-Identifier: MIT
"""Calls of numpy's ufuncs with floats: the loop itself is called, without a crossing.

    np.sqrt(2.0)    scipy.special.jv(1.0, x)

From a proxy's second such call on.  The result is what the ufunc gives, a numpy.float64.  When
the loop raised a floating-point flag or an error, the ufunc is called as ever, which warns or
raises as `numpy.errstate` says.  Any thread.
"""

from __future__ import annotations

from pybridge import _templates
from pybridge._core import lib
from pybridge._host import hidden, module_dict
from pybridge._proxy import call_handle

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_set = object.__setattr__


class Prepared:
    """A ufunc's loop of doubles: `lib.pb_loop_d{nin}(prepared.loop, ...)` gives the double, or
    a NaN of which `lib.pb_loop_due` says that the general call is due.  Valid while the ufunc
    lives."""

    __slots__ = ("loop", "nin")

    def __init__(self, loop: Any, nin: int) -> None:
        self.loop = loop
        self.nin = nin


UNUSED, USED_ONCE, NONE = Prepared(None, -1), Prepared(None, -1), Prepared(None, -1)

_TEXT = """
@hidden
def __call__(self, /, *args, **kwargs):
    if not kwargs and self._pybridge_handle:
        prepared = self._pybridge_loop
        n = len(args)
        if n == prepared.nin:
            if n == 1:
                x, = args
                if type(x) is float or type(x) is float64:
                    r = call1(prepared.loop, x)
                    if r == r or not due(r):
                        return new(float64, r)
            elif n == 2:
                x, y = args
                if (type(x) is float or type(x) is float64) and (
                    type(y) is float or type(y) is float64
                ):
                    r = call2(prepared.loop, x, y)
                    if r == r or not due(r):
                        return new(float64, r)
            elif n == 3:
                x, y, z = args
                if (
                    (type(x) is float or type(x) is float64)
                    and (type(y) is float or type(y) is float64)
                    and (type(z) is float or type(z) is float64)
                ):
                    r = call3(prepared.loop, x, y, z)
                    if r == r or not due(r):
                        return new(float64, r)
        elif prepared is UNUSED or prepared is USED_ONCE:
            count(self, prepared, args)
    return call_handle(self._pybridge_handle, args, kwargs)
"""


def methods(ufunc: Any, float64: Any) -> dict[str, Any]:
    """What the mirror of numpy.ufunc gets."""

    def count(self: Any, prepared: Prepared, args: tuple[Any, ...]) -> None:
        if type(self) is not ufunc or not all(type(x) in (float, float64) for x in args):
            return
        if prepared is UNUSED:
            _set(self, "_pybridge_loop", USED_ONCE)
        else:
            from pybridge import _native  # and views, and records: 3 ms

            _set(self, "_pybridge_loop", NONE)  # also while it is asked for
            found = _native.loop_of_doubles(self)
            if found is not None:
                _set(self, "_pybridge_loop", Prepared(*found))

    space = module_dict()  # only its look-ups fold in traces
    space.update(
        __name__=__name__,
        UNUSED=UNUSED,
        USED_ONCE=USED_ONCE,
        due=lib.pb_loop_due,
        call1=lib.pb_loop_d1,
        call2=lib.pb_loop_d2,
        call3=lib.pb_loop_d3,
        call_handle=call_handle,
        count=count,
        float64=float64,
        hidden=hidden,
        new=float.__new__,
    )
    _templates.run(_TEXT, "pybridge-ufunc.py", space)
    return {"_pybridge_loop": UNUSED, "__call__": space["__call__"]}
