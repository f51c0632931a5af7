"""Compares snapshots with the PubMed files that they were made from, and with the SQL views.

    python tests/readers/snapshot.py < CASES

CASES is a JSON list of objects:

    output   directory of the output
    snapshot number of the snapshot; null for the newest
    files    [[name in a mirror, path], ...]: the PubMed files in effect; null to skip
    former   number of an earlier snapshot: the changes are checked against both; null to skip
    parts    {"documents": [part, ...], "annotations": [...]}: the SQL views must give the same rows; null to skip

The expected state is computed from the XML by other means: lxml reads it, and the files are applied one after another.
Exits with status 1 and a message at the first difference; prints one JSON object per case.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import duckdb
import polars

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracles"))
from pubmed_text import rows as records_of  # noqa: E402

NAME = re.compile(r"(?:^|/)pubmed(\d\d)n(\d{4})\.xml(?:\.gz)?$")
PROVENANCE = {"run_id", "processed_at", "generation", "file_seq", "ordinal", "source_file", "cached"}
OF_THE_DOCUMENT = PROVENANCE - {"processed_at", "cached"} | {"doc_id", "pmid", "pmid_version", "model_id"}


def check(holds, what):
    if not holds:
        sys.exit(f"violated: {what}")


def generation_in_force(names):
    """The newest year all of whose files below the first update file are there; the oldest while none is."""
    baselines, first_update = defaultdict(set), {}
    for name in names:
        year, number = map(int, NAME.search(name).groups())
        if "updatefiles/" in name:
            first_update[year] = min(number, first_update.get(year, number))
        baselines[year].add(number)
    complete = [year for year, first in first_update.items() if set(range(1, first)) <= baselines[year]]
    return max(complete, default=min(baselines))


parsed = {}


def apply_files(files):
    """The live citations after all files were applied, from the first to the last."""
    year = generation_in_force([name for name, _ in files])
    ours = sorted((name for name in files if int(NAME.search(name[0])[1]) == year), key=lambda f: NAME.search(f[0])[2])
    versions = defaultdict(dict)
    for name, path in ours:
        if path not in parsed:
            parsed[path] = list(records_of(path))
        for record in parsed[path]:
            if record["kind"] == "deletion":
                versions[record["pmid"]].pop(record["version"], None)
            else:
                versions[record["pmid"]][record["version"]] = {**record, "source_file": name.rsplit("/")[-1]}
    return {pmid: states[max(states)] for pmid, states in versions.items() if states}


def snapshot_connection(output, number):
    connection = duckdb.connect()
    connection.sql(f"set variable snapshot = '{output}/snapshot'")
    if number is not None:
        connection.sql(f"set variable snapshot_manifest = 'manifests/{number:08}.json'")
    connection.execute((ROOT / "deploy/sql/duckdb_snapshot.sql").read_text())
    return connection


def records(relation):
    return relation.to_arrow_table().to_pylist()


def by_pmid(rows, what):
    found = {row["pmid"]: row for row in rows}
    check(len(found) == len(rows), f"{what}: one row per citation")
    return found


def check_state(rows, files):
    expected = apply_files(files)
    check(set(rows) == set(expected), f"live citations: {sorted(set(rows) ^ set(expected))[:10]} differ")
    for pmid, row in rows.items():
        wanted = expected[pmid]
        for ours, theirs in [("pmid_version", "version"), ("title", "title"), ("abstract", "abstract"), ("source_file", "source_file")]:
            check(row[ours] == wanted[theirs], f"PMID {pmid}: {ours} is {row[ours]!r} instead of {wanted[theirs]!r}")
        check((row["date_revised"] - type(row["date_revised"])(1970, 1, 1)).days == wanted["revised"], f"PMID {pmid}: date revised")
        check(len(row["annotations"]) == row["annotation_count"], f"PMID {pmid}: number of annotations")
        text = f"{row['title']} {row['abstract']}"
        for found in row["annotations"]:
            check(text[found["start_char"] : found["end_char"]] == found["mention"], f"PMID {pmid}: text of a mention")


def tagged_alike(rows, mentions):
    """The same text has the same mentions in every snapshot of every output."""
    for row in rows.values():
        found = [(a["start_char"], a["end_char"], a["label"], a["section"], a["source"]) for a in row["annotations"]]
        check(mentions.setdefault(row["text_sha256"], found) == found, f"PMID {row['pmid']}: mentions")


def content(row):
    if row is None:
        return None
    annotations = [{key: value for key, value in a.items() if key != "score"} for a in row["annotations"]]
    return {**{key: value for key, value in row.items() if key not in PROVENANCE}, "annotations": annotations}


def check_changes(output, number, former, rows):
    before = by_pmid(records(snapshot_connection(output, former).sql("from snapshot")), "former snapshot")
    manifest = json.loads(Path(f"{output}/snapshot/manifests/{number:08}.json").read_text())
    files = [f"{output}/snapshot/{file['path']}" for file in manifest["changes"]["files"]]
    changes = records(duckdb.read_parquet(files)) if files else []
    kinds = defaultdict(set)
    for change in changes:
        kind, pmid = change.pop("change"), change["pmid"]
        check(change.pop("snapshot") == number, "number of the snapshot")
        check(pmid not in kinds[kind], f"PMID {pmid} changes once")
        kinds[kind].add(pmid)
        check(change == (before if kind == "deleted" else rows)[pmid], f"PMID {pmid}: the row that was {kind}")
    common = set(before) & set(rows)
    check(kinds["inserted"] == set(rows) - set(before), "inserted")
    check(kinds["deleted"] == set(before) - set(rows), "deleted")
    check(kinds["updated"] == {pmid for pmid in common if content(before[pmid]) != content(rows[pmid])}, "updated")
    for kind in ["inserted", "updated", "deleted"]:
        check(manifest["changes"][kind] == len(kinds[kind]), f"count of {kind}")
    return {kind: len(pmids) for kind, pmids in kinds.items()}


def ordered(rows):
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)


def check_views(output, rows, parts):
    """`current_documents` and `current_annotations` in DuckDB and Polars are the rows of the snapshot."""
    expected = ordered({key: value for key, value in row.items() if key != "annotations"} for row in rows.values())
    mentions = ordered(
        {**annotation, **{key: row[key] for key in OF_THE_DOCUMENT}} for row in rows.values() for annotation in row["annotations"]
    )
    connection = duckdb.connect()
    connection.sql(f"set variable pubtag = '{output}'")
    connection.execute((ROOT / "deploy/sql/duckdb.sql").read_text())
    check(ordered(records(connection.sql("from current_documents"))) == expected, "current_documents in DuckDB")
    check(ordered(records(connection.sql("from current_annotations"))) == mentions, "current_annotations in DuckDB")
    flat = snapshot_connection(output, None).sql("from snapshot_annotations")
    check(ordered(records(flat)) == mentions, "snapshot_annotations in DuckDB")

    def table(name):
        rows = polars.scan_parquet(parts[name], glob=False, missing_columns="insert", include_file_paths="part")
        return rows.with_columns(attempt_id=polars.col("part").str.extract(r"([0-9a-f-]{36}-\d+)-\d+\.parquet$")).drop("part")

    context = polars.SQLContext(documents=table("documents"), annotations=table("annotations"))
    for statement in (ROOT / "deploy/sql/polars.sql").read_text().split(";\n"):
        if statement.strip():
            context.execute(statement)
    for name, wanted in [("current_documents", expected), ("current_annotations", mentions)]:
        found = context.execute(f"SELECT * FROM {name}").collect().to_arrow().to_pylist()
        check(ordered(found) == wanted, f"{name} in Polars")


def main():
    mentions = {}
    for case in json.load(sys.stdin):
        output, number = case["output"], case["snapshot"]
        rows = by_pmid(records(snapshot_connection(output, number).sql("from snapshot")), "snapshot")
        if case.get("files") is not None:
            check_state(rows, case["files"])
        tagged_alike(rows, mentions)
        changes = None
        if case.get("former") is not None:
            changes = check_changes(output, number, case["former"], rows)
        if case.get("parts"):
            check_views(output, rows, case["parts"])
        annotations = sum(len(row["annotations"]) for row in rows.values())
        print(json.dumps({"documents": len(rows), "annotations": annotations, "changes": changes}))


main()
