"""Networks of the verdict's benchmark: which are given, and what is told of them."""

import pytest

from benchmarks.verdict.networks import SHIPPED, given, shipped


def test_those_of_the_repository_are_there():
    files = shipped()
    assert [file.path.name for file in files] == list(SHIPPED)
    assert all(file.path.exists() and file.name == file.path.name for file in files)


def test_folders_are_given_with_their_tasks(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.rate.npz").touch()
    files = given([f"rdm={tmp_path}"], 2)
    assert [file.name for file in files] == ["rdm a.rate", "rdm b.rate"]
    assert {file.task for file in files} == {"rdm"} and not files[0].shipped
    assert len(given([f"rdm={tmp_path}"])) == 3 and given([]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("folder", "need TASK=FOLDER"), ("rdm={}", "got no .rate.npz")],
)
def test_other_folders_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        given([text.format(tmp_path)])
