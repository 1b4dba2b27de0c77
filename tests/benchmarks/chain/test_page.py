"""What the page of the chain says of figures, and the ratios of medians."""

import time

from benchmarks.chain.page import chain_page
from benchmarks.chain.ratios import compared
from benchmarks.page import render

COST = {"wall_s": 8.04, "cpu_s": 12.06, "peak_mb": 431.0}
STAGE = {"stage": "rate", "wall_s": 1.5, "cpu_s": 1.4, "peak_mb": 400.2}


def command(factor=1.0, stages=()):
    cost = {name: factor * value for name, value in COST.items()}
    return {
        "name": "run",
        "goal": [10, 20],
        "cold": cost | {"wall_s": factor * 18.5},
        "warm": cost,
        "walls": [8.0, 8.04, 9.1],
        "stages": list(stages),
    }


def figures(**others):
    return {
        "provenance": {
            "command": "python -m benchmarks.chain",
            "in_parts": False,
            "commit": "abc1234",
            "uncommitted": False,
            "machine": "x86_64, 2 cores, Linux",
            "versions": {"python": "3.11", "torch": "2.4", "numpy": "2.0"},
        },
        "repeats": 3,
        "load": 0.1,
        "after": [command(stages=[STAGE])],
        "before": None,
        "against": None,
        "peers": [{"step": "LIF", "peer": "Norse", "ours_s": 0.01, "peer_s": 0.31}],
    } | others


def test_costs_goals_and_stages_are_told():
    text = render(chain_page(figures()))
    assert "| run | 8.0 | 10 | 18.5 | 20 | 12.1 | 12.1 | 431 |" in text
    assert "| rate | 1.50 | 1.40 | 400 |" in text
    assert "| start, imports, end | 7.60 | – | – |" in text
    assert "| LIF | Norse | 10 ms | 310 ms | 31× |" in text
    assert "The same at commit" not in text


def test_an_earlier_commit_is_a_multiple_of_today():
    text = render(chain_page(figures(before=[command(4.0)], against="9a36c02")))
    assert "## The same at commit 9a36c02" in text
    assert "| run | 32.2 (4.0×) | 74.0 (4.0×) | 48.2 (4.0×) | 1724 (4.0×) |" in text


def test_a_ratio_is_of_the_processors_time():
    def work():
        sum(range(200_000))

    def more():
        work()
        work()
        time.sleep(0.01)

    row = compared("work", "more", work, more)
    assert row.ours_ms > 0 and 1.0 < row.ratio < 8.0
