"""Reads the output for one large PubMed file completely and compares it with the file.

    python tests/readers/large.py OUTPUT INPUT.xml.gz

Every column of every table is read by pyarrow, DuckDB and Polars, one at a time, with equal results. The expected documents
are extracted from the XML by lxml (tests/oracles/pubmed_text.py), record by record: each record begins and ends on its own
line, so that a broken one does not affect others.

Prints one JSON object; exits with status 1 and a message at the first difference.
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from lxml import etree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "oracles"))
import pubmed_text  # noqa: E402

TABLES = ["annotations", "documents", "rejects"]
STARTS = {b"<PubmedArticle>\n": b"</PubmedArticle>\n", b"<DeleteCitation>\n": b"</DeleteCitation>\n"}


def same(one, other, what):
    if one != other:
        sys.exit(f"{what}: {one!r} is not {other!r}"[:2000])


def records(path):
    """The bytes of each record."""
    record, end = None, None
    with gzip.open(path, "rb") as lines:
        for line in lines:
            if record is None and line in STARTS:
                record, end = [], STARTS[line]
            if record is not None:
                record.append(line)
                if line == end:
                    yield b"".join(record)
                    record = None


def rows_of(record):
    """The expected rows of a record: status or reject, PMID, version, SHA-256 of the text."""
    try:
        element = etree.fromstring(record)
        if element.tag == "DeleteCitation":
            for pmid in element.findall("PMID"):
                yield {"kind": "deleted", **pubmed_text.identity(pmid), "sha256": None}
            return
        row = pubmed_text.citation(element.find("MedlineCitation"))
    except (etree.XMLSyntaxError, ValueError):
        row = {"kind": "reject"}
    if row["kind"] == "reject":
        yield {"kind": "reject", "pmid": None, "version": None, "sha256": None}
    else:
        sha256 = hashlib.sha256(row["text"].encode()).hexdigest()
        yield {"kind": "citation", "pmid": row["pmid"], "version": row["version"], "sha256": sha256}


def column_read_three_ways(output, table, name, connection):
    """A column read by pyarrow, if DuckDB and Polars agree."""
    files = sorted(str(path) for path in Path(output, table).glob("*.parquet"))
    arrow = pyarrow.concat_tables(pyarrow.parquet.read_table(file, columns=[name]) for file in files)
    duck = connection.sql(f'select "{name}" from read_parquet({files})').to_arrow_table()
    polar = polars.read_parquet(files, columns=[name]).to_arrow()
    schema = arrow.schema.remove_metadata()
    plain = pyarrow.schema([field.remove_metadata() for field in schema])
    arrow = arrow.cast(plain)
    for reader, found in [("DuckDB", duck), ("Polars", polar)]:
        if not arrow.column(0).combine_chunks().equals(found.cast(plain).column(0).combine_chunks()):
            sys.exit(f"{reader} reads {table}.{name} differently from pyarrow")
    return arrow.column(0)


def read(output, table, connection, wanted):
    """Reads every column of a table and returns those wanted."""
    file = next(Path(output, table).glob("*.parquet"))
    columns = {}
    for name in pyarrow.parquet.read_schema(file).names:
        column = column_read_three_ways(output, table, name, connection)
        if name in wanted:
            columns[name] = column
    return pyarrow.table(columns)


def rows(table, names):
    """The values of some columns, row by row: only a few rows are Python objects at a time."""
    for batch in table.select(names).to_batches(max_chunksize=65536):
        yield from zip(*(column.to_pylist() for column in batch.columns))


def check_documents(expected, documents, rejects):
    found = {}
    names = ["ordinal", "status", "pmid", "pmid_version", "text_sha256"]
    for ordinal, status, pmid, version, sha256 in rows(documents, names):
        kind = "deleted" if status == "deleted" else "citation"
        found[ordinal] = {"kind": kind, "pmid": pmid, "version": version, "sha256": sha256}
    for (ordinal,) in rows(rejects, ["ordinal"]):
        same(ordinal in found, False, f"record {ordinal} is a document and a reject")
        found[ordinal] = {"kind": "reject", "pmid": None, "version": None, "sha256": None}
    same(len(found), len(documents) + len(rejects), "each record is one row")
    same(len(found), len(expected), "records")
    for ordinal, row in enumerate(expected):
        same(found.get(ordinal), row, f"record {ordinal}")


def check_annotations(annotations, documents):
    texts = {
        ordinal: f"{title} {abstract}"
        for ordinal, title, abstract in rows(documents, ["ordinal", "title", "abstract"])
    }
    counts, at = {}, (None, None, None)
    names = ["ordinal", "mention", "start_char", "end_char", "start_byte", "end_byte"]
    for ordinal, mention, start, end, start_byte, end_byte in rows(annotations, names):
        if at[0] != ordinal:
            at = (ordinal, texts[ordinal], texts[ordinal].encode())
        same(at[1][start:end], mention, f"characters {start} to {end} of record {ordinal}")
        same(at[2][start_byte:end_byte], mention.encode(), f"bytes {start_byte} to {end_byte} of record {ordinal}")
        counts[ordinal] = counts.get(ordinal, 0) + 1
    ids = pyarrow.compute.count_distinct(annotations["annotation_id"]).as_py()
    same(ids, len(annotations), "distinct annotation ids")
    for ordinal, count in rows(documents, ["ordinal", "annotation_count"]):
        same(counts.get(ordinal, 0), count, f"annotations of record {ordinal}")


def main():
    output, source = sys.argv[1:]
    expected = [row for record in records(source) for row in rows_of(record)]
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    wanted = {
        "annotations": ["annotation_id", "ordinal", "mention", "start_char", "end_char", "start_byte", "end_byte"],
        "documents": ["ordinal", "status", "pmid", "pmid_version", "text_sha256", "title", "abstract", "annotation_count"],
        "rejects": ["ordinal"],
    }
    tables = {table: read(output, table, connection, wanted[table]) for table in TABLES}
    check_documents(expected, tables["documents"], tables["rejects"])
    check_annotations(tables["annotations"], tables["documents"])
    files = {table: [pyarrow.parquet.ParquetFile(path) for path in Path(output, table).glob("*.parquet")] for table in TABLES}
    print(json.dumps({
        "rows": {table: len(tables[table]) for table in TABLES},
        "row_groups": {table: sum(file.num_row_groups for file in files[table]) for table in TABLES},
        "deletions": sum(row["kind"] == "deleted" for row in expected),
    }))


main()
