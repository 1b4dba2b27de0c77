"""Both errors are ValueErrors, so that a caller may catch either way."""

import pytest

from isotau.convert.ground.errors import DoesNotFit, UnreadableFile


@pytest.mark.parametrize("error", [DoesNotFit, UnreadableFile])
def test_own_errors_are_value_errors(error):
    with pytest.raises(ValueError, match="why"):
        raise error("why")


def test_own_errors_are_apart():
    assert not issubclass(DoesNotFit, UnreadableFile)
    assert not issubclass(UnreadableFile, DoesNotFit)
