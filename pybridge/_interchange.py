# SPDX-License-Identifier: MIT
"""Views of what has no buffer: DLPack tensors, and Arrow columns and tables.

Both standards hand out capsules.  They are not consumed: a proxy of the capsule is kept, and
the capsule's own destructor frees what it holds once that proxy is released; so lifetime is
that of any proxy.  A tensor's capsule is one of DLPack 1.0, which can say that the tensor must
not be written, where its library has such (torch, numpy; jax 0.10 has not).  Also the other
way: host memory in the guest (`_exporter`) has `__dlpack__` and `__arrow_c_array__`
(csrc/interchange.c).
"""

from __future__ import annotations

from pybridge import _buffer, _columns, _guest
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._extent import c_strides
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle, release
from pybridge._tags import INT
from pybridge._take import take
from pybridge._view import class_for

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_cast = ffi.cast
_WORDS = ffi.typeof("int64_t *")
_CPU = (1, 3, 11)  # kDLCPU, kDLCUDAHost, kDLROCMHost: memory that this processor reads
_KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}


class _Capsules:
    """A pin that is made of capsules."""

    __slots__ = ("address", "capsules", "guest", "handle", "layout", "lent", "nbytes")

    def __init__(self, guest: Any, *capsules: Any) -> None:
        self.guest = guest
        self.capsules = capsules
        self.handle = 1
        self.lent = False
        self.address = self.nbytes = 0
        self.layout: Any = None

    def release(self) -> None:
        self.handle = 0
        if not self.lent:
            for capsule in self.capsules:
                release(capsule)


def _held(capsule: Any, name: bytes) -> int:
    """The address in a capsule."""
    if not isinstance(capsule, Handle):
        raise TypeError(f"a capsule of {name.decode()!r} was expected, not {capsule!r}")
    frame = frame_get()
    word = lib.pb_capsule_get(frame.mem, capsule._pybridge_handle, name)
    if word != INT:
        take(frame, word)
    address: int = frame.ints[1]
    frames.append(frame)
    return address


def _read(stream: Any, next: bool) -> Any:
    """The schema of a stream, or its next array, or None at its end."""
    frame = frame_get()
    return take(frame, lib.pb_arrow_read(frame.mem, stream._pybridge_handle, next))


def view_of(x: Any) -> Any:
    """The view of an object without a buffer, or None when it has none of these either."""
    offer = _guest.call("lend_capsules", x)
    if offer is None:
        return None
    kind, is_table, *capsules = offer
    if kind == "stream" and not isinstance(capsules[0], Handle):
        raise TypeError(f"a capsule was expected, not {capsules[0]!r}")
    if kind == "dlpack":
        return _tensor(x, capsules[0])
    if kind == "array":
        schema, array = capsules
        pin = _Capsules(x, schema, array)
        where = _held(schema, b"arrow_schema"), _held(array, b"arrow_array")
        return _columns.children(pin, *where) if is_table else _columns.column(pin, *where)
    return _stream(x, capsules[0], is_table)


def _stream(x: Any, stream: Any, is_table: bool) -> Any:
    schema = _read(stream, False)
    at = _held(schema, b"arrow_schema")
    arrays = []
    while True:
        array = _read(stream, True)
        if array is None:
            break
        arrays.append(array)
    pin = _Capsules(x, *arrays, schema, stream)
    held = [_held(array, b"arrow_array") for array in arrays]
    format = _columns.text_at(_cast(_WORDS, at)[0])
    if not is_table:
        return _columns.chunked([_columns.column(pin, at, a) for a in held], pin, format)
    parts = [_columns.children(pin, at, a) for a in held]
    return {
        name: _columns.chunked([part[name] for part in parts], pin, format)
        for name in _columns.names(at)
    }


def _tensor(x: Any, capsule: Any) -> Any:
    if not isinstance(capsule, Handle):
        raise TypeError(f"a capsule of a tensor was expected, not {capsule!r}")
    frame = frame_get()
    word = lib.pb_tensor_get(frame.mem, capsule._pybridge_handle)
    if word & 255 != INT:
        take(frame, word)
    at, read_only = frame.ints[1], word >> 8 != 0
    frames.append(frame)
    words, numbers = _cast(_WORDS, at), _cast("int32_t *", at + 16)
    device = words[1] & 0xFFFFFFFF
    ndim, code = numbers[0], numbers[1] & 255
    bits, lanes = numbers[1] >> 8 & 255, numbers[1] >> 16 & 0xFFFF
    if device not in _CPU:
        raise BufferError(f"this tensor is not in this processor's memory (device {device})")
    size = bits * lanes // 8
    if code not in _KINDS or lanes != 1 or bits % 8:
        raise ConversionError(
            f"tensors of DLPack's type {code} in {bits} bits have no host form: convert it in "
            "the guest (x.float())",
            code="PB304",
        )
    layout = (_KINDS[code], "<", size, "")
    shape = tuple(ffi.unpack(_cast(_WORDS, words[3]), ndim)) if ndim else ()
    if words[4] and ndim:
        strides = tuple([k * size for k in ffi.unpack(_cast(_WORDS, words[4]), ndim)])
    else:
        strides = c_strides(shape, size)
    pin = _Capsules(x, capsule)
    cls = class_for(layout, ndim)
    pin.address, pin.layout = words[0] + words[5], layout
    view = cls(pin, pin.address, shape, strides, read_only)
    pin.nbytes = view.nbytes
    return view


_buffer.others.append(view_of)
view = _buffer.view  # the public one: with these
