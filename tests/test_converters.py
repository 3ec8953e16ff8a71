# SPDX-License-Identifier: MIT
"""Converters of the program's own."""

from __future__ import annotations

import asyncio
import decimal
import threading

import children
import pytest

import pybridge
from pybridge import ConversionError, _frame


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


@pytest.fixture
def same(guest):
    """A guest function that gives its argument."""
    return pybridge.eval("lambda x: x")


@pytest.fixture(scope="module", autouse=True)
def pair(guest):
    """A guest class."""
    pybridge.exec(
        "import sys, types\n"
        "m = sys.modules['pairs'] = types.ModuleType('pairs')\n"
        "exec('class Pair:\\n"
        "    def __init__(self, a, b): self.a, self.b = a, b\\n"
        "class Derived(Pair): pass\\n', m.__dict__)\n",
        {},
    )
    return pybridge.eval("__import__('pairs').Pair")


def as_tuple(p):
    return p.x, p.y


def test_a_host_class_for_the_whole_program(same):
    pybridge.converter(Point, as_tuple)
    try:
        assert same(Point(1, 2)) == (1, 2)
        assert pybridge.eval("lambda x: x[0]")([Point(1, 2)]) == (1, 2)
        assert pybridge.eval("lambda x: x[1]['k']")((0, {"k": Point(3, 4)})) == (3, 4)
        seen = []
        pybridge.eval("lambda f, g: g(f())")(lambda: Point(5, 6), seen.append)
        assert seen == [(5, 6)]
    finally:
        pybridge.converter(Point, None)
    with pybridge.converters({}):
        with_none = outcome(same, Point(1, 2))
    assert with_none != (1, 2)


def outcome(function, x):
    try:
        return function(x)
    except ConversionError:
        return "refused"


def test_as_a_decorator(same):
    class Named:
        pass

    @pybridge.converter(Named)
    def name(x):
        return "named"

    assert callable(name) and same(Named()) == "named"
    pybridge.converter(Named, None)


def test_scopes_nest_and_end(same):
    x = Point(1, 2)
    plain = outcome(same, x)
    assert plain == "refused" or plain is x
    with pybridge.converters({Point: as_tuple}):
        assert same(x) == (1, 2)
        with pybridge.converters({Point: lambda p: p.x}):
            assert same(x) == 1
        with pybridge.converters({Point: None}):
            assert outcome(same, x) == plain
        assert same(x) == (1, 2)
    assert outcome(same, x) == plain


def test_one_scope_used_twice(same):
    block = pybridge.converters({Point: as_tuple})
    with block, block:
        assert same(Point(1, 2)) == (1, 2)
    with block:
        assert same(Point(1, 2)) == (1, 2)


def test_exactly_that_class(same, pair):
    class Other(Point):
        pass

    with pybridge.converters({Point: as_tuple, "pairs:Pair": lambda p: (p.a, p.b)}):
        assert outcome(same, Other(1, 2)) != (1, 2)
        assert pair(1, 2) == (1, 2)
        derived = pybridge.eval("__import__('pairs').Derived(1, 2)")
        assert isinstance(derived, pybridge.Proxy)


def test_a_guest_class_by_itself_or_by_name(same, pair):
    as_point = lambda p: Point(p.a, p.b)  # noqa: E731
    before = pair(1, 2)
    for cls in (pair, "pairs:Pair"):
        with pybridge.converters({cls: as_point}):
            made = pair(3, 4)
            assert type(made) is Point and (made.x, made.y) == (3, 4)
            assert type(same(before)) is Point
            inside = pybridge.eval("lambda p: (1, p, (p,))")(before)
            assert inside[0] == 1 and inside[1].x == 1 and inside[2][0].y == 2
        assert isinstance(pair(3, 4), pybridge.Proxy)


def test_a_round_trip(same, pair):
    rules = {Point: lambda p: pair(p.x, p.y), pair: lambda p: Point(p.a, p.b)}
    with pybridge.converters({Point: None, pair: None}):
        make = pybridge.eval("__import__('pairs').Pair")
    rules[Point] = lambda p: with_class(make, p)
    with pybridge.converters(rules):
        back = same(Point(1, 2))
        assert type(back) is Point and (back.x, back.y) == (1, 2)


def with_class(make, p):
    with pybridge.converters({make: None}):
        return make(p.x, p.y)


def test_values_of_the_bridges_own_table(same):
    text = pybridge.eval("lambda: __import__('decimal').Decimal('1.5')")
    with pybridge.converters({"decimal:Decimal": lambda d: float(d)}):
        assert text() == 1.5 and type(text()) is float
    assert text() == decimal.Decimal("1.5") and type(text()) is decimal.Decimal
    with pybridge.converters({decimal.Decimal: float}):
        assert pybridge.eval("lambda x: type(x).__name__")(decimal.Decimal(2)) == "float"
    assert pybridge.eval("lambda x: type(x).__name__")(decimal.Decimal(2)) == "Decimal"


@pytest.mark.parametrize(
    ("base", "converter", "value"),
    [
        ("decimal:Decimal", str, "7"),
        ("fractions:Fraction", str, "7"),
        ("collections:deque", list, "[5]"),
    ],
)
def test_a_converter_leaves_the_classes_derived_from_its_class_alone(base, converter, value):
    module, _, name = base.partition(":")
    with pybridge.converters({base: converter}):
        pybridge.exec(f"import {module}")
        derived = pybridge.eval(f"type('Derived', ({module}.{name},), {{}})")
        x = derived(eval(value))
        if name == "deque":
            assert x + derived([6]) == derived([5, 6]) and len(x) == 1
        else:
            assert (x - 2, 9 - x, x**2, abs(x)) == ("5", "2", "49", "7")


def test_the_object_itself_means_the_ordinary_rule(same, pair):
    with pybridge.converters({Point: lambda p: p, pair: lambda p: p}):
        assert outcome(same, Point(1, 2)) != (1, 2)
        assert isinstance(pair(1, 2), pybridge.Proxy)


def test_what_a_converter_raises_arrives_and_nothing_leaks(same, pair, leakfree):
    make = pybridge.eval("lambda: ([], __import__('pairs').Pair(1, 2), [], {})")
    call = pybridge.eval("lambda f: f([], __import__('pairs').Pair(1, 2), [], k={})")
    raised = KeyError("own")

    def fail(x):
        raise raised

    with pybridge.converters({Point: fail, pair: fail}):
        for action in (lambda: same(Point(1, 2)), make, lambda: call(lambda *a, **k: None)):
            with pytest.raises(KeyError) as caught:
                action()
            assert caught.value is raised
    assert len(make()) == 4
    raised.__traceback__ = None
    del caught, action


def test_threads_and_tasks_are_apart(same):
    results = {}

    def work(i):
        with pybridge.converters({Point: lambda p: i}):
            results[i] = {same(Point(0, 0)) for _ in range(50)}

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: {i} for i in range(4)}

    async def task(i):
        with pybridge.converters({Point: lambda p: i}):
            await asyncio.sleep(0)
            one = same(Point(0, 0))
            await asyncio.sleep(0)
            return one, same(Point(0, 0))

    async def main():
        with pybridge.converters({Point: lambda p: "outer"}):
            inherited = asyncio.create_task(inherit())
            answers = await asyncio.gather(*[task(i) for i in range(3)])
            return answers, await inherited

    async def inherit():
        return same(Point(0, 0))

    assert asyncio.run(main()) == ([(0, 0), (1, 1), (2, 2)], "outer")


def test_registered_before_the_guest_runs():
    children.run(
        """
        import pybridge
        from pybridge import _runtime
        pybridge.converter("fractions:Fraction", lambda f: "a fraction")
        pybridge.converter("collections:Counter", dict)
        assert _runtime.state == "new"
        assert pybridge.eval("__import__('fractions').Fraction(1, 2)") == "a fraction"
        assert pybridge.eval("__import__('collections').Counter('aab')") == {"a": 2, "b": 1}
        # the name that a class is imported by need not be that of its own module
        pybridge.exec("import sys, types\\n"
                      "m = sys.modules['outer'] = types.ModuleType('outer')\\n"
                      "class C: pass\\n"
                      "C.__module__ = 'outer._inner'; m.C = C")
        pybridge.converter("outer:C", lambda c: "a C")
        assert pybridge.eval("C()") == "a C"
        """
    )


def test_what_is_no_class_is_refused():
    for x in (int, str, list, tuple, type(None)):
        with pytest.raises(TypeError, match="no converter"):
            pybridge.converter(x, repr)
    with pytest.raises(TypeError, match="no converter"):
        pybridge.converter("builtins:int", repr)
    for x in (3, "pandas", ":x", None):
        with pytest.raises(TypeError, match="'module:qualname'"):
            pybridge.converter(x, repr)
    with pytest.raises(TypeError, match="a function or None"):
        pybridge.converter(Point, 3)


FAILS = """
def fails(x):
    try:
        x.numerator
    except AttributeError as error:
        error.extra = x  # so that it is not described by the core
        raise
"""


def test_a_half_made_value_of_a_class_that_had_a_converter():
    with pybridge.converters({"fractions:Fraction": lambda x: None}):
        assert pybridge.eval("__import__('fractions').Fraction(1, 2)") is None
    x = pybridge.eval("object.__new__(__import__('fractions').Fraction)")
    assert isinstance(x, pybridge.Proxy)
    # An error that leads to it is not asked for what it is, again and again.
    names: dict[str, object] = {}
    pybridge.exec(FAILS, names)
    with pytest.raises(AttributeError) as caught:
        names["fails"](x)
    assert pybridge.same(caught.value.extra, x)


@pytest.fixture
def held(guest):
    """As a traceback holds what its frames refer to, until after the test."""
    return []


def test_a_frame_that_an_error_loses_keeps_no_handles(same, held, leakfree):
    def fail(x):
        raise KeyError("own")

    with pybridge.converters({Point: fail}):
        for _ in range(10):
            kept = pybridge.eval("object()")  # its handle goes to the same frame
            held.extend(_frame.frames)
            with pytest.raises(KeyError):
                same(Point(1, 2))
            del kept
