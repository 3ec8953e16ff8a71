# SPDX-License-Identifier: MIT
"""`python -m pybridge repl`: a prompt of the host and one of the guest, side by side.

    >>> import numpy as np          the host's, with the guest's packages
    >>> %guest                      from here on the guest's own
    guest>>> x = [1, 2]
    guest>>> %host
    >>> guest.x                     what stands there, and guest.y = 3 puts something there

`%guest statement` and `%host statement` run a single line on the other side.  Ctrl-D at the
guest's prompt goes back to the host's, there it ends.  Lines are remembered in
<data>/history; the tab key completes names of the side whose prompt it is.
"""

from __future__ import annotations

import code
import os
import sys
from typing import Any

from pybridge import __version__, _api, _finder, _guest, _runtime, _settings

_HELP = "%guest, %host: switch sides, or run the rest of the line there; guest.x: its names"


class _Console(code.InteractiveConsole):
    """The host's, which hands lines over while `in_guest`."""

    def __init__(self) -> None:
        self.space: dict[str, Any] = {"__name__": "__main__", "__doc__": None}
        super().__init__(self.space)
        self.in_guest = False

    def raw_input(self, prompt: str = "") -> str:
        return input(("guest" if self.in_guest else "") + prompt)

    def push(self, line: str, *args: Any, **kwargs: Any) -> bool:
        """One line of input; True when more belongs to it."""
        word, _, rest = line.strip().partition(" ")
        if not self.buffer and word in ("%guest", "%host"):
            other = word == "%guest"
            if rest.strip():
                before, self.in_guest = self.in_guest, other
                try:
                    self.push(rest.strip())
                    self.resetbuffer()
                finally:
                    self.in_guest = before
            else:
                self.in_guest = other
            return False
        if not self.buffer and word == "%help":
            self.write(_HELP + "\n")
            return False
        return super().push(line, *args, **kwargs)

    def runsource(self, source: str, *args: Any, **kwargs: Any) -> bool:
        if not self.in_guest:
            return super().runsource(source, *args, **kwargs)
        try:
            return bool(_guest.call("prompt_run", source))
        except KeyboardInterrupt:
            raise
        except SystemExit:
            self.in_guest = False  # exit() there: back here
            return False

    def interact(self, *args: Any, **kwargs: Any) -> None:
        """Until Ctrl-D at the host's prompt."""
        super().interact(*args, **kwargs)
        while self.in_guest:
            self.in_guest = False
            self.resetbuffer()
            super().interact(banner="", exitmsg="")

    def complete(self, text: str, state: int) -> str | None:
        """For readline."""
        if self.in_guest:
            found = _guest.call("prompt_complete", text, state)
            return found if isinstance(found, str) else None
        import rlcompleter

        return rlcompleter.Completer(self.space).complete(text, state)


def _line_editing(console: _Console) -> None:
    """History and completion, where there is a terminal."""
    if not sys.stdin.isatty():
        return
    try:
        import readline
    except ImportError:
        return
    import atexit

    readline.set_completer(console.complete)
    readline.parse_and_bind("tab: complete")
    path = os.path.join(_settings.data_folder(), "history")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            readline.read_history_file(path)
    except OSError:
        return

    def keep() -> None:
        try:
            readline.write_history_file(path)
        except OSError:
            pass

    atexit.register(keep)


def run(python: str | None) -> int:
    """Start the guest and read lines until the end; gives the exit status."""
    _finder.install()
    _api.start(python)
    sys.path.insert(0, "")
    console = _Console()
    console.space["guest"] = _api.import_module("__main__")
    import __main__

    # What is defined at the prompt is found as `__main__`, for pickle and for children.
    __main__.__dict__.clear()
    __main__.__dict__.update(console.space)
    console.space = console.locals = __main__.__dict__
    _line_editing(console)
    version = ".".join(map(str, _runtime.guest.version))
    host = {"pypy": "PyPy", "cpython": "CPython"}.get(sys.implementation.name, "?")
    host += " " + ".".join(map(str, sys.implementation.version[:3]))
    console.interact(
        banner=f"pybridge {__version__}: {host} with CPython {version}.  {_HELP}", exitmsg=""
    )
    return 0
