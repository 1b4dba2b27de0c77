"""Integrals of the adjoint equations against quadrature.

That the equations give a loss's gradients is shown in `test_eventprop_simulation`.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad

from isotau.convert.tuning.methods.eventprop_adjoint_kernels import overlaps, remainder

DT = 1e-3


@pytest.mark.parametrize("x", [0.0, -1e-9, -1e-3, -0.0199, -0.0201, -0.5, -7.0, -800.0])
def test_remainder_is_that_of_the_exponential(x):
    if x > -1:
        exact = Fraction(x)
        terms = [exact**k / math.factorial(k + 2) for k in range(25)]
        expected = float(sum(terms))
    else:
        expected = (math.exp(x) - 1 - x) / x**2
    assert remainder(x) == pytest.approx(expected, rel=2e-13)


@pytest.mark.parametrize(
    "taus",
    [(0.01, 0.03), (0.03, 0.004), (0.01, 0.0100001), (0.01, DT / 50), (DT / 50, 0.01)],
)
def test_overlaps_are_integrals(taus):
    tau_mem, tau_syn = taus
    gap = abs(1 / tau_mem - 1 / tau_syn)
    own = (tau_mem, tau_syn, 1 / max(taus), gap, tau_mem >= tau_syn)
    u, i, lu, li, h = 0.3, 1.7, -0.6, 0.9, 0.8 * DT

    def response(r):
        rates = 1 / tau_mem - 1 / tau_syn
        return (np.exp(-r / tau_syn) - np.exp(-r / tau_mem)) / rates / tau_mem

    def of_mem(r):
        now = i * np.exp(-r / tau_syn) - u * np.exp(-r / tau_mem) - i * response(r)
        return lu * np.exp(-(h - r) / tau_mem) * now

    def of_syn(r):
        back = li * np.exp(-(h - r) / tau_syn) + lu * response(h - r)
        return back * i * np.exp(-r / tau_syn)

    expected = [
        quad(f, 0, h, epsabs=1e-18, epsrel=1e-11, limit=200)[0]
        for f in (of_mem, of_syn)
    ]
    np.testing.assert_allclose(overlaps(own, u, i, h, lu, li), expected, rtol=1e-8)
