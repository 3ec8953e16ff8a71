# SPDX-License-Identifier: MIT
"""The errors that are the bridge's own.

An exception has one origin: the guest raised it, the host raised it (in a callback), or
the bridge refuses.  Only refusals are defined here, and nowhere else; what the guest
raises arrives as a host exception of the same class (see `_raised`).

A message names the thing, the reason, the remedy, and ends with a code, `[PB101]`, by which
docs/troubleshooting.md has a longer answer.  The codes are part of the interface: one that is
given up is not used again.
"""

from __future__ import annotations

CODES = {
    # finding a guest, and its environment
    "PB101": "the interpreter that was chosen cannot be used",
    "PB102": "no usable CPython was found",
    "PB103": "no CPython of the version that is asked for",
    "PB110": "a setting is not valid",
    "PB111": "pyproject.toml cannot be read",
    "PB112": "a package is named for both sides",
    "PB120": "no environment can be made",
    "PB121": "the guest has no pip",
    "PB122": "packages could not be installed",
    "PB123": "the guest does not meet the requirements",
    "PB124": "what the script says it needs is not valid",
    # the guest's life
    "PB201": "not on the main thread, or too early",
    "PB202": "the guest failed to start",
    "PB203": "another guest runs already",
    "PB204": "the guest is closed",
    "PB205": "the guest is not running",
    "PB210": "the proxy was released",
    # values
    "PB301": "the object has no form in the guest",
    "PB302": "the container is nested too deep",
    "PB303": "the memory cannot be shared",
    "PB304": "the elements have no host form",
    "PB305": "it cannot be called natively",
    "PB306": "it cannot become guest code",
    "PB900": "the bridge contradicts itself",
}


class BridgeError(Exception):
    """The bridge refuses: base of every error that is the bridge's own.

    `code` is that of the message: "PB101".  What each means and what to do is in the
    documentation, under "Troubleshooting".
    """

    code = "PB900"

    def __init__(self, message: str = "", *, code: str = "") -> None:
        super().__init__(message)
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.code}]"


class GuestNotFound(BridgeError):
    """No usable CPython: the message lists each place tried and why it was refused."""

    code = "PB102"


class StartError(BridgeError):
    """The guest could not be started, or cannot be started from here or again."""

    code = "PB202"


class GuestClosed(BridgeError):
    """The guest was asked for something after it was closed at exit."""

    code = "PB204"


class ClosedHandle(BridgeError, ReferenceError):
    """A proxy was used after `pybridge.release` or after its `pybridge.scope` ended."""

    code = "PB210"


class ConversionError(BridgeError, TypeError):
    """A value has no form on the other side."""

    code = "PB301"
