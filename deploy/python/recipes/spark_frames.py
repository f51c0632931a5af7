"""Tags Parquet files with Spark's `mapInArrow`: one tagger per task, on one thread.

    python spark_frames.py INPUT OUTPUT

A task loads the model, which takes about a second; so let partitions be large enough for minutes of work.
"""

import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

import pubtag

MENTIONS = """annotations array<struct<section string, start_char int, end_char int, start_byte int, end_byte int,
    mention string, label string, score float, source string>>"""

# Only its arguments travel to the tasks.
tagger = pubtag.Tagger(precision="int8", threads=1)


def tag(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Tags the batches of a partition."""
    return iter(pa.RecordBatchReader.from_stream(tagger.tag(batches)))


def main(source: str, output: str) -> None:
    spark = SparkSession.builder.getOrCreate()
    documents = spark.read.parquet(source)
    schema = StructType(documents.schema.fields + StructType.fromDDL(MENTIONS).fields)
    documents.mapInArrow(tag, schema).write.parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
