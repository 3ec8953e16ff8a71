# SPDX-License-Identifier: MIT
"""The guest's prompt of `python -m pybridge repl`."""

import code
import sys

import __main__

# rlcompleter would make itself the completer of a readline that the host may be using.
_readline = sys.modules.get("readline")
sys.modules["readline"] = None
try:
    import rlcompleter
finally:
    del sys.modules["readline"]
    if _readline is not None:
        sys.modules["readline"] = _readline

_interpreter = code.InteractiveInterpreter(__main__.__dict__)
_completer = rlcompleter.Completer(__main__.__dict__)

sys.stdin.close = lambda: None  # exit() closes it, but it is the host's prompt's too


def prompt_run(source):
    """Run a statement, printing as a prompt does; True when it is not complete."""
    return _interpreter.runsource(source)


def prompt_complete(text, state):
    """The completion of that number, or None."""
    return _completer.complete(text, state)
