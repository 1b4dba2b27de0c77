from benchmarks.house.equations import citations, measure_equations

EXAMPLE = '''
"""By (C1).

And by (L12).
"""

text = "(C2) in a text"
u = u - 1  # (C3): why, and (C4)
shape = (N1)
'''


def test_comments_and_docstrings_cite(module):
    assert list(citations(module(EXAMPLE))) == [
        (1, "C1"),
        (3, "L12"),
        (7, "C3"),
        (7, "C4"),
    ]


def test_equations_that_are_not_on_the_page_are_told(tree, module):
    root = tree(
        {"docs/equations.md": "**(C1)** u = 1; see (C4)\n\n**(C3)** v\n**(C5)**"}
    )
    assert measure_equations(root, [module(EXAMPLE)]) == {
        "equations": 3,
        "citations": 4,
        "cited": 2,
        "absent": {"C4": ["convert/a.py:7"], "L12": ["convert/a.py:3"]},
    }


def test_without_a_page_every_citation_is_of_none(tree, module):
    measures = measure_equations(tree({}), [module("# (C1)\n")])
    assert measures["absent"] == {"C1": ["convert/a.py:1"]}
