# SPDX-License-Identifier: MIT
"""numpy's scalars where a program has plain numbers: each expression gives on the host what it
gives in the guest, in type, text and warnings, or the same error.

`DIFFERENT` has those that do not, and why (docs/semantics.md).  Messages of errors are each
interpreter's own.
"""

from __future__ import annotations

import guests
import pytest

import pybridge

pytestmark = guests.once

# In the host and in the guest.  `outcome` tells the classes of what is in a container, too.
SETUP = """
import array, bisect, collections, copy, csv, datetime, decimal, enum, fractions, functools
import heapq, io, itertools, json, math, numbers, operator, random, re, sqlite3, statistics
import string, struct, time, warnings, zlib

class L(list):
    pass

class Own(list):
    def __mul__(self, other):
        return "Own", type(other).__name__
    __rmul__ = __mul__

class T(tuple):
    pass

class Scale:
    __array_ufunc__ = None
    def __mul__(self, other):
        return "mul", type(other).__name__
    def __rmul__(self, other):
        return "rmul", type(other).__name__
    def __radd__(self, other):
        return "radd", type(other).__name__
    def __gt__(self, other):
        return "gt", type(other).__name__
    def __eq__(self, other):
        return "eq", type(other).__name__

class Bare:
    pass

class Kind:
    def __getitem__(self, key):
        return type(key).__name__

class Color(enum.IntEnum):
    RED = 1
    BLUE = 3

class Odd(float):
    def __str__(self):
        return "odd"
    def __repr__(self):
        return "Odd(...)"

P = collections.namedtuple("P", "a b")
obj, inner = Bare(), []

def rng():
    return random.Random(1)

def put(l, i, x):
    l[i] = x
    return l

def drop(l, i):
    del l[i]
    return l

def filled(code, *xs):
    r = array.array(code)
    for x in xs:
        r.append(x)
    return r

def iadd(x, y):
    x += y
    return x

def imul(x, y):
    x *= y
    return x

def in_place(l, n):
    m = l
    l *= n
    return m is l, m

def rows(*rows, **how):
    file = io.StringIO()
    w = csv.writer(file, **how)
    for row in rows:
        w.writerow(row)
    w.writerows(rows)
    return file.getvalue(), w.dialect.delimiter

def told(x):
    kind = type(x).__name__
    if type(x) in (list, tuple, set, frozenset):
        return kind + "[" + ", ".join(told(i) for i in x) + "]"
    if type(x) is dict:
        return kind + "{" + ", ".join(told(k) + ": " + told(x[k]) for k in x) + "}"
    return kind + " " + repr(x)

def outcome(text):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = told(eval(text, globals()))
        except Exception as error:
            return type(error).__name__
    # Files that PyPy closes late are not what is asked about.
    found = [w.category.__name__ for w in caught if w.category is not ResourceWarning]
    return result, found
"""

MADE = """
k, x, b, f, u = np.int64(3), np.float64(2.5), np.bool_(True), np.float32(1.5), np.uint8(200)
i8, h, c, s = np.int8(-3), np.float16(1.5), np.complex128(1 + 2j), np.str_("abc")
d, t = np.datetime64("2020-01-02"), np.timedelta64(3, "D")
"""
READ = """
k, x, b = np.array([3])[0], np.array([2.5])[0], np.array([True])[0]
f, u, i8 = np.array([1.5], "f4")[0], np.array([200], "u1")[0], np.array([-3], "i1")[0]
h, c, s = np.array([1.5], "f2")[0], np.array([1 + 2j])[0], np.array(["abc"])[0]
d, t = np.array(["2020-01-02"], "M8[D]")[0], np.array([3], "m8[D]")[0]
"""

EXPRESSIONS = {
    "sequences": """
[0] * k
k * [0]
[] * k
[k, None] * k
k * ["a", x, None]
[v is obj for v in [obj] * k]
[v is inner for v in k * [inner]]
[v is x for v in [x] * k]
"ab" * k
k * "ab"
(1,) * k
k * (1,)
b"x" * k
k * b"x"
bytearray(b"x") * k
k * bytearray(b"x")
array.array("i", [1]) * k
k * array.array("i", [1])
collections.deque([1]) * k
k * collections.deque([1])
L([1]) * k
k * L([1])
Own([1]) * k
k * T((1,))
k * P(1, 2)
range(3) * k
k * {1}
{} * k
k * {}
None * k
memoryview(b"a") * k
k * memoryview(b"a")
[0] * u
[1] * i8
i8 * [1, 2]
[0] * np.int64(0)
[0] * np.uint64(2)
[1] * np.uint64(2**63)
np.int64(2**62) * [1]
[0] * b
b * [0]
"ab" * b
b * bytearray(b"x")
[0] * x
x * [0]
"ab" * x
x * (1,)
x * bytearray(b"x")
x * array.array("d", [1])
array.array("d", [1]) * f
x * L([1])
L([1]) * x
f * [1.0]
h * [1]
h * bytearray(b"x")
[1] * c
t * [1]
in_place([1], k)
in_place(bytearray(b"ab"), k)
in_place(array.array("i", [1]), k)
imul([1], x)
imul("ab", k)
imul((1, 2), k)
iadd([1, 2], k)
iadd([1], [k])
[1, 2] + k
(1, 2) + k
x + [1, 2]
x ** [1, 2]
[1.0] - x
k & [1]
k == [3]
[3] == k
x < (3,)
[1, 2] * np.array([3, 4])
np.array([1]) * bytearray(b"a")
[1] * np.array([2])
operator.mul([0], k)
operator.concat([0], [k])
Scale() * k
k * Scale()
x + Scale()
k < Scale()
Scale() == k
k * Bare()
Bare() * k
x < Bare()
k == Bare()
s * 2
s + "d"
"a" + s
s * k
collections.deque([1]) * f
""",
    "indices": """
list(range(10))[k]
list(range(10))[-k]
list(range(10))[:k]
list(range(10))[k:]
list(range(10))[::k]
list(range(10))[i8:]
(1, 2, 3, 4)[k]
"abcdef"[k]
"abcdef"[:k]
b"abcdef"[k]
bytearray(b"abcdef")[k]
range(10)[k]
range(10)[:k]
array.array("i", range(10))[:k]
array.array("i", range(10))[k]
collections.deque(range(5))[k]
memoryview(b"abcdef")[k]
[1, 2, 3][b]
[1, 2, 3][x]
[1, 2][k]
put([1, 2, 3, 4], k, 9)
put([1, 2, 3, 4], slice(k), [9])
drop([1, 2, 3, 4], k)
[1, 2, 3, 4].pop(k)
Kind()[k]
Kind()[x]
slice(k).indices(10)
operator.index(k)
operator.index(b)
operator.index(x)
operator.itemgetter(k)([1, 2, 3, 4])
range(k)
range(0, 10, k)
list(range(k, 10))
range(x)
range(b)
k in range(10)
x in range(10)
range(10).index(k)
"abcabc".find("a", k)
"a".center(k)
"a".zfill(k)
"aaaa".replace("a", "b", k)
[1, 3, 3].count(k)
list(itertools.islice(range(10), k))
list(itertools.repeat(1, k))
list(itertools.combinations(range(4), k))
list(enumerate("ab", k))
[next(n) for n in [itertools.count(k, 2)] for _ in range(3)]
heapq.nlargest(k, range(10))
io.BytesIO(b"abcdef").read(k)
re.match("(a)(b)(c)", "abc").group(k)
np.arange(6)[k]
np.arange(6)[:k]
np.zeros((k, 2)).shape
np.arange(6).reshape(k, -1)
""",
    "functions": """
round(k)
round(k, -1)
round(x)
round(x, 1)
round(2.567, k)
round(f)
round(f, 1)
round(b)
round(c)
hex(k)
bin(k)
hex(i8)
hex(x)
hex(b)
bytes(k)
bytes([k, u])
bytes([i8])
bytes(x), bytes(b), bytes(f), bytes(h), bytes(c), bytes(d), bytes(t)
memoryview(k).tobytes()
zlib.crc32(x)
chr(k)
chr(x)
chr(b)
int(k), int(x), int(b), int(f), int(h)
float(k), float(x), float(b), float(f)
complex(k), complex(x), complex(c), complex(k, x)
int(c)
bool(k), bool(x), bool(t)
int("11", k)
int(np.float64("inf"))
int.from_bytes(b"abcdef"[:k], "big")
(5).to_bytes(k, "big")
k.bit_length()
k.is_integer()
k.to_bytes(2, "big")
k.numerator
k.real
x.as_integer_ratio()
x.hex()
x.item(), k.item(), b.item(), f.item(), d.item(), t.item(), s.item()
math.factorial(k)
math.gcd(k, 6)
math.comb(10, k)
math.isqrt(k)
math.sqrt(k)
math.sqrt(np.float64(-1))
math.floor(x), math.ceil(x), math.trunc(x)
math.floor(k)
math.trunc(k)
math.isnan(x)
math.ldexp(x, k)
math.fsum([x, k, f])
math.prod([k, k, 2])
math.isclose(x, 2.5)
divmod(k, 2)
divmod(7, k)
divmod(x, k)
divmod(k, 0)
divmod(t, t)
pow(k, 2)
pow(k, 3, 7)
pow(2, k, 5)
pow(k, -1)
pow(x, 2, 3)
2 ** k
k ** 0.5
u + 100
u + 1000
-u
~b
b + b
b - b
k / 0
k // 0
1 << k
k & x
1 & b
k + 2**70
x + 2**1100
np.uint8(1) - np.uint8(2)
np.int64(2**63 - 1) + 1
np.int64(2) ** 64
struct.pack("q", k)
struct.pack("d", k)
struct.pack("f", f)
struct.pack("q", x)
struct.pack("B", i8)
struct.pack("?", b)
filled("i", k)
filled("d", x, k, f)
filled("B", i8)
filled("i", x)
array.array("d", [x, k, b])
rng().randrange(k)
rng().randint(1, k)
rng().sample([1, 2, 3, 4], k)
rng().choices([1, 2], k=k)
rng().uniform(x, k)
time.gmtime(k)
datetime.timedelta(days=x)
datetime.timedelta(days=k)
datetime.timedelta(1) * k
x * datetime.timedelta(1)
datetime.date(2020, k, k)
datetime.date(2020, 1, 3) - d
datetime.timedelta(1) + t
fractions.Fraction(k)
fractions.Fraction(k, 2)
fractions.Fraction(f)
k + fractions.Fraction(1, 2)
fractions.Fraction(1, 2) * x
decimal.Decimal(k)
decimal.Decimal(x)
decimal.Decimal(1) + k
x + decimal.Decimal(1)
decimal.Decimal("2.5") == x
statistics.mean([k, 4])
statistics.mean([x, 1.5])
statistics.mean([x, k])
statistics.median([k, 1, 2])
statistics.stdev([x, 1.0, 2.0])
functools.reduce(operator.add, [k, k, 1])
list(itertools.accumulate([k, 1, x]))
bisect.bisect([1, 2, 3, 4], k)
type(k * 1.0)
""",
    "texts": """
str(k), str(x), str(b), str(f), str(h), str(c), str(d), str(t), str(s)
repr([k, x, b, f, u, h, c, s, d, t])
"%d" % k
"%d" % x
"%d" % b
"%5d|%-5d|%05d" % (k, k, k)
"%x" % u
"%c" % k
"%s %r" % (x, x)
"%.2f" % x
"%5.1f" % f
"%g" % k
"%s" % [k]
b"%d" % k
"%*d" % (k, 5)
f"{k} {k:5d} {k:x} {k:,} {k:.2f} {k!r}"
f"{x} {x:.3f} {x:10.2e} {x:%} {x!r}"
f"{x:d}"
f"{b} {b:5}"
f"{b:d}"
f"{f} {f:.3f}"
f"{u:08b}"
f"{h:.2f} {c:.2f}"
f"{d:>12} {t} {s:>5}"
f"{k:{k}} {1.5:{k}.{k}f}"
format(k, "q")
string.Template("$k $x").substitute(k=k, x=x)
"-".join([s, s])
s.upper()
json.dumps(k)
json.dumps([x, 1])
json.dumps(b)
json.dumps(f)
json.dumps({x: s})
json.dumps({k: 1})
json.dumps({"a": k}, default=int)
rows([k, x, b, f], [x, "a"])
rows([x, "a", None, 1.5], quoting=csv.QUOTE_NONNUMERIC)
rows(np.array([1.5, 1e300]), (x,))
rows([Odd(1.5), np.float64("nan"), np.float64(1e16)])
rows(v / 0 for v in [1])
rows(v + "a" for v in [1])
sqlite3.connect(":memory:").execute("select ?, ?", (x, s)).fetchone()
""",
    "containers": """
{k: 1, 3: 2}
{3: 2, k: 1}
{k: 1}[3]
{3: 1}[k]
{2.5: 1}[x]
{1: 2}[b]
{1.5: 1}[f]
{(k, 1): 2}[3, 1]
[type(v).__name__ for v in {k, 3, np.int32(3), 3.0}]
len({k, 3, u, 200, x, 2.5, b, 1, True})
k in {1, 2, 3}
3 in {k}
x in (1.0, 2.5)
b in [1]
k in "abc"
hash(k) == hash(3), hash(x) == hash(2.5), hash(b) == hash(True), hash(f) == hash(1.5)
collections.Counter([k, 3, 3])
sorted({k, 1, 2})
sum([k, k])
sum([1, k, 2.5])
sum([b, b])
sum([u, u])
sum([u, 100])
sum([x, x], x)
min([k, 1, 2.5])
max(k, 5)
max(x, k, 1)
max([(k, 1), (3, 2)])
min(3, k)
sorted([k, 1, x, 2.75, u])
sorted([3, 1, 2], key=lambda v: -v * k)
sorted([d, np.datetime64("2019-01-01")])
sorted([s, "b", "a"])
sorted([3, 1], key=functools.cmp_to_key(lambda p, q: p * k - q * k))
(k, x) == (3, 2.5)
[k, x] < [3, 3]
{"a": k} == {"a": 3}
list(filter(None, [k, np.int64(0), x]))
list(map(int, [k, x, b]))
dict(zip([k], [x]))
any([b, 0])
isinstance(k, int), isinstance(x, float), isinstance(b, bool), isinstance(f, float)
isinstance(c, complex), isinstance(s, str), isinstance(k, np.integer)
isinstance(k, numbers.Integral), isinstance(x, numbers.Real), isinstance(b, numbers.Number)
issubclass(np.float64, float), issubclass(np.int64, int)
type(k) is np.int64, type(x) is np.float64
hasattr(k, "missing"), hasattr(k, "__index__"), hasattr(x, "__index__")
len(k)
iter(k)
k[0]
x[()]
k == "3"
k != None
x == None
k < None
k + None
1 < k < 5
k or 5
not b
x == x.astype(int)
np.float64("nan") == np.float64("nan")
x is not None
copy.deepcopy([x, k])
k == Color(3)
k + Color.RED
x * Color.BLUE
""",
}

DIFFERENT = {
    "PyPy takes plain ints only there": (
        'array.array("i", range(10))[k]',
        "collections.deque(range(5))[k]",
        'memoryview(b"abcdef")[k]',
    ),
    "PyPy makes do with __int__ where CPython wants __index__": (
        "chr(b)",
        '"%*d" % (k, 5)',
        "collections.deque([1]) * f",
    ),
    "a host float or int has no buffer": (
        "memoryview(k).tobytes()",
        "zlib.crc32(x)",
    ),
    "numpy 2 refuses, the host asks `str` first": ("s * k",),
    "PyPy's datetime is in Python: another error": ("datetime.timedelta(days=k)",),
    "guest classes have a metaclass": ("type(k * 1.0)",),
}
_WHY = {text: why for why, texts in DIFFERENT.items() for text in texts}
_CASES = [
    pytest.param(text, id=f"{group}-{text}")
    for group, texts in EXPRESSIONS.items()
    for text in texts.split("\n")
    if text
]


def _names(values):
    host, guest = {}, {}
    host["np"] = guest["np"] = pybridge.import_module("numpy")
    exec(SETUP + values, host)
    pybridge.exec(SETUP + values, guest)
    return host["outcome"], guest["outcome"]


@pytest.fixture(scope="module")
def made(np):
    return _names(MADE)


@pytest.fixture(scope="module")
def read(np):
    return _names(READ)


@pytest.mark.parametrize("text", _CASES)
def test_an_expression_gives_what_it_gives_in_the_guest(made, read, text):
    for host, guest in (made, read):
        got, expected = host(text), guest(text)
        if text in _WHY:
            assert got != expected, f"{_WHY[text]}: not any more"
        else:
            assert got == expected


def test_each_difference_is_one_of_the_expressions():
    assert set(_WHY) <= {case.values[0] for case in _CASES}
