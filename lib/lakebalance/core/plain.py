"""Functions by plain arithmetic, which IEEE 754 makes the same on every machine.

numpy's own logarithm and cosine differ in their last bits from one processor to another. Here are
``+ - * /`` and square roots alone, each rounded correctly wherever it is done.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Fraction = tuple[Sequence[float], Sequence[float]]

# Wichura's PPND16, numerator and denominator, highest power first.
CENTRAL: Fraction = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
TAIL: Fraction = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
FAR_TAIL: Fraction = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)


def minus_log(shares: Floats) -> Floats:
    """The natural logarithm of numbers from above 0 to 1, negated.

    By the series of artanh, of a number from sqrt(1/2) to sqrt(2); off by under 1e-16 there.

    Examples
    --------
    >>> minus_log(np.array([1.0, 0.5, 1e-3])).round(12).tolist()
    [0.0, 0.69314718056, 6.907755278982]
    """
    mantissa, power = np.frexp(shares)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2 * mantissa, mantissa)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    total = np.full_like(square, 1 / 21)
    for odd in range(19, 0, -2):
        total *= square
        total += 1 / odd
    return np.asarray((small - power) * math.log(2) - 2 * ratio * total)


def power_of_half(exponents: Floats) -> Floats:
    """1/2 to the power of numbers of at least 0, off by under 2e-16 of itself.

    By the exponential's series, of a number from -log(2)/2 to log(2)/2.

    Examples
    --------
    >>> power_of_half(np.array([0.0, 0.5, 3.0, 2000.0])).round(12).tolist()
    [1.0, 0.707106781187, 0.125, 0.0]
    """
    whole = np.rint(exponents)
    rest = (whole - exponents) * math.log(2)
    total = np.ones_like(rest)
    for divisor in range(14, 0, -1):
        total = 1 + total * rest / divisor
    return np.asarray(np.ldexp(total, -np.minimum(whole, 2000).astype(np.int32)))


def upper_quantile(shares: Floats) -> Floats:
    """The numbers over which a normal one lies with some probabilities, from above 0 to 1/2.

    Parameters
    ----------
    shares : the probabilities.

    References
    ----------
    Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", 1988.

    Examples
    --------
    >>> upper_quantile(np.array([0.5, 0.1, 0.025, 1e-9])).round(12).tolist()
    [0.0, 1.281551565545, 1.95996398454, 5.997807015008]
    """
    away = 0.5 - shares
    root = np.sqrt(minus_log(shares))
    return np.asarray(
        np.select(
            [away <= 0.425, root <= 5.0],
            [away * _ratio(CENTRAL, 0.180625 - away * away), _ratio(TAIL, root - 1.6)],
            _ratio(FAR_TAIL, root - 5.0),
        )
    )


def _ratio(fraction: Fraction, at: Floats) -> Floats:
    above, below = (_polynomial(coefficients, at) for coefficients in fraction)
    return above / below


def _polynomial(coefficients: Sequence[float], at: Floats) -> Floats:
    total = np.full_like(at, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= at
        total += coefficient
    return total
