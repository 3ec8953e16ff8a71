# SPDX-License-Identifier: MIT
"""`import` of guest packages by their own names."""

from __future__ import annotations

import textwrap

import children
import pytest

# Stands in the guest's path: what these tests import from there.
PACKAGE = {
    "gp/__init__.py": "__all__ = ['one', 'sub']\none, two = 1, 2\nfrom gp import sub\n"
    "import gp.shadow\nshadow = 'function'\n",
    "gp/sub.py": "def add(x, y): return x + y\nclass Broken(ValueError): pass\n",
    "gp/deep/__init__.py": "",
    "gp/deep/inner.py": "value = 'deep'\n",
    "gp/bad.py": "1 / 0\n",
    "single.py": "value = 3\n",
    "both.py": "where = 'guest'\n",
    "gp/shadow.py": "value = 'module'\n",
    "gp/data.txt": "some data\n",
    "lazy/__init__.py": "import importlib\n"
    "def __getattr__(name):\n"
    "    if name == 'late': return importlib.import_module('lazy.late')\n"
    "    raise AttributeError(name)\n",
    "lazy/late.py": "value = 'late'\n",
    "count.py": "import builtins\nbuiltins.counted = getattr(builtins, 'counted', 0) + 1\n"
    "value = builtins.counted\n",
    "pure/__init__.py": "import sys\nfrom . import part\nname = sys.implementation.name\n",
    "pure/part.py": "def f(): return __file__\n",
    "dist-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: dist\nVersion: 1.2.3\n",
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
    never = "pybridge.install(host=['both'], guest=['single'])"
    program(packages, "import both; assert both.where == 'host'", never)


def test_the_environment_has_rules_too_and_the_call_wins(packages):
    env = {"PYBRIDGE_GUEST_PACKAGES": "both", "PYBRIDGE_HOST_PACKAGES": "pure"}
    program(packages, "import both; assert both.where == 'guest'", env=env)
    text = "import both; assert both.where == 'host'"
    program(packages, text, "pybridge.install(host=['both'])", env=env)
    program(packages, "import pure; assert pure.name == sys.implementation.name", env=env)
    for text in ("install(host=['x'], guest=['x'])", "install(guest='numpy')"):
        with_error = f"""
        try:
            pybridge.{text}
        except (pybridge.BridgeError, TypeError) as error:
            assert "x: named for the guest and for" in str(error) or "a list" in str(error)
        else:
            raise AssertionError
        """
        program(packages, with_error)


def test_a_package_for_the_host_is_made_of_the_guests_files(packages):
    program(
        packages,
        """
        import pure, pure.part
        assert pure.name == sys.implementation.name and type(pure) is type(sys)
        assert type(pure.part.f).__name__ == "function" and "guest" in pure.part.f()
        try:
            import nothing_at_all
        except ModuleNotFoundError:
            pass
        """,
        "pybridge.install(host=['pure', 'nothing_at_all'])",
    )


def test_modules_are_one_object_however_they_are_reached(packages):
    program(
        packages,
        """
        import gp, lazy
        assert gp.sub is sys.modules["gp.sub"]
        assert lazy.late is sys.modules["lazy.late"] and lazy.late.value == "late"
        from lazy import late
        assert late is lazy.late
        import gp.shadow, importlib
        assert gp.shadow == "function"          # as the package wants it
        assert sys.modules["gp.shadow"].value == "module"
        import lazy.late
        lazy.again = gp
        assert lazy.again is gp
        assert pybridge.eval("__import__('lazy').again.one") == 1
        assert not hasattr(lazy, "nothing")
        """,
    )


def test_reload_runs_the_module_again(packages):
    program(
        packages,
        """
        import count, importlib
        assert count.value == 1
        assert importlib.reload(count) is count and count.value == 2
        import count
        assert count.value == 2
        """,
    )


def test_metadata_and_resources_of_guest_packages_are_found(packages):
    program(
        packages,
        r"""
        import importlib.metadata, importlib.resources, importlib.util, pkgutil, os
        assert importlib.metadata.version("dist") == "1.2.3"
        assert importlib.metadata.distribution("dist").metadata["Name"] == "dist"
        try:
            importlib.metadata.version("nothing-of-the-kind")
        except importlib.metadata.PackageNotFoundError:
            pass
        else:
            raise AssertionError
        names = [d.metadata["Name"] for d in importlib.metadata.distributions()]
        assert "dist" not in names
        import gp
        files = importlib.resources.files("gp")
        assert (files / "data.txt").read_text() == "some data\n"
        assert pkgutil.get_data("gp", "data.txt") == b"some data\n"
        spec = importlib.util.find_spec("gp.sub")
        assert os.path.basename(spec.origin) == "sub.py"
        places = list(gp.__spec__.submodule_search_locations)
        assert [os.path.dirname(gp.__file__)] == list(gp.__path__) == places
        assert sorted(m.name for m in pkgutil.iter_modules(gp.__path__))[:2] == ["bad", "deep"]
        assert importlib.util.find_spec("gp.nothing") is None
        assert importlib.util.find_spec("nothing_at_all") is None
        """,
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


def test_a_guest_that_does_not_start_is_an_import_error():
    children.run(
        """
        import pybridge, threading
        pybridge.install()
        def optional():
            try:
                import nothing_at_all
            except ImportError as error:
                assert "nothing_at_all is looked for in the guest" in str(error)
                assert isinstance(error.__cause__, pybridge.BridgeError)
            else:
                raise AssertionError
        failed = []
        threading.excepthook = failed.append
        thread = threading.Thread(target=optional)
        thread.start(), thread.join()       # the guest is started on the main thread
        optional()
        assert not failed
        """,
        env={"PYBRIDGE_PYTHON": "/nonexistent/python"},
    )


def test_imports_after_the_end_find_nothing():
    result = children.run(
        """
        import atexit, pybridge
        def late():
            try:
                import nothing_at_all
            except ModuleNotFoundError:
                print("good")
        atexit.register(late)
        pybridge.install()
        pybridge.start()
        """
    )
    assert result.out == "good\n"
