# SPDX-License-Identifier: MIT
"""Host objects in the guest: classes, special methods, attributes, lifetimes, files."""

from __future__ import annotations

import abc
import collections
import collections.abc
import csv
import enum
import functools
import gc
import io
import json
import numbers
import pickle
import weakref

import children
import pytest

import pybridge
from pybridge import _guest

SOURCE = """
import abc, collections, collections.abc, contextlib, copy, csv, gc, inspect, io, json
import numbers, operator, os, pickle, weakref

def caught(f, *args):
    try:
        f(*args)
    except BaseException as error:
        return type(error).__name__, str(error)

class Holder:
    pass
"""


@pytest.fixture(scope="module")
def space(guest):
    names = pybridge.eval("{'__name__': 'guest_classes'}")
    pybridge.exec(SOURCE, names)
    return names


@pytest.fixture
def make(space):
    return lambda source: pybridge.eval(source, space)


class Plain:
    """A class with nothing of its own."""

    kind = "plain"

    def __init__(self, x: int = 1, *, name: str = "n") -> None:
        self.x = x
        self.name = name

    def method(self, y):
        """Adds."""
        return self.x + y

    @property
    def double(self):
        return self.x * 2

    @classmethod
    def of(cls, x):
        return cls(x)

    @staticmethod
    def static(x):
        return x

    class Inner:
        pass


class Derived(Plain):
    pass


class Whole:
    """All special methods, each tells of itself."""

    def __len__(self):
        return 3

    def __getitem__(self, key):
        return "item", key

    def __setitem__(self, key, value):
        self.set = key, value

    def __delitem__(self, key):
        self.deleted = key

    def __contains__(self, x):
        return x == 5

    def __iter__(self):
        return iter([1, 2, 3])

    def __reversed__(self):
        return iter([3, 2, 1])

    def __call__(self, *args, **kwargs):
        return args, tuple(sorted(kwargs.items()))

    def __bool__(self):
        return False

    def __int__(self):
        return 7

    def __float__(self):
        return 7.5

    def __complex__(self):
        return 7j

    def __index__(self):
        return 8

    def __bytes__(self):
        return b"whole"

    def __hash__(self):
        return 12345

    def __eq__(self, other):
        return other == "equal"

    def __lt__(self, other):
        return True

    def __repr__(self):
        return "Whole!"

    def __str__(self):
        return "whole"

    def __format__(self, spec):
        return f"<{spec}>"

    def __fspath__(self):
        return "/whole"

    def __round__(self, digits=None):
        return "rounded", digits

    def __trunc__(self):
        return 70

    def __floor__(self):
        return 71

    def __ceil__(self):
        return 72

    def __neg__(self):
        return "neg"

    def __abs__(self):
        return "abs"

    def __enter__(self):
        return "entered"

    def __exit__(self, *exc):
        self.left = exc
        return True

    def __length_hint__(self):
        return 33

    def __dir__(self):
        return ["a", "b"]


# ---- classes -----------------------------------------------------------------------------


def test_a_guest_class_has_the_names_doc_and_mro_of_the_host_class(make):
    told = make(
        "lambda x: (type(x).__name__, type(x).__qualname__, type(x).__module__,"
        " type(x).__doc__,"
        " [c.__name__ for c in type(x).__mro__].__repr__())"
    )
    name, qualname, module, doc, mro = told(Plain())
    assert (name, qualname, module, doc) == (
        "Plain", "Plain", __name__, "A class with nothing of its own.",
    )  # fmt: skip
    assert mro == "['Plain', 'HostObject', 'host_object', 'object']"
    assert told(Derived())[4] == "['Derived', 'Plain', 'HostObject', 'host_object', 'object']"
    assert told(Plain.Inner())[1] == "Plain.Inner"


def test_the_same_object_and_class_are_the_same_both_ways(make):
    x = Plain()
    assert make("lambda x: x")(x) is x
    assert make("lambda x: (x, [x])")(x)[0] is x
    assert make("lambda x, y: x is y")(x, x)
    assert make("lambda x: type(x)")(x) is Plain
    assert make("lambda c: c")(Plain) is Plain
    assert make("lambda x, c: type(x) is c")(x, Plain)
    assert make("lambda x: x.__class__")(x) is Plain


def test_a_host_class_is_used_as_a_class(make):
    x = Derived(3)
    assert make("lambda x, c: isinstance(x, c)")(x, Plain)
    assert make("lambda x, c: issubclass(type(x), c)")(x, Plain)
    assert not make("lambda x, c: isinstance(x, c)")(Plain(), Derived)
    assert not make("lambda c: isinstance(5, c)")(Plain)
    made = make("lambda c: c(4, name='made')")(Plain)
    assert type(made) is Plain
    assert (made.x, made.name) == (4, "made")
    assert make("lambda c: (c.kind, c.static(5), c.of(6).x, c.method(c(1), 2))")(Derived) == (
        "plain", 5, 6, 3,
    )  # fmt: skip
    assert make("lambda c: c.of(1)")(Derived).__class__ is Derived
    make("lambda c: setattr(c, 'later', 9)")(Derived)
    assert Derived.later == 9
    del Derived.later
    assert make("caught")(lambda: None, 1)[0] == "TypeError"
    kind, text = make("lambda c: caught(c, 1, 2, 3)")(Plain)
    assert kind == "TypeError"
    assert "positional argument" in text


def test_an_abstract_host_class_cannot_be_made(make):
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def f(self):
            pass

    kind, text = make("caught")(Abstract)
    assert kind == "TypeError"
    assert "abstract" in text


def test_one_class_per_host_class_which_dies_with_it():
    """In a process of its own: a compiled trace of other tests may keep a class."""
    children.run("""
        import gc, weakref
        import pybridge

        same = pybridge.eval("lambda x, y: (len(x), type(x) is type(y))")
        back = pybridge.eval("lambda c: c")
        collect = pybridge.eval("__import__('gc').collect")

        def one():
            class Local:
                def __len__(self):
                    return 1

            assert same(Local(), Local()) == (1, True)
            assert back(Local) is Local
            return weakref.ref(Local)

        watch = [one() for _ in range(20)]
        for _ in range(8):
            gc.collect()
            collect()
            pybridge.statistics()
        assert [w() for w in watch] == [None] * 20
    """)


def test_a_class_that_only_the_guest_holds_lives(make):
    keep = make("Holder()")

    def one():
        class Local:
            def f(self):
                return 42

        keep.cls = Local

    one()
    for _ in range(4):
        gc.collect()
        make("gc.collect")()
        pybridge.statistics()
    assert make("lambda h: h.cls().f()")(keep) == 42
    del keep.cls


def test_enums_and_their_class(make):
    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    class Flag(enum.IntFlag):
        A = 1
        B = 2

    told = make(
        "lambda c: (c.RED.name, c['BLUE'].value, len(c), [x.name for x in c].__repr__())"
    )
    assert told(Color) == ("RED", 2, 2, "['RED', 'BLUE']")
    assert make("lambda x: x")(Color.RED) is Color.RED
    assert make("lambda x, c: x is c.RED and x in c")(Color.RED, Color)
    told = make("lambda f: (isinstance(f, int), f + 1, f.name, f | 4 == 5, [0, 10][f])")
    assert told(Flag.A) == (
        True, 2, "A", True, 10,
    )  # fmt: skip
    assert make("lambda f: f")(Flag.A) is Flag.A


class Celsius(float):
    unit = "C"

    def warm(self):
        return self > 20


class Name(str):
    def shout(self):
        return self.upper() + "!"


Point = collections.namedtuple("Point", "x y")


def test_objects_of_value_subclasses_are_values_and_keep_their_class(make):
    t = Celsius(21.5)
    assert make("lambda t: (isinstance(t, float), t + 1, t.unit, t.warm())")(t) == (
        True, 22.5, "C", True,
    )  # fmt: skip
    assert make("lambda t: t")(t) is t
    name = Name("a\0\ud800")
    assert make(
        "lambda s: (isinstance(s, str), s + 'b', s.shout(), len(s), hash(s) == hash(str(s)))"
    )(name) == (True, "a\0\ud800b", "A\0\ud800!", 3, True)
    p = Point(1, [2])
    told = make(
        "lambda p: (isinstance(p, tuple), p[0], p.x, p._fields, p._replace(x=5),"
        " type(p).__name__)"
    )
    assert told(p) == (True, 1, 1, ("x", "y"), Point(5, [2]), "Point")
    assert type(told(p)[4]) is Point
    assert make("lambda p: p")(p) is p
    assert make("lambda p: {p: 1}[(1, 2)]")(Point(1, 2)) == 1


# ---- special methods ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "len(x)", "x[5]", "x['k']", "x[1:2]", "5 in x", "6 in x", "list(x)",
        "list(reversed(x))",
        "x(1, b=2)", "bool(x)", "int(x)", "float(x)", "complex(x)", "bytes(x)",
        "operator.index(x)",
        "hash(x)", "x == 'equal'", "x != 'equal'", "x < 1", "repr(x)", "str(x)",
        "format(x, 'abc')",
        "f'{x:%d}'", "os.fspath(x)", "round(x)", "round(x, 2)", "-x", "abs(x)", "callable(x)",
        "sorted(dir(x))", "operator.length_hint(x)", "x.__enter__()", "[1, 2][:x]", "'%s' % x",
        "__import__('math').floor(x)", "__import__('math').ceil(x)",
        "__import__('math').trunc(x)",
    ],
)  # fmt: skip
def test_special_methods_answer_as_natively(make, source):
    x = Whole()
    there = make(f"lambda x: {source}")(x)
    here = eval(
        f"lambda x: {source}",
        {**globals(), "os": __import__("os"), "operator": __import__("operator")},
    )(x)
    there = list(there) if isinstance(here, list) else there
    assert there == here
    assert isinstance(there, type(here))


def test_items_are_set_and_deleted(make):
    x = Whole()
    make("lambda x: operator.setitem(x, 'k', 5)")(x)
    assert x.set == ("k", 5)
    make("lambda x: operator.delitem(x, 6)")(x)
    assert x.deleted == 6


@pytest.mark.parametrize(
    "source, text",
    [
        ("len(x)", "has no len()"),
        ("iter(x)", "not iterable"),
        ("x()", "not callable"),
        ("x + 1", "unsupported operand"),
        ("x[0]", "not subscriptable"),
        ("float(x)", "float() argument must be"),
        ("next(x)", "not an iterator"),
        ("x < x", "not supported between"),
        ("-x", "bad operand type"),
    ],
)
def test_what_the_host_class_has_not_the_guest_class_has_not(make, source, text):
    kind, said = make(f"lambda x: caught(lambda: {source})")(Plain())
    assert kind == "TypeError"
    assert text in said
    assert "Plain" in said


def test_a_class_that_is_not_hashable_or_not_iterable(make):
    class Equal:
        __iter__ = None

        def __eq__(self, other):
            return True

        def __getitem__(self, i):
            return i

    assert "unhashable" in make("lambda x: caught(hash, x)")(Equal())[1]
    assert "not iterable" in make("lambda x: caught(iter, x)")(Equal())[1]


class Meters:
    def __init__(self, n):
        self.n = n

    def __add__(self, other):
        return ("add", other) if isinstance(other, (int, Meters)) else NotImplemented

    def __radd__(self, other):
        return ("radd", other) if isinstance(other, int) else NotImplemented

    def __iadd__(self, other):
        self.n += other
        return self


def test_operators_negotiate(make):
    m = Meters(1)
    assert make("lambda m: m + 1")(m) == ("add", 1)
    assert make("lambda m: 1 + m")(m) == ("radd", 1)
    assert make("lambda m: operator.iadd(m, 5)")(m) is m
    assert m.n == 6
    assert "unsupported operand" in make("lambda m: caught(lambda: m + 'x')")(m)[1]
    assert "unsupported operand" in make("lambda m: caught(lambda: 1.5 + m)")(m)[1]


def test_a_reflected_method_answers_an_operator_of_a_proxy(make):
    class Right:
        def __radd__(self, other):
            return "radd"

        def __rmatmul__(self, other):
            return "rmatmul"

        def __eq__(self, other):
            return "eq"

        def __gt__(self, other):
            return "gt"

    x = make("Holder()")
    assert x + Right() == "radd"
    assert x @ Right() == "rmatmul"
    assert (x == Right()) == "eq"
    assert (x < Right()) == "gt"


# ---- abstract classes --------------------------------------------------------------------


class Items(list):
    pass


class OwnMapping(collections.abc.Mapping):
    def __getitem__(self, key):
        return {"a": 1}[key]

    def __iter__(self):
        return iter(["a"])

    def __len__(self):
        return 1


ABCS = [
    "Hashable", "Iterable", "Iterator", "Reversible", "Sized", "Container", "Callable",
    "Collection",
    "Sequence", "MutableSequence", "Mapping", "MutableMapping", "Set", "MutableSet",
    "Generator",
    "Awaitable", "Coroutine", "AsyncIterable", "AsyncIterator", "AsyncGenerator",
]  # fmt: skip


async def coroutine():
    pass


async def agenerator():
    yield 1


@pytest.mark.parametrize(
    "x",
    [
        Plain(), Whole(), Items(), OwnMapping(), collections.OrderedDict(), collections.deque(),
        collections.Counter(), (i for i in ()), iter([]), {}.keys(), {}.items(), agenerator(),
        collections.UserList(), collections.ChainMap(), io.StringIO(), enum.auto(),
    ],
    ids=lambda x: type(x).__name__,
)  # fmt: skip
def test_isinstance_with_abstract_classes(make, x):
    there = make(
        "lambda x: tuple(isinstance(x, getattr(collections.abc, n)) for n in %r)" % ABCS
    )(x)
    here = tuple(isinstance(x, getattr(collections.abc, n)) for n in ABCS)
    assert dict(zip(ABCS, there)) == dict(zip(ABCS, here))


def test_isinstance_with_abstract_numbers_and_files(make, tmp_path):
    class Own(numbers.Real):
        pass

    for name in dir(numbers.Real):
        if getattr(getattr(Own, name, None), "__isabstractmethod__", False):
            setattr(Own, name, lambda self, *args: 1.0)
    Own.__abstractmethods__ = frozenset()
    there = make(
        "lambda x: (isinstance(x, numbers.Real), isinstance(x, numbers.Integral), float(x))"
    )
    assert there(Own()) == (True, False, 1.0)
    with open(tmp_path / "f", "w+") as text, open(tmp_path / "f", "rb") as binary:
        told = make(
            "lambda f: tuple(isinstance(f, getattr(io, n)) for n in "
            "('IOBase', 'RawIOBase', 'BufferedIOBase', 'TextIOBase'))"
        )
        assert told(text) == (True, False, False, True)
        assert told(binary) == (True, False, True, False)


# ---- attributes --------------------------------------------------------------------------


def test_attributes_both_ways(make):
    x = Plain(3)
    assert make("lambda x: (x.x, x.double, x.method(4), x.kind, x.static(1))")(x) == (
        3,
        6,
        7,
        "plain",
        1,
    )
    make("lambda x: setattr(x, 'x', 10)")(x)
    assert x.x == 10
    x.later = (1, 2)
    assert make("lambda x: x.later")(x) == (1, 2)
    make("lambda x: delattr(x, 'later')")(x)
    assert not hasattr(x, "later")
    assert (
        make("lambda x: sorted(vars(x).items()).__repr__()")(x) == "[('name', 'n'), ('x', 10)]"
    )
    assert set(make("lambda x: dir(x)")(x)) == set(dir(x))
    kept = make("Holder()")
    make("lambda x, h: setattr(x, 'guest', h)")(x, kept)
    assert make("lambda a, b: a is b")(x.guest, kept)


def test_what_is_missing_is_an_attribute_error_with_cpythons_text(make):
    assert make("lambda x: hasattr(x, 'nope')")(Plain()) is False
    assert make("lambda x: caught(lambda: x.nope)")(Plain()) == (
        "AttributeError", "'Plain' object has no attribute 'nope'",
    )  # fmt: skip
    assert make("lambda c: caught(lambda: c.nope)")(Plain) == (
        "AttributeError", "type object 'Plain' has no attribute 'nope'",
    )  # fmt: skip
    assert make("lambda x: caught(setattr, x, 'double', 1)")(Plain())[0] == "AttributeError"

    class Own:
        def __getattr__(self, name):
            if name == "there":
                return 5
            raise AttributeError("own text")

    assert make("lambda x: (x.there, caught(lambda: x.nope))")(Own()) == (
        5, ("AttributeError", "own text"),
    )  # fmt: skip


def test_copies_are_the_hosts(make):
    x = Plain(5)
    y = make("lambda x: copy.copy(x)")(x)
    assert type(y) is Plain
    assert y is not x
    assert y.x == 5
    x.inside = [1]
    assert make("copy.deepcopy")(x).inside is not x.inside
    assert make("lambda x: caught(pickle.dumps, x)")(x)[0] == "TypeError"


def test_methods_have_self_and_func(make):
    x = Plain(3)
    told = make(
        "lambda m: (m.__self__, m.__func__, m.__name__, m.__doc__, inspect.ismethod(m),"
        " str(inspect.signature(m)), m(1))"
    )
    assert told(x.method) == (x, Plain.method, "method", "Adds.", True, "(y)", 4)
    assert make("lambda m: m")(x.method) == x.method
    assert make("lambda m: m.__self__")(Plain.of) is Plain


def test_functions_have_what_libraries_read(make):
    import functools

    def f(a, b: int = 2, *, c=3):
        """Doc."""
        return a

    @functools.wraps(f)
    def g(*args):
        return f(*args)

    told = make(
        "lambda f: (f.__defaults__, f.__kwdefaults__['c'], f.__code__.co_argcount,"
        " f.__code__.co_varnames, f.__name__, list(f.__annotations__), f.__module__)"
    )
    d, kw, n, names, name, annotations, module = told(f)
    assert (d, kw, n, names, name, list(annotations), module) == (
        (2,), 3, 2, ("a", "b", "c"), "f", ["b"], __name__,
    )  # fmt: skip
    assert make("lambda g: g.__wrapped__")(g) is f
    assert make("lambda g: str(inspect.signature(g))")(g) in (
        "(a, b: int = 2, *, c=3)",
        "(a, b: 'int' = 2, *, c=3)",
    )
    part = functools.partial(f, 1, b=5)
    assert make("lambda p: (p.func, p.args, dict(p.keywords)['b'])")(part) == (f, (1,), 5)
    assert make("lambda f: hasattr(f, 'nope')")(f) is False


# ---- lifetimes ---------------------------------------------------------------------------


def settle(reference=None):
    for _ in range(8):
        gc.collect()
        pybridge.eval("__import__('gc').collect()")
        pybridge.statistics()
        if reference is not None and reference() is None:
            break


class Listener:
    def __init__(self):
        self.heard = []

    def hear(self, x):
        self.heard.append(x)


def test_a_weak_method_keeps_firing_while_the_object_lives_and_no_longer(make, leakfree):
    listener = Listener()
    watch = weakref.ref(listener)
    weak = make("weakref.WeakMethod")(listener.hear)
    fire = make("lambda w, x: w() is not None and (w()(x), True)[1]")
    for n in range(3):
        settle()
        assert fire(weak, n)
    assert listener.heard == [0, 1, 2]
    del listener
    settle(watch)
    assert watch() is None
    settle()
    assert fire(weak, 3) is False
    pybridge.release(weak)


def test_a_strong_reference_made_of_a_weak_one_holds(make, leakfree):
    listener = Listener()
    watch = weakref.ref(listener)
    weak, holder = make("weakref.ref")(listener), make("Holder()")
    settle()
    make("lambda h, w: (setattr(h, 'x', w()), h.x.hear(1))")(holder, weak)
    del listener
    settle()
    assert watch() is not None
    assert make("lambda h: (h.x.hear(2), h.x.heard)[1]")(holder) == [1, 2]
    del holder.x
    settle(watch)
    assert watch() is None
    assert make("lambda w: w() is None")(weak)
    pybridge.release(weak)
    pybridge.release(holder)


def test_weak_references_have_callbacks(make, leakfree):
    seen = []
    listener = Listener()
    weak = make("lambda x, f: weakref.ref(x, lambda r: f('gone'))")(listener, seen.append)
    settle()
    assert seen == []
    assert make("lambda w: w()")(weak) is listener
    del listener
    settle(lambda: seen or 1 if not seen else None)
    assert seen == ["gone"]
    pybridge.release(weak)


def test_a_weak_reference_to_a_function_lives_as_long_as_the_function(make):
    def f():
        return 5

    weak = make("weakref.ref")(f)
    settle()
    assert make("lambda w: w()()")(weak) == 5
    del f
    settle()
    assert make("lambda w: w() is None")(weak)


def test_what_has_no_weak_references_on_the_host_has_none_in_the_guest(make):
    class Slotted:
        __slots__ = ("x",)

    assert (
        "cannot create weak reference" in make("lambda x: caught(weakref.ref, x)")(Slotted())[1]
    )


def test_matplotlib_keeps_calling_a_method_while_its_object_lives(make):
    if not make("__import__('importlib.util').util.find_spec('matplotlib') is not None"):
        pytest.skip("this guest has no matplotlib")
    registry = pybridge.import_module("matplotlib.cbook").CallbackRegistry()
    listener = Listener()
    watch = weakref.ref(listener)
    registry.connect("event", listener.hear)
    for n in range(3):
        settle()
        registry.process("event", n)
    assert listener.heard == [0, 1, 2]
    del listener
    settle(watch)
    assert watch() is None
    settle()
    registry.process("event", 3)
    assert not dict(registry.callbacks)


def test_objects_and_attributes_leave_nothing_behind(make, leakfree):
    for n in range(50):
        x = Plain(n)
        assert (
            make("lambda x: (x.method(1), len(dir(x)) > 3, hasattr(x, 'no'), repr(x))")(x)[0]
            == n + 1
        )
        make("lambda x: (x == x, {x: 1}, [x, (x,)])")(x)
        make("lambda p: (p.x, p + (1,))")(Point(1, Plain()))
        make("list")(Whole())


def test_without_end_a_ring_of_callbacks_is_no_crash(make):
    class Deep:
        def __len__(self):
            return make("len")(self)

    assert make("caught")(make("len"), Deep())[0] == "RecursionError"


# ---- generators, context managers --------------------------------------------------------


def test_a_host_generator_in_the_guest(make):
    log = []

    def generator():
        try:
            while True:
                try:
                    log.append((yield len(log)))
                except KeyError as error:
                    log.append(str(error))
        finally:
            log.append("closed")

    g = generator()
    assert make("lambda g: (next(g), g.send('a'), g.throw(KeyError('k')), g.close())")(g) == (
        0,
        1,
        2,
        None,
    )
    assert log == ["a", "'k'", "closed"]

    def returning():
        x = yield 1
        return x

    pybridge.exec("def delegate(g):\n    return (yield from g)")
    d = pybridge.eval("delegate")(returning())
    assert next(d) == 1
    with pytest.raises(StopIteration) as stop:
        d.send("returned")
    assert stop.value.value == "returned"


def test_a_guest_generator_on_the_host(make):
    pybridge.exec(
        "def counting(log):\n"
        "    try:\n"
        "        while True:\n"
        "            try:\n                log((yield 1))\n"
        "            except KeyError:\n                log('key')\n"
        "    finally:\n        log('closed')\n"
    )
    log = []
    g = pybridge.eval("counting")(log.append)
    assert next(g) == 1
    g.send("a")
    g.throw(KeyError("k"))
    g.close()
    assert log == ["a", "key", "closed"]

    def delegating():
        yield from pybridge.eval("(i * 2 for i in range(3))")

    assert list(delegating()) == [0, 2, 4]


def test_a_host_context_manager_in_the_guest(make):
    x = Whole()
    pybridge.exec(
        "def entered(x):\n    with x as y:\n        raise ValueError('inside')\n    return y"
    )
    assert pybridge.eval("entered")(x) == "entered"
    kind, error, _ = x.left
    assert kind is ValueError
    assert str(error) == "inside"
    import contextlib

    @contextlib.contextmanager
    def manager():
        try:
            yield 5
        except ValueError as error:
            caught.append(error)

    caught = []
    assert pybridge.eval("entered")(manager()) == 5
    assert str(caught[0]) == "inside"


# ---- files -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_text_files_of_the_host_in_the_guest(make, tmp_path, kind):
    f = open(tmp_path / "t", "w+") if kind == "file" else io.StringIO()
    with f:
        make("json.dump")({"a": [1, 2.5, None]}, f)
        f.seek(0)
        assert make("lambda f: json.load(f)['a'][1]")(f) == 2.5
        f.seek(0)
        f.truncate()
        make("lambda f: csv.writer(f).writerows([[1, 'x,y'], [2, 'z']])")(f)
        f.seek(0)
        assert (
            make("lambda f: list(csv.reader(f)).__repr__()")(f) == "[['1', 'x,y'], ['2', 'z']]"
        )
        f.seek(0)
        assert len(list(make("lambda f: [line for line in f]")(f))) == 2
        assert make("lambda f: print('end', file=f)")(f) is None
        assert make("lambda f: (f.seek(0), f.readline(), f.closed)")(f)[2] is False


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_binary_files_of_the_host_in_the_guest(make, tmp_path, kind):
    f = open(tmp_path / "b", "w+b") if kind == "file" else io.BytesIO()
    with f:
        make("lambda f: pickle.dump({'k': [1, b'x' * 100000, 'text']}, f, 5)")(f)
        f.seek(0)
        assert make("lambda f: len(pickle.load(f)['k'][1])")(f) == 100000
    g = io.BytesIO(b"caf\xc3\xa9\nline")
    assert make("lambda f: io.TextIOWrapper(f, 'utf-8').readline()")(g) == "café\n"


def test_arrays_through_host_files(make):
    if not make("__import__('importlib.util').util.find_spec('numpy') is not None"):
        pytest.skip("this guest has no numpy")
    numpy = pybridge.import_module("numpy")
    f = io.BytesIO()
    numpy.save(f, numpy.arange(5000.0))
    f.seek(0)
    assert numpy.load(f)[4999] == 4999.0
    f = io.BytesIO()
    numpy.savez(f, a=numpy.arange(10), b=numpy.ones(3))
    f.seek(0)
    assert numpy.load(f)["a"][9] == 9
    text = io.StringIO("1 2\n3 4\n")
    assert numpy.loadtxt(text)[1, 0] == 3.0
    out = io.BytesIO()
    numpy.savetxt(out, numpy.eye(2))
    assert out.getvalue().startswith(b"1.0")


def test_files_of_the_guest_on_the_host(make):
    f = make("io.StringIO('{\"a\": [1, 2]}')")
    assert json.load(f) == {"a": [1, 2]}
    f = make("io.StringIO('1,2\\n3,4\\n')")
    assert list(csv.reader(f)) == [["1", "2"], ["3", "4"]]
    out = make("io.StringIO()")
    csv.writer(out).writerow([1, "a"])
    json.dump([1], out)
    assert out.getvalue() == "1,a\r\n[1]"
    b = make("io.BytesIO()")
    pickle.dump([1, "x"], b)
    b.seek(0)
    assert pickle.load(b) == [1, "x"]
    lines = make("io.StringIO('a\\nb\\n')")
    assert [line.strip() for line in lines] == ["a", "b"]


def test_numpy_takes_host_objects_by_their_protocols(make):
    if not make("__import__('importlib.util').util.find_spec('numpy') is not None"):
        pytest.skip("this guest has no numpy")
    numpy = pybridge.import_module("numpy")

    class AsArray:
        def __array__(self, dtype=None, copy=None):
            return numpy.arange(3.0)

    class Sequence:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return [1.5, 2.5][i]

    class Other:
        __array_ufunc__ = None

        def __radd__(self, other):
            return "mine"

    assert numpy.sum(AsArray()) == 3.0
    assert numpy.asarray(Sequence()).tolist() == [1.5, 2.5]
    assert numpy.ones(2) + Other() == "mine"
    assert numpy.zeros(3)[_Index(2)] == 0.0
    a = numpy.empty(1, dtype=object)
    x = Plain()
    a[0] = x
    assert a[0] is x


class _Index:
    def __init__(self, i):
        self.i = i

    def __index__(self):
        return self.i


# ---- guest classes that derive from host classes -----------------------------------------


def test_the_guests_half_is_one_module():
    assert _guest.support("host_class").__module__ == "_pybridge_hostclasses"


def test_a_method_of_an_awaitable_does_not_change_how_the_awaitable_crosses(make):
    class Awaitable:
        def __await__(self):
            return iter(())

        def method(self):
            return 1

    x = Awaitable()
    before = make("lambda x: type(x).__name__")(x)
    assert make("lambda m: m()")(x.method) == 1
    assert make("lambda x: type(x).__name__")(x) == before


def test_the_keys_of_cmp_to_key_compare_in_the_guest(make):
    """On a CPython host they can be called, too."""
    key = functools.cmp_to_key(lambda a, b: b - a)
    assert make("lambda keys: sorted(keys)[0] is keys[1]")([key(1), key(3), key(2)])
    assert make("lambda x, k: sorted(x, key=k)")([1, 3, 2], key) == [3, 2, 1]


def test_an_interrupt_while_a_class_is_made_leaves_nothing_half_made():
    children.run("""
        import pybridge
        from pybridge import _guest
        class Odd:
            def __matmul__(self, other): return "product"
        multiply = pybridge.eval("lambda x: x @ 1")
        call = _guest.call
        def interrupted(name, *args):
            if name in left:
                left.remove(name)
                raise KeyboardInterrupt
            return call(name, *args)
        _guest.call = interrupted
        left = ["host_begin", "host_special", "host_class"]
        for _ in range(3):
            try:
                multiply(Odd())
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError
        assert left == [] and multiply(Odd()) == "product"
    """)
