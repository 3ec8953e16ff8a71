# SPDX-License-Identifier: MIT
"""Objects of the host's ctypes as memory: where the values of one lie (`_layout`).

PyPy's own formats of structures put the padding in the wrong place, so the classes are asked
for their fields.  Unions, and structures with bit-fields, are bytes.  Pointers, and what has
one in it, are refused: what they point to is nobody's that the guest could keep alive.
"""

from __future__ import annotations

import sys

from pybridge import _layout
from pybridge._errors import ConversionError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_NAMES = ("_SimpleCData", "Array", "Structure", "Union", "_Pointer")
_KINDS = {**dict.fromkeys("bhilq", "i"), **dict.fromkeys("BHILQ", "u"), "f": "f", "d": "f",
          "?": "b", "u": "U"}  # fmt: skip


def is_ctypes(x: Any) -> bool:
    """Is it an object of the host's ctypes?  Without loading that."""
    # Not all are there yet, when another thread is importing it.
    module = sys.modules.get("_ctypes")
    return isinstance(x, tuple([getattr(module, name, ()) for name in _NAMES]))


def place(x: Any) -> tuple[int, tuple[int, ...], Any]:
    """Address, shape, and the layout of an element; ConversionError if it has none."""
    import ctypes

    cls: Any = type(x)
    shape: tuple[int, ...] = ()
    while issubclass(cls, ctypes.Array):
        shape += (cls._length_,)
        cls = cls._type_
    layout = _layout_of(cls, False)
    if layout[0] == "V" and layout[3] != "c":
        shape, layout = (*shape, layout[2]), ("u", "<", 1, "")
    return ctypes.addressof(x), shape, layout


def extent(x: Any) -> tuple[int, int]:
    """Address and size, which `ctypes.resize` changes."""
    import ctypes

    return ctypes.addressof(x), ctypes.sizeof(x)


def _layout_of(cls: Any, swapped: bool) -> Any:
    import ctypes

    size = ctypes.sizeof(cls)
    if issubclass(cls, ctypes.Array):
        return _layout.array((cls._length_,), _layout_of(cls._type_, swapped))
    if issubclass(cls, ctypes.Union):
        return ("V", "<", size, "")
    if issubclass(cls, ctypes.Structure):
        swapped = hasattr(cls, "_swappedbytes_")
        given = [field for c in reversed(cls.__mro__) for field in vars(c).get("_fields_", ())]
        if any(len(field) != 2 for field in given):
            return ("V", "<", size, "")
        fields = [
            (name, getattr(cls, name).offset, _layout_of(item, swapped)) for name, item in given
        ]
        return ("record", tuple(fields), size)
    code = getattr(cls, "_type_", None)
    if code == "c":
        return ("V", "<", 1, "c")
    if code not in _KINDS:
        raise ConversionError(
            f"ctypes memory of {cls.__name__!r} has no form in the guest", code="PB303"
        )
    swapped = swapped or getattr(cls, "__ctype_le__", cls) is not cls
    return (_KINDS[code], ">" if swapped else "<", size, "")
