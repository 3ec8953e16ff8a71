# SPDX-License-Identifier: MIT
"""Mirror classes: what a guest class is on the host."""

from __future__ import annotations

import collections.abc
import datetime
import functools
import gc
import inspect
import numbers
import platform
import weakref

import pytest
import traces

import pybridge
from pybridge import _kinds
from pybridge._release import shared

SOURCE = '''
import collections, enum

class Base:
    """Doc of Base."""
    constant = 7
    def m(self, a, b: int = 2) -> str:
        """Doc of m."""
        return "base"
    @property
    def p(self): return "p"
    @classmethod
    def c(cls): return cls.__name__
    @staticmethod
    def s(x): return x + 1

class Sized(Base):
    def __len__(self): return 3
    def __iter__(self): return iter((1, 2))
    __hash__ = None

class Called(Base):
    def __call__(self, x=1): return x
    def __getattr__(self, name):
        if name.startswith("_"): raise AttributeError(name)
        return "made " + name

class Slots:
    __slots__ = ("a",)

class Registered:
    def __len__(self): return 1
    def __getitem__(self, i): return "item"
    def __iter__(self): return iter(())
    def __contains__(self, x): return True
collections.abc.Sequence.register(Registered)

class Color(enum.Enum):
    RED = 1
    GREEN = 2

class Number(enum.IntEnum):
    ONE = 1

class Text(str):
    def shout(self): return self.upper() + "!"
    def upper(self): return "UP" + str.upper(self)

class Real(float):
    def __add__(self, other): return "added"

Point = collections.namedtuple("Point", "x y")
'''


@pytest.fixture(scope="module")
def m(guest):
    names = {"__name__": "guest_mirror"}
    pybridge.exec(SOURCE, names)
    return type("names", (), names)


# ---- classes -----------------------------------------------------------------------------


def test_a_class_is_one_object_with_the_guests_names(m):
    x = m.Sized()
    assert type(x) is m.Sized and x.__class__ is m.Sized
    assert pybridge.eval("lambda x: type(x)")(x) is m.Sized
    assert (m.Base.__name__, m.Base.__qualname__, m.Base.__module__, m.Base.__doc__) == (
        "Base", "Base", "guest_mirror", "Doc of Base.",
    )  # fmt: skip
    assert repr(m.Base) == "<class 'guest_mirror.Base'>"
    assert m.Sized.__mro__ == (m.Sized, m.Base, object)
    assert m.Sized.__bases__ == (m.Base,) and m.Base.__bases__ == (object,)
    assert m.Sized in m.Base.__subclasses__()
    assert {m.Base: 1}[m.Base] == 1 and m.Base == m.Base and m.Base != m.Sized


def test_isinstance_and_issubclass(m):
    x = m.Sized()
    assert isinstance(x, m.Base) and isinstance(x, pybridge.Proxy)
    assert not isinstance(m.Base(), m.Sized) and not isinstance(5, m.Base)
    assert issubclass(m.Sized, m.Base) and not issubclass(m.Base, m.Sized)
    before = shared.entered
    for _ in range(10):
        assert isinstance(x, m.Base) and not isinstance(x, m.Called)
    assert shared.entered == before


def test_only_the_special_methods_that_the_class_has(m):
    sized, called, plain = m.Sized(), m.Called(), m.Base()
    assert callable(called) and not callable(sized) and not callable(plain)
    assert isinstance(sized, collections.abc.Sized)
    assert isinstance(sized, collections.abc.Iterable)
    assert not isinstance(plain, (collections.abc.Sized, collections.abc.Iterable))
    assert not isinstance(sized, collections.abc.Hashable)
    assert not hasattr(type(plain), "__len__") and not hasattr(plain, "__fspath__")
    with pytest.raises(TypeError):
        len(plain)
    with pytest.raises(TypeError):
        iter(plain)
    with pytest.raises(TypeError, match="unhashable"):
        hash(sized)
    with pytest.raises(TypeError):
        plain + 1
    assert bool(plain) is True and list(sized) == [1, 2] and called(4) == 4


def test_abstract_classes_by_registration(m):
    assert isinstance(m.Registered(), collections.abc.Sequence)
    assert isinstance(pybridge.eval("__import__('collections').deque()"),
                      collections.abc.MutableSequence)  # fmt: skip
    assert isinstance(pybridge.eval("__import__('collections').OrderedDict()"),
                      collections.abc.MutableMapping)  # fmt: skip
    assert not isinstance(m.Base(), numbers.Number)

    class Mine(collections.abc.Iterator):
        def __next__(self):
            return 1

    Mine.register(m.Base)
    assert isinstance(m.Base(), Mine) and not isinstance(pybridge.eval("object()"), Mine)


def test_singledispatch(m):
    @functools.singledispatch
    def which(x):
        return "other"

    which.register(m.Base, lambda x: "base")
    which.register(m.Sized, lambda x: "sized")
    assert [which(x()) for x in (m.Base, m.Sized, m.Called, m.Slots)] == [
        "base", "sized", "base", "other",
    ]  # fmt: skip


def test_class_attributes_and_methods(m):
    assert m.Base.constant == 7 and m.Base.s(1) == 2 and m.Sized.c() == "Sized"
    assert m.Base.m(m.Sized(), 1) == "base"
    assert inspect.getdoc(m.Base.m) == "Doc of m."
    assert str(inspect.signature(m.Base.m)) == "(self, a, b: int = 2) -> str"
    assert str(inspect.signature(m.Base().m)) == "(a, b: int = 2) -> str"
    assert "m" in dir(m.Base) and "constant" in dir(m.Base())
    assert "constant" in vars(m.Base) and m.Base.__dict__["constant"] == 7
    m.Base.constant = 8
    assert m.Sized().constant == 8
    m.Base.constant = 7
    m.Base.extra = lambda self: "extra"
    assert m.Sized().extra() == "extra"
    del m.Base.extra
    with pytest.raises(AttributeError, match="extra"):
        m.Base.extra  # noqa: B018
    with pytest.raises(AttributeError, match="nothing"):
        m.Base.nothing  # noqa: B018


def test_objects_attributes_go_before_the_classes(m):
    x = m.Base()
    assert (x.p, x.constant, x.m(1)) == ("p", 7, "base")
    x.constant = 1
    x.m = 5
    assert (x.constant, x.m, m.Base.constant) == (1, 5, 7)
    with pytest.raises(AttributeError):
        x.p = 1
    made = m.Called()
    assert made.anything == "made anything"
    slots = m.Slots()
    slots.a = 1
    assert slots.a == 1
    with pytest.raises(AttributeError):
        slots.b = 1


def test_functions_are_functions(m):
    f = pybridge.eval("lambda a, *, b=1: a")
    assert inspect.isfunction(f) and callable(f)
    assert list(inspect.signature(f).parameters) == ["a", "b"]
    assert inspect.ismodule(pybridge.import_module("json"))
    assert inspect.isgenerator(pybridge.eval("(x for x in ())"))
    assert inspect.isclass(m.Base) and not inspect.isclass(m.Base())


def test_builtin_classes_are_the_hosts_own():
    for cls in (int, float, str, bytes, tuple, list, dict, set, frozenset, bool, type, object,
                ValueError, KeyboardInterrupt, type(None), range, datetime.date):  # fmt: skip
        there = f"__import__({cls.__module__!r}).{cls.__name__}"
        if cls is type(None):
            there = "type(None)"
        assert pybridge.eval(there) is cls
        assert pybridge.eval("lambda c: c")(cls) is cls


def test_classes_of_classes(m):
    assert list(m.Color) == [m.Color.RED, m.Color.GREEN] and len(m.Color) == 2
    assert m.Color["RED"] == m.Color(1) == m.Color.RED
    assert m.Color.RED in m.Color and repr(m.Color) == "<enum 'Color'>"
    assert isinstance(m.Color.RED, m.Color)
    with pytest.raises(ValueError, match="9 is not a valid"):
        m.Color(9)
    abc = pybridge.import_module("collections.abc")
    assert isinstance(pybridge.eval("{}"), abc.Mapping)
    assert isinstance([1], abc.Sequence) and not isinstance(1, abc.Sequence)
    assert issubclass(m.Registered, abc.Sequence)


# ---- values ------------------------------------------------------------------------------


def test_objects_of_value_subclasses_are_both(m):
    one, text, real, point = m.Number.ONE, m.Text("abc"), m.Real(1.5), m.Point(1, y=2)
    assert isinstance(one, int) and isinstance(one, m.Number)
    assert one + 1 == 2 and [5, 6][one] == 6 and one.name == "ONE"
    assert isinstance(text, str) and text == "abc" and "".join([text]) == "abc"
    assert text.shout() == "UPABC!" and text.upper() == "UPABC" and text.lower() == "abc"
    assert isinstance(real, float) and real * 2 == 3.0 and real + 1 == "added"
    assert isinstance(point, tuple) and point.x == 1 and point == (1, 2)
    x, y = point
    assert (x, y) == (1, 2) and point._asdict()["y"] == 2
    assert {1: "a"}[one] == "a" and {text: 1}["abc"] == 1
    assert repr(point) == "Point(x=1, y=2)"
    back = pybridge.eval("lambda x: (type(x).__name__, x is x)")
    assert back(one)[0] == "Number" and back(point)[0] == "Point"


def test_numpys_scalars_are_numbers_of_the_host():
    try:
        numpy = pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")
    x = numpy.float64(2.5)
    assert isinstance(x, float) and isinstance(x, numpy.floating) and type(x) is numpy.float64
    assert isinstance(x, numbers.Real) and x.dtype.name == "float64"
    assert type(x + 1) is numpy.float64 and x + 1 == 3.5
    assert "%.2f" % x == "2.50" and f"{x:.1f}" == "2.5" and round(x) == 2
    i = numpy.int64(3)
    assert not isinstance(i, int) and isinstance(i, numbers.Integral) and [1] * i == [1, 1, 1]
    assert hash(i) == 3 and {i: 1}[3] == 1 and numpy.float64(1.5) in {1.5: 1}
    assert isinstance(numpy.str_("a"), str) and isinstance(numpy.complex128(1j), complex)


def check_not_iterable(x):
    assert not hasattr(x, "__iter__") and not isinstance(x, collections.abc.Iterable)
    if platform.python_implementation() == "PyPy":  # see _mirrorclass._NotIterable
        for f in (iter, list, sum, lambda x: (*x,), lambda x: 1 in x):
            with pytest.raises(TypeError, match="object is not iterable"):
                f(x)


def test_items_do_not_make_a_class_iterable_that_is_not():
    """The host goes by `__getitem__`, C classes do not."""
    match = pybridge.eval("__import__('re').match('(a)(b)', 'ab')")
    assert match[1] == "a"
    check_not_iterable(match)


def test_numpys_scalars_are_iterable_where_numpy_says_so(np):
    """list(numpy.float64(2)) was []."""
    for x in (np.float64(2), np.arange(3)[1], np.zeros(1, complex)[0]):
        check_not_iterable(x)
    record = np.zeros(1, "i4,i4")[0]
    assert list(record) == [0, 0] and not hasattr(record, "__iter__")
    assert list(np.array(["ab"])[0]) == ["a", "b"]

    class WithItems(np.float64):
        def __getitem__(self, i):
            return (10, 20)[i]

    class Iterable(np.float64):
        def __iter__(self):
            return iter([7])

    assert list(WithItems(1)) == [10, 20] and list(Iterable(1)) == [7]


# ---- lifetime ----------------------------------------------------------------------------


def test_a_class_that_nobody_has_dies_on_both_sides(monkeypatch):
    monkeypatch.setattr(_kinds, "_RESTING", 5)
    make = pybridge.eval("lambda: type('Passing', (), {'__module__': 'nowhere'})")
    there = pybridge.eval(
        "lambda: sum(c.__name__ == 'Passing' for c in object.__subclasses__())"
    )
    cls = make()
    x = cls()
    alive = weakref.ref(cls)
    assert type(x) is cls and there() == 1
    numbers_used = len(_kinds.instances)
    pybridge.release(x)  # which has neighbours
    del cls, x
    for _ in range(8):
        gc.collect()
        pybridge.statistics()
        pybridge.eval("__import__('gc').collect()")
    assert alive() is None and there() == 0
    for _ in range(50):
        make()()
        gc.collect()
        pybridge.statistics()
    assert len(_kinds.instances) <= numbers_used + 25


def test_a_metaclass_that_no_module_has_is_one_class_for_all_its_classes(monkeypatch):
    """That of ctypes.Structure: seen again after a sweep it was another, and a structure that
    was made then had no base on the host."""
    monkeypatch.setattr(_kinds, "_RESTING", 5)
    make = pybridge.eval("lambda name, bases: type(bases[0])(name, bases, {})")
    meta = "type('Meta', (type,), {'__module__': 'nowhere', '__len__': lambda self: 3})"
    Base = pybridge.eval(meta + "('Base', (), {'__module__': 'nowhere'})")
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
    pybridge.eval("type('Passing', (), {'__module__': 'nowhere'})")
    Below = make("Below", (Base,))
    x = Below()
    assert isinstance(x, Base) and issubclass(Below, Base) and type(Below) is type(Base)
    assert len(Below) == len(Base) == 3


def test_a_number_is_not_used_again_at_once(guest):
    """Another thread may hold an answer of the core's with it, and be about to make a proxy."""
    with _kinds.lock:
        numbers = [_kinds.number_new() for _ in range(2 * _kinds._RESTING)]
        first, last = numbers[: _kinds._RESTING + 1], numbers[_kinds._RESTING + 1 :]
        _kinds._dead.extend(first)
        used = {_kinds.number_new()}
        _kinds._dead.extend(last)
        used |= {_kinds.number_new() for _ in last}
        assert not used & set(last)
        _kinds._dead.extend(used)


def test_a_class_is_made_again_for_an_object_that_outlived_it(m):
    keep = pybridge.eval("[]")
    keep.append(pybridge.eval("type('Again', (), {'__module__': 'nowhere', 'x': 5})()"))
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
    assert keep[0].x == 5 and type(keep[0]).__name__ == "Again"


@pytest.mark.skipif(platform.python_implementation() != "PyPy", reason="traces are PyPy's")
def test_isinstance_costs_no_crossing_in_a_trace():
    trace = traces.loop("""
        import pybridge
        names = {}
        pybridge.exec("class A: pass\\nclass B(A): pass\\nx = B()", names)
        x, A = names["x"], names["A"]

        def measured(n):
            count = 0
            for _ in range(n):
                if isinstance(x, A):
                    count += 1
            return count
    """)
    assert trace.calls == [] and trace.allocations == [], trace.text()


def test_the_hosts_completer_finds_names_of_guest_objects():
    """What a prompt does at Tab: names by `dir`, and "(" behind what can be called."""
    import rlcompleter

    names = {"collections": pybridge.import_module("collections")}
    names["counter"] = names["collections"].Counter("abca")
    complete = rlcompleter.Completer(names).complete
    assert complete("collections.Ordered", 0).startswith("collections.OrderedDict(")
    assert [complete("counter.most", i) for i in range(2)] == ["counter.most_common(", None]


@pytest.mark.parametrize("kind", ["object", "array.array"])
def test_a_class_that_was_given_a_base_of_another_metaclass(kind):
    """Such are jax's arrays.  A derived class was made, whose objects could not be."""
    names = {}
    pybridge.exec(
        "import array\n"
        "class Meta(type): pass\n"
        f"class Base({kind}, metaclass=Meta):\n"
        "    def method(self): return 'base'\n"
        f"class First({kind}): pass\n"
        "class Cls(First):\n"
        "    def own(self): return 'own'\n"
        "Cls.__bases__ = (Base,)",
        names,
    )
    cls = names["Cls"]
    x = cls("i", [1, 2]) if kind != "object" else cls()
    assert type(x) is cls and isinstance(x, names["Base"]) and cls.__bases__ == (names["Base"],)
    assert "_pybridge_derived" not in type.__getattribute__(cls, "__dict__")
    assert (x.own(), x.method(), cls.own(x)) == ("own", "base", "own")
    assert pybridge.eval("lambda x, c: type(x) is c")(x, cls)
    if kind != "object":
        assert list(x) == [1, 2] and bytes(pybridge.view(x).memory()) == b"\1\0\0\0\2\0\0\0"
