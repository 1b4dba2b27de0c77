from benchmarks.house.folders import measure_folders
from benchmarks.house.tree import read_modules


def test_modules_count_for_their_own_folder_alone(tree):
    root = tree(
        {f"convert/m{k}.py": "" for k in range(16)}
        | {f"convert/inner/m{k}.py": "" for k in range(15)}
        | {"convert/__init__.py": "", "convert/inner/__init__.py": ""}
    )
    measures = measure_folders(read_modules(root))
    assert measures == {
        "largest": 16,
        "over": {"convert": 16},
        "folders": {"convert": 16, "convert/inner": 15},
    }


def test_no_modules_make_no_folder():
    assert measure_folders([])["largest"] == 0
