"""Compares two outputs with DuckDB: every table must have the same rows, each as often.

    python tests/readers/same_rows.py ONE OTHER

Left out are the columns that tell runs apart: run_id, processed_at, and whether a row was cached. Exits with status 1 and a
message at the first table that differs.
"""

import sys

import duckdb

TABLES = ["annotations", "documents", "rejects"]
VOLATILE = {"run_id", "processed_at", "cached"}


def rows(connection, folder, table):
    source = f"read_parquet('{folder}/{table}/*.parquet')"
    names = [name for name, *_ in connection.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    kept = ", ".join(f'"{name}"' for name in names if name not in VOLATILE)
    return f"SELECT {kept} FROM {source}"


def main(one, other):
    connection = duckdb.connect()
    for table in TABLES:
        sides = [rows(connection, folder, table) for folder in (one, other)]
        counts = [connection.sql(f"SELECT count(*) FROM ({side})").fetchall()[0][0] for side in sides]
        for left, right in (sides, reversed(sides)):
            differing = connection.sql(f"({left}) EXCEPT ALL ({right}) LIMIT 3").fetchall()
            if differing:
                sys.exit(f"{table} differs ({counts[0]} and {counts[1]} rows), for instance {differing}")
        print(f"{table}: {counts[0]} equal rows")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
