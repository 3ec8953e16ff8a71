# SPDX-License-Identifier: MIT
"""C signatures as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybridge._errors import ConversionError
from pybridge._signature import CType, Signature, SignatureError, parse

GOOD = {
    "double(double)": "double(double)",
    "double (double, int __pyx_skip_dispatch)": "double(double)",
    "int()": "int()",
    "void (void)": "void()",
    "int (double *, npy_intp, double *, void *)": "int(double *, intptr_t, double *, void *)",
    "unsigned   long\tint long ( char const * const * x )": (
        "unsigned long long(const char **)"
    ),
    "long unsigned(signed char, unsigned, _Bool)": (
        "unsigned long(signed char, unsigned int, _Bool)"
    ),
    "__pyx_t_double_complex (double, __pyx_t_double_complex)": (
        "double complex(double, double complex)"
    ),
    "double complex(float _Complex)": "double complex(float complex)",
    "__pyx_t_5scipy_6linalg_11cython_blas_d (__pyx_t_5scipy_6linalg_13cython_lapack_d *)": (
        "double(double *)"
    ),
    "void (__pyx_t_5scipy_6linalg_13cython_lapack_zselect1 *)": "void(void *)",
    "double (Py_ssize_t, int __pyx_skip_dispatch, struct a *__pyx_optional_args)": (
        "double(ssize_t)"
    ),
    "const double (const double)": "double(double)",
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_what_c_and_cython_write_is_read(text):
    assert str(parse(text)) == GOOD[text]


def test_what_is_read_reads_as_itself():
    for text in GOOD:
        assert parse(str(parse(text))) == parse(text)


BAD = [
    "", "double", "double(", "double)", "double()x", "double(double", "double(double,)",
    "double(,double)", "double(double double)", "double(doubl)", "object(double)",
    "PyObject *(double)", "double(...)", "double(double[3])", "double(struct x)",
    "double(struct x *)", "double(void, int)", "double(int, void)", "short double(int)",
    "long long long(int)", "(double)(double)", "double(double))",
    "double(*)(double)",
    "double(double) except", "double(double) except x", "double(double) with gil",
    "double(double) nogil nogil", "double(double) noexcept except -1",
    "double(double) except ? *",
    "double(double __pyx_skip_dispatch)", "double(int __pyx_skip_dispatch, double)",
    "double(int __pyx_optional_args)", "double(double; double)", "dou ble(int)",
    "double(int &)",
    "__pyx_t_5scipy_6linalg_11cython_blas_q (int)", "__pyx_t_5scipy_d (int)",
    "__pyx_t_99999999scipy_d (int)", "__pyx_t_5scipy_6linalg_13cython_lapack_dselect2 (int)",
    "double(int) -1", "\u0661(int)", "double(" + "int, " * 100 + "int)", "*(int)",
    "double(double) except +",
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(
        SignatureError, match=r"not a C signature that can be called.*column \d"
    ):
        parse(text)


def test_a_refusal_is_a_bridge_error():
    assert issubclass(SignatureError, ConversionError)
    with pytest.raises(TypeError, match="a signature is a str, not int"):
        parse(3)


def test_the_words_behind_are_read():
    assert [
        (s.nogil, s.raises)
        for s in map(
            parse,
            [
                "int(int)", "int(int) nogil", "int(int) noexcept nogil",
                "int(int) nogil noexcept",
                "int(int) except -1", "int(int) except? -1 nogil", "int(int) except *",
            ],
        )
    ] == [
        (False, False), (True, False), (True, False), (True, False),
        (False, True), (True, True), (False, True),
    ]  # fmt: skip


def test_cythons_own_parameters_are_not_the_callers():
    s = parse("double (long, int __pyx_skip_dispatch, struct o *__pyx_optional_args)")
    assert (s.parameters, s.optional) == ((CType("long"),), True)
    assert not parse("double (long, int __pyx_skip_dispatch)").optional


PIECES = st.sampled_from(
    "double int long unsigned char void const * ( ) , struct nogil except -1 ? noexcept "
    "__pyx_skip_dispatch __pyx_optional_args __pyx_t_5scipy_6linalg_11cython_blas_d x [ "
    "; &".split()
)


@given(st.text(max_size=40) | st.lists(PIECES, max_size=14).map(" ".join))
def test_any_text_is_read_or_refused(text):
    try:
        s = parse(text)
    except SignatureError:
        return
    assert parse(str(s)) == s


BASES = st.sampled_from(["double", "float", "int", "unsigned char", "long long", "size_t"])
TYPES = st.builds(CType, BASES, st.integers(0, 3), st.booleans())


@given(TYPES, st.lists(TYPES, max_size=8))
def test_a_signature_survives_being_written(result, parameters):
    s = Signature(result, tuple(parameters))
    assert parse(str(s)) == s
