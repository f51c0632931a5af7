-- The current state of PubMed in Polars SQL. `pubtag inspect OUTPUT --parts TABLE` prints the part files that count: those that
-- the markers of commits name, of the generation in force (see `duckdb.sql`).
--
--     import subprocess
--     import polars as pl
--
--     def table(name):
--         parts = subprocess.check_output(["pubtag", "inspect", "/path/to/output", "--parts", name], text=True)
--         rows = pl.scan_parquet(parts.splitlines(), glob=False, missing_columns="insert", include_file_paths="part")
--         return rows.with_columns(attempt_id=pl.col("part").str.extract(r"([0-9a-f-]{36}-\d+)-\d+\.parquet$")).drop("part")
--
--     context = pl.SQLContext(documents=table("documents"), annotations=table("annotations"))
--     for statement in open("polars.sql").read().split(";\n"):
--         context.execute(statement)
--     context.execute("SELECT * FROM current_documents").collect()
--
-- `attempt_id` is the commit of a row, which is in the name of its part. With `ordinal`, it joins the tables: two inputs of a
-- run may have one name.

-- One row per document that is in PubMed now: of each version, the row of the newest file; of the versions that are not
-- deleted, the highest.
CREATE TABLE current_rows AS
WITH newest AS (
    SELECT *
    FROM documents
    QUALIFY row_number() OVER (
        PARTITION BY pmid, CASE WHEN pmid IS NULL THEN doc_id END, pmid_version
        ORDER BY
            generation DESC NULLS LAST,
            file_seq DESC NULLS LAST,
            run_id DESC,
            source_file DESC,
            attempt_id DESC,
            ordinal DESC
    ) = 1
)
SELECT *
FROM newest
WHERE status <> 'deleted'
QUALIFY row_number() OVER (
    PARTITION BY pmid, CASE WHEN pmid IS NULL THEN doc_id END
    ORDER BY pmid_version DESC
) = 1;

CREATE TABLE current_documents AS SELECT * EXCLUDE (attempt_id) FROM current_rows;

-- Their annotations.
CREATE TABLE current_annotations AS
SELECT annotations.* EXCLUDE (attempt_id)
FROM annotations
SEMI JOIN current_rows AS d ON annotations.attempt_id = d.attempt_id AND annotations.ordinal = d.ordinal;
