# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: classes that stand for host classes.

One guest class for each host class that is needed, of the metaclass `HostType`, with the
bases mirrored and exactly the special methods that the host class has; each is a host
function that calls the host's.  All other attributes are asked for.  Objects have no state of
their own: what guest code sets is set on the host's object, so a guest object may be dropped
and made again.

A host class that derives from int, float, complex, str, bytes, tuple or frozenset has a guest
class that does too, so that C code takes its objects for such; they hold the carrier of their
host object's number under `_HOST`, as each class does of its host class (csrc/hostobj.c).
"""

import abc
import sys
import types

_HOST = "__pybridge_host__"
_host = types.SimpleNamespace()  # functions of the host, by name: pybridge/_hostclass.py
_specials = {}
_MISSING = object()  # what the host gives for an attribute that is not there
_OWN = frozenset((_HOST, "__abstractmethods__", "_abc_impl", "_abc_registry"))


def host_begin(functions):
    """Take the host's functions; give the metaclass, and what stands for no attribute.

    Classes go to the host in a list: by themselves they would cross as host classes.
    """
    for name, function in functions:
        setattr(_host, name, function)
    return [HostType], _MISSING


def _missing(x, name):
    if isinstance(x, HostType):
        text = "type object '%s' has no attribute '%s'" % (x.__name__, name)
    else:
        text = "'%s' object has no attribute '%s'" % (type(x).__name__, name)
    if sys.version_info >= (3, 10):
        return AttributeError(text, name=name, obj=x)
    return AttributeError(text)


def _get(x, name):
    found = _host.get(x, name)
    if found is _MISSING:
        raise _missing(x, name)
    return found


class HostType(abc.ABCMeta):
    """The class of guest classes that stand for host classes."""

    def __new__(meta, name, bases, namespace, **keywords):
        """A class statement of guest code.  Its objects have no state in the guest either."""
        namespace = dict(namespace, __slots__=())
        namespace.pop(_HOST, None)
        cls = super().__new__(meta, name, bases, namespace)
        derived.add(cls)
        for base in cls.__mro__:
            if isinstance(base, HostType) and base not in derived and _HOST in base.__dict__:
                _make_inheritable(base)
        named = cls.__name__, cls.__qualname__, cls.__module__
        mirrors = tuple(base for base in bases if isinstance(base, HostType))
        found = _namespace(cls)
        _host.derive([cls], named, cls.__doc__, mirrors, found, **keywords)
        if "__getattribute__" not in namespace:
            names = {n for n, kind in found if kind != "data" and not n.startswith("__")}
            names.update(*[_hidden.get(id(base), ()) for base in cls.__mro__])
            _hidden[id(cls)] = names
            type.__setattr__(cls, "__getattribute__", _own_first(names))
        return cls

    def __init__(cls, name, bases, namespace, **keywords):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args, **kwargs):
        return _host.construct(cls, *args, **kwargs)

    def __getattr__(cls, name):
        if name in _OWN:
            raise _missing(cls, name)
        return _get(cls, name)

    def __setattr__(cls, name, value):
        if name in _OWN or name.startswith("_abc_"):
            type.__setattr__(cls, name, value)
        elif _HOST in cls.__dict__:
            _host.set(cls, name, value)
            if cls in derived:
                set_own(cls, name, value)
        else:
            type.__setattr__(cls, name, value)

    def __delattr__(cls, name):
        _host.delete(cls, name)
        if cls in derived and name in cls.__dict__:
            keep(cls, name)
            type.__delattr__(cls, name)

    def __dir__(cls):
        return list(_host.dir(cls))

    def __instancecheck__(cls, x):
        if type.__instancecheck__(cls, x):
            return True
        if isinstance(type(x), HostType):
            return _host.isinstance(x, cls)
        return abc.ABCMeta.__subclasscheck__(cls, type(x))

    def __subclasscheck__(cls, sub):
        if type.__subclasscheck__(cls, sub):
            return True
        if isinstance(sub, HostType):
            return _host.issubclass(sub, cls)
        return abc.ABCMeta.__subclasscheck__(cls, sub)


def _methods():
    """What all objects of such classes have."""

    def __getattr__(self, name):
        return _get(self, name)

    def __setattr__(self, name, value):
        _host.set(self, name, value)

    def __delattr__(self, name):
        _host.delete(self, name)

    def __dir__(self):
        return list(_host.dir(self))

    def __repr__(self):
        return _host.repr(self)

    def __str__(self):
        return _host.str(self)

    def __format__(self, spec):
        return _host.format(self, spec)

    def __copy__(self):
        return _host.copy(self)

    def __deepcopy__(self, memo):
        return _host.deepcopy(self)

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "cannot pickle '%s' object in the guest: it lives on the host; pickle it there"
            % type(self).__name__
        )

    def __dict__(self):
        return _get(self, "__dict__")

    space = dict(locals())
    space["__dict__"] = property(__dict__)
    space["__module__"] = "pybridge"
    return space


_base = None  # host_object of the core
_roots = {}


def _root(kind):
    """The class under which all of a kind are: "" for plain objects, "value" for values."""
    found = _roots.get(kind)
    if found is None:
        space = _methods()
        space["__slots__"] = ()
        bases = () if kind else (_base,)
        found = _roots[kind] = abc.ABCMeta.__new__(HostType, "HostObject", bases, space)
    return found


def host_special(name, function):
    """A function of the host that is the special method `name` of all classes that have it."""
    _specials[name] = function


def host_meta(name, module, specials):
    """The metaclass of classes whose host metaclass has special methods."""
    space = {s: _specials[s] for s in specials}
    space["__module__"] = module
    return [type(name, (HostType,), space)]


def host_class(carrier, meta, names, doc, bases, value, specials, nones, abcs):
    """The guest class for a host class."""
    global _base
    if _base is None:
        _base = type(carrier)
    name, qualname, module = names
    space = {"__module__": module, "__qualname__": qualname, "__doc__": doc, _HOST: carrier}
    for special in specials:
        space[special] = _specials[special]
    for special in nones:
        space[special] = None
    if value is None:
        space["__slots__"] = ()
        bases = bases or (_root(""),)
        if "files" in abcs:
            space.update(_file_methods())
        for throw in ("throw", "athrow"):
            if throw in abcs:
                space[throw] = _throw(throw)
    else:
        bases = _root("value"), value
    cls = abc.ABCMeta.__new__(meta[0] if meta else HostType, name, bases, space)
    _register(cls, abcs)
    if not derived.isdisjoint(cls.__mro__):  # what it overrides is the guest's
        _make_inheritable(cls)
    return [cls]


def _register(cls, abcs):
    import importlib

    for path in abcs:
        module, colon, name = path.partition(":")
        base = getattr(importlib.import_module(module), name, None) if colon else None
        if base is not None and not issubclass(cls, base):
            base.register(cls)


def _file_methods():
    """Host files fill buffers of the guest, and write what is in them."""

    def fill(read):
        def readinto(self, buffer):
            view = memoryview(buffer).cast("B")
            data = _get(self, read)(len(view))
            if data is None:
                return None
            view[: len(data)] = data
            return len(data)

        return readinto

    def write(self, data):
        if not isinstance(data, (str, bytes)):
            data = bytes(memoryview(data))
        return _get(self, "write")(data)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    return {
        "readinto": fill("read"), "readinto1": fill("read1"), "write": write,
        "writelines": writelines,
    }  # fmt: skip


def _throw(method):
    def throw(self, kind, value=None, traceback=None):
        if not isinstance(value, BaseException):
            if isinstance(kind, BaseException):
                value = kind
            else:
                value = kind() if value is None else kind(value)
        return _host.throw(self, method, value)

    throw.__name__ = method
    return throw


def host_value(cls, carrier, value):
    """An object of a class that derives from a value type."""
    for base in cls.__mro__:
        if not isinstance(base, HostType):
            break
    x = base.__new__(cls, value)
    object.__setattr__(x, _HOST, carrier)
    return x


# ---- classes of the guest that derive from host classes -------------------------------------
# The host has a class for each, derived from the host class, whose methods call the guest's:
# pybridge/_hostderive.py.  Both live for ever.  What the host asks of them: hostderived.py.

derived = set()
_hidden = {}  # by id: names of a class that an attribute of an object hides


def _own_first(names):
    """An object's own attributes are the host's, where the guest's look-up does not find them
    before it finds what the class has under that name."""

    def __getattribute__(self, name):
        if name in names:
            found = _host.own(self, name)
            if found:
                return found[0]
        return object.__getattribute__(self, name)

    return __getattribute__


replaced = {}  # by class, by name: what it defined first, which the host may still call


def set_own(cls, name, value):
    keep(cls, name)
    type.__setattr__(cls, name, value)
    for sub in tuple(derived):
        if type.__subclasscheck__(cls, sub):
            _hidden.setdefault(id(sub), set()).add(name)


def keep(cls, name):
    if name in cls.__dict__:
        replaced.setdefault(cls, {}).setdefault(name, cls.__dict__[name])


class Inherited:
    """An attribute of a host class, for `super()` in guest code."""

    def __init__(self, cls, name):
        self.cls = cls
        self.name = name

    def __get__(self, x, owner=None):
        if x is None:
            return _get(self.cls, self.name)
        if not derived.isdisjoint(type(x).__mro__):
            return _host.bind(self.cls, self.name, x)
        return _get(x, self.name)


_inheritable = set()


def _make_inheritable(cls):
    if id(cls) in _inheritable:
        return
    _inheritable.add(id(cls))
    for name in _host.names(cls):
        if name not in cls.__dict__ and name not in NOT_FORWARDED:
            type.__setattr__(cls, name, Inherited(cls, name))


def _namespace(cls):
    """(name, kind) of what the class, and those of the guest's own among its bases, define."""
    found = {}
    for base in cls.__mro__:
        if base is object or (base is not cls and isinstance(base, HostType)):
            continue
        for name, value in base.__dict__.items():
            if type(name) is str and name not in found and name not in NOT_FORWARDED:
                found[name] = _kind_of(value)
    return tuple(found.items())


def _kind_of(value):
    cls = type(value)
    if value is None:
        return "none"
    if hasattr(cls, "__set__"):
        return "data"
    if callable(value) and hasattr(cls, "__get__"):
        if cls not in (staticmethod, classmethod):
            return "function"
    return "attribute"


NOT_FORWARDED = _OWN | {
    "__module__", "__qualname__", "__dict__", "__weakref__", "__slots__", "__new__", "__doc__",
    "__getattribute__", "__class__", "__init_subclass__", "__class_getitem__",
    "__annotations__", "__firstlineno__", "__static_attributes__", "__del__",
}  # fmt: skip
