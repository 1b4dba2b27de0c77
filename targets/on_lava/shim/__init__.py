"""The one way in which Lava is imported on Python 3.11 and newer."""
