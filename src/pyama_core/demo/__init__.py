"""A synthetic experiment with known truth."""

from pyama_core.demo.experiment import write_demo
from pyama_core.demo.folder import DemoFiles

__all__ = ["DemoFiles", "write_demo"]
