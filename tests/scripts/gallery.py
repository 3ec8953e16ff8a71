# SPDX-License-Identifier: MIT
"""Run every script of some folders natively and through the bridge, and compare.

    tests/scripts/gallery.py --guest VENV/bin/python --results FILE.json FOLDER...

Runs on the guest's interpreter, or any that has matplotlib.  Each script runs on that CPython
(twice, if the first comparison fails: what differs between two native runs is not compared)
and with `HOST -m pybridge run`, in its own folder, each at most `--timeout` seconds.  Compared
are the exit status, what was printed up to addresses and timings, and the figures: each that
the script shows or leaves open is a picture, whose difference must be below TOLERANCE.

The results are written after every script, and kept: `--again` repeats only those that were
not the same.  A result is

    same          all of it
    native        the script fails, or takes too long, natively: not counted
    timeout, exit, text, figures    what differs, in this order; `detail` says more
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE / "path"))
import pybridge_gallery_text  # noqa: E402

TOLERANCE = 0.01  # of matplotlib.testing.compare, root mean square of 0..255; its tests use 0
COUNTED = ("same", "timeout", "exit", "text", "figures")
_NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|\bnan\b|\binf\b")


class Run:
    """One run of a script: `rc` (None: too long), `seconds`, `out`, `err`, `pictures`."""

    def __init__(self, command: list[str], script: Path, folder: Path, timeout: float) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        env = dict(os.environ, PYBRIDGE_GALLERY=str(folder), PYTHONHASHSEED="0")
        env.update(MPLBACKEND="module://pybridge_gallery_backend", OMP_NUM_THREADS="1")
        env.update(OPENBLAS_NUM_THREADS="1", PYTHONWARNINGS="ignore", JOBLIB_TEMP_FOLDER="/tmp")
        begin = time.monotonic()
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            child = subprocess.Popen(
                [*command, script.name], cwd=script.parent, env=env,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
            try:
                self.rc: int | None = child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.rc = None
            try:
                os.killpg(child.pid, 9)  # the session is its own; also what it left behind
            except ProcessLookupError:
                pass
            child.wait()
        self.seconds = round(time.monotonic() - begin, 2)
        self.out = (folder / "out").read_bytes().decode("utf-8", "replace")
        self.err = (folder / "err").read_bytes().decode("utf-8", "replace")
        self.pictures = sorted(path.name for path in folder.glob("*.png"))


def normal(text: str) -> list[str]:
    """Lines without addresses and timings."""
    return [line.rstrip() for line in pybridge_gallery_text.normal(text).splitlines()]


def masked(line: str) -> str:
    """A line without its numbers, and without the room that their signs and digits take."""
    return re.sub(r"\s+", " ", _NUMBER.sub("#", line)).replace("[ ", "[").replace(" ]", "]")


def text_difference(native: Run, bridge: Run, second: Run | None) -> str:
    """A short diff, empty when the same.  Lines that two native runs print differently count
    only with their numbers left out."""
    a, b = normal(native.out), normal(bridge.out)
    if a == b:
        return ""
    if second is not None:
        c = normal(second.out)
        if len(a) == len(b) == len(c):
            for i in range(len(a)):
                if a[i] != c[i]:
                    a[i], b[i] = masked(a[i]), masked(b[i])
        elif len(a) != len(c):
            a, b = sorted({masked(x) for x in a}), sorted({masked(x) for x in b})
    lines = list(difflib.unified_diff(a, b, "native", "bridge", lineterm="", n=0))
    return "\n".join(lines[:12])[:1500]


def picture_difference(native: Run, bridge: Run, second: Run | None) -> str:
    """Which pictures differ and how much; those that differ natively are not looked at."""
    from matplotlib.testing.compare import compare_images

    if native.pictures != bridge.pictures:
        if second is not None and second.pictures != native.pictures:
            return ""
        return f"{len(native.pictures)} natively, {len(bridge.pictures)} through the bridge"
    found = []
    for name in native.pictures:
        expected, actual = native.folder / name, bridge.folder / name
        if expected.read_bytes() == actual.read_bytes():
            continue
        try:
            difference = compare_images(
                str(expected), str(actual), TOLERANCE, in_decorator=True
            )
        except Exception as error:
            difference = {"rms": f"{type(error).__name__}: {error}"}
        if difference is None:
            continue
        if second is not None and (second.folder / name).exists():
            same = compare_images(
                str(expected), str(second.folder / name), TOLERANCE, in_decorator=True
            )
            if same is not None:
                continue
        found.append(f"{name}: {difference['rms']}")
    return "; ".join(found)


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else ""


def compare(script: Path, options: argparse.Namespace, work: Path) -> dict[str, object]:
    """Run a script both ways and judge."""
    native_command = [options.guest]
    native = Run(native_command, script, work / "native", options.timeout)
    result: dict[str, object] = {"native": native.seconds}
    if native.rc is None:
        return {**result, "result": "native", "detail": "too long"}
    if native.rc != 0:
        return {**result, "result": "native", "detail": last_line(native.err)}
    bridge_command = [options.host, "-m", "pybridge", "run"]
    bridge = Run(bridge_command, script, work / "bridge", options.timeout * options.patience)
    result["bridge"] = bridge.seconds
    result["figures"] = len(native.pictures)
    if bridge.rc is None:
        return {**result, "result": "timeout", "detail": last_line(bridge.err)}
    if bridge.rc != 0:
        end = bridge.err[-options.detail :] if options.detail else last_line(bridge.err)
        return {**result, "result": "exit", "status": bridge.rc, "detail": end}
    text = text_difference(native, bridge, None)
    pictures = picture_difference(native, bridge, None)
    if text or pictures:
        second = Run(native_command, script, work / "second", options.timeout)
        text = text_difference(native, bridge, second)
        pictures = picture_difference(native, bridge, second)
    if text:
        return {**result, "result": "text", "detail": text}
    if pictures:
        return {**result, "result": "figures", "detail": pictures}
    return {**result, "result": "same"}


def scripts_in(folders: list[Path]) -> list[Path]:
    """All scripts, each text once, in a fixed order."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*.py")):
            if path.name.startswith(("_", "conf", "setup")):
                continue
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return sorted(found.values())


def named(names: list[str], folders: list[Path]) -> list[Path]:
    found = [[f / name for f in folders if (f / name).is_file()] for name in names if name]
    if not all(found):
        missing = [name for name, paths in zip(filter(None, names), found) if not paths]
        sys.exit("gallery.py: in none of the folders: " + ", ".join(missing))
    return [paths[0] for paths in found]


def enter_path(guest: str) -> None:
    """Let the guest, natively and in the bridge, find the backend, and seed numpy."""
    code = "import site; print(site.getsitepackages()[0])"
    site = subprocess.run([guest, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    path = Path(site.stdout.strip()) / "pybridge_gallery.pth"
    text = f"{_HERE / 'path'}\nimport pybridge_gallery_start\n"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def summary(results: dict[str, dict[str, object]]) -> str:
    counts = dict.fromkeys((*COUNTED, "native"), 0)
    for each in results.values():
        counts[str(each["result"])] += 1
    counted = sum(counts[kind] for kind in COUNTED)
    share = 100 * counts["same"] / counted if counted else 0.0
    return f"{share:.1f} % of {counted} the same; " + ", ".join(
        f"{kind} {n}" for kind, n in counts.items() if n
    )


_CAUSES = {
    "network": r"urlopen|ConnectionError|Max retries",
    "too long": "^too long$",
    "module": "ModuleNotFoundError|Missing optional dependency",
    "display": "DISPLAY",
}


def digest(results: dict[str, dict[str, object]], folders: list[Path]) -> dict[str, object]:
    """In numbers, and what was not the same; the names are relative to the folders."""

    def short(name: str) -> str:
        for folder in folders:
            if Path(name).is_relative_to(folder):
                return str(Path(name).relative_to(folder))
        return name

    counts: dict[str, dict[str, int]] = {}
    causes = dict.fromkeys([*_CAUSES, "other"], 0)
    for name, each in results.items():
        part = counts.setdefault(short(name).split("/")[0], {})
        kind = str(each["result"])
        part[kind] = part.get(kind, 0) + 1
        if kind == "native":
            found = [c for c, text in _CAUSES.items() if re.search(text, str(each["detail"]))]
            causes[found[0] if found else "other"] += 1
    same = [each for each in results.values() if each["result"] == "same"]
    return {
        "summary": summary(results),
        "folders": counts,
        "not counted, as natively": causes,
        "figures compared": sum(int(str(each["figures"])) for each in same),
        "seconds natively": round(sum(float(str(each["native"])) for each in same)),
        "seconds bridged": round(sum(float(str(each["bridge"])) for each in same)),
        "not the same": {
            short(name): each
            for name, each in results.items()
            if each["result"] not in ("same", "native")
        },
    }


def main() -> int:
    """Exit status: 0 at least `--share` per cent are the same, 1 fewer, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="Compare scripts with and without the bridge.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--guest", required=True, help="the CPython, also for native runs")
    parser.add_argument("--host", required=True, help="the Python that has pybridge")
    parser.add_argument("--results", required=True, type=Path, metavar="FILE")
    parser.add_argument("--digest", type=Path, metavar="FILE", help="the results in numbers")
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--patience", type=float, default=1.5, help="times as long if bridged")
    parser.add_argument("--sample", type=int, help="so many, chosen by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=Path, metavar="FILE", help="those named there, relative to the folders"
    )
    parser.add_argument(
        "--again", action="store_true", help="only those that were not the same"
    )
    parser.add_argument("--detail", type=int, default=0, help="characters of stderr to keep")
    parser.add_argument("--keep", type=Path, help="keep what the runs wrote in this folder")
    parser.add_argument("--share", type=float, default=98)
    options = parser.parse_args()
    os.environ["PYBRIDGE_PYTHON"] = options.guest
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    enter_path(options.guest)
    results: dict[str, dict[str, object]] = {}
    if options.results.exists():
        results = json.loads(options.results.read_text())
    if options.only is None:
        scripts = scripts_in(options.folders)
    else:
        scripts = named(options.only.read_text().split("\n"), options.folders)
    if options.sample:
        random.Random(options.seed).shuffle(scripts)
        scripts = sorted(scripts[: options.sample])
    for script in scripts:
        name = str(script)
        known = results.get(name, {}).get("result")
        if known in ("same", "native") or (known and not options.again):
            continue
        work = Path(tempfile.mkdtemp(prefix="pybridge-gallery-"))
        try:
            results[name] = compare(script, options, work)
            if options.keep is not None and results[name]["result"] not in ("same", "native"):
                shutil.rmtree(options.keep / script.stem, ignore_errors=True)
                shutil.copytree(work, options.keep / script.stem)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        options.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        print(f"{results[name]['result']:8} {script.name}", flush=True)
    chosen = {str(s): results[str(s)] for s in scripts}
    if options.digest is not None:
        text = json.dumps(digest(chosen, options.folders), indent=1)
        options.digest.write_text(text + "\n")
    line = summary(chosen)
    print(line)
    return 0 if float(line.split()[0]) >= options.share else 1


if __name__ == "__main__":
    sys.exit(main())
