# SPDX-License-Identifier: MIT
"""Guest modules under names of the host's import system."""

from __future__ import annotations

import textwrap

import children
import pytest

PACKAGE = {
    "ip/__init__.py": "import os\nfrom ip import part\nvalue, hidden = 1, 2\n"
    "__all__ = ['value', 'part']\n",
    "ip/part.py": "name = 'part'\ndef same(m): return m.__name__\n",
    "ip/late.py": "name = 'late'\n",
}


@pytest.fixture
def program(tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(text: str):
        begin = f"""
            import sys, types, pybridge
            pybridge.import_module("sys").path.append({str(tmp_path)!r})
            pybridge.install()
            import ip
            from pybridge._imported import GuestModule
        """
        return children.run(textwrap.dedent(begin) + textwrap.dedent(text))

    return run


def test_it_is_a_module_of_the_host_with_the_guests_attributes(program):
    program("""
        assert type(ip) is GuestModule and isinstance(ip, types.ModuleType)
        assert ip.value == 1 and ip.hidden == 2 and ip.__name__ == "ip"
        assert ip.__spec__.name == "ip" and ip.__spec__ is not ip.part.__spec__
        assert sorted(ip.__all__) == ["part", "value"]
        assert {"value", "hidden", "part"} <= set(dir(ip))
        assert not any("pybridge" in name for name in dir(ip))
        assert "ip" in repr(ip) and ip.__file__.endswith("__init__.py")
        try: ip.nothing
        except AttributeError as error: assert "nothing" in str(error)
        else: raise AssertionError
        """)


def test_what_is_written_and_deleted_is_the_guests(program):
    program("""
        there = pybridge.import_module("ip")
        ip.value = 10
        ip.new = [1]
        assert there.value == 10 and pybridge.eval("lambda m: m.new == [1]")(there)
        del ip.new
        assert not hasattr(there, "new") and not hasattr(ip, "new")
        pybridge.eval("lambda m: setattr(m, 'later', 3)")(there)
        assert ip.later == 3
        ip.__spec__ = None                      # the import system's own stays here
        assert there.__spec__ is not None and ip.__spec__ is None
        try: del ip.nothing
        except AttributeError: pass
        else: raise AssertionError
        """)


def test_a_module_read_from_another_is_the_one_that_is_imported(program):
    program("""
        import ip.part
        assert ip.part is sys.modules["ip.part"] and type(ip.part) is GuestModule
        pybridge.exec("import ip, ip.late; ip.alias = ip.late")
        assert "ip.late" not in sys.modules
        assert ip.alias is sys.modules["ip.late"] and ip.alias.name == "late"
        import os
        assert type(ip.os) is not GuestModule and ip.os is not os   # the guest's, not imported
        assert ip.os.sep == "/"
        """)


def test_it_crosses_as_the_guests_module(program):
    program("""
        there = pybridge.import_module("ip.part")
        assert pybridge.eval("lambda m: m is __import__('sys').modules['ip.part']")(ip.part)
        assert ip.part.same(ip.part) == "ip.part"
        assert pybridge.eval("lambda x: x[0]")([ip]).value == 1
        """)
