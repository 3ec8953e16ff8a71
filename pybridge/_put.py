# SPDX-License-Identifier: MIT
"""Host objects become cells.

Dispatch is on the exact type, `type(x) is float`: the JIT turns it into a guard, and a
subclass keeps its class instead of losing it on the way.  What is not settled here comes
from two tables that upper layers fill:

    encoders[host type] -> function(frame, position, x) -> next position
    fallbacks           -> for other types: function(x) -> an encoder, or None

Lists, dicts and sets are linked to guest ones: see `_linked`.  Nested deeper than 400 levels
they are refused, as tuples are.

Threads: a frame has one user.  A container changed by another thread while it is encoded
raises RuntimeError, or crosses as it was at some moment of the encoding.
"""

from __future__ import annotations

from pybridge._core import ffi
from pybridge._errors import ConversionError
from pybridge._frame import BASE, Frame
from pybridge._handle import Handle, closed
from pybridge._host import utf8
from pybridge._identity import enter
from pybridge._kinds import guest_classes
from pybridge._tags import (
    BIGINT,
    BUILD,
    BYTES,
    COMPLEX,
    DICT,
    ELLIPSIS,
    FALSE,
    FLOAT,
    FROZENSET,
    INT,
    NONE,
    NOTIMPLEMENTED,
    OBJECT,
    RANGE,
    SLICE,
    STR,
    TRUE,
    TUPLE,
)
from pybridge._texts import SHORT, known_text, twin_of

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    Encoder = Callable[[Frame, int, Any], int]

_cast = ffi.cast
_INTS = ffi.typeof("int64_t *")
_DOUBLES = ffi.typeof("double *")

_SMALL = 2048  # bytes: longer text is passed where it lies
_SCRATCH = 4096
_DEEPEST = 400  # as DEEPEST_TAKEN in csrc/take.c

encoders: dict[type, Encoder] = {}
fallbacks: list[Callable[[Any], Encoder | None]] = []


class _Late:
    """What upper layers provide: see `_linked`."""

    # (frame, position, container, its type, depth) -> next position
    container: Callable[[Frame, int, Any, type, int], int]


late = _Late()


# `put`, `lend` and `take` are in the loop of nearly every program: they do without the
# properties `frame.ints` and `frame.doubles`, each of which is fifty operations more in what
# PyPy records.  A loop of more than `trace_limit` operations is compiled in pieces.


def put(frame: Frame, at: int, x: Any) -> int:
    """Write `x` as cells from `at` on; give the next free position."""
    if at > BASE - 2 and at + 2 > frame.capacity:  # the first part folds in traces
        frame.grow(2 * at + 8, at)
    kind = type(x)
    if kind is float:
        _cast(_INTS, frame.cells)[2 * at] = FLOAT
        _cast(_DOUBLES, frame.cells)[2 * at + 1] = x
    elif kind is int:
        try:
            _cast(_INTS, frame.cells)[2 * at + 1] = x
        except OverflowError:
            data = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
            return _put_bytes(frame, at, BIGINT, data)
        _cast(_INTS, frame.cells)[2 * at] = INT
    elif x is None:
        _cast(_INTS, frame.cells)[2 * at] = NONE
    elif x is True:
        _cast(_INTS, frame.cells)[2 * at] = TRUE
    elif x is False:
        _cast(_INTS, frame.cells)[2 * at] = FALSE
    elif isinstance(x, Handle):
        handle = x._pybridge_handle
        if handle == 0:
            frame.abandon()
            raise closed(x)
        if not x._pybridge_identity:
            enter(x, handle)  # the guest may keep it
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = handle
    elif kind is str:
        if len(x) <= SHORT:
            handle = known_text(x)
        else:
            twin = twin_of(x)
            handle = 0
            if twin is not None:
                keep(frame, twin)
                handle = twin.handle
        if handle == 0:
            return _put_bytes(frame, at, STR, utf8(x))
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = handle
    else:
        return _put_other(frame, at, x, kind)
    return at + 1


def lend(frame: Frame, at: int, x: Any) -> int:
    """`put` for an operation that keeps it seldom: the caller asks afterwards if it did."""
    if isinstance(x, Handle) and x._pybridge_handle != 0:
        _cast(_INTS, frame.cells)[2 * at] = OBJECT
        _cast(_INTS, frame.cells)[2 * at + 1] = x._pybridge_handle
        return at + 1
    return put(frame, at, x)


def _put_bytes(frame: Frame, at: int, tag: int, data: bytes) -> int:
    n = len(data)
    frame.ints[2 * at] = tag | n << 8
    if n <= _SMALL:
        # Positions grow within one crossing, so a position not beyond the last text's
        # means that a new crossing has begun and the scratch memory is free again.
        fill = frame.fill if at > frame.last else 0
        if fill + n <= _SCRATCH:
            frame.buffer[fill : fill + n] = data
            frame.ints[2 * at + 1] = frame.scratch_at + fill
            frame.fill = fill + n
            frame.last = at
            return at + 1
    pinned = ffi.from_buffer(data)
    frame.ints[2 * at + 1] = int(ffi.cast("intptr_t", pinned))
    keep(frame, pinned)
    return at + 1


def keep(frame: Frame, x: Any) -> None:
    """Keep `x` alive until the core has read the cells."""
    if frame.keep is None:
        frame.keep = [x]
    else:
        frame.keep.append(x)


def _put_other(frame: Frame, at: int, x: Any, kind: type) -> int:
    if kind is slice:
        return _put_slice(frame, at, x, 0)
    if kind is tuple:
        n = len(x)
        if n > 3 or at >= BASE - 16:
            return put_items(frame, at, TUPLE, x, 0)
        # Without a loop, so that a trace takes it in: a[i, :], np.zeros((m, n))
        frame.ints[2 * at] = TUPLE | n << 8
        at += 1
        if n != 0:
            at = _put_first(frame, at, x[0])
        if n >= 2:
            at = _put_first(frame, at, x[1])
        if n == 3:
            at = _put_first(frame, at, x[2])
        return at
    return put_at_depth(frame, at, x, kind, 0)


def _put_slice(frame: Frame, at: int, x: Any, depth: int) -> int:
    start, stop, step = x.start, x.stop, x.step
    if at >= BASE - 16 or not (_is_index(start) and _is_index(stop) and _is_index(step)):
        return put_items(frame, at, SLICE, (start, stop, step), depth)
    frame.ints[2 * at] = SLICE | 3 << 8
    return put(frame, put(frame, put(frame, at + 1, start), stop), step)


def _is_index(x: Any) -> bool:
    return x is None or type(x) is int


def _put_first(frame: Frame, at: int, item: Any) -> int:
    """An item of a tuple that is no item itself: as in `put_items`."""
    kind = type(item)
    if kind is slice:
        return _put_slice(frame, at, item, 1)
    if kind is list or kind is dict or kind is set:
        return late.container(frame, at, item, kind, 1)
    if kind is tuple or kind is frozenset:
        return put_at_depth(frame, at, item, kind, 1)
    return put(frame, at, item)


def put_at_depth(frame: Frame, at: int, x: Any, kind: type, depth: int) -> int:
    """`put` for what is not a scalar, at a known depth of nesting."""
    if kind is tuple:
        return put_items(frame, at, TUPLE, x, depth)
    if kind is list or kind is dict or kind is set:
        return late.container(frame, at, x, kind, depth)
    if kind is bytes:
        return _put_bytes(frame, at, BYTES, x)
    if kind is complex:
        frame.ints[2 * at] = COMPLEX
        frame.doubles[2 * at + 1] = x.real
        frame.ints[2 * at + 2] = COMPLEX
        frame.doubles[2 * at + 3] = x.imag
        return at + 2
    if kind is slice:
        return _put_slice(frame, at, x, depth)
    if kind is frozenset:
        return put_items(frame, at, FROZENSET, list(x), depth)
    if kind is range:
        return put_items(frame, at, RANGE, (x.start, x.stop, x.step), depth)
    if x is Ellipsis:
        frame.ints[2 * at] = ELLIPSIS
        return at + 1
    if x is NotImplemented:
        frame.ints[2 * at] = NOTIMPLEMENTED
        return at + 1
    if kind is type:
        known = guest_classes.get(x)  # `int` and the like, once they have crossed
        if known is not None:
            return put(frame, at, known)
    try:
        encoder = encoders.get(kind)
        if encoder is None:
            encoder = encoder_of(x)
        return encoder(frame, at, x)
    except BaseException:
        frame.abandon()
        raise


def encoder_of(x: Any) -> Encoder:
    """What writes an object of a type that has no encoder of its own."""
    for fallback in fallbacks:
        encoder = fallback(x)
        if encoder is not None:
            return encoder
    raise unconvertible(x)


def unconvertible(x: Any) -> ConversionError:
    """The refusal of a host object that has no form in the guest."""
    kind = type(x)
    return ConversionError(
        f"{kind.__module__}.{kind.__qualname__} object cannot cross to the guest, where it has "
        "no form: pass a value that is made of it"
    )


def put_items(frame: Frame, at: int, tag: int, items: Any, depth: int) -> int:
    if depth >= _DEEPEST:
        frame.abandon()
        raise ConversionError(
            f"a container nested deeper than {_DEEPEST} levels cannot cross to the guest: "
            "pass a flatter one",
            code="PB302",
        )
    n = len(items)
    if at + 2 * n + 4 > frame.capacity:
        frame.grow(at + 2 * n + 8, at)
    count = n // 2 if tag == DICT else n
    frame.ints[2 * at] = tag | count << 8
    at += 1
    done = 0
    for item in items:
        kind = type(item)
        # What may hold itself, or be deep, keeps count of its depth.
        if kind is list or kind is dict or kind is set:
            at = late.container(frame, at, item, kind, depth + 1)
        elif kind is tuple or kind is frozenset or kind is slice:
            at = put_at_depth(frame, at, item, kind, depth + 1)
        else:
            at = put(frame, at, item)
        done += 1
    if done != n:
        frame.abandon()
        raise RuntimeError("a container changed its size while it crossed to the guest")
    return at


def put_build(frame: Frame, at: int, factory: Handle, fields: tuple[Any, ...]) -> int:
    """The guest object that the guest callable `factory` makes of `fields`."""
    frame.ints[2 * at] = BUILD | len(fields) << 8
    frame.ints[2 * at + 1] = factory._pybridge_handle
    at += 1
    for field in fields:
        at = put(frame, at, field)
    return at
