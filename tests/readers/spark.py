"""Compares the views of `deploy/sql/spark.sql` with those of `deploy/sql/duckdb.sql`, row by row.

    python tests/readers/spark.py OUTPUT
"""

import json
import sys
from pathlib import Path

import duckdb
from pyspark.sql import SparkSession

SQL = Path(__file__).resolve().parents[2] / "deploy" / "sql"
VIEWS = ["documents", "annotations", "rejects", "current_documents", "current_annotations"]


def plain(value):
    """A value without Spark's and DuckDB's own types. Time stamps are microseconds of one of two time zones."""
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items() if key != "processed_at"}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, (bytes, bytearray)) else value


def ordered(rows):
    return sorted(json.dumps(plain(row), sort_keys=True, default=str) for row in rows)


def main():
    output = sys.argv[1]
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.conf.set("pubtag", output)
    for statement in (SQL / "spark.sql").read_text().split(";\n"):
        if any(line.strip() and not line.startswith("--") for line in statement.splitlines()):
            spark.sql(statement)
    connection = duckdb.connect()
    connection.sql(f"set variable pubtag = '{output}'")
    connection.execute((SQL / "duckdb.sql").read_text())
    for view in VIEWS:
        ours = ordered(row.asDict() for row in spark.table(view).collect())
        theirs = ordered(connection.sql(f"from {view}").to_arrow_table().to_pylist())
        if ours != theirs:
            sys.exit(f"violated: {view} has {len(ours)} rows in Spark and {len(theirs)} in DuckDB; first difference: "
                     f"{next(iter(sorted(set(ours) ^ set(theirs))), None)}")
        print(json.dumps({"view": view, "rows": len(ours)}))


main()
