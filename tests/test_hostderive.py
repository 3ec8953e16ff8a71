# SPDX-License-Identifier: MIT
"""Guest classes that derive from host classes."""

from __future__ import annotations

import abc
from unittest import mock

import children
import guests
import pytest

import pybridge

make = pybridge.eval


class Plain:
    """A class of the host's."""

    def __init__(self, x: int = 1) -> None:
        self.x = x

    def method(self, y: int) -> int:
        """Adds."""
        return self.x + y

    @property
    def double(self) -> int:
        return 2 * self.x


DERIVE = """
def derive(Base):
    class Sub(Base):
        extra = [5]
        def __init__(self, x):
            super().__init__(x * 2)
            self.y = x
        def method(self, y):
            return "guest", super().method(y), self.y
        @property
        def plus(self):
            return self.x + 100
        @plus.setter
        def plus(self, value):
            self.x = value - 100
        @classmethod
        def made(cls, x):
            return cls(x + 1)
        def __len__(self):
            return 17
    return Sub
"""


def test_a_guest_class_may_derive_from_a_host_class():
    pybridge.exec(DERIVE)
    sub = pybridge.eval("derive")(Plain)
    assert issubclass(sub, Plain)
    assert sub.__name__ == "Sub"
    for x in (sub(4), make("lambda c: c(4)")(sub)):
        assert type(x) is sub
        assert (x.x, x.y, len(x), x.plus) == (8, 4, 17, 108)
        assert tuple(x.method(1)) == ("guest", 9, 4)
        x.plus = 200
        assert x.x == 100
        there = make("lambda x, c: (type(x) is c, x.x, len(x), x.plus, x.method(2), x.double)")
        assert there(x, sub) == (True, 100, 17, 200, ("guest", 102, 4), 200)
    assert sub.made(1).y == 2
    assert list(sub.extra) == [5]
    assert make("lambda c: c.made(1).y")(sub) == 2
    assert make("lambda x, c: isinstance(x, c)")(sub(1), Plain)

    class Again(sub):
        def method(self, y):
            return "host", super().method(y)

    assert Again(1).method(1)[0] == "host"
    assert make("lambda x: x.method(1)[0]")(Again(1)) == "host"


def test_the_host_calls_what_a_guest_class_overrides():
    class Template(abc.ABC):
        def run(self):
            return self.step(1) + self.step(2)

        @abc.abstractmethod
        def step(self, n): ...

    pybridge.exec(
        "def derived(B):\n"
        "    class D(B):\n        def step(self, n):\n            return n * 10\n"
        "    return D"
    )
    cls = pybridge.eval("derived")(Template)
    assert cls().run() == 30
    assert make("lambda c: c().run()")(cls) == 30


def test_attributes_of_the_guest_class_are_set_and_deleted_on_the_host():
    pybridge.exec(DERIVE)
    sub = pybridge.eval("derive")(Plain)
    x = sub(1)
    with pytest.raises(AttributeError):
        del x.plus  # a property without a deleter
    x.extra = "its own"
    assert x.extra == "its own" and list(sub.extra) == [5]
    assert make("lambda x: x.extra")(x) == "its own"


def test_an_objects_attribute_hides_what_the_class_has():
    pybridge.exec(
        "def counting(Base):\n"
        "    class Sub(Base):\n"
        "        count = 0\n"
        "        def add(self):\n"
        "            self.count += 1\n"
        "            return self.count\n"
        "        def other(self): return 'class'\n"
        "    class Below(Sub): pass\n"
        "    return Sub, Below"
    )
    for cls in pybridge.eval("counting")(Plain):
        x = cls()
        assert (x.add(), x.add(), x.count, cls.count) == (1, 2, 2, 0)
        assert make("lambda x: (x.add(), x.count, type(x).count, x.other())")(x) == (
            3, 3, 0, "class",
        )  # fmt: skip
        x.other = lambda: "its own"
        assert x.other() == make("lambda x: x.other()")(x) == "its own"
        del x.other
        assert x.other() == make("lambda x: x.other()")(x) == "class"
        assert cls().count == 0
    make("lambda cls: setattr(cls, 'count', 10)")(cls)  # of the class below alone
    assert (cls.count, cls().add()) == (10, 11)
    assert make("lambda cls: (cls.count, cls().add())")(cls) == (10, 11)
    assert cls.__bases__[0].count == 0
    make("lambda cls: delattr(cls, 'count')")(cls)
    assert (cls.count, cls().add()) == (0, 1)
    assert make("lambda cls: (cls.count, cls().add())")(cls) == (0, 1)


COUNTING = """
def counting(Base):
    class Sub(Base):
        count = 0
        def add(self):
            self.count += 1
            return self.count
        def other(self, y=0): return "guest", y
        @property
        def plus(self): return self.count + 100
    class Below(Sub): pass
    return Sub, Below
"""
ANSWERS = "lambda c: (c.count, c().count, c().add(), c().other()[0], c().plus)"


@guests.each
def test_what_the_host_sets_on_such_a_class_the_guest_reads(python):
    """It read what the class statement had said."""
    out = children.run(
        """
        import abc, sys, pybridge
        pybridge.exec(sys.argv[1])
        answers = pybridge.eval(sys.argv[2])

        class Plain:
            pass

        class Abstract(abc.ABC):
            def there(self): return "there"

        for base in (Plain, Abstract):
            sub, below = pybridge.eval("counting")(base)
            assert answers(sub) == answers(below) == (0, 0, 1, "guest", 100)
            sub.count = 9
            sub.other = lambda self, y=0: ("host", y)
            assert answers(sub) == answers(below) == (9, 9, 10, "host", 109)
            assert sub().add() == 10
            below.count = 20  # of that one alone
            assert (answers(sub)[:2], answers(below)[:2]) == ((9, 9), (20, 20))
            del below.count
            assert answers(below) == answers(sub)

            class Again(below):
                pass

            assert answers(Again)[0] == 9
            Again.count = 30
            assert (answers(Again)[:3], answers(below)[:3]) == ((30, 30, 31), (9, 9, 10))
            del Again.count
            assert answers(Again) == answers(below)
            sub.plus = property(lambda self: self.count + 200)
            sub.__len__ = lambda self: 17
            sub.name = classmethod(lambda cls: cls.__name__)
            ask = pybridge.eval("lambda c: (c().plus, len(c()), c.name(), c().name())")
            assert ask(below) == (209, 17, "Below", "Below")
            pybridge.eval("lambda c: setattr(c, 'count', 77)")(sub)
            assert (sub.count, answers(below)[0]) == (77, 77)
        print("ended")
        """,
        COUNTING,
        ANSWERS,
        env=guests.env(python),
    )
    assert out.out == "ended\n"


def test_what_the_guest_class_defined_can_be_wrapped_and_put_back():
    """The function that the host has calls by name: it must not call what took its place."""
    pybridge.exec(COUNTING)
    sub, below = pybridge.eval("counting")(Plain)
    answers = make(ANSWERS)
    first = sub.other
    sub.other = lambda self, y=0: ("wrapped", first(self, y + 1))
    for cls in (sub, below):
        assert cls().other(4) == ("wrapped", ("guest", 5))
        assert make("lambda c: c().other(4)")(cls) == ("wrapped", ("guest", 5))
    sub.other = first
    assert sub().other(4) == make("lambda c: c().other(4)")(below) == ("guest", 4)
    with mock.patch.multiple(sub, count=9, plus=3):
        assert (sub.count, answers(below)) == (9, (9, 9, 10, "guest", 3))
    assert (sub.count, answers(below)) == (0, (0, 0, 1, "guest", 100))
    had = vars(sub)["other"]
    del sub.other
    assert not make("lambda c: hasattr(c, 'other')")(below)
    sub.other = had
    assert answers(sub) == (0, 0, 1, "guest", 100)


def test_such_classes_and_abstract_or_related_ones_have_one_metaclass():
    class Meta(type):
        def __len__(cls):
            return 5

    class Other(metaclass=Meta):
        pass

    derive = make("lambda *bases: type(bases[0])('D', bases, {'n': 1})")
    plain, other = derive(Plain), derive(Other)
    assert (len(other), other.n, make("lambda c: len(c)")(other)) == (5, 1, 5)

    class Both(plain, abc.ABC):
        @abc.abstractmethod
        def step(self): ...

    with pytest.raises(TypeError, match="step"):
        Both()
    both = derive(other, Plain)
    both.n = 2
    assert (len(both), both.n, make("lambda c: c.n")(both), other.n) == (5, 2, 2, 1)


def test_what_super_finds_is_the_hosts():
    pybridge.exec(
        "def with_super(Base):\n"
        "    class Sub(Base):\n"
        "        @property\n"
        "        def double(self): return super().double + 1\n"
        "        def method(self, y): return super().method(y) * 100\n"
        "    return Sub"
    )
    sub = pybridge.eval("with_super")(Plain)
    x = sub(3)
    assert (x.double, x.method(1)) == (7, 400)
    assert tuple(make("lambda x: (x.double, x.method(1))")(x)) == (7, 400)
    assert sub.__doc__ is None and sub.method.__name__ == "method"


def test_an_error_in_a_guest_method_is_the_hosts_error():
    pybridge.exec(
        "def failing(Base):\n"
        "    class Sub(Base):\n"
        "        def method(self, y): return 1 // y\n"
        "    return Sub"
    )
    x = pybridge.eval("failing")(Plain)(1)
    with pytest.raises(ZeroDivisionError):
        x.method(0)
    assert x.method(1) == 1
