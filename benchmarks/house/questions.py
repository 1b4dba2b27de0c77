"""Ten questions of a stranger, and whether the first guess of a path answers them."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Question(NamedTuple):
    """What a stranger asks, where the stranger looks first, and what must be there.

    Attributes:
        text: the question.
        guesses: paths from the root without `.py`. A stranger sees the folders, not
            what is in them, and follows the first guess whose folder is there.
        answer: name of the function, class or constant that answers, at the top of the
            file or a method; in a package it may be imported.
    """

    text: str
    guesses: tuple[str, ...]
    answer: str


QUESTIONS = (
    Question(
        "Where is u wrapped?",
        ("convert/chip/arithmetic", "convert/arithmetic"),
        "wrap_u",
    ),
    Question(
        "Where is λ chosen?",
        ("convert/to_lif/search_lambda", "convert/search_lambda"),
        "search_lambda",
    ),
    Question(
        "Where is the neuron's f–I curve?",
        ("convert/neuron/fi_curve", "convert/fi_curve"),
        "firing_rate",
    ),
    Question(
        "Where is all that makes a chip network of a LIF network?",
        ("convert/to_fixed/prepare", "convert/prepare"),
        "prepare",
    ),
    Question(
        "Where do weights get the gain of NIR's synapse?",
        ("targets/nir_graph/to_nir", "targets/to_nir"),
        "synapse_gain",
    ),
    Question(
        "Where are the limits of the chip?",
        ("targets/loihi/limits", "targets/chip/limits"),
        "Chip",
    ),
    Question(
        "Where are the gradients of e-prop?",
        ("convert/tuning/methods/eprop", "convert/tuning/eprop"),
        "EProp",
    ),
    Question(
        "Where is it decided whether a neuron has a timescale?",
        ("sim/timescales/estimators/judge", "sim/timescales/judge"),
        "judge",
    ),
    Question(
        "Where is it decided whether timescales were preserved?",
        ("sim/preservation/verdict",),
        "decide",
    ),
    Question(
        "Where is the file's kind told from its content?",
        ("convert/read/kinds", "convert/read_rate"),
        "READERS",
    ),
)


def follow(root: Path, guesses: Sequence[str]) -> str:
    """Return the guess that a stranger follows in a checkout."""
    # The last guess is for a tree with none of the folders: it answers nothing.
    there = (guess for guess in guesses if (root / guess).parent.is_dir())
    return next(there, guesses[-1])


def answers(root: Path, guess: str, answer: str) -> bool:
    """Return whether a file or package defines a name.

    Args:
        root: of the checkout.
        guess: path from there, without `.py`.
        answer: the name.
    """
    for file in (root / f"{guess}.py", root / guess / "__init__.py"):
        if file.is_file():
            return answer in defined_names(ast.parse(file.read_text(encoding="utf-8")))
    return False


def defined_names(tree: ast.Module) -> set[str]:
    """Return the names at the top of a module, imported ones too, and of methods."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                # A method of the class at the place is found by scrolling.
                methods = (part for part in body if isinstance(part, ast.FunctionDef))
                names |= {name, *(method.name for method in methods)}
            case ast.Assign(targets=targets):
                names |= {part.id for part in targets if isinstance(part, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names


def measure_questions(
    root: Path, questions: Sequence[Question] = QUESTIONS
) -> dict[str, Any]:
    """Return how many questions the first guess answers, and which it does."""
    rows = []
    for question in questions:
        guess = follow(root, question.guesses)
        rows.append(
            {
                "question": question.text,
                "guess": guess,
                "answer": question.answer,
                "answered": answers(root, guess, question.answer),
            }
        )
    return {
        "answered": sum(row["answered"] for row in rows),
        "asked": len(rows),
        "questions": rows,
    }
