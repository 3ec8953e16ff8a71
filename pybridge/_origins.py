# SPDX-License-Identifier: MIT
"""Where packages would be imported from under `pybridge.install()`, and in which versions: a
section of `python -m pybridge doctor`.  Nothing is imported to find out."""

from __future__ import annotations

import sys
from typing import Any

from pybridge import _finder, _guest, _settings, _source

_TOOLS = frozenset(["pip", "pkg_resources", "setuptools", "wheel", "_distutils_hack"])


def installed() -> dict[str, tuple[str, str]]:
    """(distribution, version) by top-level name.  Runs on either side."""
    import importlib.metadata

    found: dict[str, tuple[str, str]] = {}
    for each in importlib.metadata.distributions():
        name = each.metadata["Name"]
        tops = (each.read_text("top_level.txt") or "").split()
        if not tops:
            for path in each.files or ():
                top, _, rest = str(path).partition("/")
                if rest == "__init__.py" or (not rest and top.endswith((".py", ".so"))):
                    tops.append(top.partition(".")[0])
        for top in tops:
            found.setdefault(top, (name, each.version))
    return found


def report(names: list[str]) -> list[dict[str, Any]]:
    """Of these packages, or of all that the guest has installed."""
    rules = _finder.rules_in_force(_settings.load())
    there: dict[str, tuple[str, str]] = dict(_source.guest(installed)())
    here = installed()
    names = names or sorted(
        name for name in there if name not in _TOOLS and name.isidentifier() and name[0] != "_"
    )
    return [_one(name, here, there, *rules) for name in names]


def _one(
    name: str,
    here: dict[str, tuple[str, str]],
    there: dict[str, tuple[str, str]],
    always: frozenset[str],
    never: frozenset[str],
) -> dict[str, Any]:
    host, guest = _on_host(name), _guest.call("find_module", name, True) is not None
    origin, why = "nowhere", f"install it: python -m pybridge install {name}"
    if name in always and guest:
        origin, why = "guest", "a rule" if host else ""
    elif host:
        origin, why = "host", "a rule" if name in never else ""
    elif name in never and guest:
        origin, why = "host", "a rule; from the guest's files"
    elif guest:
        origin, why = "guest", ""
    return {
        "name": name,
        "origin": origin,
        "why": why,
        "host": here.get(name, ("", ""))[1] or ("found" if host else None),
        "guest": there.get(name, ("", ""))[1] or ("found" if guest else None),
    }


def _on_host(name: str) -> bool:
    """Could the host import it itself?"""
    from importlib.machinery import PathFinder

    if name in sys.builtin_module_names or name in sys.modules:
        return True
    return PathFinder.find_spec(name) is not None


def text(packages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The rows to print."""
    rows = []
    for p in packages:
        versions = [f"{side} {p[side]}" for side in ("guest", "host") if p[side]]
        line = f"{p['name']}: {', '.join(versions) or 'on neither side'}"
        rows.append((p["origin"], line + (f" ({p['why']})" if p["why"] else "")))
    return rows or [("none", "the guest has no packages")]
