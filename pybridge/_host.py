# SPDX-License-Identifier: MIT
"""What the bridge uses of the host's implementation: PyPy's own functions, and what stands in
for them on a CPython host, which serves development and tests."""

from __future__ import annotations

import gc

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Any

try:
    from __pypy__ import hidden_applevel as hidden  # no traceback shows the function's frames
    from __pypy__ import newdict
    from __pypy__ import strategy as list_strategy
    from __pypy__ import utf8content as utf8  # a str is UTF-8 inside: no copy

    def module_dict() -> dict[Any, Any]:
        """A dict whose look-ups fold to constants in traces when the key is one."""
        return newdict("module")  # type: ignore[no-any-return]

except ImportError:

    def hidden(function: Any) -> Any:
        """No such thing here: tracebacks show the bridge's own frames."""
        return function

    def list_strategy(x: list[Any]) -> str:
        """Lists are plain here."""
        return ""

    def utf8(s: str) -> bytes:
        """The text in UTF-8, lone surrogates included."""
        return s.encode("utf-8", "surrogatepass")

    def module_dict() -> dict[Any, Any]:
        """A plain dict."""
        return {}


collect_step = getattr(gc, "collect_step", None)  # PyPy only
