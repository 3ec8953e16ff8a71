# SPDX-License-Identifier: MIT
"""Warnings of the guest, shown by the host.

The guest's filters come first (pybridge/guest/warned.py); what they let pass is a warning of
the host's, with the same category, text, file and line, so that the host's filters,
`catch_warnings(record=True)`, `pytest.warns` and `-W error` apply.  With `error` the guest's
`warnings.warn` raises.  A warning about code that is no guest code, because the host called
a C function of the guest, or by its `stacklevel`, is about the line of the host that called.
"""

from __future__ import annotations

import sys

from pybridge import _guest
from pybridge._frames import program_frame
from pybridge._raised import to_host

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

_registries: dict[str, dict[Any, Any]] = {}  # by guest module, as __warningregistry__
# By module, the number of the filters with which its registry was last written to: the standard
# module empties a registry when the filters have changed since.
_shown: dict[str, int] = {}
_seen: list[Any] = [None, 0, None, 0]  # the filters as they were, and their number


def _token() -> int:
    """Another number whenever the host's filters have changed."""
    import warnings

    filters = warnings.filters
    first = filters[0] if filters else None
    if filters is not _seen[0] or len(filters) != _seen[1] or first is not _seen[2]:
        _seen[:] = [filters, len(filters), first, _seen[3] + 1]
    return _seen[3]  # type: ignore[no-any-return]


def _wanted(
    category: Any, text: str, filename: str | None, lineno: int, module: str | None
) -> bool:
    """Would the host show it?"""
    if type(category) is not type:  # no class that the host takes for its own
        return True
    filename, lineno, module, registry = _place(filename, lineno, module)
    key = text, category, lineno
    if key in registry and _shown.get(module) == _token():
        return not registry[key]
    return _action(text, category, lineno, module) != "ignore"


def _show(
    message: Any, text: str, filename: str | None, lineno: int, module: str | None
) -> bool:
    """Warn.  True: the same would not be shown again."""
    import warnings

    warning: Any = to_host(message)
    category = type(warning)
    filename, lineno, module, registry = _place(filename, lineno, module)
    if _action(text, category, lineno, module) == "ignore":
        return True
    warnings.warn_explicit(warning, category, filename, lineno, module, registry)
    _shown[module] = _token()
    return bool(registry.get((text, category, lineno)))


def _place(
    filename: str | None, lineno: int, module: str | None
) -> tuple[str, int, str, dict[Any, Any]]:
    """What the warning is about, and that module's registry of those that were shown."""
    if filename is not None and module is not None:
        return filename, lineno, module, _registries.setdefault(module, {})
    return _caller()


def _caller() -> tuple[str, int, str, dict[Any, Any]]:
    """Where the host's program called the guest."""
    frame = program_frame(sys._getframe())
    if frame is None:  # a thread of the guest's
        return "<guest>", 1, "<guest>", _registries.setdefault("<guest>", {})
    space = frame.f_globals
    registry = space.setdefault("__warningregistry__", {})
    return frame.f_code.co_filename, frame.f_lineno, space.get("__name__", "<host>"), registry


def _action(text: str, category: type, lineno: int, module: str) -> str:
    """What the host's filters say, as the standard module asks them."""
    import warnings

    for action, message, wanted, where, line in warnings.filters:
        if (
            _matches(message, text)
            and issubclass(category, wanted)
            and _matches(where, module)
            and line in (0, lineno)
        ):
            return str(action)
    return str(getattr(warnings, "defaultaction", "default"))


def _matches(pattern: Any, text: str) -> bool:
    if pattern is None:
        return True
    if isinstance(pattern, str):  # of the filters that an interpreter begins with
        return bool(pattern == text)
    return bool(pattern.match(text))


def set_up() -> None:
    """Right after the start."""
    own_files, back = _guest.support("own_files"), _guest.support("frames.guest_back")
    _guest.call("warned.route", _show, _wanted, _token, own_files, back)
