# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: classes that the host derives from the guest's.

Loaded by support.py when the first of its functions is asked for.
"""

import functools
import types

_PENDING = "__pybridge_pending__"


def derive_class(name, bases, items, keywords, token):
    """Make the guest's half of a class that the host defines.

    `items`: (name, kind, value) of its body, in order; `token`: by which the host knows the
    class when code that runs meanwhile (`__init_subclass__`, `__set_name__`) passes it on.
    """
    metaclass, space, rest = types.prepare_class(name, bases, dict(keywords))
    for key, kind, value in items:
        space[key] = _MAKERS[kind](value)
    space[_PENDING] = token
    cls = metaclass(name, bases, space, **rest)
    derived_done(cls)
    return cls


def derived_done(cls):
    try:
        type.__delattr__(cls, _PENDING)
    except AttributeError:
        pass


def pending_token(cls):
    """The token of a class that is being made, or 0."""
    return type.__dict__["__dict__"].__get__(cls).get(_PENDING, 0)


def _function(host):
    """A function, as the libraries of the guest want methods to be, which calls the host's."""

    def method(*args, **kwargs):
        return host(*args, **kwargs)

    return functools.update_wrapper(method, host)


def _abstract(host):
    method = _function(host)
    method.__isabstractmethod__ = True
    return method


def _init(parts):
    """Numbers and texts cross by value.  An attribute that is set to the argument of its name
    is that very object all the same: scikit-learn's clone() demands it."""
    host, names = parts

    def __init__(self, *args, **kwargs):
        host(self, *args, **kwargs)
        space = getattr(self, "__dict__", None)
        if space:
            for name, x in (*zip(names, args), *kwargs.items()):
                if type(x) in _BY_VALUE and type(space.get(name)) is type(x):
                    if space[name] is not x and space[name] == x:
                        space[name] = x

    return functools.update_wrapper(__init__, host)


_BY_VALUE = (int, float, complex, str, bytes, tuple, frozenset)


def made(kind, x):
    """A classmethod, staticmethod or property."""
    return _MAKERS[{"classmethod": "class", "staticmethod": "static"}.get(kind, kind)](x)


def _property(parts):
    get, set_, delete, doc = parts
    wrapped = [None if f is None else _function(f) for f in (get, set_, delete)]
    return property(*wrapped, doc)


_MAKERS = {
    "value": lambda x: x,
    "function": _function,
    "abstract": _abstract,
    "init": _init,
    "static": lambda f: staticmethod(_function(f)),
    "class": lambda f: classmethod(_function(f)),
    "property": _property,
    "annotations": lambda x: {k: _annotation(v) for k, v in x},
}


def _annotation(x):
    """Annotations of the host's typing module come as text."""
    if type(x) is not tuple:
        return x
    import typing

    try:
        return eval(x[0], {"typing": typing})
    except Exception:
        return x[0]


def names_of_class(bases):
    """The names that `super()` finds in a class below `bases`; those that are None there."""
    names = {}
    for base in bases:
        for cls in reversed(type.__dict__["__mro__"].__get__(base)):
            for name, value in type.__dict__["__dict__"].__get__(cls).items():
                if type(name) is str:
                    names[name] = value is None and name[:2] == "__"
    return (
        tuple(k for k, is_none in names.items() if not is_none),
        tuple(k for k, is_none in names.items() if is_none),
    )


def super_of(cls, x, name):
    """What `super(cls, x)` has under a name; `x` may be a class."""
    return getattr(super(cls, x), name)
