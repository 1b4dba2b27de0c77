"""The errors that isotau raises on top of `ValueError` and `TypeError`."""


class DoesNotFit(ValueError):
    """A value lies outside what the chip's registers or memories can hold."""


class UnreadableFile(ValueError):
    """A file is not what its reader needs, or is damaged."""
