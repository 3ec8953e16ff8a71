# SPDX-License-Identifier: MIT
"""Host sequences to the left of guest ones: `[1] + guest_list`.

A list adds lists of its own kind only and is asked first, a guest list has no `__radd__` of its
own.  So its mirror class has one, which gives what stands on the left: a host list.

`x += guest_list` comes by the same way, as the interpreter asks for `__radd__` before it has
the list extend itself; but then `x` must stay the object that it is.  Nothing that `__radd__`
is given says which it was, so it looks at the instruction that its caller is at.
(`operator.iadd` looks like an addition: it gives the right items in another list.)
"""

from __future__ import annotations

import sys

from pybridge._mirrorclass import extensions

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


_ADDS_IN_PLACE = 13  # the argument of BINARY_OP, from Python 3.11 on


def _adds_in_place(frame: FrameType) -> bool:
    from opcode import opmap

    code, at = frame.f_code.co_code, frame.f_lasti
    old = opmap.get("INPLACE_ADD")
    if old is not None:
        return code[at] == old
    return code[at] == opmap["BINARY_OP"] and code[at + 1] == _ADDS_IN_PLACE


def _after_list(self: Any, other: Any) -> Any:
    if not isinstance(other, list):
        return NotImplemented
    if _adds_in_place(sys._getframe(1)):
        other.extend(self)
        return other
    return [*other, *self]


def _after_bytes(self: Any, other: Any) -> Any:
    if not isinstance(other, (bytes, bytearray)):
        return NotImplemented
    if type(other) is bytearray and _adds_in_place(sys._getframe(1)):
        other.extend(bytes(self))
        return other
    return other + bytes(self)


extensions.setdefault(("builtins", "list"), {})["__radd__"] = _after_list  # see _items
extensions["builtins", "bytearray"] = {"__radd__": _after_bytes}
