# SPDX-License-Identifier: MIT
"""Native calls: the C function behind a guest callable, called by the JIT with plain numbers.

The guest says what an object is (guest/native.py), its signature is read from what it says
(`_signature`), never guessed, and `_cfunction` makes the host callable.  A ufunc has inner
loops instead of one C function: see csrc/native.c.
"""

from __future__ import annotations

import os
import sys

from pybridge import _guest, _runtime
from pybridge._cfunction import address_check, c_function, compiled, spelled
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle
from pybridge._host import module_dict
from pybridge._put import put
from pybridge._tags import STOP
from pybridge._take import take

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._signature import Signature

_DIRECT = 4  # numbers of doubles for which the core has a function of its own


def native(f: Any, signature: str | None = None) -> Any:
    """The C function behind a guest callable, as a host callable of numbers.

    `f`: a numpy or scipy.special ufunc, a Cython function that its module exports (`cpdef`, as
    in scipy.special.cython_special) or a capsule of `__pyx_capi__`, a function pointer of
    ctypes or of cffi, be it the guest's or the host's, a numba cfunc, a scipy.LowLevelCallable;
    or an address, an int, with a `signature`.

    `signature`: as C or Cython write it, "double(double, int *, void *)"; needed where the
    object does not say, chooses among the loops of a ufunc and the variants of a fused
    function (without it that of doubles, then integers), and must agree with what the object
    says.  "... nogil" asserts that a Cython function needs no GIL.

    Gives a host callable: of Python numbers, to a Python number; a pointer is passed as a
    `pybridge.view` of elements of that type, a cffi pointer, a list of numbers (for the time
    of the call), or None for NULL.  No guest object is made; f is kept alive.  Of a ufunc of
    scipy.special it is scipy's own C function where there is one, which does as
    scipy.special.seterr says at this moment; other ufuncs warn and raise by numpy.errstate.

    Any thread.  C functions run without the guest's GIL; with it, and with their exceptions
    raised, those that need it: Cython functions of modules that are not known to be `nogil`,
    and of ctypes.PyDLL.  Raises ConversionError when there is no C function, when its signature
    is not known, or when it cannot be called.
    """
    _runtime.running()
    from pybridge import _signature

    wanted = None if signature is None else _signature.parse(signature)
    if type(f) is int:
        if wanted is None:
            raise TypeError("an address needs a signature: native(address, 'double(double)')")
        address_check(f)
        return c_function(f, wanted, None, wanted.raises)
    if isinstance(f, Handle):
        kind, *facts = _guest.call("native_describe", f)
    else:
        kind, *facts = _hosts_pointer(f)
    if kind == "ufunc":
        return _ufunc(f, facts, wanted)
    if kind == "capsules":
        address, found, _ = _capsule_chosen(f, facts[0], wanted)
        return _agreed(f, address, found, wanted, facts[1])
    if kind == "lowlevel":
        return _lowlevel(f, facts, wanted)
    if kind == "pointer":
        address, text, needs_gil = facts
        stated = None if text is None else _signature.parse(text)
        return _agreed(f, address, stated, wanted, needs_gil)
    raise ConversionError(f"{_name(f)} cannot be called natively: {facts[0]}", code="PB305")


def _hosts_pointer(f: Any) -> tuple[Any, ...]:
    """What guest/native.py says of a function pointer of the host's own ctypes or cffi."""
    ctypes: Any = sys.modules.get("ctypes")
    if ctypes is not None and isinstance(f, ctypes._CFuncPtr):
        found: tuple[Any, ...] = _describer().ctypes_pointer(f, ctypes)
        if found[-1] is True:
            return "", "it needs the host's lock, which is given up for the call"
        return found
    if isinstance(f, ffi.CData):
        import _cffi_backend

        return _describer().cffi_pointer(f, _cffi_backend)  # type: ignore[no-any-return]
    raise TypeError(
        "the C function behind a guest callable, or of a pointer of ctypes or cffi, or at an "
        f"address, can be called, not a host's {type(f).__name__} (of a function of a cffi "
        "module, ffi.addressof(lib, name) is the pointer)"
    )


def _describer() -> Any:
    if not _loaded:
        from importlib.machinery import SourceFileLoader
        from types import ModuleType

        path = os.path.join(os.path.dirname(__file__), "guest", "native.py")
        module = ModuleType("pybridge_native")
        SourceFileLoader(module.__name__, path).exec_module(module)
        _loaded.append(module)
    return _loaded[0]


_loaded: list[Any] = []


def _name(f: Any) -> str:
    try:
        return repr(f)
    except Exception:  # a guest's own __repr__
        return "this object"


def _agreed(
    f: Any, address: int, stated: Signature | None, wanted: Signature | None, needs_gil: bool
) -> Any:
    """The function at `address` by the signature of its object, of the caller, or both."""
    chosen = stated if wanted is None else wanted
    if chosen is None:
        raise ConversionError(
            f"{_name(f)} does not say what it takes and gives: set its argtypes and restype, "
            'or give the signature, as in native(f, "double(double)")',
            code="PB305",
        )
    if wanted is not None and stated is not None and not _same(stated, wanted):
        raise ConversionError(f"{_name(f)} is {stated}, not {wanted}", code="PB305")
    if stated is not None:
        chosen.optional = stated.optional
    return c_function(address, chosen, f, (needs_gil and not chosen.nogil) or chosen.raises)


def _same(a: Signature, b: Signature) -> bool:
    """Do two signatures mean the same call?  `void *` stands for any pointer."""
    if len(a.parameters) != len(b.parameters):
        return False
    pairs = zip((a.result, *a.parameters), (b.result, *b.parameters))
    return all(
        ffi.typeof(spelled(x)) is ffi.typeof(spelled(y))
        if not (x.stars and y.stars)
        else "void" in (x.base, y.base) or (x.base == y.base and x.stars == y.stars)
        for x, y in pairs
    )


# ---- capsules ---------------------------------------------------------------------------


def _capsule(capsule: Any) -> tuple[str | None, int, int]:
    """(name, address, address of the context)."""
    frame = frame_get()
    return take(frame, lib.pb_capsule_read(frame.mem, capsule._pybridge_handle))  # type: ignore[no-any-return]


def _capsule_chosen(
    f: Any, found: Any, wanted: Signature | None
) -> tuple[int, Signature | None, int]:
    """Of the variants of a fused function the wanted one, or that of doubles."""
    from pybridge import _signature

    if len(found) == 1 and wanted is not None and _capsule(found[0][1])[0] is None:
        _, address, context = _capsule(found[0][1])  # the caller alone knows its type
        return address, None, context
    known = []
    reasons = []
    for key, capsule in found:
        name, address, context = _capsule(capsule)
        try:
            known.append((address, _signature.parse(name or ""), context))
        except _signature.SignatureError as error:
            reasons.append(f"{key} {error}".strip())
    if wanted is not None:
        known = [each for each in known if _same(each[1], wanted)] or known
    elif len(known) > 1:
        known = [each for each in known if _of_doubles(each[1])] or known
    if len(known) == 1:
        return known[0]
    if not known:
        raise ConversionError(
            f"{_name(f)} has no callable signature: {'; '.join(reasons)}", code="PB305"
        )
    variants = "; ".join(str(each[1]) for each in known)
    raise ConversionError(
        f"{_name(f)} is one of: {variants}; say which as the signature", code="PB305"
    )


def _of_doubles(s: Signature) -> bool:
    return all(str(t) == "double" for t in (s.result, *s.parameters))


def _lowlevel(f: Any, facts: list[Any], wanted: Signature | None) -> Any:
    capsule, needs_gil = facts
    address, stated, context = _capsule_chosen(f, (("", capsule),), wanted)
    function = _agreed(f, address, stated, wanted, needs_gil)
    parameters = (wanted or stated).parameters  # type: ignore[union-attr]
    if not parameters or str(parameters[-1]) != "void *":
        return function
    data = ffi.cast("void *", context)  # what scipy would pass behind the others

    def with_user_data(*args: Any) -> Any:
        return function(*args, data)

    return with_user_data


# ---- ufuncs -----------------------------------------------------------------------------

_CODES = {
    "double": "d", "float": "f", "long": "lq", "int64_t": "lq", "long long": "ql",
    "intptr_t": "lq", "ssize_t": "lq", "ptrdiff_t": "lq", "int": "i", "int32_t": "i",
    "short": "h", "int16_t": "h", "signed char": "b", "int8_t": "b", "unsigned char": "B",
    "uint8_t": "B", "unsigned short": "H", "uint16_t": "H", "unsigned int": "I",
    "uint32_t": "I", "unsigned long": "LQ", "uint64_t": "LQ", "size_t": "LQ",
    "unsigned long long": "QL", "_Bool": "?", "float complex": "F", "double complex": "D",
}  # fmt: skip
_NUMBERS = "?bBhHiIlLqQfdFD"  # codes of types that pass


def _ufunc(f: Any, facts: list[Any], wanted: Signature | None) -> Any:
    name, nin, nout, types, core, special = facts
    if core is not None or nout != 1:
        what = "works on arrays" if core is not None else f"gives {nout} results"
        raise ConversionError(
            f"ufunc {name!r} cannot be called natively: it {what}", code="PB305"
        )
    if special and (wanted is None or _of_doubles(wanted)):
        try:
            address, found, _ = _capsule_chosen(f, special, wanted)
        except ConversionError:
            found = None
        if found is not None and _of_doubles(found) and len(found.parameters) == nin:
            return c_function(address, found, f, False)
    index = _loop_index(name, types, nin, wanted)
    loop = _loop(f, nin, types, index)
    if loop is None:
        raise ConversionError(
            f"ufunc {name!r} has no loop for {types[index]!r} that can be used", code="PB305"
        )
    arguments, space = [f"a{i}" for i in range(nin)], module_dict()
    space.update(frame_get=frame_get, frames=frames, loop=loop, put=put, take=take, keep=f)
    space["general"] = _general(f, "" if wanted is None else types[index])
    passed = ", ".join(arguments)
    if types[index] == "d" * nin + "->d" and nin <= _DIRECT:
        space["call"] = getattr(lib, f"pb_loop_d{nin}")
        space["due"] = lib.pb_loop_due
        lines = [
            f"r = call(loop, {passed})",
            f"return r if r == r or not due(r) else general({passed})",
        ]
    else:
        space["call"], space["STOP"] = lib.pb_loop_run, STOP
        at = "0"
        for argument in arguments:
            at = f"put(frame, {at}, {argument})"
        lines = [
            "frame = frame_get()",
            at,
            "word = call(loop, frame.mem)",
            "if word != STOP: return take(frame, word)",
            "if frame.keep is not None: frame.reset()",
            "frames.append(frame)",
            f"return general({passed})",
        ]
    return compiled(arguments, lines, space, f"The ufunc {name}, {types[index]}, of numbers.")


def _general(f: Any, types: str) -> Callable[..., Any]:
    """The ufunc itself: what its loop did not settle, with numpy's warnings and errors."""

    def general(*args: Any) -> Any:
        return _guest.call("native_item", f, types, *args)

    return general


def _loop_index(name: str, types: tuple[str, ...], nin: int, wanted: Signature | None) -> int:
    """Which of the loops: the wanted one; that of doubles, of integers, of anything else."""
    if wanted is not None:
        codes = [_CODES.get(str(t), "") for t in (*wanted.parameters, wanted.result)]
        for i, text in enumerate(types):
            if (
                all(c in known for c, known in zip(text.replace("->", ""), codes))
                and len(codes) == len(text) - 2
            ):
                return i
        raise ConversionError(
            f"ufunc {name!r} has no loop {wanted}: it has {', '.join(types)}", code="PB305"
        )
    for accepted, result in (
        ("d", "d"),
        ("d", _NUMBERS),
        ("dlq", _NUMBERS),
        (_NUMBERS, _NUMBERS),
    ):
        for i, text in enumerate(types):
            if all(c in accepted for c in text[:nin]) and text[-1] in result:
                return i
    raise ConversionError(
        f"ufunc {name!r} has no loop of numbers: it has {', '.join(types)}", code="PB305"
    )


def _loop(f: Any, nin: int, types: tuple[str, ...], index: int) -> Any:
    """The core's description of a loop, or None when the object is not as expected."""
    numbers = _guest.call("native_numbers", tuple("".join(types).replace("->", "")))
    loop = ffi.new("pb_loop *")
    failed = lib.pb_loop_find(f._pybridge_handle, nin, 1, len(types), numbers, index, loop)
    return None if failed else loop


# Functions of scipy.special whose loops are called without scipy's own look at the
# floating-point flags, which costs more than they do; the core looks at them.  Beside flags
# these report errors (scipy.special.seterr) only where the result is NaN, infinite, 0, 1, -1 or
# 2.
_PLAIN = ("ndtr", "ndtri", "expit", "erf", "erfc")


def _plain_loop(f: Any, name: str, special: Any) -> Any:
    if name not in _PLAIN or not special:
        return None
    try:
        address, found, _ = _capsule_chosen(f, special, None)
    except ConversionError:
        return None
    if found is None or not _of_doubles(found) or len(found.parameters) != 1:
        return None
    loop = ffi.new("pb_loop *")
    lib.pb_loop_of_function(address, loop)
    return loop


def loop_of_doubles(f: Any) -> tuple[Any, int] | None:
    """A ufunc's loop of doubles to a double, for `lib.pb_loop_d{n}`, and how many it takes;
    None when it has none.  Once for each ufunc: asks the guest."""
    kind, *facts = _guest.call("native_describe", f)
    if kind != "ufunc":
        return None
    name, nin, nout, types, core, special = facts
    text = "d" * nin + "->d"
    if core is not None or nout != 1 or nin > _DIRECT or text not in types:
        return None
    loop = _plain_loop(f, name, special) if nin == 1 else None
    if loop is None:
        loop = _loop(f, nin, types, types.index(text))
    return None if loop is None else (loop, nin)
