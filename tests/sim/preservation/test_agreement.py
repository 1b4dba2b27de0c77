"""Agreement against scipy, closed forms and simulated truth.

Slopes of log ratios against least squares with dummies, and coverage.
"""

import numpy as np
import pytest
from scipy import optimize, stats

from isotau.sim.preservation import Pair, PreservationConfig, agreement, pairings
from isotau.sim.preservation.agreement import covariates
from isotau.sim.preservation.bootstrap import each, features, moments, totals
from isotau.sim.preservation.pair import log_tau

NAN = float("nan")


def spread(x, y):
    return each(moments(features(x, y).sum(axis=0)))


@pytest.fixture
def xy():
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1, 50)
    return x, 0.5 + 0.8 * x + 0.4 * rng.normal(size=50)


def test_concordance_by_its_definition(xy):
    # 1 − E (y − x)² / E (y − x)² of independent ones, with variances over n − 1.
    x, y = xy
    n = len(x)
    apart = (x.mean() - y.mean()) ** 2
    square = ((y - x) ** 2).sum() / (n - 1) - apart * n / (n - 1) + apart
    independent = x.var(ddof=1) + y.var(ddof=1) + apart
    found = agreement.concordance(spread(x, y))
    assert found == pytest.approx(1 - square / independent)
    assert agreement.concordance(spread(x, x)) == pytest.approx(1)
    assert agreement.concordance(spread(x, x + 3)) < 0.5


def test_correlation(xy):
    expected = stats.pearsonr(*xy).statistic
    assert agreement.correlation(spread(*xy)) == pytest.approx(expected)
    assert np.isnan(agreement.correlation(spread(xy[0], np.ones(50))))


@pytest.mark.parametrize("ratio", [1.0, 0.25, 4.0])
def test_deming_is_the_line_of_least_distance(xy, ratio):
    # Of errors of y in units of their SD √δ, and of x in units of 1.
    x, y = xy

    def squares(line):
        slope, intercept = line
        return ((y - intercept - slope * x) ** 2).sum() / (ratio + slope**2)

    expected = optimize.minimize(squares, [1.0, 0.0], tol=1e-10).x
    found = agreement.deming(spread(*xy), np.array(ratio))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_deming_of_a_falling_line_and_of_none():
    x = np.array([0.0, 1, 2, 3])
    slope, intercept = agreement.deming(spread(x, 5 - 2 * x), np.array(1.0))
    assert (slope, intercept) == pytest.approx((-2, 5))
    slope, _ = agreement.deming(spread(x, np.ones(4)), np.array(1.0))
    assert slope == pytest.approx(0)
    slope, _ = agreement.deming(spread(np.ones(4), x), np.array(1.0))
    assert np.isnan(slope)


def test_limits_of_agreement(xy):
    d = xy[1] - xy[0]
    expected = d.mean() + d.std(ddof=1) * stats.norm.ppf([0.025, 0.975])
    assert agreement.limits_of_agreement(spread(*xy)) == pytest.approx(expected)


def test_kappa_against_its_definition():
    rng = np.random.default_rng(1)
    x, y = rng.random((2, 200)) < np.array([[0.3], [0.25]])
    y |= x & (rng.random(200) < 0.5)
    observed = (x == y).mean()
    chance = x.mean() * y.mean() + (~x).mean() * (~y).mean()
    counts = np.array([x.sum(), y.sum(), (x & y).sum()], dtype=float)
    found = agreement.kappa(counts, np.array(200.0))
    assert found == pytest.approx((observed - chance) / (1 - chance))
    assert agreement.kappa(np.array([5.0, 5, 5]), np.array(20.0)) == pytest.approx(1)
    assert np.isnan(agreement.kappa(np.zeros(3), np.array(0.0)))


def test_numbers_find_the_truth(make_pairs):
    # Spread 0.5, noise 0.3: reliability 0.25/0.34; scatter s: ρ = √(0.25/(0.25 + s²)).
    sums = totals(pairings.levels(make_pairs(2, 4, 20_000, scatter=0.3, shift=0.1)))
    found = {name: float(value) for name, value in agreement.numbers(sums).items()}
    assert found["reliability_a"] == pytest.approx(0.25 / 0.34, abs=0.01)
    assert found["reliability_b"] == pytest.approx(0.34 / 0.43, abs=0.01)
    assert found["disattenuated"] == pytest.approx(np.sqrt(0.25 / 0.34), abs=0.01)
    assert found["mean_ratio"] == pytest.approx(np.exp(0.1), abs=0.01)
    assert found["sd_ab"] == pytest.approx(np.sqrt(0.09 * 3), abs=0.01)
    assert found["sd_aa"] == pytest.approx(0.3 * np.sqrt(2), abs=0.01)
    assert found["permuted_sd"] == pytest.approx(0.5 * np.sqrt(2), abs=0.01)
    expected = 2 * 0.25 / (0.34 + 0.43 + 0.01)
    assert found["concordance"] == pytest.approx(expected, abs=0.01)
    assert found["concordance_floor"] == pytest.approx(
        (0.25 / 0.34 + 0.34 / 0.43) / 2, abs=0.01
    )
    assert found["kappa_long"] < found["kappa_long_floor"]
    assert found["spearman"] < found["spearman_floor"]
    # Structural line of b on a with equal errors: a slope of b's true SD over a's is
    # what symmetric noise gives only if scatter counts as spread of b.
    assert found["deming_slope"] > 1


def test_deming_finds_a_slope_under_noise(make_timescales, make_pair):
    rng = np.random.default_rng(3)
    truth = rng.normal(-2, 0.5, 40_000)
    runs = {
        name: make_timescales(base + 0.3 * rng.normal(size=truth.size))
        for name, base in (
            ("a", truth),
            ("a_again", truth),
            ("b", 0.7 * truth + 0.1),
            ("b_again", 0.7 * truth + 0.1),
        )
    }
    pair = type(make_pair(rng, 3))(name="line", **runs)
    found = agreement.numbers(totals(pairings.levels([pair])))
    assert found["deming_slope"] == pytest.approx(0.7, abs=0.02)
    assert found["deming_intercept"] == pytest.approx(0.1, abs=0.04)
    r = np.corrcoef(log_tau(pair)[[0, 2]])[0, 1]
    assert found["correlation"] == pytest.approx(r, abs=0.01)
    assert found["disattenuated"] == pytest.approx(1, abs=0.02)


def test_networks_of_different_mean_do_not_correlate(make_pairs):
    # Permuted neurons in networks 2 log units apart: rank and concordance are fooled,
    # the correlation within networks is not.
    pairs = [pair for k in range(6) for pair in make_pairs(k, 1, 500, permuted=True)]
    moved = []
    for k, pair in enumerate(pairs):
        fields = {
            name: getattr(pair, name) for name in ("a", "b", "a_again", "b_again")
        }
        for name, run in fields.items():
            tau = run.tau * np.exp(k)
            fields[name] = type(run)(
                tau=tau,
                status=run.status,
                amplitude=run.amplitude,
                offset=run.offset,
                rate=run.rate,
                method=run.method,
                bin_width=run.bin_width,
                lags=run.lags,
            )
        moved.append(type(pair)(name=str(k), **fields))
    found = agreement.numbers(totals(pairings.levels(moved)))
    assert found["spearman"] > 0.8
    assert abs(found["correlation"]) < 0.05


def test_unreliable_stages_have_no_disattenuated_correlation(
    make_timescales, make_pair
):
    rng = np.random.default_rng(4)
    x = rng.normal(size=10)
    runs = {"a": x, "a_again": -x, "b": x, "b_again": x}
    pair = type(make_pair(rng, 3))(
        name="odd", **{name: make_timescales(values) for name, values in runs.items()}
    )
    found = agreement.numbers(totals(pairings.levels([pair])))
    assert found["reliability_a"] == pytest.approx(-1)
    assert np.isnan(found["disattenuated"])
    assert found["permuted_sd"] == 0


@pytest.fixture
def make_networks(make_timescales):
    def networks(seed, count=6, n=80, *, by_rate=0.2, by_tau=-0.3, by_sign=0.1):
        rng = np.random.default_rng(seed)
        found = []
        for k in range(count):
            rate = rng.uniform(2, 30, n)
            tau_syn = rng.uniform(0.02, 0.1, n)
            excitatory = rng.random(n) < 0.8
            a = rng.normal(-2, 0.5, n)
            b = a + rng.normal() + by_rate * np.log(rate) + by_tau * np.log(tau_syn)
            b += by_sign * excitatory
            runs = {
                name: make_timescales(
                    base + 0.2 * rng.normal(size=n), rng.random(n) < 0.9, rate=rate
                )
                for name, base in (("a", a), ("a_again", a), ("b", b), ("b_again", b))
            }
            found.append(
                Pair(name=str(k), tau_syn=tau_syn, excitatory=excitatory, **runs)
            )
        return found

    return networks


def measured(networks, draws=300):
    config = PreservationConfig(level=0.9, draws=draws)
    return covariates(networks, config, rng=np.random.default_rng(0))


def test_slopes_are_those_of_least_squares_with_dummies(make_networks):
    networks = make_networks(0)
    rows, targets = [], []
    for k, pair in enumerate(networks):
        a, again, b, b_again = (
            np.log(run.tau) for run in (pair.a, pair.a_again, pair.b, pair.b_again)
        )
        with np.errstate(all="ignore"):
            cross = np.stack([b - a, b_again - a, b - again, b_again - again])
        some = np.isfinite(cross).any(axis=0)
        dummies = np.zeros((pair.n, 6))
        dummies[:, k] = 1
        columns = [np.log(pair.a.rate), np.log(pair.tau_syn), pair.excitatory]
        rows.append(np.column_stack([*columns, dummies])[some])
        targets.append(np.nanmean(cross[:, some], axis=0))
    expected = np.linalg.lstsq(
        np.concatenate(rows), np.concatenate(targets), rcond=None
    )[0][:3]
    found = measured(networks)
    assert list(found) == ["log_rate", "log_tau_syn", "excitatory"]
    np.testing.assert_allclose([e.value for e in found.values()], expected, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 8])
def test_intervals_cover(make_networks, count):
    hits = []
    for seed in range(60):
        found = measured(make_networks(seed, count), draws=200)
        truth = {"log_rate": 0.2, "log_tau_syn": -0.3, "excitatory": 0.1}
        hits.append(
            [found[name].low < x < found[name].high for name, x in truth.items()]
        )
    assert 0.82 < np.mean(hits) <= 1


def test_what_is_not_given_or_does_not_vary_is_left_out(make_pairs):
    assert measured(make_pairs(0, 2, 30)) == {}
    rng = np.random.default_rng(0)
    with_tau = make_pairs(0, 1, 30, tau_syn=rng.uniform(0.01, 0.1, 30))
    assert list(measured(with_tau)) == ["log_tau_syn"]
    assert measured(with_tau + make_pairs(1, 1, 30)) == {}
    constant = make_pairs(0, 1, 30, excitatory=np.ones(30, dtype=bool))
    assert measured(constant) == {}
    assert measured([]) == {}


def test_a_covariate_given_twice_has_no_slope(make_networks):
    networks = make_networks(1, 2)
    doubled = [
        Pair(
            name=pair.name,
            a=pair.a,
            b=pair.b,
            a_again=pair.a_again,
            b_again=pair.b_again,
            tau_syn=pair.a.rate**2,
        )
        for pair in networks
    ]
    found = measured(doubled)
    assert np.isnan([e.value for e in found.values()]).all()


def test_signals_have_no_rate(make_timescales):
    rng = np.random.default_rng(2)
    runs = [make_timescales(rng.normal(size=20), rate=np.full(20, np.nan))] * 4
    a, b, c, d = runs
    pair = Pair(name="x", a=a, b=b, a_again=c, b_again=d, tau_syn=rng.random(20) + 1)
    assert list(measured([pair])) == ["log_tau_syn"]
