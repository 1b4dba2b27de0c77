from benchmarks.house.tree import read_modules


def test_modules_are_read_once_whatever_links_to_them(tree):
    root = tree({"convert/a.py": "", "convert/b/c.py": "", "src/isotau/d.py": ""})
    (root / "src/isotau/convert").symlink_to("../../convert")
    (root / "src/isotau/e.py").symlink_to("d.py")
    tree({"tests/f.py": "", "convert/text.md": ""})
    places = [module.place for module in read_modules(root)]
    assert places == ["convert/a.py", "convert/b/c.py", "src/isotau/d.py"]


def test_a_folder_that_is_not_there_has_no_modules(tree):
    assert read_modules(tree({}), ("benchmarks",)) == []


def test_lines_of_code_and_of_docstrings(module):
    example = module(
        '''
        """Of the module.

        More of it.
        """

        WIDTH = 3
        """Of a constant."""
        text = """two
        lines"""


        def f():  # behind code
            "Short."
            # alone
            return """of no docstring"""
        '''
    )
    assert example.docstring_lines == {1, 2, 3, 4, 7, 13}
    assert example.code_lines == {6, 8, 9, 12, 15}


def test_a_kernel_is_what_numba_compiles(module):
    assert module("from numba import njit\n").is_kernel
    assert module("import numba\nfast = numba.njit(slow)\n").is_kernel
    assert not module('"""Not compiled by njit."""\n# njit\n').is_kernel
