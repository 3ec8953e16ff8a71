# SPDX-License-Identifier: MIT
"""The harness of `make gallery`, tests/scripts/gallery.py, sees what differs and what not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import guests
import pytest

import pybridge

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT / "tests" / "scripts" / "gallery.py"
FIGURE = """
import time
import matplotlib.pyplot as plt
plt.plot([1, 3, 2])
plt.show()
plt.figure()
plt.bar([1, 2], [HEIGHT, 2])
plt.title("drawn in %.4f s" % time.perf_counter())
print("drawn in 0.12 s at 0x7f0000000000")
"""
SIDE = "import sys\nside = 'bridge' if 'pybridge' in sys.modules else 'native'\n"
SCRIPTS = {
    "figures.py": (
        "figures",
        SIDE + FIGURE.replace("HEIGHT", "len(side) - (side == 'bridge') * 2"),
    ),
    "same.py": ("same", FIGURE.replace("HEIGHT", "3")),
    "text.py": ("text", SIDE + "print('common')\nprint(side)\n"),
    "timing.py": ("same", "import time\nprint('took %.3f seconds' % time.perf_counter())\n"),
    "random_.py": ("same", "import random, time\nprint('value', time.time_ns())\n"),
    "exit.py": ("exit", SIDE + "sys.exit(3 if side == 'bridge' else 0)\n"),
    "slow.py": ("timeout", SIDE + "import time\nif side == 'bridge': time.sleep(100)\n"),
    "broken.py": ("native", "1/0\n"),
}


@guests.once
def test_each_kind_of_difference_is_told(tmp_path, guest):
    try:
        pybridge.import_module("matplotlib")
    except ImportError:
        pytest.skip("no matplotlib in this guest")
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name, (_, text) in SCRIPTS.items():
        (folder / name).write_text(text)
    python = str(tmp_path / "venv" / "bin" / "python")  # the harness writes a .pth file there
    subprocess.run(
        [guest.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True
    )
    (site,) = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    path = [p for p in pybridge.eval("__import__('sys').path") if p.endswith("site-packages")]
    (site / "guest.pth").write_text("\n".join(path))
    command = [
        python, str(HARNESS), "--guest", python, "--host", sys.executable,
        "--results", str(tmp_path / "results.json"), "--timeout", "8", "--patience", "1",
        "--digest", str(tmp_path / "digest.json"),
    ]  # fmt: skip
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 1, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    found = {Path(name).name: each["result"] for name, each in results.items()}
    assert found == {name: kind for name, (kind, _) in SCRIPTS.items()}, results
    details = {Path(name).name: each.get("detail", "") for name, each in results.items()}
    assert "-native\n+bridge" in details["text.py"] and "002.png" in details["figures.py"]
    assert results[str(folder / "same.py")]["figures"] == 2
    assert done.stdout.splitlines()[-1].startswith("42.9 % of 7 the same; same 3, ")
    digest = json.loads((tmp_path / "digest.json").read_text())
    assert digest["not counted, as natively"]["other"] == 1
    assert set(digest["not the same"]) == {"figures.py", "text.py", "exit.py", "slow.py"}


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.implementation.name != "pypy", reason="one host is enough")
def test_thirty_examples_of_the_galleries_are_the_same(tmp_path):
    """Those of tests/scripts/sample.txt, each natively and through the bridge: two minutes."""
    examples = ROOT / ".build/gallery/files/usr/share/doc"
    guest = ROOT / ".venv-gallery/bin/python"
    if not (ROOT / ".venv-gallery/made").exists() or not examples.exists():
        pytest.skip("no examples: `tools/gallery --prepare` needs Debian and the network")
    names = HARNESS.with_name("sample.txt")
    if not all((examples / name).is_file() for name in names.read_text().split()):
        pytest.skip("the examples are those of another release than Debian 12")
    results = tmp_path / "results.json"
    command = [
        str(guest), str(HARNESS), "--guest", str(guest), "--host", sys.executable,
        "--only", str(names), "--results", str(results),
        "--patience", "3", "--share", "100", str(examples),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, results.read_text()
    assert done.stdout.splitlines()[-1].startswith("100.0 % of 30 the same")
