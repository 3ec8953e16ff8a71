# SPDX-License-Identifier: MIT
"""Host functions in the guest: what they look like there, what crosses, when they are freed."""

import functools
import gc
import threading
import traceback
import weakref

import children
import pytest

import pybridge
from pybridge import _callback

SOURCE = """
import functools, gc, inspect, threading, weakref

def call(f, *args, **kwargs):
    return f(*args, **kwargs)

def described(f):
    return f.__name__, f.__qualname__, f.__module__, f.__doc__, str(inspect.signature(f))

def on_a_thread(f, *args):
    out = []
    def run():
        try:
            out.append(f(*args))
        except BaseException as error:
            out.append(error)
    t = threading.Thread(target=run)
    t.start()
    t.join()
    return out[0]

def caught(f, *args):
    try:
        f(*args)
    except BaseException as error:
        return type(error).__name__, str(error)

class Dying:
    def __init__(self, f):
        self.f = f
    def __del__(self):
        self.f("died")

class Holder:
    pass
"""


@pytest.fixture(scope="module")
def space(guest):
    names = pybridge.eval("{'__name__': 'guest_callbacks'}")
    pybridge.exec(SOURCE, names)
    return names


@pytest.fixture
def make(space):
    return lambda source: pybridge.eval(source, space)


def documented(a, b: int = 2, *args, c: str = "x", **kwargs) -> float:
    """What it does."""
    return (a, b, args, c, tuple(sorted(kwargs.items())))


def nested():
    """Has no form in the guest: too deep."""
    x = ()
    for _ in range(500):
        x = (x,)
    return x


class Thing:
    def method(self, x):
        """A method."""
        return self, x

    @classmethod
    def of_class(cls, x):
        return x

    @staticmethod
    def static(x):
        return x

    def __call__(self, x=1):
        return x


def test_a_function_has_its_name_doc_module_and_signature(make):
    name, qualname, module, doc, signature = make("described")(documented)
    assert (name, qualname, module, doc) == (
        "documented", "documented", __name__, "What it does.",
    )  # fmt: skip
    assert signature == "(a, b: int = 2, *args, c: str = 'x', **kwargs) -> float"


def test_a_default_without_a_form_in_the_guest_is_shown_as_text(make):
    def f(x=Thing):
        return x

    assert "Thing" in make("lambda f: str(inspect.signature(f))")(f)


_FUNCTIONS = (
    type(documented), type(len), functools.partial, type(functools.lru_cache(None)(len)),
)  # fmt: skip


@pytest.mark.parametrize(
    "function, name",
    [
        (Thing().method, "method"),
        (Thing.of_class, "of_class"),
        (Thing.static, "static"),
        (lambda x: x, "<lambda>"),
        (functools.partial(documented, 1), None),
        (Thing(), None),
        (functools.lru_cache(None)(lambda x: x), "<lambda>"),
        (len, "len"),
    ],
    ids=["method", "classmethod", "static", "lambda", "partial", "object", "cached", "builtin"],
)
def test_every_kind_of_callable(make, function, name):
    there = make("lambda f: (callable(f), getattr(f, '__name__', None), repr(f)[:5])")
    shown = "<host" if isinstance(function, _FUNCTIONS) else repr(function)[:5]
    assert there(function) == (True, name, shown)
    argument = (1,) if function is len else 1
    assert repr(make("call")(function, argument)) == repr(function(argument))


def test_a_partials_signature(make):
    f = functools.partial(documented, 1, c="y")
    assert make("lambda f: str(inspect.signature(f))")(f).startswith("(b: int = 2, *args, ")


def test_arguments_of_every_shape(make):
    call = make("call")
    assert call(documented, 1) == (1, 2, (), "x", ())
    assert call(documented, 1, 2.5, 3, c="z", d=None) == (1, 2.5, (3,), "z", (("d", None),))
    assert call(documented, a=1, b=3) == (1, 3, (), "x", ())
    for n in range(8):
        assert call(lambda *args: args, *range(n)) == tuple(range(n))
        assert call(lambda *args: args, *[float(i) for i in range(n)]) == tuple(range(n))


def test_300_positional_and_300_keyword_arguments(make):
    def f(*args, **kwargs):
        return args, tuple(kwargs.items())

    args = tuple(range(300))
    kwargs = {f"k{i}": str(i) for i in range(300)}
    assert make("call")(f, *args, **kwargs) == (args, tuple(kwargs.items()))


def test_wrong_arguments_are_the_hosts_type_error(make):
    kind, text = make("caught")(lambda a: a)
    assert kind == "TypeError"
    assert "missing 1 required positional argument" in text


@pytest.mark.parametrize(
    "value",
    [None, True, 5, 2**100, 2.5, "text\0\ud800", b"bytes", (1, (2,)), "x" * 100_000, 1j],
    ids=lambda x: type(x).__name__,
)
def test_values_through_a_callback(make, value):
    seen = []

    def f(x):
        seen.append(x)
        return x

    assert make("call")(f, value) == value
    assert seen == [value]
    assert type(seen[0]) is type(value)


def test_containers_go_back_by_value(make):
    assert make("lambda f: type(f()).__name__")(lambda: [1, {"a": {2}}]) == "list"
    assert make("call")(lambda: [1] * 1000) == [1] * 1000
    assert make("lambda f: f()['k']")(lambda: {"k": (1, [2.0] * 50)})[1] == [2.0] * 50


def test_objects_of_the_guest_through_a_callback(make):
    x = make("Holder()")
    assert make("call")(lambda y: y, x) == x
    assert make("lambda f, x: f(x) is x")(lambda y: y, x)
    assert make("lambda f, x: f(x)[0] is x")(lambda y: (y, [y]), x)
    assert make("lambda f: type(f())")(lambda: make("Holder()")) == make("Holder")


def test_a_result_without_a_form_in_the_guest_is_a_type_error_there(make):
    kind, text = make("caught")(nested)
    assert kind == "ConversionError"
    assert "cannot cross to the guest" in text
    with pytest.raises(pybridge.ConversionError, match="cannot cross to the guest"):
        make("call")(lambda: [1, nested()])


def test_an_exception_goes_through_as_the_same_object(make):
    class Own(Exception):
        pass

    error = Own("x")

    def fail():
        raise error

    with pytest.raises(Own) as caught:
        make("call")(make("call"), make("call"), fail)
    assert caught.value is error
    assert make("caught")(fail) == ("Own", "x")


def test_nothing_is_printed_when_a_callback_raises(make, capfd):
    def fail():
        raise ValueError("quiet")

    make("caught")(fail)
    make("caught")(nested)
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")


def test_the_same_function_is_the_same_object_in_the_guest(make):
    def f():
        pass

    assert make("lambda a, b: a is b")(f, f)
    make("globals().update")(kept=None)
    keep = make("Holder()")
    keep.f = f
    assert make("lambda h, f: h.f is f")(keep, f)
    assert keep.f is f
    assert not make("lambda a, b: a is b")(f, lambda: None)


def test_a_function_comes_back_as_itself(make):
    def f():
        pass

    bound = Thing().method
    assert make("lambda x: x")(bound) == bound
    for x in (f, functools.partial(f), print):
        assert make("lambda x: x")(x) is x
        assert make("lambda x: (1, [x])")(x)[1][0] is x


def test_it_is_a_method_when_it_is_put_into_a_guest_class(make):
    cls = make("type('WithHost', (), {})")
    cls.method = lambda self, x: (self, x)
    x = cls()
    assert x.method(5) == (x, 5)


def test_it_has_attributes_of_its_own_and_weak_references(make):
    def f():
        pass

    there = make(
        "lambda f: (setattr(f, 'note', 5), f.note, weakref.ref(f)() is f, "
        "functools.wraps(f)(lambda: 0).__name__, hash(f) == hash(f), f == f)"
    )
    assert there(f)[1:] == (5, True, "f", True, True)


def test_sort_map_reduce_and_key_functions(make):
    assert make("sorted")([3, 1, 2], key=lambda x: -x) == [3, 2, 1]
    assert list(make("map")(lambda x: x * 2, [1, 2])) == [2, 4]
    assert make("functools.reduce")(lambda a, b: a + b, range(100)) == 4950
    assert make("lambda f: [f(x) for x in range(5)]")(lambda x: x**2) == [0, 1, 4, 9, 16]


def test_callbacks_nest(make):
    call = make("call")

    def down(n):
        return 0 if n == 0 else 1 + call(down, n - 1)

    assert call(down, 40) == 40


def test_a_callback_may_use_other_frames_of_the_same_depth_afterwards(make):
    """A frame that held a large result is small again for the next callback."""
    results = iter([[1.5] * 5000, 2, "x" * 50_000, (1,) * 200, None, [None] * 300])
    f = make("lambda f: [f() for _ in range(6)]")(lambda: next(results))
    assert f[0] == [1.5] * 5000
    assert f[1] == 2
    assert f[2] == "x" * 50_000
    assert f[3] == (1,) * 200
    assert f[5] == [None] * 300


# ---- threads and the guest's collector ---------------------------------------------------


def test_on_a_thread_that_the_guest_made(make):
    seen = []

    def f(x):
        seen.append(threading.get_ident())
        return x + 1

    for n in range(5):
        assert make("on_a_thread")(f, n) == n + 1
    assert threading.get_ident() not in seen
    error = ValueError("there")

    def fail():
        raise error

    assert make("on_a_thread")(fail) is error


def test_on_several_threads_of_the_guest_at_once(make):
    lock = threading.Lock()
    total = [0]

    def add(n):
        with lock:
            total[0] += n
        return n

    pybridge.exec(
        "import threading\n"
        "def many(f):\n"
        "    def run():\n        for i in range(200):\n            assert f(i) == i\n"
        "    ts = [threading.Thread(target=run) for _ in range(6)]\n"
        "    [t.start() for t in ts]\n    [t.join() for t in ts]\n"
    )
    pybridge.eval("many")(add)
    assert total[0] == 6 * sum(range(200))


def test_host_code_and_guest_code_wait_for_each_other_without_deadlock(make):
    """The guest's lock is given up around host code."""
    ready, done = threading.Event(), threading.Event()

    def waiting():
        ready.set()
        assert done.wait(20)

    def other():
        assert ready.wait(20)
        assert make("call")(lambda: 5) == 5
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    make("call")(waiting)
    thread.join()


def test_from_a_destructor_and_a_weak_reference_of_the_guest(make):
    seen = []
    make("Dying")(seen.append)
    for _ in range(5):
        gc.collect()
        pybridge.statistics()
    assert seen == ["died"]
    holder = make("Holder()")
    reference = make("weakref.ref")(holder, lambda r: seen.append("weak"))
    pybridge.release(holder)  # at once; by itself it may wait for a neighbour in its chunk
    assert seen == ["died", "weak"]
    pybridge.release(reference)


def test_from_the_guests_collector(make):
    seen = []
    pybridge.exec(
        "import gc\n"
        "class Ring:\n"
        "    def __init__(self, f):\n        self.me, self.f = self, f\n"
        "    def __del__(self):\n        self.f()\n"
    )
    for _ in range(10):
        pybridge.release(pybridge.eval("Ring")(lambda: seen.append(make("Holder()"))))
    pybridge.eval("gc.collect()")
    assert len(seen) == 10


def test_an_error_in_a_destructors_callback_is_the_guests_unraisable_one(make):
    unraisable = []
    hook = pybridge.import_module("sys")
    before = hook.unraisablehook
    hook.unraisablehook = lambda u: unraisable.append(u.exc_type.__name__)
    try:

        def fail(_):
            raise KeyError("in a destructor")

        pybridge.release(make("Dying")(fail))
    finally:
        hook.unraisablehook = before
    assert unraisable == ["KeyError"]


# ---- lifetime ----------------------------------------------------------------------------


def collected(reference):
    for _ in range(6):
        gc.collect()
        pybridge.eval("__import__('gc').collect()")
        pybridge.statistics()
        if reference() is None:
            return True
    return False


def test_a_function_is_freed_when_the_guest_drops_it(make):
    class Callable:
        def __call__(self):
            return 1

    f = Callable()
    reference = weakref.ref(f)
    keep = make("Holder()")
    keep.f = f
    del f
    assert not collected(reference)
    assert make("lambda h: h.f()")(keep) == 1
    del keep.f
    assert collected(reference)


def test_passing_a_function_again_and_again_keeps_one_entry(make, leakfree):
    def f(x):
        return x

    for n in range(300):
        assert make("call")(f, n) == n
        make("described")(f)


def test_fresh_functions_are_freed(make, leakfree):
    for n in range(300):
        assert make("call")(lambda x, n=n: x + n, 1) == n + 1
        assert make("caught")(lambda: 1 // 0)[0] == "ZeroDivisionError"
        make("on_a_thread")(lambda: None)
        assert make("call")(object().__repr__).startswith("<object object at")


def test_arguments_that_nobody_keeps_are_released(make, leakfree):
    for _ in range(100):
        counted = make("call")(
            lambda *args, **kw: (len(args), list(kw)), make("Holder()"), [1], k=make("Holder()")
        )
        assert counted == (2, ["k"])
        args = make("lambda f: f(Holder(), [Holder()], (Holder(), 2))")(lambda *args: args)
        assert len(args) == 3 and args[2][1] == 2


def test_a_function_dropped_during_its_own_call(make):
    """The guest's object dies while it runs; the host's function ends its work."""
    keep = make("Holder()")

    def f():
        del keep.f
        gc.collect()
        pybridge.statistics()
        return "done"

    keep.f = f
    assert make("lambda h: h.f()")(keep) == "done"


def test_after_the_bridge_is_closed_a_callback_is_a_reference_error():
    result = children.run(
        """
        import pybridge

        def f():
            print("must not be called")

        pybridge.exec('''
        import atexit, threading, time, sys

        def late(f):
            def run():
                while True:
                    time.sleep(0.01)
                    try:
                        f()
                    except ReferenceError as error:
                        print("ReferenceError:", error, flush=True)
                        return
                    except BaseException as error:
                        print(type(error), error, flush=True)
                        return
            return run
        ''')
        import atexit
        run = pybridge.eval("late")(f)
        from pybridge import _core
        _core.lib.pb_shared_state().state = 2
        pybridge._runtime.state = pybridge._runtime.CLOSED
        import ctypes
        """,
        rc=None,
    )
    assert "must not be called" not in result.out
    assert result.rc == 0, result.text()


def test_a_guest_atexit_function_may_call_the_host():
    result = children.run(
        """
        import pybridge

        def f(x):
            print("called", x, flush=True)
            return x

        pybridge.import_module("atexit").register(f, 5)
        """
    )
    assert result.out == "called 5\n"


# ---- hot functions: numbers in registers ---------------------------------------------------

HOT = 40  # calls; more than the core needs to take a function for hot
NUMBERS = [
    (1.5,), (-0.0,), (float("inf"),), (0,), (-7,), (1 << 31,), (-(1 << 63),), ((1 << 63) - 1,),
    (1.5, 2.5), (3, 4), (-(1 << 40), 1), (1 << 63,), (1 << 100, 2), (1, 2.5), (2.5, 1),
    (1.0, 2.0, 3.0), (1.0, 2.0, 3), (1.0, 2, 3.0), (1.0, 1 << 64), (2.5, True),
    (2.5, -(1 << 63)),
    (True,), (False, True), (1, True), (None,), (1, None), ("x",), (), (1, 2, 3),
]  # fmt: skip


@pytest.mark.parametrize("args", NUMBERS, ids=repr)
def test_arguments_of_a_hot_function_are_what_they_are(make, args):
    seen = []
    many = make("lambda f, args, n: [f(*args) for _ in range(n)]")

    def f(*arguments):
        seen.append(arguments)
        return len(arguments)

    assert list(many(f, args, HOT)) == [len(args)] * HOT
    expected = [(type(a), repr(a)) for a in args]
    assert all([(type(a), repr(a)) for a in arguments] == expected for arguments in seen)


def test_results_of_a_hot_function_are_what_they_are(make):
    results = [
        0.5, -0.0, 3, -(1 << 63), (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 1 << 200, True, False,
        None, "text", "x" * 10000, b"bytes", (1, (2.5, "a")), [1, 2], {"a": 1}, 2j,
        make("Holder()"), make, [object()], tuple(range(500)),
    ]  # fmt: skip
    back = make("lambda f, i: [f(i) for _ in range(2)][1]")

    def f(i):
        return results[i]

    for _ in range(HOT):
        assert back(f, 2) == 3
    for i, result in enumerate(results):
        got = back(f, i)
        assert got == result and type(got) is type(result) and repr(got) == repr(result)
    assert back(f, 1) == 0 and str(back(f, 1)) == "-0.0"


def test_many_hot_functions_share_the_entry_points(make):
    many = make("lambda f, x, n: [f(x) for _ in range(n)][-1]")
    functions = [lambda x, n=n: x + n for n in range(30)]
    for _ in range(3):
        for n, f in enumerate(functions):
            assert many(f, 0.5, HOT) == 0.5 + n
            assert many(f, 5, HOT) == 5 + n
    two = make("lambda f, n: [f(i, i + 1) for i in range(n)][-1]")
    for n in range(30):
        assert two(lambda x, y, n=n: x * y + n, HOT) == (HOT - 1) * HOT + n


class OwnError(Exception):
    pass


def test_an_exception_of_a_hot_function_is_the_same_object(make):
    error = OwnError("now")
    caught = make("lambda f, n: [f(float(i)) for i in range(n)]")

    def f(x):
        if x == HOT - 1:
            raise error  # the line
        return x

    for _ in range(3):
        with pytest.raises(OwnError) as info:
            caught(f, HOT)
        assert info.value is error
        entries = traceback.extract_tb(error.__traceback__)
        assert entries[-1].line == "raise error  # the line"
        assert "entry" not in [entry.name for entry in entries]
        error.__traceback__ = None


def test_what_a_hot_function_raises_the_guest_can_catch(make):
    tried = make("caught")

    def f(x):
        return 1 // x

    for _ in range(HOT):
        assert tried(f, 0)[0] == "ZeroDivisionError"
        assert tried(f, 1) is None


def test_a_hot_function_may_call_the_guest_and_be_called_in_there(make):
    call = make("call")

    def depth(n):
        return 0 if n == 0 else 1 + call(depth, n - 1)

    for _ in range(HOT):
        assert depth(5) == 5

    def endless(x):
        return call(endless, x + 1.0)

    for _ in range(3):
        with pytest.raises(RecursionError):
            call(endless, 0.0)
    assert depth(5) == 5


def test_a_hot_function_on_several_threads_of_the_guest(make):
    source = """
def on_threads(f, threads, n):
    import threading
    sums = [0.0] * threads
    def run(i):
        for k in range(n):
            sums[i] += f(float(i))
    all = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for t in all: t.start()
    for t in all: t.join()
    return sums
"""
    names = pybridge.eval("{}")
    pybridge.exec(source, names)
    assert list(names["on_threads"](lambda x: x + 1.0, 4, 500)) == [
        500.0 * (i + 1) for i in range(4)
    ]


def test_hot_functions_are_freed(make, leakfree):
    many = make("lambda f, x: [f(x) for _ in range(%d)][-1]" % HOT)
    for n in range(50):
        assert many(lambda x, n=n: x + n, 1.0) == n + 1
        assert many(lambda x, n=n: (x, [n]), 1)[0] == 1
        assert make("caught")(lambda x: 1 // 0, 1)[0] == "ZeroDivisionError"


def test_a_numpy_float64_as_a_result_is_one_in_the_guest(make, np):
    np.sqrt(np.arange(3.0))[1] * 2
    look = make(
        "lambda f, x: [(type(y).__name__, repr(float(y)), y * 2 == y + y) for y in [f(x)]][0]"
    )
    values = [1.5, -0.0, float("inf"), float("nan"), 1e-320]
    for _ in range(HOT):
        for value in values:
            made = np.add(value, 0.0) if value != 0 else np.negative(0.0)
            kind, text, same = look(lambda x, made=made: made, 1.0)
            assert kind == "float64" and text == repr(value) and same == (value == value)
    many = make("lambda f, n: sum(f(0.5) for _ in range(n))")
    blocks = make("__import__('sys').getallocatedblocks")
    assert many(lambda x: np.sqrt(x * x), 2000) == 1000.0
    before = blocks()
    assert many(lambda x: np.sqrt(x * x), 20000) == 10000.0
    assert blocks() - before < 2000
    # One that is a guest object comes back as that very object.
    kept = make("__import__('numpy').float64(2.5)")
    same = make("lambda f, x: [f(x) is x for _ in range(40)]")
    assert all(same(lambda x: x, kept))
    back = make("lambda f: f(1.0)")
    assert back(lambda x: (np.sqrt(4.0), [np.sqrt(9.0)])) == (2.0, [3.0])


# ---- keywords: names that the host is told once --------------------------------------------


def named(*args, **kwargs):
    return args, tuple(kwargs.items())


@pytest.mark.parametrize("n", range(5))
@pytest.mark.parametrize(
    "names",
    ["a", "b a", "a b c", "a b c d", "self function", "frame mem at x0 x1 ints", "\u00e4"],
)
def test_keywords_of_the_same_call_site_arrive_each_time(make, n, names):
    names = names.split()
    positional = "".join([f"'p{i}', " for i in range(n)])
    keywords = ", ".join([f"{name}=(k, '{name}')" for name in names])
    site = make(f"lambda f, n: [f({positional}{keywords}) for k in range(n)]")
    args = tuple([f"p{i}" for i in range(n)])
    expected = [(args, tuple([(name, (k, name)) for name in names])) for k in range(HOT)]
    assert list(site(named, HOT)) == expected
    assert list(site(lambda *args, **kwargs: named(*args, **kwargs), HOT)) == expected


def test_names_that_no_program_can_write_arrive_too(make):
    site = make("lambda f, kwargs, n: [f(1, **kwargs) for _ in range(n)]")
    for kwargs in ({"class": 1}, {"a b": 2, "": 3}, {"\ufb01": 4}, {"\ud800": 5}, {"print": 6}):
        assert (
            list(site(named, make("dict")(kwargs), HOT))
            == [((1,), tuple(kwargs.items()))] * HOT
        )


def test_very_many_call_sites_with_keywords(make):
    """More than the core remembers."""
    for n in range(400):
        site = make(f"lambda f, k: [f(a{n}=k, b{n % 7}=2.5) for _ in range(20)][-1]")
        assert site(named, n) == ((), ((f"a{n}", n), (f"b{n % 7}", 2.5)))


def test_wrong_keywords_are_the_hosts_type_error(make):
    site = make("lambda f: [f(1, y=2) for _ in range(40)]")
    count = []

    def f(x, y):
        count.append(y)
        return x

    assert len(site(f)) == 40 == len(count)
    with pytest.raises(TypeError, match="y"):
        site(lambda x: x)
    with pytest.raises(TypeError, match="multiple values"):
        make("lambda f: f(1, x=2)")(f)


def test_large_results_of_calls_with_keywords(make):
    """What a large result needed of the frame is forgotten before names are told."""
    for n in range(60):
        site = make(f"lambda f, k: [len(f(x{n}=k)) for _ in range(20)][-1]")
        assert site(lambda n=n, **kwargs: (*range(1000), n), n) == 1001


def test_arguments_by_keyword_that_nobody_keeps_are_released(make, leakfree):
    site = make("lambda f, kind: [f(kind(), k=kind()) for _ in range(40)][-1]")
    for _ in range(10):
        assert site(lambda x, k: k is not x, make("Holder"))


# ---- what a failed callback leaves behind --------------------------------------------------


def test_arguments_of_a_callback_that_fails_at_its_entry_are_released(
    make, leakfree, monkeypatch
):
    """Nobody has read them yet."""
    call = make("lambda f: f(Holder(), [Holder()], (Holder(), f), k=Holder())")
    frame_of_callback = _callback.frame_of_callback
    entries = []

    def fail_first(mem):
        entries.append(mem)
        if len(entries) % 2:
            raise MemoryError("at the entry")
        return frame_of_callback(mem)

    monkeypatch.setattr(_callback, "frame_of_callback", fail_first)
    for _ in range(10):
        with pytest.raises(MemoryError, match="at the entry"):
            call(lambda *args, **kwargs: None)
    assert len(entries) == 20


def test_arguments_after_one_that_the_host_cannot_make_are_released(make, leakfree):
    """The guest sees the error of the host's constructor, and may catch it."""
    pybridge.exec(
        "import fractions\n"
        "def broken():\n"
        "    x = object.__new__(fractions.Fraction)\n"
        "    x._numerator, x._denominator = 1, 0\n    return x\n"
        "def tried(f, holder):\n"
        "    try:\n        f(holder(), (holder(), broken(), holder()), holder(), k=[1])\n"
        "    except ZeroDivisionError as error:\n        return type(error).__name__\n"
    )
    tried = pybridge.eval("tried")
    for _ in range(10):
        assert tried(lambda *args, **kwargs: None, make("Holder")) == "ZeroDivisionError"
        assert tried(lambda a, b, c, k: None, make("Holder")) == "ZeroDivisionError"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_interrupts_at_the_entry_are_raised(monkeypatch, times):
    """Also when one comes while the core asks what the one before was."""
    found = _callback.frame_of_callback
    left = []

    def interrupted(mem):
        if left:
            left.pop()
            raise KeyboardInterrupt
        return found(mem)

    call = pybridge.eval("lambda f: f('x', [1])")
    assert call(lambda *args: args) == ("x", [1])
    monkeypatch.setattr(_callback, "frame_of_callback", interrupted)
    for _ in range(3):
        left[:] = [1] * times
        with pytest.raises(KeyboardInterrupt):
            call(lambda *args: args)
        assert left == []
        assert call(lambda *args: args) == ("x", [1])


def test_an_interrupt_while_the_answer_is_settled_is_raised(monkeypatch, leakfree):
    """A list in an answer that the guest keeps gets its number by one more call."""
    keep = pybridge.eval("lambda f, kept=[]: kept.append(f()) or len(kept[-1][0])")
    take = pybridge.eval("lambda f: len(f())")
    settle = _callback.settle_answer
    left = []

    def interrupted(frame):
        if left:
            left.pop()
            raise KeyboardInterrupt
        settle(frame)

    monkeypatch.setattr(_callback, "settle_answer", interrupted)
    for _ in range(3):
        left[:] = [1]
        with pytest.raises(KeyboardInterrupt):
            keep(lambda: ([1, 2],))
        assert left == []
        assert take(lambda: [1, 2, 3]) == 3  # by the same frame
