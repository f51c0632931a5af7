"""Compares two outputs with DuckDB: every table must have the same rows, each as often.

    python tests/readers/same_rows.py ONE OTHER

Each is a directory, or a file with the parts that `pubtag inspect --parts` lists of an output in a bucket: s3://… at
AWS_ENDPOINT_URL, or az://… at AZURE_STORAGE_ENDPOINT. pyarrow reads these from the bucket.

Left out are the columns that tell runs apart: run_id, processed_at, and whether a row was cached. Exits with status 1 and a
message at the first table that differs.
"""

import os
import sys
from urllib.parse import urlsplit

import duckdb
import pyarrow
import pyarrow.fs
import pyarrow.parquet

TABLES = ["annotations", "documents", "rejects"]
VOLATILE = {"run_id", "processed_at", "cached"}


def bucket(scheme):
    if scheme == "s3":
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        keys = {"access_key": os.environ["AWS_ACCESS_KEY_ID"], "secret_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
        return pyarrow.fs.S3FileSystem(**keys, region=os.environ["AWS_REGION"], endpoint_override=endpoint)
    host = urlsplit(os.environ["AZURE_STORAGE_ENDPOINT"]).netloc
    at = {"blob_storage_authority": host, "blob_storage_scheme": "http", "dfs_storage_authority": host, "dfs_storage_scheme": "http"}
    account, key = os.environ["AZURE_STORAGE_ACCOUNT_NAME"], os.environ["AZURE_STORAGE_ACCOUNT_KEY"]
    return pyarrow.fs.AzureFileSystem(account_name=account, account_key=key, **at)


def rows(connection, place, table):
    """The rows of a table, as SQL."""
    if os.path.isdir(place):
        source = f"read_parquet('{place}/{table}/*.parquet')"
    else:
        with open(place) as lines:
            parts = [line.strip().split("://") for line in lines if f"/{table}/" in line]
        store = bucket(parts[0][0])
        read = [pyarrow.parquet.read_table(part, filesystem=store, partitioning=None) for _, part in parts]
        source = f"{table}_in_bucket"
        connection.register(source, pyarrow.concat_tables(read))
    names = [name for name, *_ in connection.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    kept = ", ".join(f'"{name}"' for name in names if name not in VOLATILE)
    return f"SELECT {kept} FROM {source}"


def main(one, other):
    connection = duckdb.connect()
    for table in TABLES:
        sides = [rows(connection, place, table) for place in (one, other)]
        counts = [connection.sql(f"SELECT count(*) FROM ({side})").fetchall()[0][0] for side in sides]
        for left, right in (sides, reversed(sides)):
            differing = connection.sql(f"({left}) EXCEPT ALL ({right}) LIMIT 3").fetchall()
            if differing:
                sys.exit(f"{table} differs ({counts[0]} and {counts[1]} rows), for instance {differing}")
        print(f"{table}: {counts[0]} equal rows")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
