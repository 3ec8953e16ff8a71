# SPDX-License-Identifier: MIT
"""Write the reference of the public names, from their docstrings, as MyST: `make docs`.

    HOST/bin/python tools/reference.py FILE

Runs on the host, which can import pybridge; the site is built by another interpreter.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pybridge
import pybridge.pickle

GROUPS = {
    "Modules and source code": ["import_module", "install", "require", "eval", "exec", "guest"],
    "The guest's life": ["start", "statistics", "Statistics"],
    "Objects": [
        "Proxy", "copy", "to_host", "ref", "same", "release", "scope", "converter",
        "converters",
    ],
    "Memory": ["view", "View", "Record", "Column", "array"],
    "Calls": ["native", "lowlevel", "LowLevel", "attached", "submit"],
    "Errors": [
        "BridgeError", "GuestNotFound", "StartError", "GuestClosed", "ClosedHandle",
        "ConversionError",
    ],
}  # fmt: skip


def signature(x: Any) -> str:
    """As in the source, without the annotations."""
    try:
        found = inspect.signature(x)
    except (TypeError, ValueError):
        return ""
    plain = [
        each.replace(annotation=each.empty)
        for each in found.parameters.values()
        if each.name != "self"
    ]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


def block(kind: str, name: str, x: Any, inside: str = "") -> str:
    """One directive."""
    shown = "" if kind in ("attribute", "exception", "property") else signature(x)
    text = inspect.cleandoc(x.__doc__ or "")
    # Code that is set off by its indentation, as in the source.
    text = re.sub(r"(?m)((?:^    .*\n?(?:\n(?=    ))?)+)", _fenced, text + "\n").rstrip()
    return f"`````{{py:{kind}}} {name}{shown}\n\n{text}\n{inside}`````\n"


def _fenced(match: re.Match[str]) -> str:
    code = inspect.cleandoc("\n" + match.group(1))
    return f"```python\n{code}\n```\n"


def members(cls: type) -> str:
    """The public methods and properties that a class defines itself."""
    found = []
    for name, x in sorted(vars(cls).items()):
        if name.startswith("_") or not getattr(x, "__doc__", None):
            continue
        if callable(x) and not isinstance(x, type):
            found.append(block("method", name, x).replace("`````", "````"))
        elif isinstance(x, property):
            found.append(block("property", name, x).replace("`````", "````"))
    return "\n" + "\n".join(found) if found else ""


def page() -> str:
    """The whole of it."""
    parts = [
        "# Reference\n\nThe public names of `pybridge`. What is not here is not public.\n",
        "```{py:module} pybridge\n```\n",
    ]
    left = set(pybridge.__all__)
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            left.remove(name)
            x = getattr(pybridge, name)
            if isinstance(x, type):
                kind = "exception" if issubclass(x, BaseException) else "class"
                inside = "" if kind == "exception" or name == "Proxy" else members(x)
                parts.append(block(kind, name, x, inside))
            else:
                parts.append(block("function", name, x))
    if left:
        sys.exit(f"tools/reference.py: in no group: {', '.join(sorted(left))}")
    parts.append("## Pickles\n\n```{py:module} pybridge.pickle\n```\n")
    parts.append(inspect.cleandoc(pybridge.pickle.__doc__ or "") + "\n")
    for name in pybridge.pickle.__all__:
        parts.append(block("function", name, getattr(pybridge.pickle, name)))
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
