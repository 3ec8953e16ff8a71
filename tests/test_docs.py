# SPDX-License-Identifier: MIT
"""The examples of README.md and docs/ run, and print what stands below them.

The `python` blocks of a page are one program, in their order; a `text` block that follows one
is what that block prints.  A block whose first line is `# file: NAME` is that file; `console`
blocks are commands, run beside these files, with their output (`...` for any lines).  Of `sh`
blocks the commands of pybridge must exist.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import pybridge
from pybridge._completion import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [ROOT / "README.md", *(p for p in (ROOT / "docs").rglob("*.md") if p.stem != "reference")]
)
_FENCE = re.compile(r"^( *)(`{3,})(\S*)\n(.*?)^\1\2 *$", re.M | re.S)
_MARK = "\x1e"


class Block(NamedTuple):
    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        lines = match[4].splitlines(keepends=True)
        inner = "".join(line.removeprefix(match[1]) for line in lines)
        found.append(Block(match[3], inner, text.count("\n", 0, match.start()) + 1))
    return found


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_kind(*kinds: str) -> list[Path]:
    return [page for page in PAGES if any(block.kind in kinds for block in blocks(page))]


@pytest.fixture(scope="module")
def packages(guest):
    for name in ("numpy", "scipy", "matplotlib"):
        try:
            pybridge.import_module(name)
        except ImportError:
            pytest.skip(f"no {name} in this guest")


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=100, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def files_and_rest(page: Path, folder: Path) -> list[Block]:
    """Write the files of a page; the other blocks."""
    rest = []
    for block in blocks(page):
        match = re.match(r"# file: (\S+)\n", block.text)
        if block.kind == "python" and match:
            (folder / match[1]).write_text(block.text, encoding="utf-8")
        else:
            rest.append(block)
    return rest


@pytest.mark.parametrize("page", with_kind("python"), ids=name_of)
def test_examples_print_what_is_shown(page, tmp_path, packages):
    rest = files_and_rest(page, tmp_path)
    program, expected = [], []
    for i, block in enumerate(rest):
        if block.kind != "python":
            continue
        program.append(block.text + f"\nprint({_MARK!r}, end='', flush=True)\n")
        following = rest[i + 1] if i + 1 < len(rest) else block
        expected.append((block.line, following.text if following.kind == "text" else ""))
    if not program:
        pytest.skip("only files")
    (tmp_path / "page.py").write_text("\n".join(program), encoding="utf-8")
    done = run([sys.executable, "page.py"], tmp_path)
    assert done.returncode == 0, done.stdout
    printed = done.stdout.split(_MARK)[:-1]
    assert len(printed) == len(expected)
    for (line, shown), out in zip(expected, printed):
        assert out == shown, f"{name_of(page)}, line {line}"


@pytest.mark.parametrize("page", with_kind("console"), ids=name_of)
def test_commands_print_what_is_shown(page, tmp_path, packages):
    for block in files_and_rest(page, tmp_path):
        if block.kind != "console":
            continue
        first, _, shown = block.text.partition("\n")
        assert first.startswith("$ pypy3 "), first
        done = run([sys.executable, *shlex.split(first)[2:]], tmp_path)
        pattern = re.escape(shown).replace(re.escape("  ...\n"), "(?s:.*)")
        assert re.fullmatch(pattern, done.stdout), (first, done.stdout)


@pytest.mark.parametrize("page", with_kind("sh"), ids=name_of)
def test_commands_that_are_not_run_exist(page):
    for block in blocks(page):
        if block.kind != "sh":
            continue
        for line in block.text.splitlines():
            found = re.search(r"-m pybridge (\S+)", line.partition("#")[0])
            if found:
                assert found[1] in COMMANDS, line


def test_links_lead_somewhere():
    for page in PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
            if target != "reference.md":  # made by `make docs`
                assert (page.parent / target).exists(), f"{name_of(page)}: {target}"
