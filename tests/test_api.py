# SPDX-License-Identifier: MIT
"""The public functions: import_module, eval, exec, start, statistics, and what they refuse."""

import sys
import traceback

import children
import pytest

import pybridge
from pybridge import _runtime


def test_the_public_names_are_exported_and_say_where_they_are_from():
    assert sorted(pybridge.__all__) == sorted(set(pybridge.__all__))
    for name in pybridge.__all__:
        value = getattr(pybridge, name)
        assert value.__doc__, name
        if name != "Proxy":
            assert value.__module__ == "pybridge"
    public = {n for n in vars(pybridge) if not n.startswith("_")}
    modules = {n for n in public if type(getattr(pybridge, n)) is type(sys)}
    assert public - modules == set(pybridge.__all__)


@pytest.mark.parametrize(
    "name", ["BridgeError", "ClosedHandle", "ConversionError", "GuestClosed", "StartError"]
)
def test_every_refusal_is_a_bridge_error(name):
    assert issubclass(getattr(pybridge, name), pybridge.BridgeError)


def formatted(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


# ---- import_module -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["math", "os.path", "xml.etree.ElementTree", "importlib"])
def test_a_module_by_its_dotted_name(name):
    module = pybridge.import_module(name)
    assert isinstance(module, pybridge.Proxy)
    assert module == pybridge.eval("__import__('sys').modules")[name]


def test_an_unknown_module_is_the_guests_error_with_the_guests_path_in_a_note():
    with pytest.raises(
        ModuleNotFoundError, match=r"^No module named 'no_such_module'"
    ) as caught:
        pybridge.import_module("no_such_module")
    assert caught.value.name == "no_such_module"
    (note,) = caught.value.__notes__
    assert _runtime.guest.executable in note
    assert pybridge.import_module("sys").path[-1] in note
    assert "-m pip install no_such_module" in note


def test_a_missing_submodule_and_a_module_that_is_no_package():
    with pytest.raises(ModuleNotFoundError, match=r"'math\.nothing'; 'math' is not a package"):
        pybridge.import_module("math.nothing")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'xml\.nothing'"):
        pybridge.import_module("xml.nothing")


def test_an_error_inside_the_module_passes_with_its_line(tmp_path):
    (tmp_path / "broken_here.py").write_text("x = 1\nx.missing  # this line\n")
    (tmp_path / "bad_syntax_here.py").write_text("def f(:\n")
    path = pybridge.import_module("sys").path
    path.insert(0, str(tmp_path))
    try:
        with pytest.raises(AttributeError, match="missing") as caught:
            pybridge.import_module("broken_here")
        text = "".join(
            traceback.format_exception(None, caught.value, caught.value.__traceback__)
        )
        assert "x.missing  # this line" in text
        with pytest.raises(SyntaxError) as caught:
            pybridge.import_module("bad_syntax_here")
        assert caught.value.filename.endswith("bad_syntax_here.py")
        assert caught.value.lineno == 1
    finally:
        path.remove(str(tmp_path))


@pytest.mark.parametrize(
    "name, error, text",
    [
        (5, TypeError, "a module's name is a str, not int"),
        (None, TypeError, "not NoneType"),
        ("", ValueError, "not an absolute module name"),
        (".math", ValueError, "not an absolute module name"),
        ("a\0b", ModuleNotFoundError, "No module named"),
        ("math.", ModuleNotFoundError, "No module named"),
        ("\ud800", (ModuleNotFoundError, UnicodeEncodeError), "ud800"),
    ],
    ids=repr,
)
def test_what_is_no_module_name_is_refused(name, error, text):
    with pytest.raises(error, match=text):
        pybridge.import_module(name)


# ---- eval and exec -----------------------------------------------------------------------


def test_eval_in_main_by_default():
    pybridge.exec("shared_name = 5")
    assert pybridge.eval("shared_name + 1") == 6
    assert pybridge.import_module("__main__").shared_name == 5
    pybridge.exec("del shared_name")
    with pytest.raises(NameError, match=r"name 'shared_name' is not defined"):
        pybridge.eval("shared_name")


def test_a_guest_namespace_is_used_in_place():
    space = pybridge.eval("{}")
    pybridge.exec("x = 1\ndef f():\n    return x", space)
    space["x"] = 7
    assert pybridge.eval("f()", space) == 7
    assert "x" not in pybridge.import_module("__main__").__dict__


def test_a_host_namespace_gives_values_and_gets_what_was_bound():
    items = [1, 2]
    space = {"x": 2, "items": items, "gone": 1, "function": lambda n: n * 10}
    pybridge.exec("y = function(x)\nz = [y]\nx = x + 1\ndel gone\nitems.append(3)", space)
    assert (space["x"], space["y"]) == (3, 20)
    assert space["z"] == [20]
    assert isinstance(space["z"], pybridge.Proxy)
    assert space["items"] is items
    assert "gone" not in space
    assert set(space) == {"x", "y", "z", "items", "function"}
    assert pybridge.eval("x + y", {"x": 1, "y": 2}) == 3


def test_names_bound_before_an_error_are_written_back():
    space = {}
    with pytest.raises(ZeroDivisionError):
        pybridge.exec("a = 1\n1 / 0\nb = 2", space)
    assert space == {"a": 1}


def test_the_names_of_a_program_can_be_the_namespace():
    children.run(
        """
import pybridge, builtins
x = 20
def double(y): return 2 * y
before = set(globals())
assert pybridge.eval("double(x) + len('ab')", globals()) == 42
pybridge.exec("import gc\\ny = sorted([3, x])", globals())
assert y == [3, 20] and gc.isenabled()
assert set(globals()) - before == {"before", "y", "gc"}
assert __builtins__ is builtins or __builtins__ is vars(builtins)
space = {"__builtins__": vars(builtins), "x": 3}
assert pybridge.eval("len([x])", space) == 1 and space["__builtins__"] is vars(builtins)
try:
    pybridge.eval("len([1])", {"__builtins__": {}})
except NameError:
    pass
else:
    raise AssertionError("a namespace without builtins has them")
"""
    )


def test_a_host_namespace_with_a_value_without_a_form_is_refused():
    x = ()
    for _ in range(500):
        x = (x,)
    with pytest.raises(pybridge.ConversionError, match="nested deeper than 400"):
        pybridge.eval("1", {"x": x})


def test_definitions_refer_to_each_other():
    space = {}
    pybridge.exec("def a(n): return n and b(n - 1)\ndef b(n): return n and a(n - 1)", space)
    assert space["a"](10) == 0


@pytest.mark.parametrize(
    "run, source, error, text",
    [
        (pybridge.eval, "1 +", SyntaxError, "invalid syntax|unexpected EOF"),
        (pybridge.eval, "x = 1", SyntaxError, "invalid syntax"),
        (pybridge.eval, "", SyntaxError, "invalid syntax|unexpected EOF"),
        (pybridge.exec, "if x\n", SyntaxError, "expected ':'|invalid syntax"),
        (pybridge.exec, "  x = 1", IndentationError, "unexpected indent"),
        (pybridge.eval, 5, TypeError, "source must be a str, not int"),
        (pybridge.exec, b"1", TypeError, "source must be a str, not bytes"),
        (pybridge.eval, "1\0", ValueError, "null bytes"),
        (pybridge.eval, "'\ud800'", (SyntaxError, UnicodeError), "unicode error|surrogates"),
        (pybridge.eval, "(" * 5000, (SyntaxError, MemoryError), "too many nested|s_push"),
    ],
    ids=lambda x: repr(x)[:20],
)
def test_source_that_is_wrong_is_the_guests_error(run, source, error, text):
    with pytest.raises(error, match=text):
        run(source)
    assert pybridge.eval("1") == 1


def test_source_may_be_any_text():
    assert pybridge.eval("'é€\U0001f600'") == "é€\U0001f600"
    assert pybridge.eval("  1 + 1") == 2
    pybridge.exec("# coding: latin-1\nname = 'é'")
    assert pybridge.eval("name") == "é"
    assert pybridge.eval("+".join(["1"] * 500)) == 500


def test_tracebacks_show_the_lines_of_source_without_a_file():
    pybridge.exec("def fails():\n    raise KeyError('x')  # the line")
    with pytest.raises(KeyError) as caught:
        pybridge.eval("fails()")
    text = formatted(caught.value)
    assert "raise KeyError('x')  # the line" in text
    text = pybridge.eval("formatted()", {"formatted": _guest_format()})
    assert "raise KeyError('x')  # the line" in text


def _guest_format():
    pybridge.exec(
        "import traceback\n"
        "def formatted():\n"
        "    try:\n        fails()\n"
        "    except KeyError:\n        return traceback.format_exc()"
    )
    return pybridge.eval("formatted")


def test_evaluating_does_not_leak(leakfree):
    for n in range(200):
        pybridge.eval(f"[{n}]")
        pybridge.exec("pass", {})
        with pytest.raises(SyntaxError):
            pybridge.eval("1 +")


# ---- start -------------------------------------------------------------------------------


def test_start_again_is_nothing_and_another_guest_is_refused():
    pybridge.start()
    pybridge.start(_runtime.guest.executable)
    with pytest.raises(pybridge.GuestNotFound, match=r"/some/other/python does not exist"):
        pybridge.start("/some/other/python")


# ---- statistics --------------------------------------------------------------------------


def test_statistics_count():
    before = pybridge.statistics()
    assert isinstance(before, pybridge.Statistics)
    assert all(isinstance(n, int) and n >= 0 for n in before)
    kept = [pybridge.eval("object()") for _ in range(20)]
    keep = pybridge.eval("[]")
    keep.append(lambda: 1)
    keep[0]()
    pybridge.eval("lambda f: f()")(lambda: 1)
    after = pybridge.statistics()
    assert after.handles_open >= before.handles_open + 21
    assert after.host_objects >= before.host_objects + 1
    assert after.callbacks >= before.callbacks + 1
    assert len(kept) == 20


def test_statistics_before_the_start_and_after_the_end():
    result = children.run(
        """
        import pybridge, atexit
        print(tuple(pybridge.statistics())[:3])
        atexit.register(lambda: print("after", pybridge.statistics().handles_open >= 0))
        pybridge.start()
        """
    )
    assert result.out == "(0, 0, 0)\nafter True\n"


def test_importing_starts_nothing():
    result = children.run(
        """
        import sys
        import pybridge
        from pybridge import _runtime
        print(_runtime.state, "ctypes" in sys.modules, "subprocess" in sys.modules)
        """,
        stacks=False,
        env={"PYBRIDGE_PYTHON": "/no/such/python"},
    )
    assert result.out == "new False False\n"
