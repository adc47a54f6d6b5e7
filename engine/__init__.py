"""The mugvos engine: a library of multi-granularity video segmentation.

Importable without the command line. Prints nothing; raises the errors of `engine.errors`; reports progress by callback.
"""

__version__ = "0.1.0"
