"""Tags Parquet files with Daft. What comes out is kept in memory.

    python daft_frames.py INPUT OUTPUT
"""

import sys

import daft

import pubtag


def main(source: str, output: str) -> None:
    documents = daft.read_parquet(source)
    tagged = daft.from_arrow(pubtag.Tagger(precision="int8").tag(documents))
    tagged.write_parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
