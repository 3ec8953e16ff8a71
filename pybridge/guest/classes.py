# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: classes, described for the host's mirror classes.

Loaded by support.py when the first of its functions is asked for.
"""

import sys

full_name = None  # support.py puts its function here

_VALUES = (int, float, complex, str, bytes, tuple)
# Classes whose objects the host takes for its own of that name, through `__class__`
_CONTAINERS = (list, dict, set, bytearray)
_HEAP, _IMMUTABLE = 1 << 9, 1 << 8
_OBJECT_CLASS = object.__dict__["__class__"]
_ABCS = {  # and those below each
    "Sequence": ("MutableSequence", "ByteString"),
    "Set": ("MutableSet",),
    "Mapping": ("MutableMapping",),
    "MappingView": ("KeysView", "ItemsView", "ValuesView"),
}
_NUMBERS = ("Number", "Complex", "Real", "Rational", "Integral")  # each below the one before


def describe_class(cls):
    """What a mirror class is made of: see Description in pybridge/_mirrorclass.py.

    Names are one text each, with spaces between them: that crosses ten times as fast."""
    type.__getattribute__(cls, "__name__")  # some of 3.9's own types are made ready only now
    space = type.__dict__["__dict__"].__get__(cls)
    mro = type.__dict__["__mro__"].__get__(cls)
    module, qualname = full_name(cls)
    name = type.__dict__["__name__"].__get__(cls)
    specials = [k for k in space if k[:2] == "__" and type(k) is str and k.isidentifier()]
    nones = [k for k in specials if space[k] is None]
    if "__eq__" in space and "__hash__" not in space:
        inherited = _find(mro, "__hash__")
        specials.append("__hash__")
        if inherited is None:
            nones.append("__hash__")
    value = next((b for b in _VALUES if b in mro and b is not cls), None)
    bases = type.__dict__["__bases__"].__get__(cls)
    return (
        name, qualname, module,
        () if bases == (object,) else bases,
        None if type(cls) is type else type(cls),
        " ".join(specials), " ".join(nones),
        "" if value is None else value.__name__,
        "" if value is None else " ".join(_shadows(mro, value)),
        "" if value is None else " ".join(_kept_names(mro, value)),
        _builtin(cls, mro),
        _kept(cls, module, qualname),
        " ".join(_abcs(cls)),
        _fixed(cls, mro),
        _watched(cls, mro),
    )  # fmt: skip


def _fixed(cls, mro):
    """Are its methods the same for ever, whatever an object says?  Objects without a dict, of
    classes that cannot be changed."""
    return (
        cls.__dictoffset__ == 0
        and cls not in (type, super, type(sys))
        and all(not c.__flags__ & _HEAP or c.__flags__ & _IMMUTABLE for c in mro)
    )


_MANAGED_DICT, _INLINE_VALUES = 1 << 4, 1 << 2  # 3.11 and later; 3.13


def _watched(cls, mro):
    """Can the host tell from memory that its methods are what they were?  See _bound.py."""
    return watched(cls, mro) is not None


def watched(cls, mro=None):
    """None: it cannot; else, have its objects attributes of their own?"""
    if not (3, 11) <= sys.version_info < (3, 14) or not cls.__flags__ & _HEAP:
        return None
    mro = mro or type.__dict__["__mro__"].__get__(cls)
    if _find(mro, "__getattribute__") is not object.__dict__["__getattribute__"]:
        return None
    if cls.__dictoffset__ == 0 and not cls.__flags__ & _MANAGED_DICT:
        return False
    wanted = _MANAGED_DICT if sys.version_info < (3, 13) else _MANAGED_DICT | _INLINE_VALUES
    return True if cls.__flags__ & wanted == wanted else None


def function_of(x, name):
    """The function that a bound method of `x` under a name is made of, else None."""
    found = _find(type.__dict__["__mro__"].__get__(type(x)), name)
    return found if type(found) is _FUNCTION else None


def bound_method(function, x):
    return _BOUND(function, x)


class _Any:
    def method(self):
        pass


_FUNCTION, _BOUND = type(_Any.method), type(_Any().method)
_probe = []


def layout_probe(step):
    """A class and an object, and what is done with them, for _bound.py."""
    if step == 0:
        space = {"__module__": __name__, "spam_": lambda self: None}
        cls = type("Probe", (), space)
        cls.__qualname__ = "A.Probe"
        x = cls()
        x.spam = 1
        x.spam_()
        _probe[:] = cls, x
        return id(cls), id(x), id(cls.__name__), id(cls.__qualname__), type.__basicsize__
    cls, x = _probe
    if step == 1:
        x.eggs = 2
    elif step == 2:
        cls.more = lambda self: None
        x.more()
    else:
        vars(x)
    return None


def method_of(x, name):
    """The method descriptor of a fixed class under a name, in a tuple with its doc; what the
    AttributeError says if there never is such an attribute; or None."""
    mro = type.__dict__["__mro__"].__get__(type(x))
    found = _find(mro, name)
    if type(found) is _METHOD:
        return found, found.__doc__
    if any(name in vars(base) for base in mro) or not _reads_plainly(mro):
        return None
    try:
        object.__getattribute__(x, name)
    except AttributeError as error:
        return str(error)
    return None


def _reads_plainly(mro):
    """Is an attribute what the classes have under its name, and nothing else?"""
    return (
        _find(mro, "__getattribute__") is object.__dict__["__getattribute__"]
        and _find(mro, "__getattr__") is None
    )


_METHOD = type(list.append)


def _find(mro, name):
    for base in mro:
        if name in vars(base):
            return vars(base)[name]
    return None


def _shadows(mro, value):
    """The names of a value type that a class in front of it defines anew."""
    names = set()
    for base in mro[: mro.index(value)]:
        names.update(k for k in vars(base) if k in vars(value) and k[:2] != "__")
    return names


_OF_EVERY_OBJECT = (
    "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__repr__",
    "__str__", "__format__",
)  # fmt: skip


def _kept_names(mro, value):
    """The methods of every object that a class has from its value type."""
    return [
        name
        for name in _OF_EVERY_OBJECT
        if next(base for base in mro if name in vars(base)) is value
    ]


def _builtin(cls, mro):
    """The builtin class that the host's isinstance sees, None: the class itself, "": ask
    each object, which has a `__class__` of its own."""
    if _find(mro, "__class__") is not _OBJECT_CLASS:
        return ""
    for base in _CONTAINERS:
        if base in mro:
            return base.__name__
    return None


def _kept(cls, module, qualname):
    """Does a module have the class?  Then it lives as long as that does."""
    if not cls.__flags__ & _HEAP:
        return True
    found = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None) if part != "<locals>" else None
    return found is cls


def _abcs(cls):
    """The abstract classes that it was registered with, which no method tells; not those that
    have another of them below."""
    import collections.abc

    found = []
    for root, below in _ABCS.items():
        if _is(cls, getattr(collections.abc, root)):
            more = [n for n in below if _is(cls, getattr(collections.abc, n, None))]
            found.extend(more or [root])
    numbers = sys.modules.get("numbers")
    if numbers is not None:
        last = None
        for name in _NUMBERS:
            if not _is(cls, getattr(numbers, name)):
                break
            last = name
        if last is not None:
            found.append(last)
    return found


def _is(cls, abc):
    try:
        return abc is not None and issubclass(cls, abc)
    except Exception:
        return False


def signature_of(x):
    """((name, kind, (default,) or (), (annotation,) or ()), ...), (annotation back,) or ()."""
    import inspect

    signature = inspect.signature(x)
    empty = inspect.Parameter.empty
    parameters = tuple(
        (
            p.name,
            p.kind.name,
            () if p.default is empty else (p.default,),
            () if p.annotation is empty else (p.annotation,),
        )
        for p in signature.parameters.values()
    )
    back = signature.return_annotation
    return parameters, () if back is inspect.Signature.empty else (back,)


def find_class(module, name):
    """A class of a module, or with no module a type of the language that has no name."""
    if not module:
        return _language_types()[name]
    import importlib

    return getattr(importlib.import_module(module), name)


def _language_types():
    import types

    found = {t.__name__: t for t in vars(types).values() if isinstance(t, type)}
    found.update((type(x).__name__, type(x)) for x in (None, ..., NotImplemented))
    return found


def descriptor_get(x, instance, owner=None):
    return type(x).__get__(x, instance, owner)


def descriptor_set(x, instance, value):
    type(x).__set__(x, instance, value)


def descriptor_delete(x, instance):
    type(x).__delete__(x, instance)
