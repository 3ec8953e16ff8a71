# SPDX-License-Identifier: MIT
"""Kinds of elements of numpy arrays: how each is read from memory, and written.

An array says what its elements are by the address of an object, its dtype's.  For each address
there is a `Kind`, made when it is first seen, whose functions a trace takes for constants: the
array remembers its kind and compares the address each time.  A kind keeps its dtype alive, so
that the address never means another.

What `load` gives is what numpy gives for the element, made without a crossing: numpy.float64,
numpy.int32 and so on; `_otherkinds` has complex numbers, text, dates and the other byte order.
Of elements that have no such form (objects, say) it is None, and of records too: a record is
made of its array and its place in it (`_void`).
"""

from __future__ import annotations

from pybridge import _otherkinds, _templates
from pybridge._core import ffi
from pybridge._host import hidden, module_dict

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any, Callable

# dtype: (C type, least, most)
INTEGERS = {
    "int64": ("int64_t", -(2**63), 2**63 - 1),
    "int32": ("int32_t", -(2**31), 2**31 - 1),
    "int16": ("int16_t", -(2**15), 2**15 - 1),
    "int8": ("int8_t", -(2**7), 2**7 - 1),
    "uint64": ("uint64_t", 0, 2**64 - 1),
    "uint32": ("uint32_t", 0, 2**32 - 1),
    "uint16": ("uint16_t", 0, 2**16 - 1),
    "uint8": ("uint8_t", 0, 2**8 - 1),
}
MOST_FLOAT32 = 3.4028234663852886e38
_KINDS_AT_MOST = 5000  # each keeps a dtype; programs that make more have no use for them


def is_whole(classes: dict[str, Any]) -> str:
    """The condition, as text, that the class `kind` is one of numpy's integers, or its bool,
    whose number is `_pybridge_plain`."""
    return " or ".join(f"kind is {n}" for n in (*INTEGERS, "truth") if n in classes) or "False"


class Kind:
    """`descr`: the address of the dtype, 0 for none.  `load(address)`: the element there, or
    None for no such function; `store(address, x)`: did it write `x`?
    `fields`: of a record, its fields by name.  `dtype`: what is kept alive."""

    __slots__ = ("descr", "dtype", "fields", "load", "store")

    def __init__(self, descr: int, load: Any, store: Any, dtype: Any, fields: Any) -> None:
        self.descr = descr
        self.load = load
        self.store = store
        self.dtype = dtype
        self.fields = fields


class Field:
    """A field of a record: its name, its offset in bytes, and its kind."""

    __slots__ = ("kind", "load", "name", "offset", "store")

    def __init__(self, name: str, offset: int, kind: Kind) -> None:
        self.name = name
        self.offset = offset
        self.kind = kind
        self.load = kind.load
        self.store = kind.store


def _never(address: int, x: Any) -> bool:
    return False


UNSEEN = Kind(0, None, _never, None, None)
_TEXT = {
    "float64": """
@hidden
def load(address):
    return new(float64, cast(POINTER, address)[0])

@hidden
def store(address, x):
    kind = type(x)
    if kind is float or kind is float64 or kind is int and -EXACT <= x <= EXACT:
        cast(POINTER, address)[0] = x
    elif {late}:
        cast(POINTER, address)[0] = float(x._pybridge_plain)
    else:
        return False
    return True
""",
    "float32": """
@hidden
def load(address):
    r = create(float32)
    set(r, "_pybridge_plain", cast(POINTER, address)[0])
    return r

@hidden
def store(address, x):
    kind = type(x)
    if kind is float or kind is float64:
        # Beyond that a flag rises; and NaN keeps its bits another way.
        if not -MOST <= x <= MOST:
            return False
        cast(POINTER, address)[0] = x
    elif kind is float32 or kind is int and -2**24 <= x <= 2**24:
        x = x if kind is int else x._pybridge_plain
        if x != x:
            return False
        cast(POINTER, address)[0] = x
    else:
        return False
    return True
""",
    "integer": """
@hidden
def load(address):
    r = create(CLASS)
    set(r, "_pybridge_plain", cast(POINTER, address)[0])
    return r

@hidden
def store(address, x):
    kind = type(x)
    if kind is not int:
        if {late}:
            x = x._pybridge_plain
        elif kind is not bool:
            return False
    if LEAST <= x <= MOST:
        cast(POINTER, address)[0] = x
        return True
    return False
""",
    # Few are that large: all others without a number of more than 64 bits.
    "uint64": """
@hidden
def load(address):
    x = cast(SIGNED, address)[0]
    if x < 0:
        x += 2**64
    r = create(CLASS)
    set(r, "_pybridge_plain", x)
    return r
""",
    "truth": """
@hidden
def load(address):
    r = create(truth)
    set(r, "_pybridge_truth", cast(POINTER, address)[0] != 0)
    return r

@hidden
def store(address, x):
    kind = type(x)
    if kind is truth:
        x = x._pybridge_truth
        if x is None:  # the guest made it
            return False
    elif kind is not bool:
        return False
    cast(POINTER, address)[0] = 1 if x else 0
    return True
""",
    "bytes": """
@hidden
def load(address):
    return new(bytes_, unpack(cast(CHARS, address), SIZE).rstrip(ZERO))
""",
    "byte": """
@hidden
def load(address):
    return new(bytes_, BYTES[cast(POINTER, address)[0]])
""",
}
_BYTES = [b"", *(bytes([i]) for i in range(1, 256))]


class Kinds:
    """All kinds of one numpy: its classes by name; the names of builtin dtypes by address,
    which never change; `describe`, which asks the guest about an array's dtype; `numbers_used`,
    called before the first number is made that is no float64.

    Source text is compiled when a kind is first met: all of it would be felt at the start."""

    def __init__(
        self,
        classes: dict[str, Any],
        builtin: dict[int, str],
        describe: Callable[[Any], Any],
        numbers_used: Callable[[], None],
    ) -> None:
        self._classes = classes
        self._builtin = builtin
        self._describe = describe
        self._numbers_used = numbers_used
        self._known: dict[int, Kind] = {}  # by address
        self._named: dict[str, Kind] = {}
        self._sized: dict[int, Kind] = {}  # of bytes

    def _kind_named(self, text: str) -> Kind:
        name = text.lstrip(">")
        if text not in self._named:
            other = _otherkinds.functions(text, self._classes, _never)
            if other is not None:
                self._named[text] = Kind(0, *other, None, None)
            elif name not in self._classes:
                return UNSEEN
            else:
                if name in INTEGERS or name == "float32":
                    self._numbers_used()
                found = self._functions(name, swapped=text != name)
                self._named[text] = Kind(0, *found, None, None)
        return self._named[text]

    def _functions(self, name: str, size: int = 0, swapped: bool = False) -> tuple[Any, Any]:
        space = module_dict()  # only its look-ups fold in traces
        classes = self._classes
        space.update(
            {n: classes[n] for n in classes},
            __name__=__name__,
            BYTES=_BYTES,
            CHARS=ffi.typeof("char *"),
            EXACT=2**53,
            SIGNED=ffi.typeof("int64_t *"),
            SIZE=size,
            ZERO=b"\0",
            cast=ffi.cast,
            create=object.__new__,
            hidden=hidden,
            new=float.__new__,
            set=object.__setattr__,
            store=_never,
            unpack=ffi.unpack,
        )
        if name in INTEGERS:
            kind, text = "integer", _TEXT["integer"]
            ctype, space["LEAST"], space["MOST"] = INTEGERS[name]
            space["CLASS"] = classes[name]
            if name == "uint64" and not swapped:
                kind, text = name, text + _TEXT["uint64"]
        elif name == "bytes_":
            kind = "byte" if size == 1 else "bytes"
            text, ctype = _TEXT[kind], "uint8_t"
            space["new"] = bytes.__new__
        else:
            kind, text = name, _TEXT[name]
            ctype = {"float64": "double", "float32": "float", "truth": "uint8_t"}[name]
            space["MOST"] = MOST_FLOAT32
        space["POINTER"] = ffi.typeof(ctype + " *")
        if swapped:
            text, names = _otherkinds.swapped(text, name)
            space.update(names)
            kind += "-swapped"
        text = text.replace("{late}", is_whole(classes))
        _templates.run(text, f"pybridge-kind-{kind}.py", space)
        return space["load"], space["store"]

    def of(self, array: Any, descr: int) -> Kind:
        """The kind of the elements of an array whose dtype is at `descr`."""
        kind = self._known.get(descr)
        if kind is None:
            name = self._builtin.get(descr)
            dtype, text = (None, name) if name is not None else self._describe(array)
            stated = self._stated(text)
            kind = Kind(descr, stated.load, stated.store, dtype, stated.fields)
            if len(self._known) < _KINDS_AT_MOST:
                kind = self._known.setdefault(descr, kind)
        object.__setattr__(array, "_pybridge_kind", kind)
        return kind

    def _stated(self, text: Any) -> Kind:
        """What the guest says of a dtype: its name (">int32": in the other byte order), the
        size of bytes, fields, or None."""
        if type(text) is str:
            return self._kind_named(text)
        if type(text) is int and "bytes_" in self._classes:
            if text not in self._sized:
                self._sized[text] = Kind(0, *self._functions("bytes_", text), None, None)
            return self._sized[text]
        if type(text) is tuple:
            fields = module_dict()
            for name, offset, inner in text:
                kind = self._stated(inner)
                if kind.load is not None or kind.fields is not None:
                    fields[name] = Field(name, offset, kind)
            return Kind(0, None, _never, None, fields)
        return UNSEEN
