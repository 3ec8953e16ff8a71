# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: warnings are the host's to show.

The guest's own filters come first: code that uses `warnings.catch_warnings` here works as
ever.  Outside of such code they let everything pass, and what they pass goes to the host's
`warnings`, whose filters decide.  What the host would not show again is remembered, as long
as its filters are what they were.
"""

import _thread
import sys
import warnings

_MOST_QUIET = 2000
_local = _thread._local()


def route(show, wanted, token, own_files, back):
    """Host functions.  `wanted`: would the host show that?  `show`: shows it; does the host
    never want to hear of it again?  `token`: another number when the host's filters have
    changed.  The warning itself crosses for `show` alone, because that takes 40 us.  `back`: a
    frame's f_back, without those of the host."""
    warnings.resetwarnings()
    warnings.simplefilter("always")
    original = getattr(warnings, "_showwarnmsg_impl", None)
    quiet = set()
    seen = [None]

    def to_host(message):
        if message.file is not None or getattr(_local, "busy", False):
            return fallback(message)
        _local.busy = True
        try:
            text = str(message.message)
            filename, module = message.filename, _module_of(message, back)
            if module is None or filename in own_files:
                filename = module = None  # called by the host: it knows from where
            key = message.category, text, filename, message.lineno
            now = token()
            if now != seen[0]:
                quiet.clear()
                seen[0] = now
            elif key in quiet:
                return None
            about = message.category, text, filename, message.lineno, module
            if (not wanted(*about) or show(message.message, *about[1:])) and filename:
                if len(quiet) >= _MOST_QUIET:
                    quiet.clear()
                quiet.add(key)
            return None
        except ReferenceError:  # the host has closed the bridge
            return fallback(message)
        finally:
            _local.busy = False

    def fallback(message):
        if original is not None:
            return original(message)
        text = warnings.formatwarning(
            message.message, message.category, message.filename, message.lineno, message.line
        )
        (message.file or sys.stderr).write(text)

    def showwarning(message, category, filename, lineno, file=None, line=None):
        to_host(warnings.WarningMessage(message, category, filename, lineno, file, line))

    if original is not None:
        warnings._showwarnmsg_impl = to_host
    else:
        warnings.showwarning = showwarning


def _module_of(message, back):
    """The module whose code the warning is about, or None if no guest code is."""
    if message.filename in ("sys", "<sys>") and message.lineno in (0, 1):
        return None
    frame = back(back(sys._getframe()))
    while frame is not None:
        if frame.f_code.co_filename == message.filename:
            name = frame.f_globals.get("__name__")
            if type(name) is str:
                return name
        frame = back(frame)
    name = message.filename or "<unknown>"  # warn_explicit: as the standard module does
    return name[:-3] if name.endswith(".py") else name
