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
_seen: list[Any] = [None, 0, None, 0]  # the filters as they were, and their number


def _token() -> int:
    """Another number whenever the host's filters have changed."""
    import warnings

    filters = warnings.filters
    first = filters[0] if filters else None
    if filters is not _seen[0] or len(filters) != _seen[1] or first is not _seen[2]:
        _seen[:] = [filters, len(filters), first, _seen[3] + 1]
    return _seen[3]  # type: ignore[no-any-return]


def _show(
    message: Any, text: str, filename: str | None, lineno: int, module: str | None
) -> bool:
    """Warn.  True: the same would not be shown again."""
    import warnings

    warning: Any = to_host(message)
    category = type(warning)
    if filename is not None and module is not None:
        registry = _registries.setdefault(module, {})
    else:
        filename, lineno, module, registry = _caller()
    if _action(text, category, lineno, module) == "ignore":
        return True
    warnings.warn_explicit(warning, category, filename, lineno, module, registry)
    return bool(registry.get((text, category, lineno)))


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
    _guest.call("warned.route", _show, _token, _guest.support("own_files"))
