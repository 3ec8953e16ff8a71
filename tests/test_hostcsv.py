# SPDX-License-Identifier: MIT
"""`csv.writer` of PyPy writes numpy's floats as CPython's does."""

from __future__ import annotations

import io
import sys

import children
import pytest


def written(*rows, **how):
    import csv

    file = io.StringIO()
    csv.writer(file, lineterminator="|", **how).writerows(rows)
    return file.getvalue()


def test_a_number_is_written_as_text(np):
    a = np.array([2.5, 1e300, float("nan")])
    assert written([a[0], 1.5, "a"], a) == "2.5,1.5,a|2.5,1e+300,nan|"
    assert written([np.float32(1.5), np.int64(3), np.bool_(True)]) == "1.5,3,True|"


def test_it_stays_a_number(np):
    import csv

    assert written([np.float64(2.5), "a"], quoting=csv.QUOTE_NONNUMERIC) == '2.5,"a"|'


def test_a_dict_writer_too(np):
    import csv

    file = io.StringIO()
    w = csv.DictWriter(file, ["a", "b"], lineterminator="|")
    w.writeheader()
    w.writerow({"a": np.float64(2.5), "b": 1})
    assert file.getvalue() == "a,b|2.5,1|"


def test_errors_are_those_of_the_row(np):
    with pytest.raises(ZeroDivisionError):
        written(x / 0 for x in [1])
    with pytest.raises(TypeError, match="unsupported operand"):
        written(x + "a" for x in [1.5])
    with pytest.raises(Exception, match="iterable"):
        written(5)


def test_what_is_not_a_float_goes_to_the_host_as_it_is(np):
    class Text(str):
        pass

    x, y = Text("a"), object()
    assert written([x, None, 1, True, y]) == f"a,,1,True,{y}|"


def test_csv_may_have_been_imported_before_numpy(np):
    for before, after in (("import csv", "pass"), ("pass", "import csv")):
        children.run(f"""
            import io, pybridge
            {before}
            np = pybridge.import_module("numpy")
            np.float64(1)
            {after}
            file = io.StringIO()
            w = csv.writer(file, delimiter=";")
            assert w.writerow([np.float64(2.5), 1]) == 7 and w.dialect.delimiter == ";"
            assert file.getvalue() == "2.5;1\\r\\n", file.getvalue()
        """)


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="CPython's needs nothing")
def test_cpythons_is_left_alone(np):
    import csv

    assert type(csv.writer).__name__ == "builtin_function_or_method"
