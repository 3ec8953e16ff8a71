# SPDX-License-Identifier: MIT
"""Guest objects with a buffer are buffers of the host's too: `memoryview(a)`, `bytes(a)`,
`hashlib.sha256(a)`, `file.write(a)`, `struct.unpack_from("d", a, 8)`.

PyPy asks objects of classes below its `bufferable`, CPython from 3.12 on asks any object, both
by the method `__buffer__`.  An older CPython as the host cannot be told; there and everywhere
`pybridge.view(a).memory()` is the same.  numpy's scalars are left out: on the host they are
floats and ints, which cannot be of such a class.

What `__buffer__` gives is made by `_buffer`, which is loaded when it is first asked for.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

Base: Any = object
if sys.implementation.name == "pypy":
    from __pypy__ import bufferable

    Base = bufferable.bufferable

new = Base.__new__  # makes objects of a class below Exports; object.__new__ refuses
lend: list[Any] = []  # function(x, flags) -> memoryview, by _memory
copy: list[Any] = []  # function(x) -> what bytes(x) is in the guest, likewise


class Exports(Base):  # type: ignore[misc]
    """Base of the mirrors of guest classes with a buffer."""

    _pybridge_new = staticmethod(new)

    def __buffer__(self, flags: int) -> memoryview:
        return lend[0](self, flags)  # type: ignore[no-any-return]

    def __bytes__(self) -> bytes:  # also of formats and strides that no memoryview has here
        return copy[0](self)  # type: ignore[no-any-return]
