"""Tags Parquet files with Ray Data: one tagger per CPU, each on one thread.

    python ray_data.py INPUT OUTPUT

Ray Data may write a block twice after a failure. For exactly-once output, use `pubtag run`.
"""

import os
import sys

import pyarrow as pa
import ray
import ray.data

import pubtag


class Tag:
    """An actor with a model."""

    def __init__(self) -> None:
        self.tagger = pubtag.Tagger(precision="int8", threads=1)

    def __call__(self, table: pa.Table) -> pa.Table:
        return pa.table(self.tagger.tag(table))


def main(source: str, output: str) -> None:
    ray.init()
    taggers = ray.data.ActorPoolStrategy(min_size=1, max_size=int(ray.cluster_resources()["CPU"]))
    documents = ray.data.read_parquet(os.path.abspath(source))
    tagged = documents.map_batches(Tag, batch_format="pyarrow", batch_size=1024, compute=taggers, num_cpus=1)
    tagged.write_parquet(os.path.abspath(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
