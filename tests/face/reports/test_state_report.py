"""What is said of states, of few networks and of many."""

from isotau.reports.state_report import HEADINGS, rows, sentences


def said(a: str, b: str, verdict: str, **more) -> dict:
    return {
        "a": a,
        "b": b,
        "verdict": verdict,
        "ratio": [0.99, 0.98, 1.0],
        "within": 190,
        "units": 200,
        "scatter": 0.041,
        "floor": {"scatter": 0.035},
        "sentence": f"It is {verdict}.",
    } | more


def test_few_networks_have_a_sentence_for_each_comparison():
    both = [said("rate", "lif", "preserved"), said("lif", "fixed", "shifted")]
    assert sentences({"net": both}) == ["It is preserved.", "It is shifted."]
    assert sentences({"a": both[:1], "b": both[1:]}) == [
        "a: It is preserved.",
        "b: It is shifted.",
    ]


def test_many_are_counted():
    report = {f"net{k}": [said("lif", "fixed", "preserved")] for k in range(4)}
    report["odd"] = [said("lif", "fixed", "not preserved")]
    assert sentences(report) == [
        "lif → fixed, by states: preserved in 4, not preserved in 1 of 5 networks."
    ]


def test_rows_have_what_there_is():
    none = said(
        "rate",
        "lif",
        "not identifiable",
        ratio=[None, None, None],
        scatter=None,
        floor={"scatter": None},
    )
    open_end = said("lif", "fixed", "preserved", ratio=[0.99, None, None])
    table = rows({"net": [said("rate", "fixed", "shifted"), none, open_end]})
    assert all(len(row) == len(HEADINGS) for row in table)
    assert table[0][:7] == [
        "net", "rate → fixed", "shifted", "0.990 (0.980 to 1.000)", "190 of 200",
        "0.041", "0.035",
    ]  # fmt: skip
    assert table[1][3] == table[1][5] == table[1][6] == "none"
    assert table[2][3] == "0.990 (no interval)"
