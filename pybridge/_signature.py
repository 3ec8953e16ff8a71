# SPDX-License-Identifier: MIT
"""C signatures as text: a strict parser.

    parse("double (double, int __pyx_skip_dispatch)")

Understands what C, Cython's capsules and scipy's LowLevelCallable write: types of one or more
words (`unsigned long long`, `double complex`), `const`, stars, names of parameters, Cython's
mangled typedefs of scipy's own modules, and the words that Cython puts behind
(`noexcept nogil`, `except -1`).  What it does not know is refused: a guessed type would be a
wild access.

Two parameters of Cython's own have a fixed meaning and are not the caller's: the int
`__pyx_skip_dispatch`, which a module's functions do not read, and the struct
`__pyx_optional_args`, where NULL stands for the defaults.
"""

from __future__ import annotations

from pybridge._errors import ConversionError

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 64  # parameters

# Names of one word: what cffi calls them.
_WORDS = {
    "void": "void", "float": "float", "double": "double", "_Bool": "_Bool", "bool": "_Bool",
    "size_t": "size_t", "ssize_t": "ssize_t", "Py_ssize_t": "ssize_t",
    "intptr_t": "intptr_t", "uintptr_t": "uintptr_t", "ptrdiff_t": "ptrdiff_t",
    "npy_intp": "intptr_t", "intp_t": "intptr_t", "npy_double": "double", "npy_float": "float",
    "npy_int32": "int32_t", "npy_int64": "int64_t", "npy_bool": "uint8_t",
    **{f"{u}int{n}_t": f"{u}int{n}_t" for u in ("", "u") for n in (8, 16, 32, 64)},
    "__pyx_t_float_complex": "float complex", "__pyx_t_double_complex": "double complex",
}  # fmt: skip

# Words that make up a type together, in any order: sorted.
_SPECIFIERS = {
    "char": "char", "char signed": "signed char", "char unsigned": "unsigned char",
    "short": "short", "int short": "short",
    "short unsigned": "unsigned short", "int short unsigned": "unsigned short",
    "short signed": "short", "int short signed": "short",
    "int": "int", "signed": "int", "int signed": "int",
    "unsigned": "unsigned int", "int unsigned": "unsigned int",
    "long": "long", "int long": "long", "long signed": "long", "int long signed": "long",
    "long unsigned": "unsigned long", "int long unsigned": "unsigned long",
    "long long": "long long", "int long long": "long long",
    "long long signed": "long long", "int long long signed": "long long",
    "long long unsigned": "unsigned long long", "int long long unsigned": "unsigned long long",
    "double": "double", "float": "float", "double long": "long double",
    "complex double": "double complex", "complex float": "float complex",
    "_Complex double": "double complex", "_Complex float": "float complex",
}  # fmt: skip
_PARTS = {word for key in _SPECIFIERS for word in key.split()}

_BLAS = {"s": "float", "d": "double", "c": "float complex", "z": "double complex"}
# Cython's ctypedefs, by the module that they stand in.
_TYPEDEFS = {"scipy.linalg.cython_blas": _BLAS, "scipy.linalg.cython_lapack": _BLAS}

COMPLEX = ("float complex", "double complex")


class SignatureError(ConversionError):
    """A text is no C signature, or not one that can be called."""


class CType:
    """A C type: `base` as cffi writes it, behind `stars` pointers; `const`: what it points to
    is not written."""

    __slots__ = ("base", "const", "stars")

    def __init__(self, base: str, stars: int = 0, const: bool = False) -> None:
        self.base = base
        self.stars = stars
        self.const = const and stars > 0

    def __str__(self) -> str:
        text = f"const {self.base}" if self.const else self.base
        return f"{text} {'*' * self.stars}" if self.stars else text

    def __repr__(self) -> str:
        return f"<C type {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CType) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Signature:
    """What a C function takes and gives.

    `nogil`: it says that it may be called without the GIL; `raises`: that it reports errors
    by a guest exception; `optional`: it has Cython's parameter of optional arguments.
    """

    __slots__ = ("nogil", "optional", "parameters", "raises", "result")

    def __init__(
        self,
        result: CType,
        parameters: tuple[CType, ...],
        nogil: bool = False,
        raises: bool = False,
        optional: bool = False,
    ) -> None:
        self.result = result
        self.parameters = parameters
        self.nogil = nogil
        self.raises = raises
        self.optional = optional

    def __str__(self) -> str:
        return f"{self.result}({', '.join(map(str, self.parameters))})"

    def __repr__(self) -> str:
        return f"<C signature {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse(text: str) -> Signature:
    """The signature that `text` writes.  Raises SignatureError, which says where it fails."""
    if not isinstance(text, str):
        raise TypeError(f"a signature is a str, not {type(text).__name__}")
    return _Parser(text).signature()


class _Parser:
    """One text: its tokens, and where the next one stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def _error(self, what: str) -> SignatureError:
        place = self._tokens[self._at][1] if self._at < len(self._tokens) else len(self._text)
        return SignatureError(
            f"not a C signature that can be called: {self._text!r}: {what} at column {place}; "
            'write for example "double(double, int *, void *)"'
        )

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            raise self._error(f"expected {token!r}, found {self._peek() or 'the end'!r}")
        self._at += 1

    def signature(self) -> Signature:
        result = self._type()
        self._expect("(")
        parameters: list[CType] = []
        own: list[str] = []  # Cython's
        if self._peek() == "void" and self._after() == ")":
            self._at += 1
        while self._peek() != ")":
            if parameters or own:
                self._expect(",")
            kind, name = self._parameter()
            if name in ("__pyx_skip_dispatch", "__pyx_optional_args"):
                own.append(name)
            elif own:
                raise self._error(f"a parameter behind {own[-1]}")
            else:
                parameters.append(kind)
            if len(parameters) + len(own) > _MOST:
                raise self._error(f"more than {_MOST} parameters")
        self._expect(")")
        nogil, raises = self._suffix()
        if self._peek():
            raise self._error(f"unexpected {self._peek()!r}")
        optional = "__pyx_optional_args" in own
        return Signature(result, tuple(parameters), nogil, raises, optional)

    def _after(self) -> str:
        return self._tokens[self._at + 1][0] if self._at + 1 < len(self._tokens) else ""

    def _parameter(self) -> tuple[CType, str]:
        if self._peek() == "struct":
            self._at += 1
            name = self._next()
            self._expect("*")
            if self._peek() != "__pyx_optional_args":
                raise self._error(f"struct {name} is not known here: say void * instead")
            return CType("void", 1), self._next()
        kind = self._type()
        if kind.base == "void" and not kind.stars:
            raise self._error("a parameter of type void")
        if not _is_name(self._peek()):
            return kind, ""
        name = self._next()
        if name == "__pyx_skip_dispatch" and str(kind) != "int":
            raise self._error("__pyx_skip_dispatch that is no int")
        if name == "__pyx_optional_args":
            raise self._error("__pyx_optional_args that is no struct")
        return kind, name

    def _type(self) -> CType:
        const = False
        words: list[str] = []
        base = ""
        while True:
            token = self._peek()
            if token == "const":
                const = True
            elif token in _PARTS and not base:
                words.append(token)
            elif _is_name(token) and not words and not base:
                base = self._named(token)
            else:
                break
            self._at += 1
        if words:
            base = _SPECIFIERS.get(" ".join(sorted(words)), "")
            if not base:
                raise self._error(f"no type {' '.join(words)!r}")
        if not base:
            raise self._error(f"expected a type, found {token or 'the end'!r}")
        stars = 0
        while self._peek() == "*" or (stars and self._peek() == "const"):
            stars += self._next() == "*"
        if base == "(function)":
            if stars != 1:
                raise self._error("a function that is not behind one pointer")
            base = "void"
        return CType(base, stars, const)

    def _named(self, token: str) -> str:
        known = _WORDS.get(token)
        if known is None and token.startswith("__pyx_t_"):
            known = _typedef(token)
        if known is None:
            raise self._error(f"unknown type {token!r}")
        return known

    def _suffix(self) -> tuple[bool, bool]:
        nogil = raises = False
        seen: set[str] = set()
        while _is_name(self._peek()):
            word = self._next()
            if word in seen or (
                word in ("except", "noexcept") and seen & {"except", "noexcept"}
            ):
                self._at -= 1
                raise self._error(f"{word!r} a second time")
            seen.add(word)
            if word == "nogil":
                nogil = True
            elif word == "except":
                raises = True
                question = self._peek() == "?"
                self._at += question
                token = self._next()
                if not (token.lstrip("-").isdigit() or (token == "*" and not question)):
                    self._at -= 1
                    raise self._error("expected the value that reports an error")
            elif word != "noexcept":
                self._at -= 1
                raise self._error(f"unexpected {word!r}")
        return nogil, raises


def _is_name(token: str) -> bool:
    return token[:1].isalpha() or token[:1] == "_"


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """(token, column from 0); what is no token is one by itself, which nothing expects."""
    import re

    for match in re.finditer(r"[A-Za-z_][A-Za-z0-9_]*|-?[0-9]+|\S", text, re.ASCII):
        yield match[0], match.start()


def _typedef(token: str) -> str | None:
    """A typedef of a Cython module: __pyx_t_ and, each with its length, the packages' names,
    then the typedef's."""
    rest = token[len("__pyx_t_") :]
    parts = []
    while rest[:1].isdigit():
        n = 0
        while rest[:1].isdigit() and n < 1000:
            n, rest = 10 * n + int(rest[0]), rest[1:]
        if n >= len(rest) or rest[n] != "_":
            return None
        parts.append(rest[:n])
        rest = rest[n + 1 :]
    module = ".".join(parts)
    known = _TYPEDEFS.get(module)
    if known is None:
        return None
    if rest[1:7] == "select" and rest[:1] in known and rest[7:] in ("1", "2", "3"):
        return "(function)"  # LAPACK's choice of eigenvalues
    return known.get(rest)
