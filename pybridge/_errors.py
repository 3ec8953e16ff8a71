# SPDX-License-Identifier: MIT
"""The errors that are the bridge's own.

An exception has one origin: the guest raised it, the host raised it (in a callback), or
the bridge refuses.  Only refusals are defined here, and nowhere else; what the guest
raises arrives as a host exception of the same class (see `_raised`).

A message names the thing, the reason, the remedy.
"""

from __future__ import annotations


class BridgeError(Exception):
    """The bridge refuses: base of every error that is the bridge's own."""


class GuestNotFound(BridgeError):
    """No usable CPython: the message lists each place tried and why it was refused."""


class StartError(BridgeError):
    """The guest could not be started, or cannot be started from here or again."""


class GuestClosed(BridgeError):
    """The guest was asked for something after it was closed at exit."""


class ClosedHandle(BridgeError, ReferenceError):
    """A proxy was used after `pybridge.release` or after its `pybridge.scope` ended."""


class ConversionError(BridgeError, TypeError):
    """A value has no form on the other side."""
