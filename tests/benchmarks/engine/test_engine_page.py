"""The page of what a time step costs: ratios, and what figures it leaves out."""

from benchmarks.engine.page import engine_page, ratios
from benchmarks.page import render


def row(engine, n, us, batch=100, activity=0.04):
    return {
        "engine": engine,
        "n": n,
        "batch": batch,
        "us_per_trial_step": us,
        "activity": activity,
        "repeats": 5,
    }


ROWS = [
    row("compiled", 200, 0.1),
    row("compiled, noise", 200, 0.12),
    row("compiled, earlier commit", 200, 0.3),
    row("plain C", 200, 0.8),
]


def figures(**more):
    return {
        "machine": {"cpu": "a processor", "cores": 2},
        "networks": [{"n": 200, "bias": 100, "activity": 0.04}],
        "rows": ROWS,
        "ratios": ratios(ROWS),
        "start": {},
        **more,
    }


def test_ratios_are_held_to_their_targets():
    met = {(r["what"], r["n"]): (r["ratio"], r["met"]) for r in ratios(ROWS)}
    assert met.keys() == {
        ("an earlier commit", 200),
        ("plain C, one thread", 200),
        ("membrane noise", 200),
    }
    ratio, reached = met["an earlier commit", 200]
    assert abs(ratio - 3) < 1e-9 and reached
    assert met["plain C, one thread", 200][1] is False  # 8, and 9 are wanted
    assert met["membrane noise", 200][1]


def test_the_distance_to_the_step_by_hand():
    """The latter is 7.8 times as fast as plain C: 0.8/7.8 µs here."""
    page = render(engine_page(figures()))
    assert "| compiled | 0.975 | – |" in page
    assert "| compiled, noise | 1.17 | – |" in page
    assert "dense" not in page


def test_activities_stand_beside_the_dense_product():
    busy = [row("compiled", 200, us, 20, share) for us, share in ((1, 0.01), (5, 0.2))]
    dense = [{"n": 200, "us_per_trial_step": 2.5}]
    page = render(engine_page(figures(against_activity=busy, dense=dense)))
    assert "| 1.00%: 1 |" in page and "| 20.00%: 5 |" in page
    assert "| dense: 2.5 |" in page
