"""The version of the package; here alone, so that all rooms can tell it."""

__version__ = "0.2.0"
