"""The default listener hears nothing and changes nothing."""

from isotau.convert.ground.progress import silent


def test_silence_passes_every_step():
    assert list(silent(range(3, 7), "work")) == [3, 4, 5, 6]
