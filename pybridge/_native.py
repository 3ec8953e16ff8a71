# SPDX-License-Identifier: MIT
"""Native calls: the C function behind a guest callable, called by the JIT with plain numbers.

Where the C function takes and gives numbers and needs no GIL, what `native` gives is a cffi
function pointer: in a trace one call with unboxed arguments.  The others are functions made
as source text for their signature: they give views as pointers, hold the guest's GIL where
it is needed, or look whether a ufunc's loop left its result to the ufunc itself (csrc/native.c).

Each keeps its guest object alive.  A signature is read (`_signature`), never guessed.
"""

from __future__ import annotations

from pybridge import _guest, _runtime
from pybridge._buffer import View
from pybridge._convert import STOP, put, take
from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._frame import frame_get, frames
from pybridge._handle import Handle
from pybridge._host import module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._signature import CType, Signature

_DIRECT = 4  # numbers of doubles for which the core has a function of its own
_STRUCTS = {"float complex": "pb_complex64", "double complex": "pb_complex128"}


def native(f: Any, signature: str | None = None) -> Any:
    """The C function behind a guest callable, as a host callable of numbers.

    `f`: a numpy or scipy.special ufunc, a Cython function that its module exports (`cpdef`, as
    in scipy.special.cython_special) or a capsule of `__pyx_capi__`, a function pointer of
    ctypes or of cffi, a numba cfunc, a scipy.LowLevelCallable; or an address, an int, with a
    `signature`.

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
        _check_address(f)
        return _function(f, wanted, None, wanted.raises)
    if not isinstance(f, Handle):
        raise TypeError(
            f"the C function behind a guest callable, or at an address, can be called, not a "
            f"host's {type(f).__name__}"
        )
    kind, *facts = _guest.call("native_describe", f)
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
    raise ConversionError(f"{_name(f)} cannot be called natively: {facts[0]}")


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
            f"{_name(f)} does not say what it takes and gives: set its argtypes and restype, or "
            'give the signature, as in native(f, "double(double)")'
        )
    if wanted is not None and stated is not None and not _same(stated, wanted):
        raise ConversionError(f"{_name(f)} is {stated}, not {wanted}")
    if stated is not None:
        chosen.optional = stated.optional
    return _function(address, chosen, f, (needs_gil and not chosen.nogil) or chosen.raises)


def _same(a: Signature, b: Signature) -> bool:
    """Do two signatures mean the same call?  `void *` stands for any pointer."""
    if len(a.parameters) != len(b.parameters):
        return False
    pairs = zip((a.result, *a.parameters), (b.result, *b.parameters))
    return all(
        ffi.typeof(_spelled(x)) is ffi.typeof(_spelled(y))
        if not (x.stars and y.stars)
        else "void" in (x.base, y.base) or (x.base == y.base and x.stars == y.stars)
        for x, y in pairs
    )


def _spelled(t: CType) -> str:
    """The type as cffi takes it in a call."""
    if t.base == "long double" and not t.stars:
        raise ConversionError("long double is not passed here: use a function of doubles")
    if t.base in _STRUCTS or t.base == "long double":
        return "void *" if t.stars else _STRUCTS[t.base]
    return f"{t.base} {'*' * t.stars}"


def _check_address(address: int) -> None:
    """An address of code, as far as that can be seen."""
    if address > 0:
        try:
            with open("/proc/self/maps") as maps:
                for line in maps:
                    place, rights = line.split()[:2]
                    low, high = place.split("-")
                    if int(low, 16) <= address < int(high, 16) and "x" in rights:
                        return
        except OSError:  # no such file here: believe it
            return
    raise ConversionError(f"no code is at address {address:#x} in this process")


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
        raise ConversionError(f"{_name(f)} has no callable signature: {'; '.join(reasons)}")
    variants = "; ".join(str(each[1]) for each in known)
    raise ConversionError(f"{_name(f)} is one of: {variants}; say which as the signature")


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


# ---- functions --------------------------------------------------------------------------


def _function(address: int, s: Signature, keep: Any, needs_gil: bool) -> Any:
    """The C function at an address as a host callable."""
    types = [_spelled(t) for t in s.parameters]
    pointers = [t for t in s.parameters if t.stars]
    complexes = [t for t in (s.result, *s.parameters) if _is_complex(t)]
    if s.optional:
        types += ["int", "void *"]
    # Without Cython's int behind the others, where nothing follows it: it is not read, and
    # in every calling convention here the callee does not mind.
    pointer = ffi.cast(f"{_spelled(s.result)}(*)({', '.join(types)})", address)
    if not pointers and not complexes and not needs_gil and not s.optional:
        return ffi.gc(pointer, _keeping(keep))
    return _made(pointer, s, keep, needs_gil)


def _is_complex(t: CType) -> bool:
    return t.base in _STRUCTS and not t.stars


def _keeping(keep: Any) -> Callable[[Any], None]:
    """A destructor that does nothing but hold the guest object until then."""

    def kept(_: Any, guest: Any = keep) -> None:
        pass

    return kept


def _made(pointer: Any, s: Signature, keep: Any, needs_gil: bool) -> Any:
    """A host function, for what a bare pointer does not do."""
    names = [f"a{i}" for i in range(len(s.parameters))]
    lines, passed = [], []
    space: Any = module_dict()
    for name, t in zip(names, s.parameters):
        passed.append(name)
        if t.stars:
            passed[-1] = f"p_{name}"
            lines.append(f"p_{name} = {name} if isinstance({name}, CData) else pointer({name}, t_{name})")
            space[f"t_{name}"] = t
        elif _is_complex(t):
            passed[-1] = f"p_{name}[0]"
            lines.append(f"p_{name} = new(t_{name}); x = complex({name})")
            lines.append(f"p_{name}.real = x.real; p_{name}.imag = x.imag")
            space[f"t_{name}"] = ffi.typeof(f"{_STRUCTS[t.base]} *")
    if s.optional:
        passed += ["0", "NULL"]
    call = f"r = call({', '.join(passed)})"
    if needs_gil:
        lines += [
            "frame = frame_get(); mem = frame.mem; word = enter(mem)",
            "if word: take(frame, word)",
            f"try: {call}",
            "finally: word = leave(mem)",
            "take(frame, word)",
        ]
    else:
        lines.append(call)
    lines.append("return complex(r.real, r.imag)" if _is_complex(s.result) else "return r")
    space.update(
        CData=ffi.CData, NULL=ffi.NULL, call=pointer, enter=lib.pb_native_enter,
        frame_get=frame_get, keep=keep, leave=lib.pb_native_leave, new=ffi.new,
        pointer=_pointer, take=take, complex=complex, isinstance=isinstance,
    )  # fmt: skip
    return _compiled(names, lines, space, f"The C function {s}.")


def _compiled(names: list[str], lines: list[str], space: Any, doc: str) -> Any:
    body = "\n".join(f"    {line}" for line in lines)
    source = f"def native_function({', '.join(names)}, /):\n{body}\n"
    if not names:
        source = source.replace("(, /)", "()")
    space["__name__"] = __name__
    exec(compile(source, "<pybridge native function>", "exec"), space)
    function = space["native_function"]
    function.__doc__ = doc
    return function


# ---- pointers ---------------------------------------------------------------------------

# Elements of a view, by PEP 3118 format without its byte order: bases of pointers to them.
_ELEMENTS = {
    "d": ("double",), "f": ("float",), "Zd": ("double complex",), "Zf": ("float complex",),
    "b": ("int8_t", "signed char", "char"), "B": ("uint8_t", "unsigned char", "char"),
    "c": ("char", "signed char", "unsigned char"), "?": ("_Bool", "uint8_t"),
    "h": ("int16_t", "short"), "H": ("uint16_t", "unsigned short"),
    "i": ("int32_t", "int"), "I": ("uint32_t", "unsigned int"),
    **dict.fromkeys("lqn", ("int64_t", "long", "long long", "intptr_t", "ssize_t", "ptrdiff_t")),
    **dict.fromkeys("LQN", ("uint64_t", "unsigned long", "unsigned long long", "uintptr_t", "size_t")),
}  # fmt: skip


def _pointer(x: Any, t: CType) -> Any:
    """What is passed for a pointer parameter, when it is no cffi pointer already."""
    if x is None:
        return ffi.NULL
    if isinstance(x, View):
        x._check()
        code = x.format.lstrip("@=<")
        if t.base != "void" and (t.stars != 1 or t.base not in _ELEMENTS.get(code, ())):
            raise TypeError(f"a view of {x.format!r} elements is no {t}")
        if x.readonly and not t.const:
            raise ValueError(
                f"a read-only view where the function may write ({t}): give the signature with "
                "const where it does not"
            )
        return ffi.cast(_spelled(t), x._address)
    if isinstance(x, (list, tuple, bytes)) and t.stars == 1 and t.base not in ("void", *_STRUCTS):
        return x  # cffi copies it for the call
    raise TypeError(
        f"{type(x).__name__} is no {t}: pass a pybridge.view, a cffi pointer, a list of numbers, "
        "or None"
    )


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
        raise ConversionError(f"ufunc {name!r} cannot be called natively: it {what}")
    if special and (wanted is None or _of_doubles(wanted)):
        try:
            address, found, _ = _capsule_chosen(f, special, wanted)
        except ConversionError:
            found = None
        if found is not None and _of_doubles(found) and len(found.parameters) == nin:
            return _function(address, found, f, False)
    index = _loop_index(name, types, nin, wanted)
    loop = _loop(f, nin, types, index)
    if loop is None:
        raise ConversionError(f"ufunc {name!r} has no loop for {types[index]!r} that can be used")
    arguments, space = [f"a{i}" for i in range(nin)], module_dict()
    space.update(frame_get=frame_get, frames=frames, loop=loop, put=put, take=take, keep=f)
    space["general"] = _general(f)
    passed = ", ".join(arguments)
    if types[index] == "d" * nin + "->d" and nin <= _DIRECT:
        space["call"] = getattr(lib, f"pb_loop_d{nin}")
        lines = [f"r = call(loop, {passed})", f"return r if r == r else general({passed})"]
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
    return _compiled(arguments, lines, space, f"The ufunc {name}, {types[index]}, of numbers.")


def _general(f: Any) -> Callable[..., Any]:
    """The ufunc itself: what its loop did not settle, with numpy's warnings and errors."""

    def general(*args: Any) -> Any:
        return _guest.call("native_item", f, *args)

    return general


def _loop_index(name: str, types: tuple[str, ...], nin: int, wanted: Signature | None) -> int:
    """Which of the loops: the wanted one; that of doubles, of integers, of anything else."""
    if wanted is not None:
        codes = [_CODES.get(str(t), "") for t in (*wanted.parameters, wanted.result)]
        for i, text in enumerate(types):
            if all(c in known for c, known in zip(text.replace("->", ""), codes)) and len(
                codes
            ) == len(text) - 2:
                return i
        raise ConversionError(f"ufunc {name!r} has no loop {wanted}: it has {', '.join(types)}")
    for accepted, result in (("d", "d"), ("d", _NUMBERS), ("dlq", _NUMBERS), (_NUMBERS, _NUMBERS)):
        for i, text in enumerate(types):
            if all(c in accepted for c in text[:nin]) and text[-1] in result:
                return i
    raise ConversionError(f"ufunc {name!r} has no loop of numbers: it has {', '.join(types)}")


def _loop(f: Any, nin: int, types: tuple[str, ...], index: int) -> Any:
    """The core's description of a loop, or None when the object is not as expected."""
    numbers = _guest.call("native_numbers", tuple("".join(types).replace("->", "")))
    loop = ffi.new("pb_loop *")
    failed = lib.pb_loop_find(f._pybridge_handle, nin, 1, len(types), numbers, index, loop)
    return None if failed else loop


class Prepared:
    """A ufunc's loop of doubles, for calls of the ufunc itself with plain floats:
    `lib.pb_loop_d{nin}(prepared.loop, ...)` gives the double, or NaN when the general call
    is due.  Valid while the ufunc lives."""

    __slots__ = ("loop", "nin")

    def __init__(self, loop: Any, nin: int) -> None:
        self.loop = loop
        self.nin = nin


def ufunc_fast(f: Any) -> Prepared | None:
    """What a proxy of a ufunc may use for a call with float arguments alone; None when it has
    no loop of doubles to a double.  Once for each ufunc: asks the guest."""
    kind, *facts = _guest.call("native_describe", f)
    if kind != "ufunc":
        return None
    _, nin, nout, types, core, _ = facts
    text = "d" * nin + "->d"
    if core is not None or nout != 1 or nin > _DIRECT or text not in types:
        return None
    loop = _loop(f, nin, types, types.index(text))
    return None if loop is None else Prepared(loop, nin)
