# SPDX-License-Identifier: MIT
"""Classes of the host below classes of the guest."""

from __future__ import annotations

import abc
import logging

import pytest

import pybridge

SOURCE = """
import abc, ast, enum, threading

class Plain:
    kind = "guest"
    def __init__(self, x=1): self.x = x
    def whoami(self): return "guest"
    def both(self, y): return ("guest", self.whoami(), self.x, y)
    @classmethod
    def make(cls, *args): return cls(*args)
    @property
    def double(self): return self.x * 2
    def __len__(self): return 3
    def __repr__(self): return "Plain(%r)" % (self.x,)

class Left(Plain):
    def whoami(self): return "left " + super().whoami()

class Hooked:
    seen = []
    def __init_subclass__(cls, key=None, **keywords):
        super().__init_subclass__(**keywords)
        Hooked.seen.append((cls, key))

class Named:
    def __set_name__(self, owner, name): self.where = owner, name

class Attributes:
    def __getattr__(self, name): return "no " + name
    def __setattr__(self, name, value): object.__setattr__(self, name, value * 2)

class Meta(type):
    def __call__(cls, *args): return ("called", super().__call__(*args))
    def __len__(cls): return 7
class WithMeta(metaclass=Meta): pass

class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self): ...

def call(f, *args): return f(*args)
def send(x): return x.whoami(), len(x), repr(x), x.double
"""


@pytest.fixture(scope="module")
def m(guest):
    names = {"__name__": "guest_derived"}
    pybridge.exec(SOURCE, names)
    return type("names", (), names)


def test_an_object_is_of_the_class_on_both_sides(m):
    class Own(m.Plain):
        """Its doc."""

        size = 5

        def whoami(self):
            return "host"

    x = Own(4)
    assert type(x) is Own and isinstance(x, m.Plain) and isinstance(x, pybridge.Proxy)
    assert issubclass(Own, m.Plain) and Own.__bases__ == (m.Plain,)
    assert Own.__mro__ == (Own, m.Plain, object)
    assert (Own.__name__, Own.__doc__, Own.size, x.size, Own.kind) == (
        "Own", "Its doc.", 5, 5, "guest",
    )  # fmt: skip
    assert (x.x, x.double, len(x), repr(x)) == (4, 8, 3, "Plain(4)")
    assert x.both(2) == ("guest", "host", 4, 2)
    assert type(Own.make(3)) is Own
    assert (
        pybridge.eval("lambda c, x: type(x) is c and c.__mro__[1].__name__")(Own, x) == "Plain"
    )
    assert pybridge.eval("lambda x: x")(x)._pybridge_handle == x._pybridge_handle


def test_super_goes_on_in_the_guest(m):
    class Own(m.Left):
        def __init__(self, x):
            super().__init__(x + 1)
            self.y = [x]

        def whoami(self):
            return "host " + super().whoami()

        def __len__(self):
            return super().__len__() + 1

        def __repr__(self):
            return f"<{super().__repr__()}>"

        @property
        def double(self):
            return super().double + 0.5

        @classmethod
        def make(cls, *args):
            return super().make(*args), "made"

    class Below(Own):
        def whoami(self):
            return "below " + super().whoami()

    x = Below(1)
    assert x.whoami() == "below host left guest"
    assert m.send(x) == ("below host left guest", 4, "<Plain(2)>", 4.5)
    assert (len(x), repr(x), x.double, x.y) == (4, "<Plain(2)>", 4.5, [1])
    assert Below.make(5)[1] == "made" and Below.make(5)[0].x == 6


def test_mixins_and_several_bases(m):
    order = []

    class Mixin:
        def whoami(self):
            order.append("mixin")
            return "mixed " + super().whoami()

        def helper(self):
            return self.x

    class A(m.Plain):
        def whoami(self):
            order.append("A")
            return "A " + super().whoami()

    class B(m.Left):
        def whoami(self):
            order.append("B")
            return "B " + super().whoami()

    class Both(Mixin, A, B):
        pass

    x = Both(9)
    assert x.whoami() == "mixed A B left guest"
    assert m.send(x)[0] == "mixed A B left guest"
    assert order == ["mixin", "A", "B"] * 2
    assert x.helper() == 9 and pybridge.eval("lambda x: x.helper()")(x) == 9
    assert isinstance(x, Mixin) and isinstance(x, A)


def test_hooks_of_class_creation(m):
    class Own(m.Hooked, key=5):
        d = m.Named()

    cls, key = m.Hooked.seen[-1]
    assert cls is Own and key == 5
    assert Own.d.where[0] is Own and Own.d.where[1] == "d"
    seen = []

    class Base(m.Hooked):
        def __init_subclass__(cls, **keywords):
            seen.append(cls)
            super().__init_subclass__(**keywords)

    class Derived(Base, key=6):
        pass

    assert seen == [Derived]
    assert m.Hooked.seen[-1][0] is Derived and m.Hooked.seen[-1][1] == 6


def test_attribute_hooks(m):
    class Own(m.Attributes):
        def __getattr__(self, name):
            return "host, " + super().__getattr__(name)

        def __setattr__(self, name, value):
            super().__setattr__(name, value + 1)

    x = Own()
    x.a = 2
    assert x.a == 6
    assert x.b == "host, no b"
    assert pybridge.eval("lambda x: (x.a, x.b)")(x) == (6, "host, no b")


def test_attributes_of_objects_and_classes_change(m):
    class Own(m.Plain):
        def whoami(self):
            return "host"

    x, y = Own(), Own()
    x.whoami = lambda: "own"
    assert (x.whoami(), y.whoami()) == ("own", "host")
    assert m.send(x)[0] == "own"
    Own.whoami = lambda self: "new"
    assert y.whoami() == "new" and m.send(y)[0] == "new"
    Own.extra = 7
    assert y.extra == 7
    del Own.whoami
    assert y.whoami() == "guest"


def test_metaclasses(m):
    class Own(m.WithMeta):
        pass

    assert Own()[0] == "called" and type(Own()[1]) is Own
    assert len(Own) == 7
    enum = pybridge.import_module("enum")

    class Color(enum.Enum):
        RED = 1
        GREEN = enum.auto()

        def describe(self):
            return self.name.lower()

    assert [c.name for c in Color] == ["RED", "GREEN"]
    assert Color.GREEN.value == 2 and Color.RED.describe() == "red"
    assert isinstance(Color.RED, Color) and Color(1) == Color.RED
    with pytest.raises(ValueError, match="3 is not a valid"):
        Color(3)

    class Number(enum.IntEnum):
        ONE = 1

    assert Number.ONE + 1 == 2 and isinstance(Number.ONE, int)


def test_abstract_methods(m):
    class Still(m.Abstract):
        @abc.abstractmethod
        def g(self):
            pass

    with pytest.raises(TypeError, match="abstract"):
        Still()

    class Done(Still):
        def f(self):
            return 1

        def g(self):
            return 2

    assert Done().f() + Done().g() == 3


def test_threads_and_handlers_of_the_standard_library():
    threading = pybridge.import_module("threading")

    class Worker(threading.Thread):
        def __init__(self, n):
            super().__init__(name=f"worker {n}")
            self.n = n

        def run(self):
            self.result = self.n * 2

    t = Worker(21)
    t.start()
    t.join()
    assert (t.result, t.name, t.is_alive()) == (42, "worker 21", False)

    class NoSuper(threading.Thread):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"__init__\(\) not called"):
        NoSuper().start()

    there = pybridge.import_module("logging")

    class Handler(there.Handler):
        def __init__(self):
            super().__init__()
            self.seen = []

        def emit(self, record):
            self.seen.append((record.levelno, self.format(record)))

    handler = Handler()
    logger = there.getLogger("test_derived")
    logger.addHandler(handler)
    logger.warning("hello %d", 3)
    assert handler.seen == [(logging.WARNING, "hello 3")]

    ast = pybridge.import_module("ast")

    class Names(ast.NodeVisitor):
        def __init__(self):
            self.names = []

        def visit_Name(self, node):
            self.names.append(node.id)
            self.generic_visit(node)

    names = Names()
    names.visit(ast.parse("a + f(b) * c"))
    assert names.names == ["a", "f", "b", "c"]


def test_signature_and_annotations_are_seen_by_the_guest(m):
    class Own(m.Plain):
        first: int = 1

        def __init__(self, alpha=1, *, beta="b"):
            super().__init__(alpha)

    text = pybridge.eval("lambda c: str(__import__('inspect').signature(c))")(Own)
    assert text == "(alpha=1, *, beta='b')"
    look = pybridge.eval("lambda c: (c.__annotations__['first'], c.first)")
    assert look(Own) in [(int, 1), ("int", 1)]
    assert pybridge.eval("lambda c: c(alpha=3).x")(Own) == 3


def test_what_cannot_be_a_base_is_refused_as_natively():
    for source in ("type(lambda: 0)", "type(...)", "type(None)"):
        cls = pybridge.eval(f"(lambda c: [c])({source})")
        with pytest.raises(TypeError, match="is not an acceptable base type"):
            pybridge.eval("lambda c: type('C', (c[0],), {})")(cls)
    builtin = type(pybridge.eval("lambda: 0"))
    with pytest.raises(TypeError, match="not an acceptable base type"):

        class Bad(builtin):
            pass

    with pytest.raises(TypeError, match=r"layout|multiple bases"):
        mapping = pybridge.eval("type('L', (list,), {})")
        other = pybridge.eval("type('D', (dict,), {})")

        class Worse(mapping, other):
            pass


def test_errors_in_methods_show_frames_of_both_sides(m):
    class Own(m.Plain):
        def whoami(self):
            raise KeyError("here")

    with pytest.raises(KeyError, match="here") as caught:
        m.send(Own())
    names = [entry.name for entry in caught.traceback]
    assert names.index("send") < names.index("whoami")


def test_an_argument_that_init_keeps_is_the_same_object(m):
    class Own(m.Plain):
        def __init__(self, factor=1.0, *, name="n"):
            super().__init__()
            self.factor = factor
            self.name = name

    same = pybridge.eval(
        "lambda c, f, n: (lambda x: (x.factor is f, x.name is n))(c(f, name=n))"
    )
    assert same(Own, 2.5, "text of some length") == (True, True)


def test_descriptors_go_through_guest_decorators(m):
    seen = []
    decorate = pybridge.eval("lambda f: f")

    class Own(m.Plain):
        @decorate
        @classmethod
        def named(cls, x):
            seen.append(cls)
            return x + 1

        @decorate
        @property
        def triple(self):
            return self.x * 3

    x = Own(5)
    assert Own.named(1) == 2 and seen == [Own]
    assert x.triple == 15


def test_special_methods_of_a_base_are_called_by_its_name(guest):
    """`Base.__init__(self, x)`, as code older than `super()` does, and likewise all others."""
    pybridge.exec(
        """
class Base:
    def __init__(self, a=0): self.a = a
    def __getitem__(self, k): return k, self.a
    def __len__(self): return 3
    def __call__(self, x): return x + self.a
""",
        space := {},
    )
    Base = space["Base"]

    class Mine(Base):
        def __new__(cls, *args):
            x = Base.__new__(cls)
            x.tag = "new"
            return x

        def __init__(self, a):
            Base.__init__(self, a)

        def __getitem__(self, k):
            return ("mine", *Base.__getitem__(self, k))

        def __len__(self):
            return 1 + Base.__len__(self)

        def __call__(self, x):
            return -Base.__call__(self, x)

        def __repr__(self):
            return f"Mine of {Base.__repr__(self).partition(' ')[0]}"

        def __eq__(self, other):
            return Base.__eq__(self, other)

        def __hash__(self):
            return Base.__hash__(self)

        def __setattr__(self, name, value):
            Base.__setattr__(self, name, value)

        def __getattribute__(self, name):
            return Base.__getattribute__(self, name)

    class Other(Base):
        def __init__(self):
            super().__init__(5)

    def facts(x):
        return (
            x.tag,
            x.a,
            x[2],
            len(x),
            x(1),
            repr(x).partition(".")[0],
            x == x,
            hash(x) == hash(x),
        )

    expected = ("new", 7, ("mine", 2, 7), 4, -8, "Mine of <" + __name__, True, True)
    assert facts(Mine(7)) == expected
    there = pybridge.eval(
        "lambda x: (x.tag, x.a, x[2], len(x), x(1), repr(x).partition('.')[0], x == x,"
        " hash(x) == hash(x))"
    )
    assert there(Mine(7)) == expected
    assert Other().a == 5 and Base.__len__(Other()) == 3
    assert Mine.__init__ is not Base.__init__ and Mine.__call__(Mine(1), 1) == -2
