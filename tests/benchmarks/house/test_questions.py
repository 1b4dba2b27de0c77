from benchmarks.house.questions import (
    QUESTIONS,
    Question,
    answers,
    follow,
    measure_questions,
)


def test_the_first_guess_whose_folder_is_there_is_followed(tree):
    root = tree({"convert/chip/step.py": ""})
    assert follow(root, ("convert/chip/wrap", "convert/wrap")) == "convert/chip/wrap"
    assert follow(root, ("convert/new/wrap", "convert/wrap")) == "convert/wrap"
    assert follow(root, ("sim/wrap", "targets/wrap")) == "targets/wrap"


def test_answers_are_defined_or_imported_at_the_top(tree):
    root = tree(
        {
            "convert/a.py": """
                from elsewhere import other as known
                WIDTH = 3
                height: int = 4
                def f():
                    inner = 1
                class A:
                    def method(self):
                        pass
            """,
            "convert/package/__init__.py": "from convert.a import f as f\n",
        }
    )
    for name in ("known", "WIDTH", "height", "f", "A", "method"):
        assert answers(root, "convert/a", name)
    for name in ("other", "inner", "g"):
        assert not answers(root, "convert/a", name)
    assert answers(root, "convert/package", "f")
    assert not answers(root, "convert/absent", "f")


def test_answered_questions_are_counted(tree):
    root = tree({"convert/a.py": "def f(): ...\n"})
    questions = [
        Question("Where is f?", ("convert/a",), "f"),
        Question("Where is g?", ("convert/a",), "g"),
    ]
    measures = measure_questions(root, questions)
    assert (measures["answered"], measures["asked"]) == (1, 2)
    assert [part["answered"] for part in measures["questions"]] == [True, False]


def test_there_are_ten_questions():
    assert len({question.text for question in QUESTIONS}) == 10
