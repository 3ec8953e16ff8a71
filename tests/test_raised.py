# SPDX-License-Identifier: MIT
"""Exceptions keep class, arguments, attributes, identity and traceback through both sides."""

from __future__ import annotations

import builtins
import gc
import io
import os
import re
import sys
import time
import traceback
import weakref

import children
import pytest

import pybridge
from pybridge import _described

SOURCE = '''
import io

def raiser(e, cause=None):
    if cause is None:
        raise e
    raise e from cause

def call(f, *args):
    return f(*args)

def caught(f, *args):
    """What `f` raises, as guest code sees it."""
    try:
        f(*args)
    except BaseException as e:
        return e
    raise AssertionError("nothing was raised")

class Base(Exception):
    pass

class Derived(Base):
    pass

class Two(ValueError, LookupError):
    pass

class Mixin:
    def extra(self):
        return 1

class Mixed(Mixin, KeyError):
    pass

class NeedsArguments(Exception):
    def __init__(self, a, b, *, c):
        super().__init__("made of", a)
        self.a, self.b, self.c = a, b, c

class BrokenText(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class NoText(Exception):
    def __str__(self):
        return None

class OwnText(Exception):
    def __str__(self):
        return "text of %s" % self.args

class Unhashable(Exception):
    __hash__ = None
    def __eq__(self, other):
        raise RuntimeError("not comparable")

class Hostile(Exception):
    def __getattribute__(self, name):
        raise Hostile(name)

class Slots(Exception):
    __slots__ = ("a",)

class NotAnError(BaseException):
    pass

def chain(n, cause):
    error = ValueError(0)
    for i in range(1, n):
        new = ValueError(i)
        new.__context__ = error
        if cause:
            new.__cause__ = error
        error = new
    raise error

def looped():
    a, b = ValueError("a"), ValueError("b")
    a.__context__, b.__context__ = b, a
    raise a

def three_lines():
    x = 1
    x.missing
    return x
'''


@pytest.fixture(scope="module")
def space(guest):
    names = pybridge.eval("{'__name__': 'guest_errors'}")
    pybridge.exec(SOURCE, names)
    return names


@pytest.fixture
def make(space):
    return lambda source: pybridge.eval(source, space)


def raised(f, *args):
    try:
        f(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def arrive(make):
    """What arrives when the guest raises the exception that a source text makes."""
    return lambda source: raised(make("raiser"), make(source))


# ---- classes -----------------------------------------------------------------------------

ARGUMENTS = {
    "UnicodeDecodeError": "('utf-8', b'\\xff', 0, 1, 'bad')",
    "UnicodeEncodeError": "('utf-8', '\\ud800', 0, 1, 'bad')",
    "UnicodeTranslateError": "('\\ud800', 0, 1, 'bad')",
    "IndentationError": "('bad', ('f.py', 1, 2, 'text'))",
    "SyntaxError": "('bad', ('f.py', 1, 2, 'text'))",
    "TabError": "('bad', ('f.py', 1, 2, 'text'))",
    "ExceptionGroup": "('several', [ValueError(1), TypeError(2)])",
    "BaseExceptionGroup": "('several', [ValueError(1), KeyboardInterrupt(2)])",
}
NAMES = sorted(
    name
    for name, cls in vars(builtins).items()
    if isinstance(cls, type) and issubclass(cls, BaseException) and cls.__name__ == name
)


@pytest.mark.parametrize("name", NAMES)
def test_every_builtin_exception_arrives_as_the_hosts_own(make, arrive, name):
    if not make(f"hasattr(__import__('builtins'), {name!r})"):
        pytest.skip(f"the guest has no {name}")
    arguments = ARGUMENTS.get(name, "('one', 2)")
    error = arrive(name + arguments)
    assert type(error) is getattr(builtins, name)
    assert str(error) == make(f"str({name}{arguments})")
    if "Group" not in name:
        assert error.args == make(f"{name}{arguments}.args")
        assert repr(error) == repr(getattr(builtins, name)(*eval(arguments)))


@pytest.mark.parametrize("name", NAMES)
def test_every_builtin_exception_of_the_host_arrives_as_the_guests_own(make, name):
    if not make(f"hasattr(__import__('builtins'), {name!r})"):
        pytest.skip(f"the guest has no {name}")
    original = getattr(builtins, name)(*eval(ARGUMENTS.get(name, "('one', 2)")))

    def fail():
        raise original

    assert make("lambda f: type(caught(f)).__name__")(fail) == name
    assert make("lambda f: type(caught(f)).__module__")(fail) == "builtins"
    assert make("lambda f: str(caught(f))")(fail) == str(original)


def test_oserror_attributes(make, arrive):
    error = raised(make("open"), "/no/such/file")
    assert type(error) is FileNotFoundError
    assert error.args == (2, "No such file or directory")
    assert (error.errno, error.strerror) == (2, "No such file or directory")
    assert (error.filename, error.filename2) == ("/no/such/file", None)
    assert str(error) == "[Errno 2] No such file or directory: '/no/such/file'"
    error = raised(make("__import__('os').rename"), "/no/a", "/no/b")
    assert (error.filename, error.filename2) == ("/no/a", "/no/b")


def test_oserror_attributes_go_to_the_guest(make):
    there = make("lambda f: [(e.errno, e.filename, str(e)) for e in [caught(f)]][0]")
    assert there(lambda: open("/no/such/file")) == (
        2, "/no/such/file", "[Errno 2] No such file or directory: '/no/such/file'",
    )  # fmt: skip


def test_import_error_attributes(make, arrive):
    error = arrive("ImportError('text', name='n', path='p')")
    assert (error.msg, error.name, error.path) == ("text", "n", "p")


def test_syntax_error_attributes(make):
    error = raised(make("compile"), "x = \n  1 +", "file.py", "exec")
    assert type(error) in (SyntaxError, IndentationError)
    native = make("caught(compile, 'x = \\n  1 +', 'file.py', 'exec')")
    for name in ("msg", "filename", "lineno", "offset", "text"):
        assert getattr(error, name) == getattr(native, name)
    assert "file.py" in "".join(traceback.format_exception_only(type(error), error))


def test_unicode_error_attributes(make):
    error = raised(lambda: make("b'ab\\xffc'").__class__ and make("b'ab\\xffc'.decode()"))
    assert (error.encoding, error.object, error.start, error.end) == ("utf-8", b"ab\xffc", 2, 3)


def test_attributes_of_the_object_itself(make, arrive):
    error = arrive("NeedsArguments(1, [2], c='three')")
    assert error.args == ("made of", 1)
    assert (error.a, error.b, error.c) == (1, [2], "three")
    assert isinstance(error.b, pybridge.Proxy)


def test_a_custom_class_has_name_module_and_bases(make, arrive):
    error = arrive("Derived('x', 1)")
    cls = type(error)
    assert (cls.__name__, cls.__qualname__, cls.__module__) == ("Derived",) * 2 + (
        "guest_errors",
    )
    assert [c.__name__ for c in cls.__mro__] == [
        "Derived", "Base", "Exception", "BaseException", "object",
    ]  # fmt: skip
    assert type(arrive("Derived()")) is cls
    assert isinstance(error, type(arrive("Base()")))
    assert str(error) == "('x', 1)"
    assert str(arrive("Derived('x')")) == "x"


def test_a_class_with_two_builtin_bases_is_caught_by_either(arrive):
    error = arrive("Two('x')")
    assert isinstance(error, ValueError)
    assert isinstance(error, LookupError)
    error = arrive("io.UnsupportedOperation('x')")
    assert isinstance(error, OSError)
    assert isinstance(error, ValueError)


def test_a_mixin_does_not_hide_the_exception_class(arrive):
    assert isinstance(arrive("Mixed('x')"), KeyError)


@pytest.mark.parametrize(
    "source, name, text",
    [
        (
            "BrokenText('x')",
            "BrokenText",
            "<the guest's __str__ of this BrokenText r",
        ),
        ("NoText('x')", "NoText", "<the guest's __str__ of this NoText raised TypeError>"),
        ("OwnText('x')", "OwnText", "text of x"),
        ("Unhashable('x')", "Unhashable", "x"),
        ("Hostile('x')", "Hostile", "x"),
        ("Slots('x')", "Slots", "x"),
        ("ValueError('y' * 10**7)", "ValueError", "y" * 100),
        ("ValueError([1], {2: 3}, object)", "ValueError", "([1], {2: 3}, <class 'object'>)"),
        ("ValueError('\\0\\ud800')", "ValueError", "\0\ud800"),
    ],
    ids=lambda x: x[:12],
)
def test_odd_classes_and_texts_arrive_safely(arrive, source, name, text):
    error = arrive(source)
    assert type(error).__name__ == name
    assert str(error).startswith(text)
    assert repr(error)
    assert traceback.format_exception(type(error), error, error.__traceback__)


def test_the_arguments_may_be_changed_afterwards(make, arrive):
    pybridge.exec("late = UnicodeDecodeError('utf-8', b'', 0, 1, 'x')\nlate.args = ()")
    error = raised(make("raiser"), pybridge.eval("late"))
    assert type(error) is UnicodeDecodeError
    assert error.args == ()


@pytest.mark.parametrize(
    "cls", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration]
)
def test_exceptions_that_mean_something_to_the_interpreter(make, cls):
    error = raised(make("raiser"), cls(3))
    assert type(error) is cls
    assert error.args == (3,)
    assert getattr(error, "code", 3) == 3
    assert getattr(error, "value", 3) == 3
    assert isinstance(raised(make("raiser"), make("NotAnError()")), BaseException)
    assert not isinstance(raised(make("raiser"), make("NotAnError()")), Exception)


def test_system_exit_does_not_exit_by_itself():
    import children

    result = children.run(
        """
        import pybridge, sys
        try:
            pybridge.exec("import sys; sys.exit(5)")
        except SystemExit as error:
            print("caught", error.code)
        sys.exit(7)
        """,
        rc=7,
    )
    assert result.out == "caught 5\n"


# ---- identity ----------------------------------------------------------------------------


class Own(Exception):
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __str__(self):
        return f"own {self.a}"


@pytest.mark.parametrize(
    "error",
    [ValueError(1), Own(1, 2), KeyError(object()), SystemExit(4), OSError(2, "x", "f")],
    ids=lambda e: type(e).__name__,
)
def test_a_host_exception_through_the_guest_is_the_same_object(make, error):
    def fail():
        raise error

    assert raised(make("call"), fail) is error
    assert raised(make("call"), make("call"), make("call"), fail) is error
    assert raised(make("call"), lambda: make("call")(fail)) is error


def test_what_the_guest_sees_of_a_host_exception(make):
    def fail():
        raise Own(5, object())

    there = make(
        "lambda f: [(str(e), type(e).__name__, e.a, type(e).mro()[1]) for e in [caught(f)]][0]"
    )
    text, name, a, base = there(fail)
    assert (text, name, a, base.__name__) == ("own 5", "Own", 5, "Exception")


def test_a_host_exception_that_the_guest_kept_is_the_same_object(make):
    error = ValueError("kept")

    def fail():
        raise error

    assert make("caught")(fail) is error
    assert make("lambda f: (1, caught(f))")(fail)[1] is error
    assert make("lambda e: [e]")(error)[0] is error


def test_a_guest_exception_through_the_host_is_one_object_on_each_side(make):
    there = make("Derived('deep')")
    seen = []

    def pass_on():
        try:
            make("raiser")(there)
        except Exception as error:
            seen.append(error)
            raise

    assert make("lambda a, b: a is b")(make("caught")(pass_on), there)
    error = raised(make("call"), pass_on)
    assert error is seen[-1]
    assert make("lambda a, b: a is b")(make("caught")(make("raiser"), error), there)


def test_a_guest_exception_given_back_as_a_value_is_the_same_when_raised(make):
    error = raised(make("raiser"), make("Derived('x')"))
    for _ in range(3):
        assert raised(make("raiser"), error) is error
    future = pybridge.import_module("concurrent.futures").Future()
    future.set_exception(error)
    assert raised(future.result) is error
    host_error = Own(1, 2)
    future = pybridge.import_module("concurrent.futures").Future()
    future.set_exception(host_error)
    assert raised(future.result) is host_error


def test_a_host_exception_caught_by_a_guest_frame_and_raised_from(make):
    original = Own(1, 2)

    def fail():
        raise original

    pybridge.exec(
        "def change(f):\n"
        "    try:\n        f()\n"
        "    except Exception as e:\n        raise RuntimeError('changed') from e"
    )
    error = raised(pybridge.eval("change"), fail)
    assert type(error) is RuntimeError
    assert error.__cause__ is original
    assert error.__context__ is original


# ---- cause, context, notes, groups -------------------------------------------------------


def test_cause_and_context(make, arrive):
    error = raised(make("raiser"), make("ValueError(1)"), make("KeyError(2)"))
    assert repr(error.__cause__) == "KeyError(2)"
    assert error.__suppress_context__ is True
    pybridge.exec(
        "def context():\n    try:\n        1/0\n    except Exception:\n        {}['x']"
    )
    error = raised(pybridge.eval("context"))
    assert type(error) is KeyError
    assert type(error.__context__) is ZeroDivisionError
    assert error.__cause__ is None
    assert error.__suppress_context__ is False
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert "During handling of the above exception" in text
    assert text.index("1/0") < text.index("{}['x']")


@pytest.mark.parametrize("cause", [False, True], ids=["context", "cause and context"])
def test_a_chain_of_10000_links_is_followed_a_bounded_way(make, cause):
    begin = time.process_time()
    error = raised(make("chain"), 10_000, cause)
    assert time.process_time() - begin < 5
    n = 0
    while error is not None:
        assert error.args == (9_999 - n,)
        error = error.__context__
        n += 1
    assert 20 <= n <= 200


def test_a_loop_of_contexts_ends(make):
    error = raised(make("looped"))
    assert error.args == ("a",)
    assert error.__context__.args == ("b",)
    assert traceback.format_exception(type(error), error, error.__traceback__)


def test_shared_causes_are_converted_once(make):
    pybridge.exec(
        "def diamond():\n"
        "    e = ValueError(0)\n"
        "    for i in range(1, 15):\n"
        "        new = ValueError(i)\n"
        "        new.__cause__, new.__context__ = e, ValueError('side')\n"
        "        new.__context__.__context__ = e\n"
        "        e = new\n"
        "    raise e"
    )
    begin = time.process_time()
    error = raised(pybridge.eval("diamond"))
    assert time.process_time() - begin < 5
    assert error.__context__.__context__ is error.__cause__


def test_notes(make, guest_version):
    if guest_version < (3, 11):
        pytest.skip("exceptions of this guest have no notes")
    pybridge.exec("noted = ValueError('x')\nnoted.add_note('one')\nnoted.add_note('two')")
    assert raised(make("raiser"), pybridge.eval("noted")).__notes__ == ["one", "two"]


def test_exception_groups(make, arrive, guest_version):
    if guest_version < (3, 11):
        pytest.skip("this guest has no exception groups")
    error = arrive("ExceptionGroup('m', [ValueError(1), ExceptionGroup('n', [Derived('x')])])")
    assert type(error).__name__ == "ExceptionGroup"
    assert error.message == "m"
    assert repr(error.exceptions[0]) == "ValueError(1)"
    assert error.exceptions[1].exceptions[0].args == ("x",)
    assert isinstance(error, Exception)
    assert str(error) == "m (2 sub-exceptions)"
    inner = Own(1, 2)

    def fail():
        raise inner

    group = make("lambda f: raiser(ExceptionGroup('g', [caught(f), KeyError(3)]))")
    assert raised(group, fail).exceptions[0] is inner


# ---- exceptions that the core describes ---------------------------------------------------

PLAINLY = """
def fails(cls, *args):
    raise cls(*args)

def two_lines(n):
    if n % 2:
        raise ValueError(n)
    raise ValueError(n)

def deep(n):
    if n == 0:
        raise KeyError("deep")
    deep(n - 1)

def linked(cause):
    try:
        raise KeyError(1)
    except KeyError:
        if cause is None:
            raise ValueError(2) from None
        elif cause:
            raise ValueError(2) from OSError(3)
        raise ValueError(2)

def noted():
    e = ValueError("with a note")
    e.attribute = 5
    raise e

kept = ValueError("kept")

def again():
    raise kept

class Sub(ValueError):
    pass
"""
PLAIN_ARGUMENTS = [
    (), ("no",), ("",), ("Zeichen \u20ac \ud800",), ("x" * 10000,), (5,), (-1 << 80,), (2.5,),
    (True,), (None,), ("a", 1), ("a", 1, 2.5), ("a", 1, 2, 3), (b"bytes",), ((1, 2),), ([1],),
]  # fmt: skip


@pytest.fixture(scope="module")
def plainly(guest):
    names = pybridge.eval("{'__name__': 'plainly'}")
    pybridge.exec(PLAINLY, names)
    return names


def reported(error):
    entries = [
        e
        for e in traceback.extract_tb(error.__traceback__)
        if os.sep + "pybridge" + os.sep not in e.filename  # shown on a CPython host
    ]
    text = traceback.format_exception_only(type(error), error)
    return "".join([*traceback.format_list(entries), *text])


@pytest.mark.parametrize("args", PLAIN_ARGUMENTS, ids=lambda args: repr(args)[:30])
def test_an_exception_that_is_met_again_is_what_it_was(plainly, args):
    def f():
        return raised(plainly["fails"], ValueError, *args)

    first = f()
    for _ in range(3):
        error = f()
        assert type(error) is ValueError and repr(error.args) == repr(args) == repr(first.args)
        assert [type(a) for a in error.args] == [type(a) for a in args]
        assert reported(error) == reported(first)
        assert error is not first and error.__cause__ is None and error.__context__ is None


def test_each_line_that_raises_is_shown(plainly):
    for n in range(8):
        error = raised(plainly["two_lines"], n)
        assert error.args == (n,)
        assert traceback.extract_tb(error.__traceback__)[-1].lineno == (7 if n % 2 else 8)


@pytest.mark.parametrize("depth", [0, 1, 2, 10, 22, 23, 24, 25, 100])
def test_tracebacks_of_any_length_are_whole(plainly, depth):
    for _ in range(3):
        error = raised(plainly["deep"], depth)
        names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
        assert (
            names[-depth - 1 :] == ["deep"] * (depth + 1) and names.count("deep") == depth + 1
        )


def test_links_notes_and_attributes_still_come_with_it(plainly, guest_version):
    for _ in range(3):
        error = raised(plainly["linked"], None)
        assert error.__suppress_context__ and type(error.__context__) is KeyError
        error = raised(plainly["linked"], True)
        assert type(error.__cause__) is OSError and type(error.__context__) is KeyError
        error = raised(plainly["linked"], False)
        assert error.__cause__ is None and error.__context__.args == (1,)
        error = raised(plainly["noted"])
        assert error.attribute == 5
        assert type(raised(plainly["fails"], pybridge.eval("ValueError"), "x")) is ValueError
        assert type(raised(plainly["fails"], plainly["Sub"], "x")).__name__ == "Sub"


def test_an_exception_that_the_guest_keeps_goes_back_as_itself(plainly, make):
    same = make("lambda a, b: a is b")
    for _ in range(3):
        assert same(raised(plainly["again"]), plainly["kept"])
        assert make("caught")(plainly["again"]).args == ("kept",)


def test_what_the_host_was_handling_is_the_context(plainly):
    for _ in range(3):
        try:
            try:
                raise LookupError("first")
            except LookupError as first:
                handled = first
                plainly["fails"](ValueError, "second")
        except ValueError as error:
            assert error.__context__ is handled
        assert raised(plainly["fails"], ValueError, "third").__context__ is None


def test_exceptions_met_again_leave_nothing_behind(plainly, leakfree):
    for _ in range(100):
        raised(plainly["fails"], ValueError, "no")
        raised(plainly["fails"], KeyError)
        raised(plainly["fails"], TypeError, 1, 2.5)


def test_an_attribute_error_that_is_met_again_has_its_name_and_object(plainly, guest_version):
    pybridge.exec("class Thing:\n    pass\nthing = Thing()", plainly)
    things = [
        plainly["thing"],
        plainly["Thing"],
        pybridge.import_module("math"),
        plainly["fails"],
    ]
    for thing in things * 3:
        assert not hasattr(thing, "missing") and getattr(thing, "gone", 5) == 5
        error = raised(getattr, thing, "missing")
        assert type(error) is AttributeError and "missing" in str(error)
        if guest_version >= (3, 10):
            assert error.name == "missing" and error.obj is thing
    for args in [(), ("text",), (1, 2)] * 3:
        error = raised(plainly["fails"], AttributeError, *args)
        assert error.args == args and getattr(error, "name", None) is None
        assert getattr(error, "obj", None) is None


@pytest.mark.parametrize(
    "obj",
    ["1.5", "'x' * 5000", "(1, 2)", "[1, [2]]", "tuple(range(2000))", "int", "None", "b'x'"],
)
def test_the_object_of_an_attribute_error_may_be_anything(guest, guest_version, obj):
    read = pybridge.eval("lambda x: x.missing")
    for _ in range(4):
        value = eval(obj)
        error = raised(read, value)
        assert type(error) is AttributeError
        if guest_version >= (3, 10):
            assert error.name == "missing"
            if value is not None:
                assert error.obj == value


def test_attribute_errors_leave_nothing_behind(plainly, leakfree):
    pybridge.exec("class Some:\n    pass\nsome = [Some() for _ in range(50)]", plainly)
    read = pybridge.eval("lambda x: x.missing")
    for _ in range(3):
        for thing in plainly["some"]:
            assert not hasattr(thing, "missing")
        raised(read, [1, 2])
        raised(read, 5)


OWN = """
class Own(Exception):
    pass

class Below(Own, KeyError):
    pass

class Texts(Exception):
    pass

class Odd(Exception):
    args = property(lambda self: ("odd",))

class Sly(Exception):
    def __getattribute__(self, name):
        return ("sly",) if name == "args" else super().__getattribute__(name)

def fails(cls, *args):
    raise cls(*args)
"""


def test_classes_of_the_program_are_described_too(guest):
    names = {}
    pybridge.exec(OWN, names)
    fails = names["fails"]
    for _ in range(4):
        for name, text in (("Own", "a"), ("Below", "'a'"), ("Texts", "a")):
            error = raised(fails, names[name], "a")
            assert type(error).__name__ == name and error.args == ("a",) and str(error) == text
            assert isinstance(error, names[name])
        assert isinstance(error, Exception) and not isinstance(error, KeyError)
        assert isinstance(raised(fails, names["Below"], "a"), KeyError)
        assert raised(fails, names["Odd"], "a").args == ("odd",)
        assert raised(fails, names["Sly"], "a").args == ("sly",)
    pybridge.exec("Texts.__str__ = lambda self: 'of its own'", names)
    for _ in range(2):
        assert str(raised(fails, names["Texts"], "a")) == "of its own"


def test_classes_that_die_are_not_taken_for_others(guest):
    """Their memory is used again."""
    fails = pybridge.eval(
        "lambda name, base, k: [exec('raise C(k)', {'C': type(name, (base,), {}), 'k': k})]"
    )
    collect = pybridge.eval("__import__('gc').collect")
    for n in range(100):
        base = (ValueError, KeyError, RuntimeError)[n % 3]
        for _ in range(2):
            error = raised(fails, f"C{n}", base, n)
            assert type(error).__name__ == f"C{n}" and isinstance(error, base)
            assert error.args == (n,)
        del error
        if n % 10 == 0:
            gc.collect()
            collect()


def test_an_exception_of_a_c_function_is_described_too(make):
    sqrt = pybridge.import_module("math").sqrt
    for _ in range(3):
        error = raised(sqrt, -1.0)
        assert type(error) is ValueError and len(error.args) == 1
        ours = [
            e.name
            for e in traceback.extract_tb(error.__traceback__)
            if "pybridge" not in e.filename
        ]
        assert ours == ["raised"]


def test_code_that_is_made_again_and_again_shows_its_own_lines():
    """The addresses of code objects are used again."""
    for n in range(200):
        names = {}
        pybridge.exec("\n" * n + f"def f{n}(): raise ValueError({n})", names)
        for _ in range(2):
            error = raised(names[f"f{n}"])
            last = traceback.extract_tb(error.__traceback__)[-1]
            assert (last.name, last.lineno, error.args) == (f"f{n}", n + 1, (n,))


def test_code_that_raised_dies_with_its_function():
    """The bridge kept the first 2000 code objects for ever."""
    names = {}
    pybridge.exec(
        "import weakref\n"
        "def make(n):\n"
        "    space = {}\n"
        "    exec('\\n' * n + 'def f(): raise ValueError(%d)' % n, space)\n"
        "    watched.append(weakref.ref(space['f'].__code__))\n"
        "    return space['f']\n"
        "watched = []",
        names,
    )
    for n in range(20):
        f = names["make"](n)
        for _ in range(2):
            error = raised(f)
            assert traceback.extract_tb(error.__traceback__)[-1].lineno == n + 1
        pybridge.release(f)
    del f, error
    for _ in range(5):
        gc.collect()
        pybridge.statistics()
        pybridge.eval("__import__('gc').collect()")  # f is in its own globals
    # Some proxies may wait for a neighbour in their chunk.
    assert pybridge.eval("sum(w() is not None for w in watched)", names) < 10


def test_more_code_than_the_host_remembers_shows_its_own_lines(monkeypatch):
    monkeypatch.setattr(_described, "_MOST_CODES", 3)
    names = {}
    pybridge.exec("\n".join(f"def f{n}(): raise ValueError({n})" for n in range(8)), names)
    for _ in range(3):
        for n in range(8):
            last = traceback.extract_tb(raised(names[f"f{n}"]).__traceback__)[-1]
            assert (last.name, last.lineno) == (f"f{n}", n + 1)
    assert len(_described._codes) <= 3


# ---- tracebacks --------------------------------------------------------------------------


def test_the_traceback_shows_host_and_guest_frames_in_order_with_their_lines(make):
    def host_inner():
        raise Own("here", 2)  # the innermost line

    def host_outer():
        return make("call")(host_inner)  # calls the guest again

    error = raised(make("call"), host_outer)
    names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    ours = (
        "take",
        "_take_other",
        "_raise_guest",
        "_raise",
        "__call__",
        "call_handle",
        "_host_call",
    )
    names = [n for n in names if n not in ours]  # shown on a CPython host
    assert names == ["raised", "call", "host_outer", "call", "host_inner"]
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    lines = [
        "return f(*args)",
        'return make("call")(host_inner)  # calls the guest again',
        "return f(*args)",
        'raise Own("here", 2)  # the innermost line',
        "own here",
    ]
    at = 0
    for line in lines:
        at = text.index(line, at) + 1


def test_the_bridges_own_frames_are_hidden(make):
    if not hasattr(sys, "pypy_version_info"):
        pytest.skip("a CPython host shows them")
    error = raised(make("three_lines"))
    files = [entry.filename for entry in traceback.extract_tb(error.__traceback__)]
    assert not [f for f in files if os.sep + "pybridge" + os.sep in f]


def test_the_line_is_the_one_that_raised(make):
    error = raised(make("three_lines"))
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert last.name == "three_lines"
    assert last.line == "x.missing"
    file = io.StringIO()
    traceback.print_exception(type(error), error, error.__traceback__, file=file)
    assert "x.missing\n" in file.getvalue()


def test_a_guest_exception_that_passed_a_callback_shows_every_frame_once(make):
    def pass_on():
        make("three_lines")()

    error = raised(make("call"), pass_on)
    names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    assert [n for n in names if n in ("raised", "call", "pass_on", "three_lines")] == [
        "raised", "call", "pass_on", "three_lines",
    ]  # fmt: skip


def test_an_uncaught_error_ends_the_host_with_the_merged_traceback():
    import children

    result = children.run(
        """
        import pybridge
        pybridge.exec("def inner(f):\\n    return f(1)")
        def host_function(x):
            return x / 0
        pybridge.eval("inner")(host_function)
        """,
        rc=1,
    )
    assert "ZeroDivisionError: " in result.err.splitlines()[-1]
    text = result.err
    assert text.index("in inner") < text.index("in host_function")
    if hasattr(sys, "pypy_version_info"):  # CPython before 3.13 looks for lines in files only
        assert text.index("in inner") < text.index("return f(1)") < text.index("in host_f")
    assert "return x / 0" in text


# ---- memory ------------------------------------------------------------------------------


def test_nothing_leaks(make, leakfree):
    def fail():
        raise Own(1, object())

    def pass_on():
        make("three_lines")()

    for _ in range(20):
        for f, *args in (
            (make("raiser"), make("NeedsArguments(1, [2], c={})")),
            (make("call"), fail),
            (make("call"), pass_on),
            (make("caught"), fail),
            (make("chain"), 60, True),
            (make("raiser"), ValueError(1)),
        ):
            try:
                f(*args)
            except Exception:
                pass
        error = raised(make("raiser"), make("Derived()"))
        raised(make("raiser"), error)
        del error
    del f, args


def test_frames_of_the_guest_are_released_with_the_exception(make):
    pybridge.exec(
        "import weakref\n"
        "class Big: pass\n"
        "def failing():\n"
        "    global watch\n    x = Big()\n    watch = weakref.ref(x)\n    raise ValueError"
    )
    raised(pybridge.eval("failing"))
    for _ in range(4):
        gc.collect()
        pybridge.statistics()
    assert pybridge.eval("watch()") is None


# ---- tools that show exceptions ------------------------------------------------------------


@pytest.fixture
def raiser(tmp_path):
    """A guest function in a file that raises, below one that calls back."""
    (tmp_path / "raiser.py").write_text(
        "def inner(x):\n    y = x\n    return y / 0  # the guest's line\n\n\n"
        "def outer(f):\n    return f(inner)\n"
    )
    path = pybridge.import_module("sys").path
    path.insert(0, str(tmp_path))
    pybridge.import_module("sys").modules.pop("raiser", None)
    module = pybridge.import_module("raiser")
    path.remove(str(tmp_path))
    return module


def middle(f):
    return f(1)  # the host's line


def fails(raiser):
    raiser.outer(middle)


def test_logging_and_traceback_show_both_sides_in_order(raiser, caplog):
    import logging
    import traceback

    try:
        fails(raiser)
    except ZeroDivisionError as error:
        logging.exception("it failed")
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for shown in (caplog.text, text):
        at = [
            shown.index(line)
            for line in ("raiser.outer(middle)", "return f(inner)", "# the host's line",
                         "# the guest's line", "ZeroDivisionError: division by zero")
        ]  # fmt: skip
        assert at == sorted(at)


def test_pytest_shows_the_guests_source(raiser):
    with pytest.raises(ZeroDivisionError) as caught:
        fails(raiser)
    text = str(caught.getrepr(style="long"))
    assert "???" not in text
    (line,) = [x for x in text.splitlines() if x.startswith(">") and "# the guest's line" in x]
    assert line[1:].strip() == "return y / 0  # the guest's line"
    assert "def inner(x):" in text and "def middle(f):" in text


def test_post_mortem_debugging(raiser):
    import io
    import pdb

    try:
        fails(raiser)
    except ZeroDivisionError as error:
        traceback = error.__traceback__
    out = io.StringIO()
    commands = "where\nlist\nup\nquit\n"
    debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=out)
    debugger.reset()
    debugger.interaction(None, traceback)
    shown = out.getvalue()
    assert "-> return y / 0  # the guest's line" in shown
    assert re.search(r" 1\s+(->)?\s+def inner\(x\):", shown)


def test_raising_while_the_host_handles_another_keeps_the_guests_context():
    space = {}
    pybridge.exec(
        "def f():\n"
        "    try:\n"
        "        {}['c']\n"
        "    except KeyError:\n"
        "        raise ValueError('v')\n",
        space,
    )
    f = space["f"]
    with pytest.raises(ValueError) as caught:
        try:
            raise TypeError("host")
        except TypeError:
            f()
    error = caught.value
    assert type(error.__context__) is KeyError
    assert type(error.__context__.__context__) is TypeError
    assert error.__context__.__context__.__context__ is None


def test_a_host_exception_keeps_its_context_and_gets_the_guests():
    space = {}
    pybridge.exec(
        "def call(f):\n    try:\n        1 / 0\n    except ZeroDivisionError:\n        f()\n",
        space,
    )

    def fail():
        try:
            raise OSError("first")
        except OSError as error:
            raise LookupError("second") from error

    with pytest.raises(LookupError) as caught:
        space["call"](fail)
    error = caught.value
    assert type(error.__cause__) is OSError and error.__context__ is error.__cause__
    assert type(error.__context__.__context__) is ZeroDivisionError


def test_what_guest_code_adds_to_a_host_exception_arrives(leakfree):
    space = {}
    pybridge.exec(
        "def add(f):\n"
        "    try:\n"
        "        f()\n"
        "    except BaseException as e:\n"
        "        e.__notes__ = ['a note']\n"
        "        raise e from RuntimeError('cause')\n",
        space,
    )
    raised = KeyError("k")

    def fail():
        raise raised

    try:
        space["add"](fail)
    except KeyError as error:
        assert error is raised
    assert raised.__notes__ == ["a note"] and repr(raised.__cause__) == "RuntimeError('cause')"
    raised.__cause__ = raised.__context__ = raised.__traceback__ = None
    space.clear()


@pytest.mark.parametrize(
    "raised",
    [StopIteration(7), GeneratorExit(7), SystemExit("bye"), KeyboardInterrupt(), SystemExit(3)],
    ids=repr,
)
def test_exceptions_of_the_interpreter_cross_both_ways(raised):
    def fail():
        raise raised

    through = pybridge.eval("lambda f: (f(), 1)")
    with pytest.raises(type(raised)) as caught:
        through(fail)
    assert caught.value is raised
    name, args = type(raised).__name__, raised.args
    space = {"args": args}
    pybridge.exec(f"def f():\n    raise {name}(*args)", space)
    with pytest.raises(type(raised)) as caught:
        space["f"]()
    assert type(caught.value) is type(raised) and caught.value.args == args
    for attribute in ("value", "code"):
        assert getattr(caught.value, attribute, None) == getattr(raised, attribute, None)


@pytest.mark.parametrize(
    "code, rc, err", [("3", 3, ""), ("'bye'", 1, "bye\n"), ("", 0, "")], ids=repr
)
def test_sys_exit_in_the_guest_ends_the_program(code, rc, err):
    snippet = f"import pybridge\npybridge.exec({f'import sys; sys.exit({code})'!r})"
    assert children.run(snippet, rc=rc).err == err


def test_exceptions_of_the_standard_library_are_the_hosts():
    import json
    import queue

    with pytest.raises(json.JSONDecodeError) as caught:
        pybridge.import_module("json").loads("{")
    assert caught.value.pos == 1 and caught.value.doc == "{"
    assert str(caught.value).startswith("Expecting property name")
    with pytest.raises(queue.Empty):
        pybridge.import_module("queue").Queue().get_nowait()
    space = {}
    pybridge.exec(
        "import queue\n"
        "def empty(f):\n"
        "    try:\n"
        "        f()\n"
        "    except queue.Empty:\n"
        "        return True\n",
        space,
    )

    def fail():
        raise queue.Empty

    assert space["empty"](fail) is True


# ---- classes of exceptions ---------------------------------------------------------------


def test_a_guests_exception_class_is_one_that_can_be_raised_and_caught(make):
    Custom = make("Base")
    assert isinstance(Custom, type) and issubclass(Custom, Exception)
    with pytest.raises(Custom):
        make("lambda: (_ for _ in ()).throw(Base('from the guest'))")()
    caught = make("lambda f: type(caught(f)) is Base and str(caught(f))")

    def fail():
        raise Custom("from the host")

    assert caught(fail) == "from the host"

    class Below(Custom):
        pass

    def fail_below():
        raise Below("below")

    assert make("lambda f: isinstance(caught(f), Base)")(fail_below)
    assert raised(make("call"), fail_below).args == ("below",)


def test_a_guests_exception_class_has_the_name_that_it_was_given():
    space = {}
    pybridge.exec(
        "class Shown(TypeError):\n    pass\n\n"
        "class _Inner(Shown):\n    pass\n\n"
        "_Inner.__name__ = 'Shown'\n"  # as numpy's errors of ufuncs
        "def fail():\n    raise _Inner('no')\n",
        space,
    )
    with pytest.raises(TypeError) as caught:
        space["fail"]()
    cls = caught.type
    assert (cls.__name__, cls.__qualname__) == ("Shown", "_Inner")
    assert cls.__base__ is space["Shown"] and cls is space["_Inner"]


def test_a_hosts_exception_class_can_be_raised_and_caught_by_the_guest(make):
    class Mine(LookupError):
        pass

    assert make("lambda c: issubclass(c, LookupError) and c.__name__")(Mine) == "Mine"
    with pytest.raises(Mine, match="guest"):
        make("lambda c: (_ for _ in ()).throw(c('from the guest'))")(Mine)
    pybridge.exec(
        "def catching(cls, f):\n    try:\n        f()\n    except cls as e:\n"
        "        return 'caught ' + str(e)\n"
    )

    def fail():
        raise Mine("x")

    assert pybridge.eval("catching")(Mine, fail) == "caught x"
    assert make("lambda c: c")(Mine) is Mine


@pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="this host counts no references"
)
def test_an_exception_dies_with_its_last_reference(guest):
    pybridge.exec(
        "class Own(Exception): pass\ndef throw():\n    raise Own\ndef calling(f):\n    f()\n",
        space := {},
    )

    class Ours(Exception):
        pass

    def fail():
        raise Ours

    gone = []
    gc.disable()
    try:
        for action in (space["throw"], lambda: space["calling"](fail)):
            try:
                action()
            except Exception as error:
                gone.append(weakref.ref(error))
        pybridge.statistics()  # the table of host objects hears of it in a sweep
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
