# SPDX-License-Identifier: MIT
"""`import` of guest packages by their own names, and `python -m pybridge run`."""

from __future__ import annotations

import os
import sys
import textwrap

import children
import pytest

from pybridge import _script

# Stands in the guest's path: what these tests import from there.
PACKAGE = {
    "gp/__init__.py": "__all__ = ['one', 'sub']\none, two = 1, 2\nfrom gp import sub\n",
    "gp/sub.py": "def add(x, y): return x + y\nclass Broken(ValueError): pass\n",
    "gp/deep/__init__.py": "",
    "gp/deep/inner.py": "value = 'deep'\n",
    "gp/bad.py": "1 / 0\n",
    "single.py": "value = 3\n",
    "both.py": "where = 'guest'\n",
}


@pytest.fixture
def packages(tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / "guest" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    host = tmp_path / "host"
    host.mkdir()
    (host / "both.py").write_text("where = 'host'\n")
    return tmp_path


def program(packages, text: str, install: str = "pybridge.install()", **options):
    """Run a program in a child whose guest finds the packages."""
    begin = f"""
        import sys, pybridge
        pybridge.import_module("sys").path.append({str(packages / "guest")!r})
        sys.path.append({str(packages / "host")!r})
        {install}
    """
    return children.run(textwrap.dedent(begin) + textwrap.dedent(text), **options)


def test_imports_of_every_form(packages):
    program(
        packages,
        """
        import gp
        import gp.sub
        import gp.deep.inner as inner
        from gp import one, sub
        from gp.sub import add, Broken
        import single as s
        assert (gp.one, gp.two, one, s.value, inner.value) == (1, 2, 1, 3, "deep")
        assert gp.sub is sub is sys.modules["gp.sub"]
        assert gp.sub.add(1, 2) == add(1, 2) == 3
        assert gp.deep.inner is inner
        import importlib
        assert importlib.import_module("gp.deep.inner") is inner
        """,
    )


def test_a_star_import_takes_what_the_module_offers(packages):
    program(
        packages,
        """
        from gp import *
        assert one == 1 and sub.add(1, 1) == 2
        assert "two" not in globals()
        from single import *
        assert value == 3
        """,
    )


def test_the_host_comes_first_unless_told_otherwise(packages):
    program(packages, "import both; assert both.where == 'host'")
    guest = "pybridge.install(guest=['both'])"
    program(packages, "import both; assert both.where == 'guest'", guest)
    never = "pybridge.install(host=['single'])"
    program(
        packages,
        """
        try:
            import single
        except ModuleNotFoundError as error:
            assert error.name == "single"
        else:
            raise AssertionError
        """,
        never,
    )


def test_the_guests_standard_library_is_not_taken(packages):
    program(
        packages,
        """
        import json, decimal, sqlite3
        for module in (json, decimal, sqlite3):
            assert type(module) is type(sys), module
        for name in ("_elementtree_x", "idlelib_x", "distutils_x", "_testcapi_x", "gp.nothing"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                assert error.name == name
            else:
                raise AssertionError(name)
        """,
    )


def test_an_error_in_the_package_is_the_packages_own(packages):
    result = program(packages, "import gp.bad", rc=1)
    assert "ZeroDivisionError: division by zero" in result.err
    assert "1 / 0" in result.err


def test_a_module_is_changed_in_the_guest(packages):
    program(
        packages,
        """
        import gp, single
        single.value = 10
        pybridge.exec("import single; assert single.value == 10; single.value = 11")
        assert single.value == 11
        del single.value
        assert not hasattr(single, "value")
        assert "one" in dir(gp) and "sub" in dir(gp)
        assert pybridge.eval("lambda m: m.__name__")(gp) == "gp"
        """,
    )


def test_installing_starts_nothing():
    children.run("""
        import pybridge
        from pybridge import _runtime
        pybridge.install()
        import json
        try:
            import _nothing_of_the_kind
        except ImportError:
            pass
        assert _runtime.state == "new"
        pybridge.install()
        import sys
        assert sum(type(f).__name__ == "_Finder" for f in sys.meta_path) == 2
    """)


def run(*arguments, rc=0, **options):
    """`python -m pybridge run ...` in a child."""
    return children.run(
        "import runpy, sys\n"
        "sys.argv[:1] = ['pybridge', 'run']\n"
        "runpy.run_module('pybridge', run_name='__main__', alter_sys=True)\n",
        *map(str, arguments),
        rc=rc,
        **options,
    )


def test_a_script_sees_what_a_plain_run_shows(tmp_path):
    script = tmp_path / "program.py"
    (tmp_path / "beside.py").write_text("value = 'beside'\n")
    script.write_text(
        "import sys, beside, os\n"
        "print(__name__, __file__ == sys.argv[0], sys.argv[1:], beside.value)\n"
        "print(sys.path[0] == os.path.dirname(os.path.abspath(__file__)))\n"
        "import __main__; print(__main__.beside is beside)\n"
    )
    result = run(script, "a", "--b")
    assert result.out == "__main__ True ['a', '--b'] beside\nTrue\nTrue\n"


@pytest.mark.parametrize(
    ("text", "rc", "err"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit", 0, ""),
        ("1 / 0", 1, 'Traceback (most recent call last):\n  File "{}", line 1, in <module>\n'),
        ("x = (", 1, '  File "{}", line 1\n'),
    ],
    ids=["status", "exit", "error", "syntax"],
)
def test_the_end_of_a_script_is_that_of_a_plain_run(tmp_path, text, rc, err):
    script = tmp_path / "program.py"
    script.write_text(text + "\n")
    result = run(script, rc=rc)
    if sys.implementation.name == "pypy" or rc != 1 or "(" in text:
        assert result.err.startswith(err.format(script))


def test_a_program_on_the_command_line():
    assert run("-c", "import sys; print(sys.argv)", "x").out == "['-c', 'x']\n"


def test_a_module_is_run(tmp_path):
    (tmp_path / "tool.py").write_text("import sys; print(__name__, sys.argv[1:])\n")
    assert run("-m", "tool", "x", cwd=str(tmp_path)).out == "__main__ ['x']\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage:"),
        (["-m"], "usage:"),
        (["-c"], "usage:"),
        (["--nonsense"], "usage:"),
        (["missing.py"], "can't open 'missing.py'"),
        ([os.sep], "can't open"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_said_in_one_line(arguments, message):
    result = run(*arguments, rc=2)
    assert message in result.err and "Traceback" not in result.err
    assert len(result.err.splitlines()) == 1


def test_help_is_no_error():
    assert run("--help").out == _script.USAGE + "\n"
