"""Reads an output directory with pyarrow, DuckDB and Polars, and checks the guarantees of the tables.

    python tests/readers/check.py OUTPUT

Prints one JSON object; exits with status 1 and a message at the first violation.
"""

import hashlib
import json
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset
import pyarrow.parquet

TABLES = ["annotations", "documents", "rejects"]


def check(holds, what):
    if not holds:
        sys.exit(f"violated: {what}")


def comparable(rows):
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)


def read_three_ways(folder, connection):
    glob = f"{folder}/**/*.parquet"
    arrow = pyarrow.dataset.dataset(folder, format="parquet").to_table().to_pylist()
    for row in arrow:
        row.pop("raw", None)
        row.pop("processed_at", None)
    names = ", ".join(f'"{name}"' for name in arrow[0]) if arrow else "count(*)"
    duck = connection.sql(f"select {names} from read_parquet('{glob}')").to_arrow_table().to_pylist() if arrow else []
    polar = polars.read_parquet(glob).select(list(arrow[0])).to_dicts() if arrow else []
    check(comparable(arrow) == comparable(duck), f"DuckDB reads {folder} like pyarrow")
    check(comparable(arrow) == comparable(polar), f"Polars reads {folder} like pyarrow")
    return arrow


def check_files(folder):
    for path in Path(folder).rglob("*.parquet"):
        file = pyarrow.parquet.ParquetFile(path)
        metadata = {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}
        for key in ["pubtag.schema_version", "pubtag.run_id", "pubtag.model_id", "pubtag.fingerprint"]:
            check(metadata.get(key), f"{path.name} has {key}")
        for field in file.schema_arrow:
            check(b"PARQUET:field_id" in (field.metadata or {}), f"{path.name}: column {field.name} has a field id")
            check("uint" not in str(field.type), f"{path.name}: column {field.name} is signed")
        for group in range(file.metadata.num_row_groups):
            check(file.metadata.row_group(group).column(0).compression == "ZSTD", f"{path.name} is zstd")


def check_offsets(documents, annotations):
    texts = {(row["source_file"], row["ordinal"]): row for row in documents}
    for row in annotations:
        document = texts[row["source_file"], row["ordinal"]]
        text = f"{document['title']} {document['abstract']}"
        check(text[row["start_char"] : row["end_char"]] == row["mention"], f"characters of {row['annotation_id']}")
        encoded = text.encode()
        check(encoded[row["start_byte"] : row["end_byte"]].decode() == row["mention"], f"bytes of {row['annotation_id']}")
        check(0 <= row["score"] <= 1, f"score of {row['annotation_id']}")
    for row in documents:
        if row["status"] == "deleted":
            continue
        text = f"{row['title']} {row['abstract']}"
        check(hashlib.sha256(text.encode()).hexdigest() == row["text_sha256"], f"hash of {row['doc_id']}")
        check(len(text) == row["char_count"], f"length of {row['doc_id']}")
        for section in row["sections"]:
            check(0 <= section["start"] <= section["end"] <= len(text), f"sections of {row['doc_id']}")
        count = sum(1 for a in annotations if (a["source_file"], a["ordinal"]) == (row["source_file"], row["ordinal"]))
        check(count == row["annotation_count"], f"annotation count of {row['doc_id']}")


def check_views(output, connection, documents):
    sql = Path(__file__).resolve().parents[2] / "deploy" / "sql" / "duckdb.sql"
    connection.sql(f"set variable pubtag = '{output}'")
    connection.execute(sql.read_text())
    current = connection.sql("select * from current_documents").to_arrow_table().to_pylist()

    def rank(row):
        return tuple(-1 if row[name] is None else row[name] for name in ["generation", "file_seq", "pmid_version", "ordinal"])

    best = {}
    for row in documents:
        if row["doc_id"] not in best or rank(row) > rank(best[row["doc_id"]]):
            best[row["doc_id"]] = row
    expected = {(doc_id, row["ordinal"]) for doc_id, row in best.items() if row["status"] != "deleted"}
    check({(row["doc_id"], row["ordinal"]) for row in current} == expected, "current_documents is the newest of each")
    annotations = connection.sql("select doc_id, ordinal from current_annotations").fetchall()
    check(set(annotations) <= expected, "current_annotations belong to current documents")
    return len(current)


def main():
    output = sys.argv[1]
    connection = duckdb.connect()
    tables = {table: read_three_ways(f"{output}/{table}", connection) for table in TABLES}
    for table in TABLES:
        check_files(f"{output}/{table}")
    check_offsets(tables["documents"], tables["annotations"])
    current = check_views(output, connection, tables["documents"])
    print(json.dumps({**{table: len(rows) for table, rows in tables.items()}, "current_documents": current}))


main()
