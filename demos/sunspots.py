# SPDX-License-Identifier: MIT
"""Three centuries of sunspots: scipy fits a function that runs here, matplotlib draws it.

    make demo

The yearly sunspot numbers ship inside statsmodels.  scipy.signal finds the strongest waves
in them, one after the other; scipy.optimize.curve_fit then moves all of them at once until
the curve is as near to the numbers as it gets.  The curve is `activity`, a function of the
host: plain Python arithmetic, point by point, compiled by PyPy's JIT.  numpy, scipy,
statsmodels and matplotlib run in the guest, unchanged.

Why a square: sunspots are counted, so there are never fewer than none, and strong cycles
have narrower maxima than minima.  The waves add up to the square root of the number.
"""

import os
import platform
import sys
from array import array
from math import cos, hypot, pi, sin
from pathlib import Path
from time import perf_counter

import pybridge

OUT = Path(os.environ.get("PYBRIDGE_DEMOS_OUT") or Path(__file__).resolve().parent / "out")
WAVES = 6  # with a seventh two of them merge: 309 years do not tell more apart
MIDDLE = 1854.0  # phases are counted from here, so that they hardly depend on frequencies
PADDED = 8192  # points of the spectrum: fine enough to read a period off its top

INK, DATA, CURVE, MARK, GRID = "#22303c", "#8a99a6", "#d1495b", "#00798c", "#e3e8ec"
STYLE = {
    "font.size": 10.5,
    "axes.edgecolor": DATA,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


# ---- the model: host code ----------------------------------------------------------------

calls = points = 0
seconds = 0.0


def oscillation(year, level, waves):
    """The sum of all waves, each (cosine part, sine part, cycles a year)."""
    total = level
    for even, odd, frequency in waves:
        angle = 2.0 * pi * frequency * (year - MIDDLE)
        total += even * cos(angle) + odd * sin(angle)
    return total


def activity(year, level, waves):
    """The sunspot number of the model."""
    root = oscillation(year, level, waves)
    return root * root


def waves_of(parameters):
    """curve_fit's flat parameters as (level, waves)."""
    level, *rest = (float(p) for p in parameters)  # numpy.float64 objects: proxies
    return level, list(zip(rest[0::3], rest[1::3], rest[2::3]))


def model(years, *parameters):
    """What curve_fit calls: `years` is the guest's array."""
    global calls, points, seconds
    begin = perf_counter()
    level, waves = waves_of(parameters)
    curve = [activity(year, level, waves) for year in doubles(years)]
    calls += 1
    points += len(curve)
    seconds += perf_counter() - begin
    return curve  # a list of floats crosses in one piece


def doubles(guest_array):
    """A numpy array of doubles as a host list, in one crossing instead of one an item."""
    return array("d", guest_array.tobytes()).tolist()


# ---- the analysis: scipy, called from the host ----------------------------------------------


def first_guess(np, signal, years, spots):
    """Parameters to start from: find the strongest wave, take it out, look again."""
    rest = np.sqrt(spots)
    guess = [float(rest.mean())]
    rest = rest - guess[0]
    for _ in range(WAVES):
        frequencies, power = signal.periodogram(rest, window="hann", nfft=PADDED)
        frequency = float(frequencies[power.argmax()])
        angles = [2.0 * pi * frequency * (year - MIDDLE) for year in years]
        even = 2.0 * float(np.mean(rest * [cos(a) for a in angles]))
        odd = 2.0 * float(np.mean(rest * [sin(a) for a in angles]))
        guess += [even, odd, frequency]
        rest = rest - [oscillation(year, 0.0, [(even, odd, frequency)]) for year in years]
    return guess


def spectrum(signal, spots):
    """(periods, periodogram, Welch's estimate), and the period at the periodogram's top."""
    _, smooth = signal.welch(spots, nperseg=103, nfft=PADDED)
    frequencies, power = signal.periodogram(spots, window="hann", nfft=PADDED)
    lines = 1.0 / frequencies[1:], power / power.max(), smooth / smooth.max()
    return (lines[0], lines[1][1:], lines[2][1:]), 1.0 / float(frequencies[power.argmax()])


# ---- the picture: matplotlib, called from the host ------------------------------------------


def draw_series(axes, years, spots, level, waves):
    months = [years[0] + i / 12.0 for i in range(12 * (len(years) - 1) + 1)]
    curve = [activity(month, level, waves) for month in months]
    axes.fill_between(years, spots, color=DATA, alpha=0.25, linewidth=0)
    axes.plot(years, spots, ".", color=DATA, markersize=4, label="observed, one value a year")
    axes.plot(
        months, curve, color=CURVE, linewidth=1.5,
        label=f"(sum of {len(waves)} waves)², a function of the host, fitted by curve_fit",
    )  # fmt: skip
    axes.set(
        ylabel="sunspot number", yticks=range(0, 201, 50), ylim=(0, 225),
        xlim=(years[0] - 2, years[-1] + 2),
    )  # fmt: skip
    axes.set_title("Observed and fitted")
    axes.legend(loc="upper left", ncols=2, borderaxespad=0.0)
    axes.tick_params(labelbottom=False)


def draw_rest(axes, years, rest):
    axes.bar(years, rest, width=0.8, color=MARK, alpha=0.75)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set(xlabel="year", ylabel="residual", xticks=range(1700, 2001, 25))


def draw_spectrum(axes, lines, period, waves):
    periods, power, smooth = lines
    axes.fill_between(periods, power, color=DATA, alpha=0.35, linewidth=0)
    axes.plot(periods, power, color=DATA, linewidth=1, label="periodogram")
    axes.plot(
        periods, smooth, color=MARK, linewidth=1.6, label="Welch's estimate, 103-year segments"
    )
    axes.plot(
        [1.0 / frequency for _, _, frequency in waves], [0.0] * len(waves), "^", color=CURVE,
        markersize=9, clip_on=False, zorder=5, label=f"the {len(waves)} fitted waves",
    )  # fmt: skip
    axes.axvline(period, color=CURVE, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        f"{period:.2f} years", (period, 1.0), (9, -4), textcoords="offset points",
        color=CURVE, fontweight="bold", fontsize=12, va="top",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set(
        xlabel="period in years", xlim=(4, 200),
        xticks=[5, 6, 8, 10, 12, 15, 20, 30, 50, 70, 100, 150],
        ylabel="power, highest = 1", ylim=(0, 1.1),
    )  # fmt: skip
    # A host function as a tick formatter: matplotlib calls it for each tick.
    axes.xaxis.set_major_formatter(lambda years, _: f"{years:g}")
    axes.minorticks_off()
    axes.set_title("Which periods are in it")
    axes.legend(loc="upper right")


def draw(file, years, spots, level, waves, rest, lines, period, caption):
    """Draw all and write the PNG, without a display."""
    matplotlib = pybridge.import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    plt = pybridge.import_module("matplotlib.pyplot")

    figure = plt.figure(figsize=(11, 8.6), dpi=140, layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=[3.1, 1.0, 2.2])
    top = figure.add_subplot(grid[0])
    draw_series(top, years, spots, level, waves)
    draw_rest(figure.add_subplot(grid[1], sharex=top), years, rest)
    draw_spectrum(figure.add_subplot(grid[2]), lines, period, waves)
    figure.suptitle(
        f"Sunspots, {years[0]:.0f} to {years[-1]:.0f}: the sun's cycle from {host_name()}",
        fontsize=16, fontweight="bold", x=0.01, ha="left",
    )  # fmt: skip
    figure.align_ylabels()
    figure.text(0.01, -0.01, caption, fontsize=8.5, color=DATA, va="top")
    figure.savefig(str(file), bbox_inches="tight", facecolor="white")
    plt.close(figure)


# ---- all of it ------------------------------------------------------------------------------


def host_name():
    """The interpreter that runs this file."""
    if sys.implementation.name == "pypy":
        return "PyPy %d.%d.%d" % sys.implementation.version[:3]
    return f"CPython {platform.python_version()}"


def main():
    np = pybridge.import_module("numpy")
    scipy = pybridge.import_module("scipy")
    signal = pybridge.import_module("scipy.signal")
    optimize = pybridge.import_module("scipy.optimize")
    sunspots = pybridge.import_module("statsmodels.datasets.sunspots")

    table = sunspots.load_pandas().data
    spots = table["SUNACTIVITY"].to_numpy()
    years = doubles(table["YEAR"].to_numpy())

    lines, period = spectrum(signal, spots)
    start = first_guess(np, signal, years, spots)
    parameters, covariance = optimize.curve_fit(model, years, spots, p0=start)
    level, waves = waves_of(parameters)
    rest = spots - [activity(year, level, waves) for year in years]

    strongest = max(range(len(waves)), key=lambda i: hypot(*waves[i][:2]))
    fitted = 1.0 / waves[strongest][2]
    error = float(covariance[3 * strongest + 3, 3 * strongest + 3]) ** 0.5 * fitted**2
    guest = "CPython " + pybridge.import_module("platform").python_version()
    versions = f"{host_name()} as host, {guest} as guest"
    did = (
        f"the host's model was called {calls} times, {points:,} points "
        f"in {1000 * seconds:.0f} ms"
    )

    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "sunspots.png"
    caption = (
        f"Data: statsmodels.datasets.sunspots.  {versions}, scipy {scipy.__version__}; {did}."
    )
    draw(file, years, spots, level, waves, rest, lines, period, caption)
    print(
        f"sunspots: period {period:.2f} years (periodogram), "
        f"{fitted:.2f} +- {error:.2f} years (fit); "
        f"residual {float(rest.std()):.1f} sunspots rms, of {float(spots.std()):.1f}; "
        f"{did}; {versions}"
    )


if __name__ == "__main__":
    main()
