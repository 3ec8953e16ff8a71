# SPDX-License-Identifier: MIT
"""A C function at an address, as a host callable.

Where it takes and gives numbers and needs no GIL this is a cffi function pointer: in a trace
one call with unboxed arguments.  For the others a function is made as source text for the
signature: it passes views as pointers, complex numbers as structs, and holds the guest's GIL
where that is needed.

Each keeps alive the guest object that the C function belongs to.
"""

from __future__ import annotations

from pybridge._core import ffi, lib
from pybridge._errors import ConversionError
from pybridge._frame import frame_get
from pybridge._host import module_dict
from pybridge._take import take
from pybridge._view import View

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

    from pybridge._signature import CType, Signature

_STRUCTS = {"float complex": "pb_complex64", "double complex": "pb_complex128"}


def spelled(t: CType) -> str:
    """The type as cffi takes it in a call."""
    if t.base == "long double" and not t.stars:
        raise ConversionError(
            "long double is not passed here: use a function of doubles", code="PB305"
        )
    if t.base in _STRUCTS or t.base == "long double":
        return "void *" if t.stars else _STRUCTS[t.base]
    return f"{t.base} {'*' * t.stars}"


def address_check(address: int) -> None:
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
    raise ConversionError(f"no code is at address {address:#x} in this process", code="PB305")


# ---- functions --------------------------------------------------------------------------


def c_function(address: int, s: Signature, keep: Any, needs_gil: bool) -> Any:
    """The C function at an address as a host callable."""
    types = [spelled(t) for t in s.parameters]
    pointers = [t for t in s.parameters if t.stars]
    complexes = [t for t in (s.result, *s.parameters) if _is_complex(t)]
    if s.optional:
        types += ["int", "void *"]
    # Without Cython's int behind the others, where nothing follows it: it is not read, and
    # in every calling convention here the callee does not mind.
    pointer = ffi.cast(f"{spelled(s.result)}(*)({', '.join(types)})", address)
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
            lines.append(
                f"p_{name} = {name} if isinstance({name}, CData) else pointer({name}, t_{name})"
            )
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
    return compiled(names, lines, space, f"The C function {s}.")


def compiled(names: list[str], lines: list[str], space: Any, doc: str) -> Any:
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
    **dict.fromkeys(
        "lqn", ("int64_t", "long", "long long", "intptr_t", "ssize_t", "ptrdiff_t")
    ),
    **dict.fromkeys(
        "LQN", ("uint64_t", "unsigned long", "unsigned long long", "uintptr_t", "size_t")
    ),
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
        return ffi.cast(spelled(t), x._address)
    if (
        isinstance(x, (list, tuple, bytes))
        and t.stars == 1
        and t.base not in ("void", *_STRUCTS)
    ):
        return x  # cffi copies it for the call
    raise TypeError(
        f"{type(x).__name__} is no {t}: pass a pybridge.view, a cffi pointer, a list of "
        "numbers, or None"
    )
