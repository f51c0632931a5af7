"""Tags Parquet files with pandas, all of them in memory.

    python pandas_frames.py INPUT OUTPUT
"""

import sys
from pathlib import Path

import pandas

import pubtag


def main(source: str, output: str) -> None:
    documents = pandas.read_parquet(source)
    tagged = pandas.DataFrame.from_arrow(pubtag.Tagger(precision="int8").tag(documents))
    Path(output).mkdir()
    tagged.to_parquet(Path(output, "tagged.parquet"))


if __name__ == "__main__":
    main(*sys.argv[1:])
