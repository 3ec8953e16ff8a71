# SPDX-License-Identifier: MIT
"""Calls of `numpy.array` and its like with a host list of numbers.

The list would cross as a guest list, with an object for each number, which numpy then reads one
by one.  `_bulk.block` makes the array from the numbers themselves instead; a short list crosses
as a tuple, in half the time.  Such calls are recognised by the function that is called,
whichever way the program came by it: each proxy of a function in C remembers whether it is one
of these, once it has been called twice with such a list.

Numbers are the host's own, numpy.float64 and numpy.int64: numpy makes the same array of the
three, unless it is told to make ints, where of nan it says another thing.

Lists with anything else in them, other arguments than a dtype, and dtypes that are not those of
the numbers go to numpy as ever.  Any thread.
"""

from __future__ import annotations

from pybridge import _guest
from pybridge._host import hidden, list_strategy
from pybridge._mirrorclass import extensions
from pybridge._proxy import call_handle
from pybridge._take import late

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_DEEPEST = 8  # lists in lists; a list may be in itself
_LEAST, _LEAST_ROWS = 64, 16  # items: fewer have crossed before a second crossing begins
_set = object.__setattr__
_double = float.__float__


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
    if not (nested or list_strategy(values) in _NUMBERS or _of_numpy(head[0])):
        return None
    dimensions = function._pybridge_arrays
    if dimensions == 0:
        return None
    if dimensions is None or dimensions == _CALLED:
        dimensions = _asked(function, dimensions)
    if dimensions < (2 if nested else 1):
        return None
    if len(args) == 1 and not kwargs:
        dtype = None
    elif len(args) == 2 and not kwargs:
        dtype = args[1]
    elif len(args) == 1 and len(kwargs) == 1 and "dtype" in kwargs:
        dtype = kwargs["dtype"]
    else:
        return None
    few = len(values) * len(head[0]) < _LEAST_ROWS if nested else len(values) < _LEAST
    made = _made_of(function, values, few, nested, dtype)
    if made is None and (dtype is None or dtype is float):
        plain = _plain(values, _DEEPEST)
        if plain is not None and plain is not values:
            made = _made_of(function, plain, few, nested, dtype)
    return made


def _made_of(function: Any, values: list[Any], few: bool, nested: bool, dtype: Any) -> Any:
    if few:
        return _made_of_few(function, values, nested, dtype)
    from pybridge import _bulk

    return _bulk.block(values, dtype)


def _of_numpy(x: Any) -> bool:
    kind = type(x)
    return kind is late.float_class or kind is late.int_class


def _plain(values: list[Any], depth: int) -> list[Any] | None:
    """The numbers as the host's own, also of lists in it; None: there is something else."""
    if list_strategy(values) in _NUMBERS:
        return values
    float64, int64 = late.float_class, late.int_class
    plain: list[Any] = []
    for x in values:
        kind = type(x)
        if kind is float64:
            plain.append(_double(x))
        elif kind is int64:
            plain.append(x._pybridge_plain)
        elif kind is float or kind is int:
            plain.append(x)
        else:
            row = _plain(x, depth - 1) if kind is list and depth else None
            if row is None:
                return None
            plain.append(row)
    return plain


def _asked(function: Any, before: int | None) -> int:
    # A bound method, `l.append`, has a proxy for this one call.
    found: int = _CALLED if before is None else _guest.call("numpy_makes", function)
    _set(function, "_pybridge_arrays", found)
    return found


def _made_of_few(function: Any, values: list[Any], nested: bool, dtype: Any) -> Any:
    # To a dtype with fields a tuple is something else than a list.
    if dtype is not None and dtype is not float and dtype is not int:
        return None
    if nested:
        for row in values:
            if type(row) is not list or list_strategy(row) not in _NUMBERS:
                return None
        items = tuple([tuple(row) for row in values])
    elif list_strategy(values) in _NUMBERS:
        items = tuple(values)
    else:
        return None
    args = (items,) if dtype is None else (items, dtype)
    return call_handle(function._pybridge_handle, args, {}, function)


_CALLED = -1
_NUMBERS = ("FloatListStrategy", "IntOrFloatListStrategy", "IntegerListStrategy")
extensions["builtins", "builtin_function_or_method"] = {
    "__call__": _call,
    # Not called yet; _CALLED: once; 0: it makes none; 1: of one dimension, 2: of any.
    "_pybridge_arrays": None,
}
