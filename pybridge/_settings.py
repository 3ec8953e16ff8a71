# SPDX-License-Identifier: MIT
"""What the user has set: the environment first, then `[tool.pybridge]`.

The table is that of the pyproject.toml beside the running script, never that of the
current directory: who starts a program in a directory has not chosen what lies there.
What is set wrongly is an error that names the place; a setting is never passed over.

    PYBRIDGE_PYTHON          python            the guest: a path, a name on PATH, or a venv
    PYBRIDGE_ISOLATE         isolate-symbols   0 or 1; true or false
    PYBRIDGE_HOST_STREAMS    host-streams      likewise
    PYBRIDGE_GUEST_PACKAGES  guest-packages    names with commas between; array of strings
    PYBRIDGE_HOST_PACKAGES   host-packages     likewise

A variable that is set but empty counts as unset.

Reading TOML.  `tomllib` came with Python 3.11 and `tomli` may be missing, while PyPy 3.9
must work without either; hence the small reader in the second half of this file.  It reads
the plain table, and says so when it meets more.  Files that do not contain the word
`pybridge` are not parsed at all.
"""

from __future__ import annotations

import os
import sys

from pybridge._errors import BridgeError
from pybridge._facts import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = "[tool.pybridge]"
_KEYS: dict[str, type] = {
    "python": str,
    "isolate-symbols": bool,
    "host-streams": bool,
    "guest-packages": list,
    "host-packages": list,
}
_WANTED: dict[type, str] = {
    str: "a non-empty string",
    bool: "true or false",
    list: "an array of package names",
}


class Settings(Facts):
    """All settings, each with its default when nothing sets it."""

    __slots__ = (
        "guest_packages", "host_packages", "host_streams", "isolate_symbols", "python",
        "python_base", "python_source",
    )  # fmt: skip
    python: str | None  # as written; None when nothing names a guest
    python_source: str  # "PYBRIDGE_PYTHON", "[tool.pybridge] in /x/pyproject.toml" or ""
    python_base: str  # what a relative path is relative to; "" is the current directory
    isolate_symbols: bool  # hide the host's symbols from the guest's libraries
    host_streams: bool  # the guest's sys.stdout and the like are the host's
    guest_packages: tuple[str, ...]  # come from the guest, whatever the host has
    host_packages: tuple[str, ...]  # are never looked for in the guest


def load(script_dir: str | None = None) -> Settings:
    """Read the settings, as they are now.

    `script_dir` is where pyproject.toml is looked for; by default the directory of the
    running script.  Without a script (`-c`, the prompt) only the environment counts.
    Raises BridgeError for an unknown key, a bad value, or a file that cannot be read.
    """
    if script_dir is None:
        script_dir = _script_dir()
    path = os.path.join(script_dir, "pyproject.toml") if script_dir is not None else ""
    place = f"{_HEADER} in {path}"
    table = _table(path, place) if path and os.path.isfile(path) else {}

    python, source, base = table.get("python"), "", ""
    if python is not None:
        source, base = place, os.path.dirname(path)
    if os.environ.get("PYBRIDGE_PYTHON"):
        python, source, base = os.environ["PYBRIDGE_PYTHON"], "PYBRIDGE_PYTHON", ""
    return Settings(
        python=python,
        python_source=source,
        python_base=base,
        isolate_symbols=_switch("PYBRIDGE_ISOLATE", table.get("isolate-symbols", True)),
        host_streams=_switch("PYBRIDGE_HOST_STREAMS", table.get("host-streams", True)),
        guest_packages=_names("PYBRIDGE_GUEST_PACKAGES", table.get("guest-packages")),
        host_packages=_names("PYBRIDGE_HOST_PACKAGES", table.get("host-packages")),
    )


def data_folder() -> str:
    """Where environments are kept that nobody chose: see `_environment`."""
    home = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(home):  # the specification says to ignore it then
        home = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(home, "pybridge")


def default_guest() -> str:
    """The environment of `python -m pybridge install`."""
    return os.path.join(data_folder(), "guest")


def _script_dir() -> str | None:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.dirname(os.path.abspath(script)) if isinstance(script, str) else None


def _switch(variable: str, otherwise: object) -> bool:
    text = os.environ.get(variable)
    if not text:
        return bool(otherwise)
    if text not in ("0", "1"):
        raise BridgeError(
            f"{variable}={text}: not a switch.  Set it to 0 or 1, or unset it.", code="PB110"
        )
    return text == "1"


def _names(variable: str, otherwise: object) -> tuple[str, ...]:
    text = os.environ.get(variable)
    if not text:
        return tuple(otherwise) if isinstance(otherwise, list) else ()
    names = tuple([name.strip() for name in text.split(",") if name.strip()])
    for name in names:
        if not _is_package(name):
            raise BridgeError(
                f"{variable}: {name!r} is not the name of a top-level package.  Write names "
                f"as they are imported, with commas between.",
                code="PB110",
            )
    return names


def _is_package(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _invalid(place: str, key: str, value: object) -> BridgeError:
    wanted = _WANTED[_KEYS[key]]
    return BridgeError(
        f"{place}: {key} = {value!r} is not valid.  Write {wanted}.", code="PB110"
    )


def _table(path: str, place: str) -> dict[str, object]:
    """Give the checked `[tool.pybridge]` table of the file, empty if it has none."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BridgeError(
            f"{path}: cannot be read ({error}).  It may hold settings of pybridge: make it "
            f"readable, as UTF-8.",
            code="PB111",
        ) from None
    if "pybridge" not in text:
        return {}
    table = _parse(text, path)
    for key, value in table.items():
        if key not in _KEYS:
            raise BridgeError(
                f"{place}: unknown key {key!r}.  Known: {', '.join(_KEYS)}.", code="PB110"
            )
        if type(value) is not _KEYS[key] or value == "":
            raise _invalid(place, key, value)
        if type(value) is list and not all(map(_is_package, value)):
            raise _invalid(place, key, value)
    return table


def top_level(text: str, path: str) -> dict[str, object]:
    """The keys of TOML text that stand before any table: for PEP 723."""
    whole = _toml(text, path)
    if whole is not None:
        return whole
    table = {}
    for line, statement in _statements(text, path):
        if statement.startswith("["):
            break
        key, equals, value = (part.strip() for part in statement.partition("="))
        if not equals:
            raise _not_understood(path, line, f"{statement!r}")
        table[key.strip("\"'")] = _value(value, path, line)
    return table


def _toml(text: str, path: str) -> dict[str, object] | None:
    """As a parser reads it; None when this Python has no parser."""
    from importlib import import_module

    for name in ("tomllib", "tomli"):
        try:
            parser = import_module(name)
        except ImportError:
            continue
        try:
            return parser.loads(text)  # type: ignore[no-any-return]
        except ValueError as error:
            raise BridgeError(
                f"{path}: not valid TOML ({error}).  Correct it.", code="PB111"
            ) from None
    return None


def _parse(text: str, path: str) -> dict[str, object]:
    whole = _toml(text, path)
    if whole is not None:
        tool = whole.get("tool", {})
        table = tool.get("pybridge", {}) if isinstance(tool, dict) else {}
        return table if isinstance(table, dict) else {"pybridge": table}
    return _parse_plain(text, path)


# ------------------------------------------------------------ the small reader of one table
#
# It cuts the whole file into statements, because a multi-line string or array of another
# tool may hold lines that look like ours, and parses those under the one header.  It takes
# plain strings, true and false, decimal integers, and arrays of strings.  Everything else
# that concerns `tool.pybridge` (dotted keys, inline tables, dates, \u escapes, ...) is an
# error.  What stands in other tables is cut, not checked.


def _parse_plain(text: str, path: str) -> dict[str, object]:
    table: dict[str, object] = {}
    current = ""
    seen = False
    for line, statement in _statements(text, path):
        if statement.startswith("["):
            current = "".join(c for c in statement if c not in " \t\"'")
            if current == f"[{_HEADER}]" or (current == _HEADER and seen):
                raise _not_understood(path, line, f"more than one {_HEADER}")
            if current.startswith(_HEADER[:-1] + "."):
                table[current[len(_HEADER) : -1]] = {}
            seen = seen or current == _HEADER
            continue
        key, equals, value = (part.strip() for part in statement.partition("="))
        if current == _HEADER:
            key = key.strip("\"'")
            if not equals or not key or key in table:
                raise _not_understood(path, line, f"{statement!r}")
            table[key] = _value(value, path, line)
        elif "pybridge" in statement:
            first = key.split(".")[0].strip(" \t\"'")
            if (current, first) in (("", "tool"), ("[tool]", "pybridge")):
                raise _not_understood(path, line, f"a setting outside {_HEADER}")
    return table


def _statements(text: str, path: str) -> Iterator[tuple[int, str]]:
    """Yield (line, statement), comments removed, arrays and long strings in one piece."""
    parts: list[str] = []
    line, depth, at = 1, 0, 0
    while at < len(text):
        char, end = text[at], at + 1
        if char in "\"'":
            end = _string_end(text, at, path, line)
            parts.append(text[at:end])
        elif char == "#":
            while end < len(text) and text[end] != "\n":
                end += 1
        elif char == "\n" and depth <= 0:
            if "".join(parts).strip():
                yield line, "".join(parts).strip()
            parts, depth = [], 0
        else:
            depth += (char in "[{") - (char in "]}")
            parts.append(char)
        line += text.count("\n", at, end)
        at = end
    if depth > 0:
        raise _not_understood(path, line, "a bracket that does not close")
    if "".join(parts).strip():
        yield line, "".join(parts).strip()


def _string_end(text: str, start: int, path: str, line: int) -> int:
    """Give the index after the string that starts here."""
    quote = text[start]
    fence = quote * 3 if text.startswith(quote * 3, start) else quote
    at = start + len(fence)
    while at < len(text) and (text[at] != "\n" or len(fence) == 3):
        if text[at] == "\\" and quote == '"':
            at += 2
        elif text.startswith(fence, at):
            at += len(fence)
            while len(fence) == 3 and text.startswith(quote, at):
                at += 1  # a long string may end in one or two quotes of its own
            return at
        else:
            at += 1
    raise _not_understood(path, line, "a string that does not end")


def _value(source: str, path: str, line: int) -> object:
    if source in ("true", "false"):
        return source == "true"
    if source[:1] in ("'", '"'):
        if _string_end(source, 0, path, line) == len(source):
            return _string(source, path, line)
    elif source[:1] == "[" and source[-1:] == "]":
        return _strings(source[1:-1], path, line)
    elif source.lstrip("+-").isdigit() and source.isascii():
        return int(source)
    raise _not_understood(path, line, f"the value {source!r}")


def _strings(source: str, path: str, line: int) -> list[str]:
    items: list[str] = []
    rest = source.strip()
    while rest:
        if rest[0] not in "\"'":
            raise _not_understood(path, line, "an array of other things than strings")
        end = _string_end(rest, 0, path, line)
        items.append(_string(rest[:end], path, line))
        rest = rest[end:].strip()
        if rest and rest[0] != ",":
            raise _not_understood(path, line, "an array without a comma")
        rest = rest[1:].strip()
    return items


def _string(source: str, path: str, line: int) -> str:
    if source.startswith(("'''", '"""')):
        raise _not_understood(path, line, "a multi-line string")
    body = source[1:-1]
    if source[0] == "'":
        return body
    pieces = [piece.replace('\\"', '"') for piece in body.split("\\\\")]
    if any("\\" in piece for piece in pieces):
        raise _not_understood(path, line, f'an escape other than \\\\ and \\" in {source}')
    return "\\".join(pieces)


def _not_understood(path: str, line: int, what: str) -> BridgeError:
    return BridgeError(
        f"{path}, line {line}: {what} is not understood.  This Python has no TOML parser, and "
        f"pybridge's own reads plain `key = value` lines under {_HEADER} only: write it "
        f"plainly, or install tomli.",
        code="PB111",
    )
