# SPDX-License-Identifier: MIT
"""Settings: the environment over the table beside the script, and nothing wrong passes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pybridge import _settings
from pybridge._errors import BridgeError

PARSERS = ["plain"]
for _name in ("tomllib", "tomli"):
    try:
        importlib.import_module(_name)
        PARSERS.append(_name)
    except ImportError:
        pass


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PYBRIDGE_"):
            monkeypatch.delenv(name)


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make this parser the only one there is."""
    only: str = request.param
    original = importlib.import_module

    def import_module(name: str, package: str | None = None) -> ModuleType:
        if name in ("tomllib", "tomli") and name != only:
            raise ImportError(name)
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    return only


@pytest.fixture
def plain_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str, package: str | None = None) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", import_module)


def write(directory: Path, text: str) -> str:
    (directory / "pyproject.toml").write_text(text, encoding="utf-8")
    return str(directory)


def made(**fields: object) -> _settings.Settings:
    """What is loaded when these are set."""
    lists = {"host_streams": True, "guest_packages": (), "host_packages": ()}
    return _settings.Settings(**{**lists, **fields})


# ------------------------------------------------------------------------------ the sources


def test_nothing_set_gives_the_defaults(tmp_path: Path) -> None:
    assert _settings.load(str(tmp_path)) == made(
        python=None, python_source="", python_base="", isolate_symbols=True
    )


def test_the_table_is_read_with_its_place(tmp_path: Path, parser: str) -> None:
    directory = write(
        tmp_path, '[tool.pybridge]\npython = ".venv-guest"\nisolate-symbols = false\n'
    )
    assert _settings.load(directory) == made(
        python=".venv-guest",
        python_source=f"[tool.pybridge] in {tmp_path / 'pyproject.toml'}",
        python_base=directory,
        isolate_symbols=False,
    )


def test_the_environment_wins_over_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(tmp_path, '[tool.pybridge]\npython = "a"\nisolate-symbols = false\n')
    monkeypatch.setenv("PYBRIDGE_PYTHON", "b")
    monkeypatch.setenv("PYBRIDGE_ISOLATE", "1")
    assert _settings.load(directory) == made(
        python="b", python_source="PYBRIDGE_PYTHON", python_base="", isolate_symbols=True
    )


def test_an_empty_variable_counts_as_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(tmp_path, '[tool.pybridge]\npython = "a"\nisolate-symbols = false\n')
    monkeypatch.setenv("PYBRIDGE_PYTHON", "")
    monkeypatch.setenv("PYBRIDGE_ISOLATE", "")
    settings = _settings.load(directory)
    assert (settings.python, settings.isolate_symbols) == ("a", False)


@pytest.mark.parametrize("text, value", [("0", False), ("1", True)])
def test_a_switch_is_0_or_1(
    text: str, value: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYBRIDGE_ISOLATE", text)
    assert _settings.load(str(tmp_path)).isolate_symbols is value


@pytest.mark.parametrize("text", ["2", "yes", "true", " 1", "-1"])
def test_another_value_of_a_switch_is_an_error(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYBRIDGE_ISOLATE", text)
    with pytest.raises(BridgeError, match=f"^PYBRIDGE_ISOLATE={text}: .* Set it to 0 or 1"):
        _settings.load(str(tmp_path))


def test_the_file_is_that_of_the_script_not_of_the_current_directory(tmp_path: Path) -> None:
    beside, current = tmp_path / "beside", tmp_path / "current"
    for directory in (beside, current):
        directory.mkdir()
        write(directory, f'[tool.pybridge]\npython = "{directory.name}"\n')
    script = beside / "script.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {os.path.dirname(os.path.dirname(_settings.__file__))!r})\n"
        "from pybridge import _settings\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "print(_settings.load().python)\n"
    )
    answer = subprocess.run(
        [sys.executable, os.path.join("..", "beside", "script.py")],
        cwd=current,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.stdout, answer.stderr) == ("beside\n", "")


def test_without_a_script_no_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[tool.pybridge]\npython = "a"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    assert _settings.load().python is None


# ------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "line, message",
    [
        pytest.param("pyton = 'a'", "unknown key 'pyton'.  Known: python,", id="unknown key"),
        pytest.param("[tool.pybridge.guest]\na = 1", "unknown key 'guest'", id="sub-table"),
        pytest.param("python = ''", "python = '' is not valid", id="empty string"),
        pytest.param("python = 3", "Write a non-empty string", id="int for str"),
        pytest.param("python = ['a', 'b']", "Write a non-empty string", id="list for str"),
        pytest.param("isolate-symbols = 1", "Write true or false", id="int for bool"),
        pytest.param("isolate-symbols = 'no'", "Write true or false", id="str for bool"),
    ],
)
def test_a_wrong_key_or_value_names_the_file(
    line: str, message: str, tmp_path: Path, parser: str
) -> None:
    directory = write(tmp_path, f"[tool.pybridge]\n{line}\n")
    with pytest.raises(BridgeError) as caught:
        _settings.load(directory)
    assert str(caught.value).startswith(f"[tool.pybridge] in {tmp_path}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[tool.pybridge]\npython = 'a", id="open string"),
        pytest.param("[tool.pybridge]\npython = [\n'a'", id="open array"),
        pytest.param("[tool.pybridge]\npython\n", id="no value"),
        pytest.param("[tool.pybridge]\npython = 'a'\npython = 'b'\n", id="key twice"),
        pytest.param("[tool.pybridge]\n[tool.x]\n[tool.pybridge]\n", id="table twice"),
        pytest.param("[tool.x]\na = [1,\n[tool.pybridge]\n", id="open array before"),
        pytest.param("[tool.x]\na = '\n[tool.pybridge]\n", id="open string before"),
    ],
)
def test_a_broken_file_that_concerns_us_is_an_error(
    text: str, tmp_path: Path, parser: str
) -> None:
    with pytest.raises(BridgeError, match=r"not valid TOML|is not understood") as caught:
        _settings.load(write(tmp_path, text))
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


def test_a_broken_file_that_does_not_concern_us_is_left_alone(tmp_path: Path) -> None:
    assert _settings.load(write(tmp_path, "[tool.black\n= 3")).python is None


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[tool.pybridge]\npython = '\xff'\n")
    with pytest.raises(BridgeError, match=r"pyproject.toml: cannot be read .*as UTF-8"):
        _settings.load(str(tmp_path))


def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:  # root, who may run this, reads every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_settings, "open", refuse, raising=False)
    with pytest.raises(BridgeError, match=r"pyproject.toml: cannot be read .*Permission"):
        _settings.load(write(tmp_path, "[tool.pybridge]\n"))


# ------------------------------------------------------------------------ the plain reader

UNDERSTOOD = [
    pytest.param("", {}, id="empty"),
    pytest.param("a = 'x'  # comment", {"a": "x"}, id="literal string"),
    pytest.param('a = "x # y"', {"a": "x # y"}, id="basic string with a hash"),
    pytest.param(r'a = "C:\\x\\\"y\""', {"a": 'C:\\x\\"y"'}, id="plain escapes"),
    pytest.param("a = 'C:\\x'", {"a": "C:\\x"}, id="backslash in a literal string"),
    pytest.param("a = true\nb=false", {"a": True, "b": False}, id="booleans"),
    pytest.param("a = 12\nb = -3\nc = +0", {"a": 12, "b": -3, "c": 0}, id="integers"),
    pytest.param("a = []", {"a": []}, id="empty array"),
    pytest.param("a = ['x', \"y\",]", {"a": ["x", "y"]}, id="array"),
    pytest.param(
        "a = [ # one\n  'x',\n\n  'y]' # two\n]\nb = 1", {"a": ["x", "y]"], "b": 1}, id="lines"
    ),
    pytest.param("\"a\" = 1\n'b' = 2", {"a": 1, "b": 2}, id="quoted keys"),
    pytest.param("a = 1\n[tool.later]\nb = 2", {"a": 1}, id="next table"),
    pytest.param("a = 1\r\nb = 'x'\r\n", {"a": 1, "b": "x"}, id="DOS lines"),
    pytest.param("\ta\t=\t'é😀'\t", {"a": "é😀"}, id="tabs and other scripts"),
]
AROUND = """\
# pybridge = 1
name = "x"
[project]
dependencies = ["pybridge", [["[tool.pybridge]"]],
[
]]
text = \"\"\"
[tool.pybridge]
python = "no" \\\"""
\"\"\"\"
more = '''
[tool.pybridge]
python = 'no'''
inline = { pybridge = "x" }
[tool]
other.pybridge = 1
[tool.pybridge-more]
python = "no"
[ tool . "pybridge" ]
"""


@pytest.mark.parametrize("body, expected", UNDERSTOOD)
@pytest.mark.parametrize("before", ["[tool.pybridge]\n", AROUND], ids=["alone", "around"])
def test_the_plain_reader_reads_what_a_parser_reads(
    before: str, body: str, expected: object, parser: str
) -> None:
    text = (before + body).replace("\r\n", "\n")
    assert _settings._parse(text, "/x/pyproject.toml") == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = 1.5", id="float"),
        pytest.param("a = 1_000", id="underscore"),
        pytest.param("a = 0x10", id="hexadecimal"),
        pytest.param("a = 1979-05-27", id="date"),
        pytest.param("a = { b = 1 }", id="inline table"),
        pytest.param("a = [1, 2]", id="array of integers"),
        pytest.param("a = [['x']]", id="nested array"),
        pytest.param("a = ['x' 'y']", id="array without comma"),
        pytest.param('a = "\\u0041"', id="unicode escape"),
        pytest.param('a = "\\n"', id="newline escape"),
        pytest.param('a = """x"""', id="long string"),
        pytest.param("a = 'x' 'y'", id="two strings"),
        pytest.param("a = True", id="Python's True"),
        pytest.param("a =", id="no value"),
        pytest.param("= 1", id="no key"),
    ],
)
def test_the_plain_reader_says_what_it_does_not_understand(text: str, plain_only: None) -> None:
    with pytest.raises(
        BridgeError, match=r"^/x/p\.toml, line 2: .* is not understood\.  .*tomli"
    ):
        _settings._parse("[tool.pybridge]\n" + text, "/x/p.toml")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("tool.pybridge.python = 'x'", id="dotted key at the top"),
        pytest.param("tool = { pybridge = { python = 'x' } }", id="inline at the top"),
        pytest.param("[tool]\npybridge.python = 'x'", id="dotted key in tool"),
        pytest.param("[tool]\n'pybridge' = { python = 'x' }", id="inline in tool"),
        pytest.param("[[tool.pybridge]]\npython = 'x'", id="array of tables"),
    ],
)
def test_the_plain_reader_overlooks_no_setting_written_elsewhere(
    text: str, plain_only: None
) -> None:
    with pytest.raises(BridgeError, match="is not understood"):
        _settings._parse(text, "/x/p.toml")


# ---------------------------------------------------------------------------- what it costs


def test_importing_it_loads_no_heavy_module() -> None:
    package = os.path.dirname(_settings.__file__)
    answer = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "import sys, types\n"
            "package = types.ModuleType('pybridge')\n"
            "package.__path__ = [sys.argv[1]]\n"
            "sys.modules['pybridge'] = package\n"
            "import pybridge._settings, pybridge._probe, pybridge._discover\n"
            "heavy = 'dataclasses inspect json re signal subprocess tempfile tomllib typing'\n"
            "print([name for name in heavy.split() if name in sys.modules])\n",
            package,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.stdout, answer.stderr) == ("[]\n", "")


def test_packages_are_named_by_the_table_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(
        tmp_path, '[tool.pybridge]\nguest-packages = ["a", "b"]\nhost-packages = ["c"]\n'
    )
    found = _settings.load(directory)
    assert (found.guest_packages, found.host_packages) == (("a", "b"), ("c",))
    monkeypatch.setenv("PYBRIDGE_GUEST_PACKAGES", "d, e,")
    monkeypatch.setenv("PYBRIDGE_HOST_PACKAGES", "")
    found = _settings.load(directory)
    assert (found.guest_packages, found.host_packages) == (("d", "e"), ("c",))
    monkeypatch.setenv("PYBRIDGE_GUEST_PACKAGES", "scikit-learn")
    with pytest.raises(BridgeError, match="PYBRIDGE_GUEST_PACKAGES: 'scikit-learn' is not"):
        _settings.load(directory)


@pytest.mark.parametrize("value", ['"a"', '["a.b"]', "true"])
def test_names_of_packages_that_are_none_are_refused(tmp_path: Path, value: str) -> None:
    directory = write(tmp_path, f"[tool.pybridge]\nguest-packages = {value}\n")
    with pytest.raises(BridgeError, match=r"guest-packages = .*an array of package names"):
        _settings.load(directory)
