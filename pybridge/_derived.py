# SPDX-License-Identifier: MIT
"""Classes that the host derives from guest classes.

    class Net(torch.nn.Module):
        def forward(self, x): ...

makes two classes: a guest class below the guest's Module, whose methods call the host's
functions, and `Net`, its mirror class, whose objects stand for the guest's.  The guest's
metaclass makes the guest class, so that fields, members, columns and hooks are what they
are there; the state of an object is the guest object's.

What the body defines as functions, properties, class and static methods is in the host class
as well: `net.forward(x)` from host code is a plain host call.  All else is asked of the guest.

`super()` must go on where the guest's order of classes goes on, which may lead to the guest, to
another host class, or to a mixin.  So behind each host class stands a *gate* in the order: a
class that has every name of the guest's bases, and asks the guest's `super` for it.  Ordinary
attribute access goes past the gates (`__getattribute__`).

A host class among the bases that derives from no guest class (a mixin) gets a guest class
of its functions, made once.
"""

from __future__ import annotations

import itertools
import types

from pybridge import _guest, _kinds
from pybridge._core import lib
from pybridge._handle import Handle, isolate, settle
from pybridge._host import hidden, module_dict
from pybridge._locks import locked
from pybridge._metatype import MirrorType
from pybridge._metatype import derive as derive_hook
from pybridge._metatype import pending as pending_hook
from pybridge._mirror import classify_as, stays
from pybridge._ownclasses import guest_class_of, put_class
from pybridge._proxy import Proxy
from pybridge._put import encoders
from pybridge._table import put_object

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_get = type.__getattribute__
_tokens = itertools.count(1)
_pending: dict[int, Any] = {}  # token -> the host class that is being made
_mixins: dict[type, Any] = {}  # host class -> its gate
_guest_mixins: dict[type, Any] = {}  # host class -> proxy of its guest class
# Of these the guest's half alone has the body's definition: the host's own machinery would
# call them a second time, or in place of the bridge's.
_GUESTS_ONLY = frozenset((
    "__new__", "__init_subclass__", "__class_getitem__", "__getattr__", "__setattr__",
    "__delattr__", "__getattribute__", "__del__", "__slots__", "__annotations__", "__dict__",
    "__weakref__", "__module__", "__qualname__", "__doc__", "__classcell__", "__orig_bases__",
    "__set_name__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__",
    "__deepcopy__", "__dir__",
))  # fmt: skip
_NOT_IN_GATES = frozenset((
    "__class__", "__dict__", "__weakref__", "__doc__", "__module__", "__getattribute__",
    "__annotations__", "__abstractmethods__", "__slots__", "__class_getitem__",
    "__subclasshook__", "__set_name__", "__dir__", "__reduce__", "__reduce_ex__", "__hash__",
    "__sizeof__", "__qualname__", "__name__", "__classcell__", "__buffer__",
    "__release_buffer__",
))  # fmt: skip
_THE_OBJECTS = frozenset(("__class__", "__dict__", "__doc__", "__module__", "__weakref__"))


class _Super:
    """In a gate: a name that the guest's `super` has."""

    __slots__ = ("name", "owner")

    def __init__(self, name: str, owner: list[Any]) -> None:
        self.name = name
        self.owner = owner  # the host class before the gate

    @hidden
    def __get__(self, x: Any, owner: Any = None) -> Any:
        if self.name == "__init_subclass__" and _get(owner, "_pybridge_class") is None:
            return _nothing  # asked by the host's own making of the class
        start = _guest_half(self.owner[0])
        return _guest.call("super_of", start, owner if x is None else x, self.name)


def _nothing(**keywords: Any) -> None:
    pass


def _guest_half(cls: Any) -> Any:
    return guest_class_of(cls) if isinstance(cls, MirrorType) else _guest_mixins[cls]


def _gate(names: tuple[str, ...], nones: tuple[str, ...], owner: list[Any]) -> type:
    space: dict[str, Any] = {
        name: _Super(name, owner) for name in names if name not in _NOT_IN_GATES
    }
    space.update(dict.fromkeys(nones))
    space["_pybridge_gate"] = True
    return type("super", (), space)


# ---- the class statement --------------------------------------------------------------------


def _derive(meta: Any, name: str, bases: tuple[Any, ...], space: Any, keywords: Any) -> Any:
    """Make a class below mirror classes: what `MirrorType.__new__` does."""
    guest_bases = tuple([_guest_base(b) for b in bases])
    names, nones = _guest.call("names_of_class", guest_bases)
    owner: list[Any] = []
    host_bases: list[Any] = [_gate(names, nones, owner)]
    for base in bases:
        host_bases.append(base)
        if not isinstance(base, MirrorType) and base is not object:
            host_bases.append(_mixin_gate(base, names, nones))
    body = {k: v for k, v in space.items() if _is_behaviour(k, v)}
    body.update(
        __module__=Proxy.__dict__["__module__"],
        __qualname__=space.get("__qualname__", name),
        __doc__=space.get("__doc__"),
        _pybridge_class=None,
        _pybridge_number=0,
        _pybridge_module=space.get("__module__", "__main__"),
        _pybridge_derived=True,
        _pybridge_make=None,
        _pybridge_methods=None,
        _pybridge_state=None,
        __getattribute__=_get_attribute,
        __setattr__=_set_attribute,
    )
    if "__classcell__" in space:
        body["__classcell__"] = space["__classcell__"]
    cls = type.__new__(meta, name, tuple(host_bases), body)
    owner.append(cls)
    encoders[meta] = put_class
    _look_up(cls)
    token = next(_tokens)
    _pending[token] = cls
    try:
        items = tuple([_item(k, v) for k, v in space.items() if k != "__classcell__"])
        proxy = _guest.call_raw(
            "derive_class", name, guest_bases, items, tuple(keywords.items()), token
        )
        _bind(cls, proxy)
    finally:
        del _pending[token]
    return cls


def _bind(cls: Any, proxy: Any) -> None:
    """`cls` is the mirror class of the guest class, given as a bare proxy."""
    if _get(cls, "_pybridge_class") is not None:
        return  # it has been seen meanwhile
    with locked(_kinds.lock):
        number = _kinds.number_new()
        type.__setattr__(cls, "_pybridge_class", proxy)
        type.__setattr__(cls, "_pybridge_number", number)
        if stays(proxy):
            settle(proxy)
            _kinds.enter(number, cls, cls)
        else:
            isolate(proxy)
            _kinds.enter_mortal(number, cls)
        try:
            _get(cls, "_pybridge_value")
            tag = lib.PB_SUBVALUE
        except AttributeError:
            tag = lib.PB_OBJECT
        classify_as(proxy, tag, number)


def _bind_pending(proxy: Any) -> Any:
    """The host class for a guest class that is being made, or None."""
    if not _pending:
        return None
    cls = _pending.get(_guest.call("pending_token", proxy))
    if cls is not None:
        _bind(cls, proxy)
    return cls


def _guest_base(base: Any) -> Any:
    if isinstance(base, MirrorType) or base is object or guest_class_of(base) is not None:
        return base
    if base not in _guest_mixins:
        items = tuple([_item(k, v) for k, v in vars(base).items() if k not in _OF_A_CLASS])
        parents = tuple([_guest_base(b) for b in base.__bases__ if b is not object])
        _guest_mixins[base] = settle(
            _guest.call_raw("derive_class", base.__name__, parents, items, (), 0)
        )
    return _guest_mixins[base]


_OF_A_CLASS = ("__dict__", "__weakref__", "__slots__", "_abc_impl", "__abstractmethods__")


def _mixin_gate(base: type, names: tuple[str, ...], nones: tuple[str, ...]) -> Any:
    last = [c for c in base.__mro__ if c is not object][-1]
    if last not in _mixins:
        _guest_base(last)
        _mixins[last] = _gate(names, nones, [last])
    gate = _mixins[last]
    for name in names:
        if name not in _NOT_IN_GATES and name not in vars(gate):
            setattr(gate, name, _Super(name, [last]))
    return gate


_BEHAVIOUR = (types.FunctionType, staticmethod, classmethod, property)


def _is_behaviour(name: str, x: Any) -> bool:
    if name in _GUESTS_ONLY:
        return False
    return isinstance(x, _BEHAVIOUR) or (x is None and name[:2] == "__")


def _item(name: str, x: Any) -> tuple[str, str, Any]:
    """One line of the body, as the guest's half makes it."""
    kind = type(x)
    if name == "__annotations__":
        return name, "annotations", tuple([(k, _annotation(v)) for k, v in x.items()])
    if kind is staticmethod or (name == "__new__" and kind is types.FunctionType):
        return name, "static", getattr(x, "__func__", x)
    if kind is classmethod or (
        name in ("__init_subclass__", "__class_getitem__") and kind is types.FunctionType
    ):
        return name, "class", getattr(x, "__func__", x)
    if name == "__init__" and kind is types.FunctionType:
        code = x.__code__
        return name, "init", (x, code.co_varnames[1 : code.co_argcount])
    if kind is types.FunctionType:
        return name, "abstract" if getattr(x, "__isabstractmethod__", False) else "function", x
    if kind is property:
        return name, "property", (x.fget, x.fset, x.fdel, x.__doc__)
    return name, "value", x


def _annotation(x: Any) -> Any:
    """What the host's typing makes goes as text, which the guest evaluates."""
    if type(x).__module__ == "typing" or type(x) is getattr(types, "GenericAlias", None):
        return (repr(x),)
    return x


def _put_method(frame: Any, at: int, x: Any) -> int:
    """classmethod, staticmethod and property objects are the guest's own there."""
    parts = (x.fget, x.fset, x.fdel, x.__doc__) if type(x) is property else x.__func__
    return put_object(frame, at, _guest.call("derived.made", type(x).__name__, parts))


encoders.update({classmethod: _put_method, staticmethod: _put_method, property: _put_method})


# ---- attributes -----------------------------------------------------------------------------


def _look_up(cls: Any) -> None:
    """Keep what the host's classes define in front of the guest's: name -> definition."""
    known = module_dict()
    for base in type.mro(cls):
        space = type.__dict__["__dict__"].__get__(base)
        if "_pybridge_gate" in space:
            continue
        if isinstance(base, MirrorType) and "_pybridge_derived" not in space:
            break
        if base is object or base is Handle or base is Proxy:
            break
        for name, x in space.items():
            if name[:10] != "_pybridge_" and name not in _GUESTS_ONLY:
                known.setdefault(name, x)
    type.__setattr__(cls, "_pybridge_known", known)


@hidden
def _get_attribute(self: Any, name: str) -> Any:
    cls = type(self)
    if name[:10] == "_pybridge_" or name in _THE_OBJECTS:
        return object.__getattribute__(self, name)
    try:
        found = _get(cls, "_pybridge_known")[name]
    except KeyError:
        return Proxy.__getattr__(self, name)
    get = getattr(type(found), "__get__", None)
    return found if get is None else get(found, self, cls)


@hidden
def _set_attribute(self: Any, name: str, value: Any) -> None:
    known = _get(type(self), "_pybridge_known")
    if name in known and not hasattr(type(known[name]), "__set__"):
        del known[name]  # the object's own goes first from now on: asked of the guest
    Proxy.__setattr__(self, name, value)


def _class_set(cls: Any, name: str, value: Any) -> None:
    """After an attribute of a derived class was set or deleted (value: Ellipsis)."""
    if _is_behaviour(name, value):
        type.__setattr__(cls, name, value)
    elif name in type.__dict__["__dict__"].__get__(cls):
        type.__delattr__(cls, name)
    _look_up(cls)


derive_hook.extend((_derive, _class_set))
pending_hook.append(_bind_pending)
