"""Tags Parquet files with Polars, a batch at a time.

    python polars_frames.py INPUT OUTPUT
"""

import sys
from pathlib import Path

import polars
import pyarrow as pa

import pubtag


def main(source: str, output: str) -> None:
    tagger = pubtag.Tagger(precision="int8")
    folder = Path(output)
    folder.mkdir()
    batches = polars.scan_parquet(source).collect_batches(chunk_size=10_000)
    tagged = pa.RecordBatchReader.from_stream(tagger.tag(batches))
    for number, batch in enumerate(tagged):
        polars.DataFrame(batch).write_parquet(folder / f"{number}.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
