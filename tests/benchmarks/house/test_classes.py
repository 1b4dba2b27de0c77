from benchmarks.house.classes import measure_classes, repeated_classes


def test_names_of_more_than_one_class_are_given_with_their_places(module):
    modules = [
        module("class A:\n    pass\n\n\nclass B:\n    pass\n", "convert/a.py"),
        module("def f():\n    class A:\n        pass\n", "sim/b.py"),
    ]
    assert repeated_classes(modules) == {"A": ["convert/a.py:1", "sim/b.py:2"]}


def test_benchmarks_are_counted_apart(module):
    modules = [
        module("class A: ...\n", "convert/a.py"),
        module("class A: ...\n", "benchmarks/b.py"),
    ]
    assert measure_classes(modules) == {
        "sources": {},
        "with_benchmarks": {"A": ["convert/a.py:1", "benchmarks/b.py:1"]},
    }
