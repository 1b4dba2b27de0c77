import pytest

from benchmarks.house.targets import TARGETS, Target


def row(**goal):
    return Target("things", "part", lambda m: m["figure"], **goal)


def test_a_figure_is_read_where_it_was_measured():
    assert row().read({"part": {"figure": 3}}) == 3
    assert row().read({"other": {}}) is None


@pytest.mark.parametrize(
    ("goal", "text", "right", "wrong"),
    [
        ({"most": 15}, "≤ 15", 15, 16),
        ({"most": 0}, "0", 0, 1),
        ({"least": 6}, "≥ 6", 6, 5.9),
        ({"halved": True}, "less than half", 9, 10),
    ],
)
def test_goals(goal, text, right, wrong):
    assert row(**goal).goal == text
    assert row(**goal).reached(right, 20) is True
    assert row(**goal).reached(wrong, 20) is False


def test_without_a_goal_nothing_is_reached():
    assert row().goal == "" and row().reached(3) is None
    assert row(halved=True).reached(3) is None


def test_every_row_is_of_one_measure_and_says_so_once():
    assert len({target.text for target in TARGETS}) == len(TARGETS)
