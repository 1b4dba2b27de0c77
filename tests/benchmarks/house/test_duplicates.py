from benchmarks.house.duplicates import (
    MOST_PLACES,
    code_of,
    exact,
    measure_duplicates,
    shape,
)

BODY = [
    "total = rate * weight",
    "if total > limit:",
    "    raise ValueError(total)",
    "scale = numbers[0] ** 2",
    "for row in table:",
    "    row.append(scale)",
    "return total, scale + 1",
]


def function(name, lines):
    return "".join([f"def {name}():\n", *(f"    {line}\n" for line in lines)])


def places(modules, kind):
    return measure_duplicates(modules)["places"][kind]


def test_lines_that_agree_are_a_pair_as_long_as_they_go(module):
    modules = [
        module(function("f", BODY), "convert/a.py"),
        module("x = 1\n" + function("g", BODY) + "y = 2\n", "sim/b.py"),
    ]
    measures = measure_duplicates(modules)
    assert (measures["pairs"], measures["exact"], measures["shape"]) == (1, 1, 0)
    assert measures["places"]["exact"] == [["convert/a.py:2", "sim/b.py:3", 7]]


def test_five_lines_are_no_pair(module):
    five = "\n".join([*BODY[:4], "size = rate.size"])
    modules = [module(f"{five}\na = 1\n"), module(f"{five}\ndel b\n", "convert/b.py")]
    assert measure_duplicates(modules)["pairs"] == 0


def test_what_is_no_code_is_passed_over(module):
    noisy = [
        *BODY[:2],
        *BODY[2:4],
        "# a comment",
        "",
        "import os",
        *BODY[4:],
    ]
    modules = [
        module(function("f", BODY)),
        module(function("g", ['"""Docstring."""', *noisy]), "convert/b.py"),
    ]
    assert places(modules, "exact") == [["convert/a.py:2", "convert/b.py:3", 7]]


def test_imports_and_decorators_are_no_code_of_a_pair(module):
    example = module(
        """
        from os import (
            path,
        )


        @cache
        @wraps(
            path,
        )
        def f():
            return path
        """
    )
    assert [line.number for line in code_of(example, exact)] == [10, 11]


def test_other_names_strings_and_numbers_make_a_pair_of_one_shape(module):
    renamed = " \n".join(BODY).replace("total", "sum_").replace("2", "17")
    modules = [
        module(function("f", BODY)),
        module(function("g", renamed.split("\n")), "convert/b.py"),
    ]
    measures = measure_duplicates(modules)
    assert (measures["exact"], measures["shape"]) == (0, 1)
    # The lines of the definitions agree in shape too.
    assert places(modules, "shape") == [["convert/a.py:1", "convert/b.py:1", 8]]


def test_keywords_and_operators_decide_the_shape(module):
    example = module("if not a + 1:\n    return 'x'\n")
    assert [line.key for line in code_of(example, shape)] == [
        ("if", "not", "name", "+", "number", ":"),
        ("return", "string"),
    ]


def test_a_list_of_fields_is_a_pair_only_if_it_agrees_exactly(module):
    fields = [f"field_{k}: Array[float, 'n'] = {k}" for k in range(8)]
    others = [f"other_{k}: Array[float, 'n'] = {k}" for k in range(8)]
    one, other, twin = (
        module("class A:\n" + "".join(f"    {f}\n" for f in lines), f"sim/{k}.py")
        for k, lines in enumerate((fields, others, fields))
    )
    assert measure_duplicates([one, other])["pairs"] == 0
    assert measure_duplicates([one, twin])["exact"] == 1


def test_brackets_and_lone_strings_are_no_pair_of_one_shape(module):
    one = module("f(\n'a'\n'b',\ng(\n'c',\n),\n)\n")
    other = module("k(\n'd'\n'e',\nh(\n'f',\n),\n)\n", "convert/b.py")
    assert measure_duplicates([one, other])["pairs"] == 0


def test_what_stands_in_many_places_is_a_pattern(module):
    def copies(many):
        modules = [module(function("f", BODY), f"sim/{k}.py") for k in range(many)]
        return measure_duplicates(modules)["pairs"]

    assert copies(3) == 3
    assert copies(MOST_PLACES) == MOST_PLACES * (MOST_PLACES - 1) / 2
    assert copies(MOST_PLACES + 1) == 0


def test_places_in_one_file_do_not_overlap(module):
    twice = module(function("f", BODY) + function("g", BODY))
    assert places([twice], "exact") == [["convert/a.py:2", "convert/a.py:10", 7]]
    periodic = module("a = b + 1\nc = d(a)\n" * 7)
    assert all(
        abs(int(one.split(":")[1]) - int(other.split(":")[1])) >= lines
        for one, other, lines in places([periodic], "exact")
    )
