# SPDX-License-Identifier: MIT
"""Guest code that looks at its callers sees the host's program where its own frames end."""

from __future__ import annotations

import sys
import textwrap

import children
import guests
import pytest

import pybridge

SOURCE = """
    import inspect, logging, sys, traceback, types
    def names(n=0):
        out, f = [], sys._getframe(n)
        while f is not None:
            out.append(f.f_code.co_name)
            f = f.f_back
        return out
    def deep(n): return names() if n == 0 else deep(n - 1)
    def at(n):
        f, genuine = sys._getframe(n), types.FrameType
        return f.f_code.co_name, f.f_code.co_filename, f.f_lineno, isinstance(f, genuine)
    def caller(): return inspect.currentframe().f_back
    def evaluated(text):
        f = inspect.currentframe().f_back
        return eval(text, f.f_globals, f.f_locals)
    def bumped():
        f = sys._getframe(1)
        f.f_globals["bumped_here"] = f.f_globals.pop("bumped_here", 0) + 1
    def suspended():
        def generator(): yield inspect.currentframe()
        g = generator()  # kept: 3.12.1 itself gives the frame of a temporary one a caller
        return next(g).f_back
    def call(f): return f()
    def stack():
        return [(i.function, i.lineno, i.code_context[0].strip()) for i in inspect.stack()[1:2]]
"""
bumped_here = 1


@pytest.fixture(scope="module")
def looks(guest):
    space: dict = {}
    pybridge.exec(textwrap.dedent(SOURCE), space)
    return space


def test_the_callers_are_the_programs(looks):
    def caller():
        return looks["names"](), looks["deep"](2)

    plain, deep = caller()
    assert list(plain)[:3] == ["names", "caller", "test_the_callers_are_the_programs"]
    assert list(deep)[:5] == ["names", "deep", "deep", "deep", "caller"]
    name, filename, line, genuine = looks["at"](1)
    assert (name, filename, genuine) == ("test_the_callers_are_the_programs", __file__, True)
    assert line == test_the_callers_are_the_programs.__code__.co_firstlineno + 7
    assert looks["at"](0)[0] == "at"
    with pytest.raises(ValueError, match="not deep enough"):
        looks["at"](1000)


def test_local_and_global_names_are_found(looks):
    local = [1, 2]
    frame = looks["caller"]()
    assert frame.f_locals["local"] is local
    assert "local" in frame.f_locals and "local" not in frame.f_globals
    assert "bumped_here" not in frame.f_locals and frame.f_locals.get("SOURCE") is None
    assert frame.f_globals["SOURCE"] == SOURCE
    with pytest.raises(KeyError):
        frame.f_locals["not there"]
    assert list(looks["evaluated"]("local + [bumped_here, len('ab')]")) == [1, 2, 1, 2]
    assert {"local", "frame", "looks"} <= set(frame.f_locals.keys())
    looks["bumped"]()
    assert bumped_here == 2
    globals()["bumped_here"] = 1
    copy = frame.f_globals.copy()
    copy["only_there"] = 1
    del copy["SOURCE"]
    assert "only_there" in copy and "SOURCE" not in copy and "pytest" in copy
    assert "only_there" not in frame.f_globals and "SOURCE" in globals()
    assert len(copy) == len(frame.f_globals)


def test_inspect_takes_the_frames(looks):
    stack = looks["stack"]()
    name, line, text = next(iter(stack))
    assert (name, text) == ("test_inspect_takes_the_frames", 'stack = looks["stack"]()')
    assert line == test_inspect_takes_the_frames.__code__.co_firstlineno + 1
    frame = looks["caller"]()
    assert frame == looks["caller"]() and frame != frame.f_back
    assert "code test_inspect_takes_the_frames" in repr(frame)


def test_frames_that_do_not_run_have_no_caller(looks):
    assert looks["suspended"]() is None


def test_named_tuples_of_the_host_are_of_its_module(looks):
    collections = pybridge.import_module("collections")
    assert collections.namedtuple("P", "x y").__module__ == __name__


def test_a_callback_sees_those_of_the_guest_before_it(looks):
    def callback():
        return looks["names"]()

    assert list(looks["call"](callback))[:2] == ["names", "call"]


@guests.each
def test_threads_and_forks(python):
    children.run(
        """
    import os, threading
    import pybridge
    pybridge.exec('''
    import os, sys, threading
    def names():
        out, f = [], sys._getframe()
        while f is not None:
            out.append(f.f_code.co_name)
            f = f.f_back
        return out
    def of_a_thread():
        found = []
        t = threading.Thread(target=lambda: found.append(names()))
        t.start(); t.join()
        return found[0][-1]
    def forked():
        child = os.fork()
        if child == 0:
            os._exit(len(names()))          # the host is not asked: it could not answer
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ''', ns := {})
    def work(): seen.append(list(ns["names"]()))
    seen = []
    t = threading.Thread(target=work)
    t.start(); t.join()
    assert seen[0][:3] == ["names", "work", "run"], seen
    assert ns["of_a_thread"]() == "_bootstrap"
    assert ns["forked"]() == 2
    child = os.fork()
    if child == 0:
        os._exit(list(ns["names"]()) != ["names", "<module>"])
    assert os.waitpid(child, 0)[1] == 0
""",
        env=guests.env(python),
    )


def test_the_same_frame_is_found_however_often_one_is_asked_for():
    """The core calls the host in another way from the 16th time on."""
    names: dict[str, object] = {}
    pybridge.exec("import sys\ndef outer(n): return sys._getframe(n).f_code.co_name", names)

    def inside():
        return [names["outer"](1) for _ in range(40)]

    assert inside() == ["<listcomp>" if sys.version_info < (3, 12) else "inside"] * 40

    def outside():
        return inside_of_two()

    def inside_of_two():
        found = []
        for _ in range(40):
            found.append(names["outer"](2))
        return found

    assert outside() == ["outside"] * 40


def test_formulas_and_queries_use_local_names(guest):
    try:
        pandas = pybridge.import_module("pandas")
        formula = pybridge.import_module("statsmodels.formula.api")
    except ImportError:
        pytest.skip("no pandas or statsmodels in this guest")

    def centred(v):
        return v - v.mean()

    limit = 4
    data = pandas.DataFrame({"x": [float(i) for i in range(10)]})
    data["y"] = data["x"] ** 2
    assert len(data.query("x > @limit")) == 5 + limit - 4
    fit = formula.ols("y ~ centred(x)", data=data).fit()
    assert round(fit.params["centred(x)"], 9) == 9.0
    np = pybridge.import_module("numpy")
    half = np.array([[1, 2]])
    assert np.bmat("half half").tolist() == [[1, 2, 1, 2]] and half is not None
