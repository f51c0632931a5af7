-- The current state of PubMed in Polars SQL. `pubtag inspect OUTPUT --parts TABLE` prints the part files that count: those that
-- the markers of commits name, of the generation in force (see `duckdb.sql`).
--
--     import subprocess
--     import polars as pl
--
--     def table(name):
--         parts = subprocess.check_output(["pubtag", "inspect", "/path/to/output", "--parts", name], text=True)
--         return pl.scan_parquet(parts.splitlines(), missing_columns="insert")
--
--     context = pl.SQLContext(documents=table("documents"), annotations=table("annotations"))
--     for statement in open("polars.sql").read().split(";\n"):
--         context.execute(statement)
--     context.execute("SELECT * FROM current_documents").collect()

-- One row per document that is in PubMed now: of each version, the row of the newest file; of the versions that are not
-- deleted, the highest.
CREATE TABLE current_documents AS
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

-- The annotations of those rows.
CREATE TABLE current_annotations AS
SELECT annotations.*
FROM annotations
SEMI JOIN current_documents AS d
    ON annotations.run_id = d.run_id
    AND annotations.source_file = d.source_file
    AND annotations.ordinal = d.ordinal
    AND annotations.doc_id = d.doc_id
    AND annotations.pmid_version = d.pmid_version;
