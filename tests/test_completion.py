# SPDX-License-Identifier: MIT
"""The tables of the completion are those of the command line; see also test_main.py."""

from __future__ import annotations

from pybridge import __main__, _completion


def test_the_tables_name_what_the_parser_has():
    parser = __main__._parser()
    (commands,) = [a for a in parser._actions if a.dest == "command"]
    assert list(commands.choices) == list(_completion.COMMANDS)
    assert list(_completion.OPTIONS) == list(_completion.COMMANDS)
    for name, each in commands.choices.items():
        if name in ("run", "python", "completion"):  # not parsed by it
            continue
        known = {a.option_strings[-1] for a in each._actions if a.option_strings}
        assert known == set(_completion.OPTIONS[name]), name
