# SPDX-License-Identifier: MIT
"""Calls of `numpy.array` and its like with a host list of numbers.

The list would cross as a guest list, with an object for each number, which numpy then reads one
by one.  `_bulk.block` makes the array from the numbers themselves instead.  Such calls are
recognised by the function that is called, whichever way the program came by it: each proxy of
a function in C remembers whether it is one of these, once it has been called with such a list.

Lists with anything else in them, other arguments than a dtype, and dtypes that are not those of
the numbers go to numpy as ever.  Any thread.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._host import hidden, list_strategy
from pybridge._mirrorclass import extensions
from pybridge._proxy import call_handle

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_LEAST, _LEAST_ROWS = 64, 16  # items: fewer have crossed before a second crossing begins
_set = object.__setattr__


@hidden
def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    if args and type(args[0]) is list:
        made = _made(self, args, kwargs)
        if made is not None:
            return made
    return call_handle(self._pybridge_handle, args, kwargs, self)


def _made(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the function gives for a list of numbers, or None: not known here."""
    values = args[0]
    head = values[:1]
    if not head or function._pybridge_handle == 0:
        return None
    nested = type(head[0]) is list
    if not (nested or (len(values) >= _LEAST and list_strategy(values) in _NUMBERS)):
        return None
    if function._pybridge_arrays is None:
        _set(function, "_pybridge_arrays", _guest.call("numpy_makes", function))
    if not function._pybridge_arrays or (
        nested and (function._pybridge_arrays == 1 or len(values) * len(head[0]) < _LEAST_ROWS)
    ):
        return None
    if len(args) == 1 and not kwargs:
        dtype = None
    elif len(args) == 2 and not kwargs:
        dtype = args[1]
    elif len(args) == 1 and len(kwargs) == 1 and "dtype" in kwargs:
        dtype = kwargs["dtype"]
    else:
        return None
    from pybridge import _bulk

    return _bulk.block(values, dtype)


_NUMBERS = ("FloatListStrategy", "IntOrFloatListStrategy", "IntegerListStrategy")
extensions["builtins", "builtin_function_or_method"] = {
    "__call__": _call,
    "_pybridge_arrays": None,  # not asked yet; 0: no, 1: of one dimension, 2: of any
}
