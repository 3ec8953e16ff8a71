# SPDX-License-Identifier: MIT
"""Proxies do what the guest's objects do: attributes, calls, items, protocols."""

from __future__ import annotations

import collections.abc
import copy
import io
import math
import operator
import os
import sys

import pytest

import pybridge

PYPY = hasattr(sys, "pypy_version_info")

SOURCE = '''
import contextlib

class Plain:
    """Plain's doc."""
    level = 1

    def method(self, *args, **kwargs):
        return args, tuple(sorted(kwargs.items()))


class Names:
    """Attributes with names that the host's side might want for itself."""
    def __init__(self):
        for name in CLASHING:
            self.__dict__[name] = "the guest's " + name

CLASHING = ["_pybridge", "handle", "close", "release", "_handle", "address", "chunk", "ffi",
            "lib", "mem", "x y", "1", "class", ""]


class Answers:
    """One special method, that answers or raises what it was made with."""

def answering(name, answer):
    def method(self, *args):
        if isinstance(answer, BaseException):
            raise answer
        return answer
    return type("Answering", (), {name: method})()


class Items:
    def __getitem__(self, key):
        return repr(key)
    def __setitem__(self, key, value):
        self.last = ("set", repr(key), value)
    def __delitem__(self, key):
        self.last = ("del", repr(key))
    def __contains__(self, key):
        return key == "in"


class Manager:
    def __init__(self, suppress=False, entered="entered"):
        self.suppress = suppress
        self.entered = entered
    def __enter__(self):
        return self.entered
    def __exit__(self, kind, exc, traceback):
        self.seen = (
            None if kind is None else kind.__name__, None if exc is None else str(exc),
            kind is type(exc) or exc is None, traceback is not None,
        )
        return self.suppress


@contextlib.contextmanager
def generator_manager(log):
    try:
        yield "value"
    except ValueError as error:
        log.append(str(error))
        raise KeyError("changed") from error
    finally:
        log.append("finally")


def generate(n):
    got = []
    for i in range(n):
        got.append((yield i))
    return tuple(got)


def failing(n):
    for i in range(n):
        yield i
    raise LookupError("no more")


def keyword_only(a, *, b):
    return a, b
'''


@pytest.fixture(scope="module")
def space(guest):
    """A guest namespace with the classes above."""
    names = pybridge.eval("{}")
    pybridge.exec(SOURCE, names)
    return names


@pytest.fixture
def make(space):
    def make(source):
        return pybridge.eval(source, space)

    return make


# ---- attributes --------------------------------------------------------------------------


def test_attributes_are_read_set_and_deleted(make):
    x = make("Plain()")
    assert x.level == 1
    x.level = (2, "three")
    assert x.level == (2, "three")
    del x.level
    assert x.level == 1
    with pytest.raises(AttributeError, match=r"level"):
        del x.level


def test_a_missing_attribute_is_the_guests_error_with_its_text(make):
    with pytest.raises(AttributeError, match=r"^'Plain' object has no attribute 'missing'$"):
        make("Plain()").missing  # noqa: B018
    assert not hasattr(make("Plain()"), "missing")
    assert getattr(make("Plain()"), "missing", 5) == 5


def test_the_guests_names_win_over_the_bridges(make):
    x = make("Names()")
    for name in make("tuple(CLASHING)"):
        assert getattr(x, name) == "the guest's " + name


@pytest.mark.parametrize(
    "name",
    [
        "__doc__",
        "__module__",
        "__dict__",
        "__class__",
        "__weakref__",
        "__name__",
        "__wrapped__",
    ],
)
def test_names_that_every_host_object_has_are_the_guests(make, name):
    f = make("lambda: 0")
    same = pybridge.eval("lambda a, b: a is b or a == b")
    ours = getattr(f, name, "missing")
    theirs = pybridge.eval("getattr")(f, name, "missing")
    if name == "__class__":
        theirs = pybridge.eval("type(lambda: 0)")
    assert same(ours, theirs)


def test_a_proxys_class_adds_no_names_of_its_own(make):
    known = {name for name in vars(pybridge.Proxy) if not name.startswith("__")}
    assert known == set()
    assert not hasattr(make("Plain()"), "__builtins__")


@pytest.mark.parametrize("error", ["ValueError('odd')", "AttributeError('own text')"])
def test_an_error_in_a_property_passes_through(make, error):
    x = make(f"type('P', (), {{'p': property(lambda self: (_ for _ in ()).throw({error}))}})()")
    with pytest.raises((ValueError, AttributeError), match=r"odd|own text"):
        x.p  # noqa: B018
    if "Attribute" in error:
        assert not hasattr(x, "p")
    else:
        with pytest.raises(ValueError, match=r"odd"):
            hasattr(x, "p")


def test_attribute_names_may_be_any_text(make):
    x = make("Plain()")
    for name in ("é", "a\0b", "\U0001f600", "\ud800", "x" * 5000):
        setattr(x, name, name)
        assert getattr(x, name) == name
        delattr(x, name)
        assert not hasattr(x, name)


def test_modules_and_classes_have_their_attributes(guest):
    math_ = pybridge.import_module("math")
    assert math_.pi == math.pi
    assert math_.__name__ == "math"
    assert pybridge.eval("int").__name__ == "int"
    assert pybridge.eval("int").__doc__.startswith("int(")


def test_dir_is_the_guests(make):
    assert "method" in dir(make("Plain()"))
    assert dir(make("Plain()")) == sorted(make("tuple(dir(Plain()))"))


def test_doc_is_the_guests(make):
    assert make("Plain()").__doc__ == "Plain's doc."


# ---- calls -------------------------------------------------------------------------------


def test_positional_and_keyword_arguments(make):
    method = make("Plain()").method
    assert method() == ((), ())
    assert method(1, "two", b=3, a=None) == ((1, "two"), (("a", None), ("b", 3)))
    for n in range(16):
        assert method(*range(n)) == (tuple(range(n)), ())
        assert method(**{f"k{i}": i for i in range(n)})[0] == ()


def test_300_positional_and_300_keyword_arguments(make):
    f = make("lambda *args, **kwargs: (args, tuple(kwargs.items()))")
    args = tuple(range(300))
    kwargs = {f"name{i}": float(i) for i in range(300)}
    assert f(*args, **kwargs) == (args, tuple(kwargs.items()))
    proxies = [make("Plain()") for _ in range(300)]
    assert f(*proxies)[0] == tuple(proxies)


def twice(f):
    again = {"b": 3}
    f(1, b=2, **again)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda f: f(), "missing 1 required positional argument"),
        (lambda f: f(1), "missing 1 required keyword-only argument: 'b'"),
        (lambda f: f(1, 2), "takes 1 positional argument but 2 were given"),
        (lambda f: f(1, b=2, c=3), "unexpected keyword argument 'c'"),
        (lambda f: f(1, a=2, b=3), "multiple values for argument 'a'"),
        (twice, "multiple values for keyword argument"),
        (lambda f: f(1, **{2: 3}), "keywords must be strings"),
    ],
    ids=["none", "no keyword", "too many", "unknown", "twice", "duplicate", "not a str"],
)
def test_wrong_arguments_are_a_type_error_with_cpythons_text(make, call, text):
    with pytest.raises(TypeError, match=text):
        call(make("keyword_only"))


def test_keyword_names_may_be_any_text(make):
    f = make("lambda **kwargs: tuple(kwargs)")
    names = ["é", "a b", "\ud800", "", "self", "args", "class"]
    assert f(**dict.fromkeys(names)) == tuple(names)


def test_what_cannot_be_called_says_so(make):
    with pytest.raises(TypeError, match=r"'Plain' object is not callable"):
        make("Plain()")()


def test_calls_nest_without_mixing_their_arguments(make):
    add = make("lambda *args: sum(args)")
    assert add(add(1, add(2, 3), add()), *[add(i, i) for i in range(20)]) == 6 + 380


# ---- items -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [0, "a", slice(1, None), slice(None, None, -1), (1, 2), (slice(1), ..., None), True, ()],
    ids=repr,
)
def test_items_by_any_key(make, key):
    x = make("Items()")
    assert x[key] == repr(key)
    x[key] = 5
    assert x.last == ("set", repr(key), 5)
    del x[key]
    assert x.last == ("del", repr(key))


def test_slices_of_a_list(make):
    x = make("list(range(10))")
    assert x[2:5] == [2, 3, 4]
    x[2:5] = ["a"]
    del x[::2]
    assert x == [1, 5, 7, 9]
    with pytest.raises(IndexError, match=r"^list index out of range$"):
        x[100]
    with pytest.raises(KeyError) as caught:
        make("{}")["missing"]
    assert caught.value.args == ("missing",)


def test_contains(make):
    assert "in" in make("Items()")
    assert "out" not in make("Items()")
    with pytest.raises(TypeError, match=r"is not iterable|not a container"):
        1 in make("Plain()")  # noqa: B015


# ---- special methods that misbehave ------------------------------------------------------

MISBEHAVING = [
    ("__len__", "-1", len, ValueError, "__len__.. should return >= 0"),
    ("__len__", "10**30", len, OverflowError, "cannot fit 'int' into an index-sized integer"),
    ("__len__", "'x'", len, TypeError, "'str' object cannot be interpreted as an integer"),
    ("__len__", "LookupError('no')", len, LookupError, "no"),
    ("__bool__", "5", bool, TypeError, "__bool__ should return bool, returned int"),
    ("__bool__", "LookupError('no')", bool, LookupError, "no"),
    ("__hash__", "'x'", hash, TypeError, "__hash__ method should return an integer"),
    ("__hash__", "LookupError('no')", hash, LookupError, "no"),
    ("__index__", "'x'", operator.index, TypeError, "__index__ returned non-int"),
    ("__index__", "LookupError('no')", operator.index, LookupError, "no"),
    ("__int__", "'x'", int, TypeError, "__int__ returned non-int"),
    ("__float__", "'x'", float, TypeError, "__float__ returned non-float"),
    ("__iter__", "5", iter, TypeError, "iter.. returned non-iterator of type 'int'"),
    ("__iter__", "LookupError('no')", iter, LookupError, "no"),
    ("__contains__", "LookupError('no')", lambda x: 1 in x, LookupError, "no"),
    ("__str__", "5", str, TypeError, "__str__ returned non-string"),
    ("__str__", "LookupError('no')", str, LookupError, "no"),
    ("__format__", "5", format, TypeError, "__format__ must return a str"),
    ("__dir__", "LookupError('no')", dir, LookupError, "no"),
    ("__call__", "LookupError('no')", lambda x: x(), LookupError, "no"),
    ("__eq__", "LookupError('no')", lambda x: x == 1, LookupError, "no"),
    ("__bytes__", "5", bytes, TypeError, "__bytes__ returned non-bytes"),
    ("__round__", "LookupError('no')", round, LookupError, "no"),
    ("__reversed__", "LookupError('no')", reversed, LookupError, "no"),
    ("__fspath__", "5", os.fspath, TypeError, "__fspath__.. to return str or bytes, not int"),
    ("__complex__", "5", complex, TypeError, "__complex__ .*complex"),
    ("__enter__", "LookupError('no')", lambda x: x.__enter__(), LookupError, "no"),
]


@pytest.mark.parametrize(
    "name, answer, do, error, text",
    MISBEHAVING,
    ids=[f"{row[0].strip('_')} {row[1]}" for row in MISBEHAVING],
)
def test_a_special_method_that_misbehaves_is_the_guests_error(
    make, name, answer, do, error, text
):
    x = make(f"answering({name!r}, {answer})")
    with pytest.raises(error, match=text):
        do(x)


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**62])
def test_any_length_that_fits(make, length):
    assert len(make(f"answering('__len__', {length})")) == length


@pytest.mark.parametrize("answer", [-2, -1, 0, 2**61, 2**62, 2**64 + 3])
def test_any_hash(make, answer):
    x = make(f"answering('__hash__', {answer})")
    assert hash(x) == pybridge.eval("hash")(x)


@pytest.mark.parametrize(
    "answer", ["5", "LookupError('no')", "type('S', (str,), {})('own')", "KeyboardInterrupt()"]
)
def test_repr_never_fails(make, answer):
    x = make(f"answering('__repr__', {answer})")
    if "Keyboard" in answer:
        with pytest.raises(KeyboardInterrupt):
            repr(x)
    elif "own" in answer:
        assert repr(x) == "own"
    else:
        assert repr(x).startswith("<proxy of a guest object at 0x")


def test_int_float_and_str_of_subclasses_are_plain(make):
    x = make("answering('__str__', type('S', (str,), {})('own'))")
    assert str(x) == "own"
    assert type(str(x)) is str
    assert type(int(make("type('I', (int,), {})(7)"))) is int
    assert type(float(make("type('F', (float,), {})(7.5)"))) is float
    assert operator.index(make("type('I', (int,), {})(7)")) == 7
    assert [10, 11, 12][make("type('I', (int,), {})(1)")] == 11


# ---- protocols ---------------------------------------------------------------------------


def test_iteration_over_what_guests_have(make):
    assert list(make("[1, 'two', None]")) == [1, "two", None]
    assert sorted(make("{1: 2, 3: 4}")) == [1, 3]
    assert list(make("{1: 2}").items()) == [(1, 2)]
    assert "".join(make("iter('aé€')")) == "aé€"
    assert list(make("range(5).__iter__()")) == [0, 1, 2, 3, 4]
    assert [x for x, _ in zip(make("__import__('itertools').count()"), range(3))] == [0, 1, 2]
    assert dict(make("[('a', 1), ('b', 2)]")) == {"a": 1, "b": 2}
    a, *b = make("[1, 2, 3]")
    assert (a, b) == (1, [2, 3])
    assert max(make("[3, 9, 4]")) == 9
    assert next(iter(make("Items.__dict__"))).startswith("__")


def test_iteration_by_getitem_alone(make):
    x = make("type('Old', (), {'__getitem__': lambda self, i: [5, 6][i]})()")
    assert list(x) == [5, 6]


def test_changes_during_iteration_are_seen(make):
    x = make("[1, 2, 3, 4]")
    seen = []
    for item in x:
        seen.append(item)
        if item == 2:
            x.remove(3)
            x.append(5)
    assert seen == [1, 2, 4, 5]
    with pytest.raises(RuntimeError, match=r"changed size during iteration"):
        d = make("{1: 1, 2: 2}")
        for key in d:
            d[key + 10] = 1


def test_an_error_in_the_middle_of_an_iteration(make):
    seen = []
    with pytest.raises(LookupError, match=r"no more"):
        for item in make("failing(40)"):
            seen.append(item)
    assert seen == list(range(40))


def test_a_generators_value_and_what_is_sent(make):
    g = make("generate(3)")
    assert next(g) == 0
    assert g.send("a") == 1
    assert g.send([]) == 2
    with pytest.raises(StopIteration) as caught:
        g.send("c")
    assert caught.value.value[0] == "a"
    assert caught.value.value[2] == "c"
    with pytest.raises(StopIteration):
        next(g)

    def delegate():
        return (yield from make("generate(2)"))

    d = delegate()
    assert [next(d), next(d)] == [0, 1]
    with pytest.raises(StopIteration) as caught:
        next(d)
    assert caught.value.value == (None, None)


def test_throwing_into_a_generator_and_closing_it(make):
    pybridge.exec(
        "def catching():\n"
        "    try:\n        yield 1\n"
        "    except ValueError as e:\n        yield 'caught %s' % e\n"
        "    finally:\n        log.append('closed')\n"
        "log = []"
    )
    g = pybridge.eval("catching()")
    next(g)
    assert g.throw(ValueError("x")) == "caught x"
    g.close()
    assert pybridge.eval("log") == ["closed"]


def test_what_is_no_iterator_says_so(make):
    with pytest.raises(TypeError, match=r"^'list' object is not an iterator$"):
        next(make("[]"))
    with pytest.raises(TypeError, match=r"^'Plain' object is not iterable$"):
        iter(make("Plain()"))


def test_hash_and_equality_make_dict_keys(make):
    x = make("Plain()")
    same = pybridge.eval("lambda x: x")(x)
    assert x == same
    assert hash(x) == hash(same)
    assert {x: 1}[same] == 1
    assert x != make("Plain()")
    assert len({x, same, make("Plain()")}) == 2
    with pytest.raises(TypeError, match=r"^unhashable type: 'list'$"):
        hash(make("[]"))
    assert x != object()
    assert (x == object()) is False


def test_str_repr_and_format(make):
    d = make("__import__('collections').OrderedDict(a=1)")
    assert repr(d) == pybridge.eval("repr")(d)
    assert str(make("type('F', (float,), {})(2.5)")) == "2.5"
    assert f"{make('type(str(), (float,), {})(2.5)'):>8.2f}" == "    2.50"
    assert "{:x}".format(make("type('I', (int,), {})(255)")) == "ff"
    assert "%s %r" % (make("[1]"), make("['a']")) == "[1] ['a']"
    with pytest.raises(TypeError, match=r"unsupported format string passed to list.__format__"):
        format(make("[]"), "x")


def test_numbers_by_protocol(make):
    x = make("type('F', (float,), {})(-2.5)")
    assert (round(x), math.floor(x), math.ceil(x), math.trunc(x)) == (-2, -3, -2, -2)
    assert complex(x) == -2.5 + 0j
    assert abs(x) == 2.5
    assert math.sqrt(make("type('F', (float,), {})(4)")) == 2
    with pytest.raises(TypeError, match=r"must be .*number|not 'list'|must be real"):
        math.sqrt(make("[]"))


def test_bytes_paths_and_reversal(make):
    assert bytes(make("bytearray(b'ab\\0')")) == b"ab\0"
    assert bytes(make("[1, 2]")) == b"\1\2"
    assert os.fspath(make("answering('__fspath__', 'a/b')")) == "a/b"
    with pytest.raises(TypeError, match=r"expected str, bytes or os.PathLike object, not list"):
        os.fspath(make("[]"))
    assert list(reversed(make("[1, 2, 3]"))) == [3, 2, 1]
    assert operator.length_hint(make("iter([1, 2, 3])")) == 3
    assert operator.length_hint(make("generate(3)"), 7) == 7


def test_copies_are_the_guests(make):
    x = make("[[1], 2]")
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    x[0].append(5)
    assert shallow == [[1, 5], 2]
    assert deep == [[1], 2]


def test_a_proxy_is_not_made_by_calling_its_class():
    with pytest.raises(TypeError, match=r"not made by calling"):
        pybridge.Proxy()


def test_print_writes_to_a_host_file(make):
    file = io.StringIO()
    print(make("[1]"), make("{'a': 2}"), file=file)
    assert file.getvalue() == "[1] {'a': 2}\n"


# ---- instances and classes ---------------------------------------------------------------


def test_isinstance_with_guest_classes(make):
    plain = make("Plain")
    assert isinstance(make("Plain()"), plain)
    assert isinstance(make("type('Sub', (Plain,), {})()"), plain)
    assert not isinstance(make("[]"), plain)
    assert not isinstance(5, plain)
    assert not isinstance(object(), plain)
    assert isinstance(5, pybridge.eval("int"))
    assert issubclass(make("type('Sub', (Plain,), {})"), plain)
    assert not issubclass(pybridge.eval("int"), plain)
    assert issubclass(bool, pybridge.eval("int"))


@pytest.mark.parametrize(
    "source, kind, expected",
    [
        ("[1]", list, True),
        ("[1]", collections.abc.Sequence, True),
        ("[1]", collections.abc.Mapping, False),
        ("{}", collections.abc.MutableMapping, True),
        ("{1}", collections.abc.Set, True),
        ("iter([])", collections.abc.Iterator, True),
        ("Plain()", collections.abc.Mapping, False),
        ("Plain()", int, False),
        ("Plain", type, True),
        ("__import__('abc').ABC", type, True),
        ("ValueError()", ValueError, True),
        ("ValueError()", KeyError, False),
        ("type('I', (int,), {})(3)", list, False),
    ],
)
def test_isinstance_with_host_classes(make, source, kind, expected):
    if not PYPY and type(make(source).__class__) is pybridge.Proxy:
        pytest.skip("CPython's abstract classes accept none but real classes")
    assert isinstance(make(source), kind) is expected


def test_the_class_of_an_object_equals_the_guests(make):
    x = make("Plain()")
    assert x.__class__ == make("Plain")
    assert x.__class__.__name__ == "Plain"
    assert make("[]").__class__ is list
    x.__class__ = make("type('Other', (Plain,), {})")
    assert x.__class__.__name__ == "Other"


# ---- context managers --------------------------------------------------------------------


def test_a_context_manager_is_entered_and_left(make):
    manager = make("Manager()")
    with manager as x:
        assert x == "entered"
    assert manager.seen == (None, None, True, False)


def test_a_context_manager_gets_the_exception(make):
    manager = make("Manager()")
    error = ValueError("why")
    with pytest.raises(ValueError) as caught:
        with manager:
            raise error
    assert caught.value is error
    assert manager.seen[:3] == ("ValueError", "why", True)


def test_a_context_manager_gets_a_guest_exception_as_the_guest_made_it(make):
    manager = make("Manager()")
    with pytest.raises(LookupError, match=r"no more"):
        with manager:
            for _ in make("failing(1)"):
                pass
    assert manager.seen == ("LookupError", "no more", True, True)


def test_suppression_is_honoured(make):
    with make("Manager(suppress=True)"):
        raise ValueError("suppressed")
    with pybridge.import_module("contextlib").suppress(KeyError):
        {}["missing"]
    with pytest.raises(ValueError, match=r"other"):
        with pybridge.import_module("contextlib").suppress(KeyError):
            raise ValueError("other")


def test_a_truth_value_that_raises_is_that_error(make):
    with pytest.raises(LookupError, match=r"no truth"):
        with make("Manager(answering('__bool__', LookupError('no truth')))"):
            raise ValueError("lost")


def test_a_generator_based_manager(make):
    log = make("[]")
    with make("generator_manager")(log) as value:
        assert value == "value"
    assert log == ["finally"]
    error = ValueError("one")
    with pytest.raises(KeyError) as caught:
        with make("generator_manager")(log):
            raise error
    assert caught.value.args == ("changed",)
    assert caught.value.__cause__ is error
    other = TypeError("two")
    with pytest.raises(TypeError) as caught:
        with make("generator_manager")(log):
            raise other
    assert caught.value is other


def test_what_is_no_context_manager_says_so(make):
    with pytest.raises((AttributeError, TypeError), match=r"__enter__|context manager"):
        with make("Plain()"):
            pass


# ---- leaks -------------------------------------------------------------------------------


def test_nothing_leaks(make, leakfree):
    for _ in range(30):
        x = make("Plain()")
        x.y = (x.method, make("{}"))  # a list would be a cycle through both heaps
        x.y  # noqa: B018
        with pytest.raises(AttributeError):
            x.z  # noqa: B018
        with make("Manager(suppress=True)"):
            raise ValueError
        list(make("[[], {}, Plain()]"))
        for _ in make("generate(3)"):
            break
        repr(x), str(x), dir(x), hash(x), x == x, isinstance(x, make("Plain"))
        copy.copy(x)
        with pytest.raises(TypeError):
            x + 1
