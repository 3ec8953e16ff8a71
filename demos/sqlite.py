# SPDX-License-Identifier: MIT
"""SQL that calls the host: the guest's sqlite3 with a function written here.

A table of the public names of some modules is searched for what was meant by a misspelt
name.  The search is SQL and runs in the guest's SQLite; `edits`, which it calls for each
row, is a function of the host: the kind of loop that PyPy's JIT is good at.
"""

import os
import platform
import sys
from pathlib import Path
from time import perf_counter

import pybridge

OUT = Path(os.environ.get("PYBRIDGE_DEMOS_OUT") or Path(__file__).resolve().parent / "out")
MODULES = ["collections", "datetime", "functools", "inspect", "json", "math", "os", "os.path"]
MODULES += ["pathlib", "random", "re", "shutil", "socket", "statistics", "subprocess", "time"]
MISSPELT = [
    "json.dumb",
    "os.path.basname",
    "functools.reduse",
    "random.schuffle",
    "math.squirt",
]

SEARCH = """
    SELECT name, edits(name, :meant) AS distance
    FROM names
    ORDER BY distance, name
    LIMIT 1
"""

calls = 0


def edits(a, b):
    """How many letters to insert, delete or replace to make `a` into `b`."""
    global calls
    calls += 1
    row = list(range(len(b) + 1))
    for i in range(len(a)):
        diagonal, row[0] = row[0], i + 1
        for j in range(len(b)):
            cost = diagonal if a[i] == b[j] else diagonal + 1
            diagonal = row[j + 1]
            row[j + 1] = min(cost, diagonal + 1, row[j] + 1)
    return row[-1]


def names():
    """Rows for the table: what the guest's modules offer."""
    for module in MODULES:
        for name in dir(pybridge.import_module(module)):
            if not name.startswith("_"):
                yield (f"{module}.{name}",)


def host_name():
    """The interpreter that runs this file."""
    if sys.implementation.name == "pypy":
        return "PyPy %d.%d.%d" % sys.implementation.version[:3]
    return f"CPython {platform.python_version()}"


def main():
    sqlite3 = pybridge.import_module("sqlite3")
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "sqlite.db"
    file.unlink(missing_ok=True)

    connection = sqlite3.connect(str(file))
    connection.create_function("edits", 2, edits, deterministic=True)
    rows = list(names())
    with connection:  # commits, or rolls back if an exception leaves the block
        connection.execute("CREATE TABLE names (name TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO names VALUES (?)", rows)
        connection.execute("CREATE TABLE answers (misspelt TEXT, name TEXT, distance INTEGER)")

    answers = []
    begin = perf_counter()
    with connection:
        for misspelt in MISSPELT:
            name, distance = connection.execute(SEARCH, {"meant": misspelt}).fetchone()
            connection.execute(
                "INSERT INTO answers VALUES (?, ?, ?)", (misspelt, name, distance)
            )
            answers.append(f"{misspelt} -> {name}")
    seconds = perf_counter() - begin
    connection.close()

    guest = "CPython " + pybridge.import_module("platform").python_version()
    print(
        f"sqlite: {', '.join(answers)}; SQLite {sqlite3.sqlite_version} called the host's "
        f"edits() {calls:,} times for {len(rows):,} names, in {1000 * seconds:.0f} ms; "
        f"{host_name()} as host, {guest} as guest; wrote demos/out/{file.name}"
    )


if __name__ == "__main__":
    main()
