# SPDX-License-Identifier: MIT
"""Every operator of the table does what it does on one interpreter.

The native result is computed in the guest by the same expression; errors are compared by
class and text.
"""

from __future__ import annotations

import operator

import pytest

import pybridge
from pybridge import _operators, _proxy
from pybridge._core import lib

SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "matmul": "@", "truediv": "/", "floordiv": "//",
    "mod": "%", "lshift": "<<", "rshift": ">>", "and": "&", "xor": "^", "or": "|", "pow": "**",
    "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "gt": ">", "ge": ">=",
}  # fmt: skip
UNARY = {"neg": "-x", "pos": "+x", "abs": "abs(x)", "invert": "~x", "int": "int(x)",
         "float": "float(x)", "index": "__import__('operator').index(x)", "len": "len(x)",
         "bool": "bool(x)", "hash": "hash(x)", "repr": "repr(x)", "str": "str(x)"}  # fmt: skip

BINARY = [op.name for op in _operators.OPERATORS if op.shape in ("binary", "power")]
COMPARE = [op.name for op in _operators.OPERATORS if op.shape == "compare"]

SOURCE = '''
class Int(int): pass
class Float(float): pass

def every(names):
    """A class whose methods of these names tell how they were called."""
    def method(name):
        def call(self, *args):
            return (name,) + tuple("self" if a is self else a for a in args)
        return call
    return type("Every", (), {"__%s__" % n: method(n) for n in names})

class Silent:
    """Says NotImplemented to everything."""

for name in NAMES:
    for prefix in ("", "r", "i"):
        setattr(Silent, "__%s%s__" % (prefix, name), lambda self, *a: NotImplemented)
for name in COMPARISONS:
    setattr(Silent, "__%s__" % name, lambda self, *a: NotImplemented)

class Plain: pass

def outcome(f, *args):
    try:
        x = f(*args)
    except Exception as error:
        return type(error).__name__, str(error)
    return repr(x)
'''


@pytest.fixture(scope="module")
def space(guest):
    names = pybridge.eval("{}")
    names["NAMES"] = BINARY
    names["COMPARISONS"] = COMPARE
    pybridge.exec(SOURCE, names)
    return names


@pytest.fixture
def make(space):
    return lambda source: pybridge.eval(source, space)


def outcome(f, *args):
    """What `outcome` of the guest says, for a host function."""
    try:
        x = f(*args)
    except Exception as error:
        return type(error).__name__, str(error)
    return pybridge.eval("repr")(x)


def same(ours, theirs):
    """An operator that the guest's class lacks or inherits from a builtin value is the host's,
    which has its own words."""
    return ours == theirs or (
        ours[0] in ("TypeError", "ZeroDivisionError", "InvalidOperation")
        and ours[0] == theirs[0]
    )


def alike(ours, theirs, left):
    """Are the outcomes equal?  Of a comparison that the host mirrored, because its own left
    operand had no answer, the guest sees the mirrored form only, and words its error so."""
    if same(ours, theirs):
        return True
    if isinstance(left, pybridge.Proxy) or "not supported between" not in str(ours):
        return False
    mirror = str.maketrans("<>", "><")
    sign, theirs_sign = ours[1].split("'")[1], theirs[1].split("'")[1]
    return ours[0] == theirs[0] and sign == theirs_sign.translate(mirror)


def host_function(name):
    if name == "divmod":
        return divmod
    return eval(f"lambda a, b: a {SYMBOLS[name]} b")


def guest_function(make, name):
    text = "divmod" if name == "divmod" else f"lambda a, b: a {SYMBOLS[name]} b"
    return make(text)


VALUES = ["Int(7)", "Float(2.5)", "Int(-3)", "Float('nan')", "[1, 2]", "Plain()", "{1, 2}",
          "__import__('decimal').Decimal('1.5')", "type('S', (str,), {})('%d')"]  # fmt: skip
PLAIN = ["2", "0", "2.5", "'a'", "(1,)", "None", "True"]


@pytest.mark.parametrize("name", [*BINARY, *COMPARE])
def test_a_binary_operator_gives_what_the_guest_gives(make, name):
    native = guest_function(make, name)
    check = make("outcome")
    ours = host_function(name)
    for source in VALUES:
        x = make(source)
        for other_source in [*VALUES[:5], *PLAIN]:
            y = make(other_source)
            if isinstance(x, pybridge.Proxy) and not (name == "mod" and isinstance(x, str)):
                assert same(outcome(ours, x, y), check(native, x, y)), (source, other_source)
            if name == "mod" and isinstance(y, str):
                continue  # text is formatted by the host
            if isinstance(x, pybridge.Proxy) or isinstance(y, pybridge.Proxy):
                assert alike(outcome(ours, y, x), check(native, y, x), y), other_source


@pytest.mark.parametrize("name", [*BINARY, *COMPARE])
def test_forward_reflected_and_in_place_reach_the_method_of_that_name(make, name):
    names = [name] if name in COMPARE else [name, "r" + name, "i" + name]
    x = make(f"every({names!r})()")
    f = host_function(name)
    assert f(x, 5) == (name, 5)
    if name in COMPARE:
        mirrored = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}.get(name, name)
        y = make(f"every([{mirrored!r}])()")
        assert f(5, y) == (mirrored, 5)
        return
    assert f(5, x) == ("r" + name, 5)
    if name != "divmod":
        expected = ("i" + name, 5)
        assert getattr(operator, f"i{name.rstrip('_')}", None)(x, 5) == expected


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("divmod", "matmul")])
def test_in_place_keeps_the_object_or_makes_a_new_one(make, name):
    x = make("{1, 2}") if name in ("and", "or", "xor", "sub") else make("[1, 2]")
    same, before = x, pybridge.eval("id")(x)
    f = getattr(operator, "i" + name)
    if name in ("and", "or", "xor", "sub"):
        x = f(x, {2, 3})
    elif name in ("add", "mul"):
        x = f(x, [3] if name == "add" else 2)
    else:
        with pytest.raises(
            TypeError, match=r"unsupported operand type|operands do not support"
        ):
            f(x, 2)
        return
    assert x is same
    assert pybridge.eval("id")(x) == before
    y = original = make("Int(12)")
    y = getattr(operator, "i" + name)(y, 2)
    assert original == 12
    assert y == getattr(operator, name + "_" if name in ("and", "or") else name)(12, 2)


def test_matrix_multiplication_in_place(make):
    x = make("type('M', (), {'__imatmul__': lambda self, o: ('im', o)})()")
    x @= 3
    assert x == ("im", 3)


@pytest.mark.parametrize("name", UNARY)
def test_a_unary_operator_gives_what_the_guest_gives(make, name):
    native, ours = make("lambda x: " + UNARY[name]), eval("lambda x: " + UNARY[name])
    for source in VALUES:
        x = make(source)
        if not isinstance(x, pybridge.Proxy):
            continue
        if name == "hash" and (isinstance(x, str) or x != x):
            continue  # each interpreter's own: docs/semantics.md
        if source == "Plain()" and name in ("str", "repr"):
            assert ours(x) == native(x)
        assert same(outcome(ours, x), make("outcome")(native, x)), source


def test_power_with_a_modulus(make):
    x = make("Int(7)")
    assert pow(x, 5, 13) == pow(7, 5, 13)
    assert pow(x, -1, 13) == pow(7, -1, 13)
    every = make("every(['pow', 'rpow'])()")
    assert pow(every, 2, 3) == ("pow", 2, 3)
    assert every**2 == ("pow", 2)
    with pytest.raises(TypeError, match=r"3rd argument not allowed|unsupported"):
        pow(make("Float(2)"), 2, 3)
    with pytest.raises(ValueError, match=r"pow\(\) 3rd argument cannot be 0"):
        pow(x, 2, 0)


@pytest.mark.parametrize("digits", [(), (None,), (0,), (1,), (-1,), (30,)], ids=str)
@pytest.mark.parametrize("source", ["Float(1234.567)", "Int(1234)", "Float(-0.5)"])
def test_rounding(make, source, digits):
    x = make(source)
    native = make("lambda x, *d: round(x, *d)")
    assert repr(round(x, *digits)) == repr(native(x, *digits))


def test_an_index_is_used_by_host_sequences(make):
    x = make("type('I', (), {'__index__': lambda self: 2})()")
    assert [1, 2, 3][x] == 3
    assert "abc"[x:] == "c"
    assert list(range(x)) == [0, 1]
    assert hex(x) == "0x2"


# ---- both sides' classes -----------------------------------------------------------------


class Host:
    """Answers every operator, and says which it was asked."""


def _answer(name):
    return lambda self, other, *more: (name, type(other).__name__ if more else other)


for _name in [*BINARY, *COMPARE]:
    for _prefix in ("",) if _name in COMPARE else ("", "r", "i"):
        setattr(Host, f"__{_prefix}{_name}__", _answer(_prefix + _name))
Host.__hash__ = object.__hash__


@pytest.mark.parametrize("name", [*BINARY, *COMPARE])
def test_a_host_class_is_asked_when_the_guest_has_no_answer(make, name):
    f, x, host = host_function(name), make("Plain()"), Host()
    mirrored = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
    answer, other = f(x, host)
    assert bool(make("lambda a, b: a is b")(other, x))
    assert answer == (mirrored.get(name, name) if name in COMPARE else "r" + name)
    answer, other = f(host, x)
    assert other is x
    assert answer == name


class Declines:
    """Says NotImplemented to everything, and counts how often it was asked."""

    asked = 0

    def _decline(self, *_):
        Declines.asked += 1
        return NotImplemented

    __add__ = __radd__ = __lt__ = __gt__ = _decline


def test_when_neither_side_answers_it_is_a_type_error(make):
    x, host = make("Silent()"), Declines()
    Declines.asked = 0
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: '\w+' and 'D"):
        x + host
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'D\w+' and"):
        host + x
    assert Declines.asked in (2, 3)  # the guest does not know that the host was asked
    with pytest.raises(TypeError, match=r"'<' not supported between instances of '\w+' and 'D"):
        x < host  # noqa: B015
    assert (x == host) is False
    assert (x != host) is True


@pytest.mark.parametrize("name", [*BINARY, *COMPARE])
def test_a_guest_class_that_declines_is_a_type_error_with_cpythons_text(make, name):
    f, native = host_function(name), guest_function(make, name)
    x = make("Silent()")
    if name in ("eq", "ne"):
        assert f(x, 5) is (name == "ne")
        return
    expected = make("outcome")(native, x, 5)
    assert outcome(f, x, 5) == expected
    assert expected[0] == "TypeError"
    assert alike(outcome(f, 5, x), make("outcome")(native, 5, x), 5)


def test_a_guest_class_answers_for_a_value_of_the_host(make):
    x = make("every(['radd', 'rmul', 'rpow'])()")
    assert 1 + x == ("radd", 1)
    assert "text" * x == ("rmul", "text")
    assert operator.add((1, 2), x) == ("radd", (1, 2))
    assert 2.5**x == ("rpow", 2.5)


def test_two_guest_objects_negotiate_in_the_guest(make):
    x, y = make("Silent()"), make("every(['radd', 'gt'])()")
    assert x + y == ("radd", x)
    assert (x < y) == ("gt", x)


def test_a_comparison_may_answer_anything(make):
    x = make("type('V', (), {'__lt__': lambda s, o: [o], '__eq__': lambda s, o: {o}})()")
    assert (x < 1) == [1]
    assert (x == 1) == {1}


# ---- the table itself --------------------------------------------------------------------


def test_the_table_is_complete():
    """Each number of the core is used, in its order; each operator has all its methods."""
    names = [op.name for op in _operators.OPERATORS]
    assert len(set(names)) == len(names)
    for op in _operators.OPERATORS:
        assert isinstance(getattr(lib, op.operation), int)
        methods = [op.name]
        if op.shape in ("binary", "power"):
            methods.append("r" + op.name)
            if op.name != "divmod":
                methods.append("i" + op.name)
        for method in methods:
            assert f"__{method}__" in _proxy.POOL


def test_the_methods_are_seen_by_debuggers():
    import linecache

    code = _proxy.POOL["__add__"].__code__
    line = linecache.getline(
        code.co_filename, code.co_firstlineno + 1, _proxy.POOL["__add__"].__globals__
    )
    assert "__add__" in line


def test_nothing_leaks(make, leakfree):
    for _ in range(20):
        x = make("Int(7)")
        for name in [*BINARY, *COMPARE]:
            f = host_function(name)
            assert same(outcome(f, x, 2), outcome(f, 7, 2))
            assert same(outcome(f, 2, x), outcome(f, 2, 7))
            outcome(f, make("[1]"), Declines())
        assert pow(x, 2, 5) == 4
