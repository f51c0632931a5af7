"""Compares the newest snapshot in a bucket with one on disk, which must have the same citations and annotations.

    python tests/readers/snapshot_in_store.py ENDPOINT BUCKET/PREFIX DIRECTORY

pyarrow reads the bucket, and the view of `deploy/sql/duckdb_snapshot.sql` the directory; DuckDB compares them. Columns that
tell runs apart are left out. Exits with status 1 and a message at the first difference.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow.fs
import pyarrow.parquet

VIEWS = Path(__file__).resolve().parents[2] / "deploy" / "sql" / "duckdb_snapshot.sql"
VOLATILE = "EXCLUDE (run_id, processed_at, cached)"


def read(endpoint, place):
    host = endpoint.removeprefix("http://")
    store = pyarrow.fs.S3FileSystem(
        access_key="test", secret_key="test", region="us-east-1", scheme="http", endpoint_override=host
    )
    latest = json.loads(store.open_input_file(f"{place}/latest.json").read())
    paths = [f"{place}/{bucket['documents']['path']}" for bucket in latest["buckets"]]
    return pyarrow.concat_tables(pyarrow.parquet.read_table(path, filesystem=store) for path in paths)


def main(endpoint, place, directory):
    in_store = read(endpoint, place)
    connection = duckdb.connect()
    connection.register("in_store", in_store)
    connection.sql(f"SET VARIABLE snapshot = '{directory}'")
    connection.execute(VIEWS.read_text())
    for one, other in (("in_store", "snapshot"), ("snapshot", "in_store")):
        differing = f"SELECT * {VOLATILE} FROM {one} EXCEPT ALL SELECT * {VOLATILE} FROM {other} LIMIT 1"
        found = connection.sql(differing).fetchall()
        if found:
            sys.exit(f"only in {one}: {found}")
    [(annotations,)] = connection.sql("SELECT sum(len(annotations)) FROM in_store").fetchall()
    print(f"{in_store.num_rows} citations, {annotations} annotations")


if __name__ == "__main__":
    main(*sys.argv[1:])
