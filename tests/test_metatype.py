# SPDX-License-Identifier: MIT
"""What a mirror class itself is asked is answered by the guest class."""

from __future__ import annotations

import inspect

import pytest

import pybridge
from pybridge._metatype import MirrorType

SOURCE = """
import abc
class Meta(type):
    def __len__(cls): return 3
    def __getitem__(cls, key): return cls.__name__, key
    def __iter__(cls): return iter((cls.__name__,))
    def __contains__(cls, x): return x == 1
    def __call__(cls, *args): return "called", args
    @property
    def shout(cls): return cls.__name__.upper()
class Base:
    "Doc of Base."
    constant = 7
    def __init__(self, a=1, *, b: int = 2): self.a, self.b = a, b
    @classmethod
    def made(cls, n): return cls(n)
    @staticmethod
    def twice(n): return 2 * n
class Left(Base): pass
class Right(Base): pass
class Both(Left, Right):
    __slots__ = ()
class WithMeta(metaclass=Meta): pass
def forget(*names):
    for name in names: delattr(Base, name)
"""


@pytest.fixture(scope="module")
def m(guest):
    names = {"__name__": "guest_metatype"}
    pybridge.exec(SOURCE, names)
    return type("names", (), names)


def test_names_bases_and_order_are_the_guests(m):
    assert isinstance(m.Both, MirrorType) and isinstance(m.Both, type)
    assert (m.Both.__name__, m.Both.__module__) == ("Both", "guest_metatype")
    assert m.Both.__bases__ == (m.Left, m.Right) and m.Both.__base__ is m.Left
    assert m.Base.__bases__ == (object,)
    assert m.Both.__mro__ == (m.Both, m.Left, m.Right, m.Base, object)
    assert inspect.getmro(m.Both) == m.Both.__mro__
    assert repr(m.Both) == "<class 'guest_metatype.Both'>" and m.Base.__doc__ == "Doc of Base."
    assert {c.__name__ for c in m.Base.__subclasses__()} == {"Left", "Right"}
    assert all(c in (m.Left, m.Right) for c in m.Base.__subclasses__())


def test_attributes_are_read_set_and_deleted_in_the_guest(m):
    assert m.Left.constant == 7 and m.Left.twice(4) == 8 and m.Left.made(5).a == 5
    m.Base.extra = [1]
    assert m.Both.extra == [1] and pybridge.eval("lambda c: c.extra")(m.Both) == [1]
    pybridge.eval("lambda c: setattr(c, 'later', 'there')")(m.Base)
    assert m.Both.later == "there" and "later" in dir(m.Both) and "later" in vars(m.Base)
    m.forget("extra", "later")
    for name in ("extra", "later", "nothing"):
        assert not hasattr(m.Both, name)
        with pytest.raises(AttributeError, match=name):
            delattr(m.Base, name)


def test_calling_makes_an_object_of_the_class(m):
    x = m.Both(3, b=4)
    assert type(x) is m.Both and (x.a, x.b) == (3, 4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        m.Both(c=1)
    assert list(inspect.signature(m.Base).parameters) == ["a", "b"]


def test_a_metaclass_of_the_guests_answers_for_its_class(m):
    assert len(m.WithMeta) == 3 and m.WithMeta["key"] == ("WithMeta", "key")
    assert list(m.WithMeta) == ["WithMeta"] and 1 in m.WithMeta and 2 not in m.WithMeta
    assert m.WithMeta(1, 2) == ("called", (1, 2)) and m.WithMeta.shout == "WITHMETA"
    assert issubclass(type(m.WithMeta), MirrorType)


def test_classes_are_hashed_compared_and_joined(m):
    assert {m.Left: 1, m.Right: 2}[m.Left] == 1 and m.Left != m.Right
    if pybridge.import_module("sys").version_info[:2] >= (3, 10):
        for union in (m.Left | m.Right, m.Left | None, None | m.Left):
            assert pybridge.eval("lambda u, x: isinstance(x, u)")(union, m.Both())
    else:
        with pytest.raises(TypeError, match="unsupported operand"):
            m.Left | m.Right
