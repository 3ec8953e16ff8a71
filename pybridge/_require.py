# SPDX-License-Identifier: MIT
"""What a program needs of the guest, said by the program itself.

`pybridge.require("numpy>=2")` at its top, or a comment block that other tools read too:

    # /// script
    # requires-python = ">=3.11"
    # dependencies = ["numpy>=2", "scipy"]
    # ///

(inline script metadata, PEP 723; for `python -m pybridge run`).  The packages are the
guest's.  If somebody chose a guest, by PYBRIDGE_PYTHON or `[tool.pybridge]`, or it runs
already, it must meet what is required, or it is an error that says what it lacks.  Otherwise
an environment made for just these requirements is the guest: see `_environment`.
"""

from __future__ import annotations

from pybridge import _runtime
from pybridge._errors import BridgeError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Sequence


def require(*requirements: str, python: str = "") -> None:
    """Say which packages, and which Python, the guest must have.

    `requirements` are as for pip ("numpy>=2", "scipy"), `python` is a specifier (">=3.11").
    Before the guest's first use: an environment for just these is made, unless it is there,
    which takes the network and some seconds, and its use is begun later.  When a guest was
    chosen or runs, it is checked.  Raises BridgeError: not met, or not to be had.
    """
    for each in requirements:
        if not isinstance(each, str):
            raise TypeError(f"a requirement is a str, not {type(each).__name__}")
    from pybridge import _discover, _environment, _settings

    if _runtime.state is _runtime.RUNNING:
        _environment.check(_runtime.guest, requirements, python, "the guest that runs")
        return
    settings = _settings.load()
    if settings.python is not None:
        guest = _discover.discover(None, settings)
        _environment.check(guest, requirements, python, settings.python_source)
        return
    _runtime.prefer(_environment.environment_for(requirements, python))


def from_script(source: bytes, path: str) -> None:
    """Require what the metadata of a script says, if it has any."""
    if b"# /// script" not in source:
        return
    try:
        text = _block(source.decode("utf-8").splitlines(), path)
    except UnicodeDecodeError:
        return  # PEP 723 is for UTF-8; Python itself will judge the rest
    if text is None:
        return
    from pybridge import _settings

    table = _settings.top_level(text, f"the metadata of {path}")
    packages, python = table.get("dependencies", []), table.get("requires-python", "")
    if not isinstance(packages, list) or not all(isinstance(each, str) for each in packages):
        raise BridgeError(
            f"the metadata of {path}: dependencies must be an array of strings.", code="PB124"
        )
    if not isinstance(python, str):
        raise BridgeError(
            f"the metadata of {path}: requires-python must be a string.", code="PB124"
        )
    if packages or python:
        require(*packages, python=python)


def _block(lines: Sequence[str], path: str) -> str | None:
    """The text between `# /// script` and the last `# ///` of its comment, as in the PEP."""
    found: list[list[str]] = []
    at = 0
    while at < len(lines):
        if lines[at] != "# /// script":
            at += 1
            continue
        end = at + 1
        while end < len(lines) and (lines[end] == "#" or lines[end].startswith("# ")):
            end += 1
        closing = [i for i in range(at + 1, end) if lines[i] == "# ///"]
        if not closing:
            at += 1
            continue
        found.append([line[2:] for line in lines[at + 1 : closing[-1]]])
        at = closing[-1] + 1
    if len(found) > 1:
        raise BridgeError(
            f"{path}: has more than one block of script metadata.  Keep one.", code="PB124"
        )
    return "\n".join(found[0]) + "\n" if found else None
