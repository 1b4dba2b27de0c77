from benchmarks.house.words import bound_names, measure_words


def test_every_way_of_binding_a_name_counts(module):
    example = module(
        """
        a = b = 1
        c, (d, *e) = 1, (2, 3)
        f: int = 1
        g += 1
        for h in a:
            pass
        with open(a) as i, open(b) as (j, k):
            pass
        [1 for l in a]
        if m := a:
            pass
        object.n = 1
        a[0] = 1
        """
    )
    assert "".join(sorted(bound_names(example.tree))) == "abcdefghijklm"


def test_pronouns_and_participles_are_counted(module):
    example = module("found = 1\nfor one in []:\n    all_ = rate = one\nfound = 2\n")
    assert measure_words([example]) == {
        "empty": 4,
        "assignments": 5,
        "words": {"found": 2, "one": 1, "all_": 1},
    }


def test_nouns_of_the_field_are_none_of_them(module):
    example = module("held = sent = rate = weights = low = 1\n")
    assert measure_words([example])["empty"] == 0
