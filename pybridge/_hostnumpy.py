# SPDX-License-Identifier: MIT
"""Two numpys: that of a host which has its own (PyPy by cpyext), and the guest's.

    host_numpy.asarray(a), a of the guest      by `a.__array_interface__`
    guest_numpy.asarray(h), f(h), h of the host     h crosses as a guest array of its memory

Both are the same memory, and each keeps the other's array alive.  A guest array that was lent
is not resized, by `a.resize(...)`, as long as its proxy lives: the guest does not know who has
its address.  An array of the host's that crosses twice is the same guest memory, but another
array; it comes back as an array of the guest's.  Numbers, bools, bytes, text and dates cross
in this way; arrays of others are host objects in the guest, as any.

`h + a` is the host's, `a + h` the guest's.
"""

from __future__ import annotations

import sys

from pybridge import _guest
from pybridge._host import hidden
from pybridge._metatype import MirrorType, absent

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_set = object.__setattr__
_PROTOCOLS = ("__array_ufunc__", "__array_function__", "__array_wrap__")


def _interface(self: Any) -> dict[str, Any]:
    """As numpy's, a plain dict of this side."""
    from pybridge._buffer import view

    notice()
    try:
        _set(self, "_pybridge_lent", view(self))  # keeps it from being resized
    except (TypeError, ValueError, BufferError):
        pass
    data, shape, strides, typestr, descr = _guest.call("array_facts", self)
    return {
        "data": data,
        "shape": shape,
        "strides": strides,
        "typestr": typestr,
        "descr": _listed(descr),
        "version": 3,
    }


def _listed(fields: Any) -> Any:
    if isinstance(fields, str):
        return fields
    return [(name, _listed(kind), *shape) for name, kind, *shape in fields]


def notice() -> None:
    """If the host has a numpy, it is not told of the guest's ways to take part in its
    functions: they would call one another for ever."""
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if ndarray is not None and not isinstance(ndarray, MirrorType):
        absent.update(_PROTOCOLS)


def methods(ordinary: Any) -> dict[str, Any]:
    """What the mirror of numpy.ndarray gets; `ordinary` is its `__getattr__`."""

    @hidden
    def __getattr__(self: Any, name: str) -> Any:
        # __array_struct__ is a capsule of the guest's, which the host's numpy refuses.
        if name == "__array_struct__" or name in absent:
            raise AttributeError(name)
        return ordinary(self, name)

    notice()
    return {"__getattr__": __getattr__, "__array_interface__": property(_interface)}
