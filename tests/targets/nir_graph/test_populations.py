from isotau.targets.nir_graph.populations import mistimed, order


def feeds(names, *pairs):
    made = {name: {name} for name in names}  # each has a recurrent connection
    for a, b in pairs:
        made[a].add(b)
    return made


def test_a_row_of_populations():
    made = order("abc", feeds("abc", "ab", "bc"), {"a"})
    assert made.lags == {"a": 0, "b": 1, "c": 2}
    assert made.feedback["a", "b"] == 0 and made.feedback["b", "b"] == 1
    found = list(mistimed(made, {"a"}, ["c"]))
    assert [(f.place, f.severity.value) for f in found] == [
        ("population b", "info"),
        ("population c", "info"),
    ]


def test_two_populations_side_by_side_need_no_lag():
    made = order("ei", feeds("ei", "ei", "ie"), {"e", "i"})
    assert made.lags == {"e": 0, "i": 0}
    found = list(mistimed(made, {"e", "i"}, ["e", "i"]))
    assert {f.severity.value for f in found} == {"info"}
    assert [f.place for f in found] == ["connection e → i", "connection i → e"]


def test_feedback_arrives_late():
    made = order("ab", feeds("ab", "ab", "ba"), {"a"})
    assert made.lags == {"a": 0, "b": 1}
    late = [f for f in mistimed(made, {"a"}, ["b"]) if f.severity.value == "warning"]
    assert [(f.place, f.message) for f in late] == [
        ("connection b → a", "spikes arrive 1 step later than in the graph")
    ]


def test_a_skip_arrives_early():
    made = order("abcd", feeds("abcd", "ab", "bc", "cd", "ad"), {"a", "c"})
    late = [
        f for f in mistimed(made, {"a", "c"}, "ad") if f.severity.value == "warning"
    ]
    assert [(f.place, f.message) for f in late] == [
        ("population c", "gets input 2 steps too early, next to spikes that are late"),
        ("connection a → d", "spikes arrive 2 steps earlier than in the graph"),
        ("output", "got populations [0, 3] steps late in one output"),
    ]


def test_populations_that_nothing_feeds():
    made = order("ab", feeds("ab", "ab", "ba"), set())
    assert made.lags == {"a": 0, "b": 1}
    assert order("ab", {"a": {"b"}, "b": set()}, {"b"}).lags == {"a": 0, "b": 1}
