"""Finds entities in PubMed abstracts with a transformer model.

`Tagger` tags the texts of Arrow tables and data frames. `pubtag.cli` runs the command line, which is also installed as
`pubtag`: `pubtag run` tags files of any number and size, and commits each of them exactly once.
"""

from pubtag import cli
from pubtag._pubtag import TaggedStream, Tagger, __version__
from pubtag.errors import (
    ConfigurationError,
    DataError,
    InternalError,
    PubtagError,
    TransientError,
    UsageError,
)

__all__ = [
    "ConfigurationError",
    "DataError",
    "InternalError",
    "PubtagError",
    "TaggedStream",
    "Tagger",
    "TransientError",
    "UsageError",
    "__version__",
    "cli",
]
