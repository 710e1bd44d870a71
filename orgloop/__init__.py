"""
Organisation as code: a durable, supervised event router.

>>> orgloop.__version__
'0.1.0'
"""

# Arrows point down only; tests/test_architecture.py holds them. A room appears here before it is built.
#
#     cli  http  daemon  embed  testing                faces
#     runtime                                          composition root
#     bus  wal  routing  delivery  transforms  loggers parts: never import each other
#     sdk  config                                      border
#     event  errors                                    values
#     orgloop_supervisors                              below everything: supervision on Trio
#
# This file only re-exports. Nothing below imports it, and it imports nothing heavy.

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("orgloop")
