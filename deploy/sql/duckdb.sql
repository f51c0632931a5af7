-- DuckDB views of an output of pubtag: its tables, and the current state of PubMed.
--
--     SET VARIABLE pubtag = '/path/to/output';
--     .read duckdb.sql
--
-- Rows are never changed. An update file adds rows for PMIDs of earlier files, and a deletion is a row with the status
-- 'deleted'. These views decide which rows count:
--
-- * Of the part files, those that the markers of commits name, unless another commit supersedes theirs or has replaced their
--   claim. So the views are right while runs are writing, and between a commit and the removal of what it replaces.
-- * Of the generations (`pubmed26n0001` belongs to 2026), the newest whose baseline is complete: all numbers below the
--   first update file are committed and were read to their end. Update files are recognized by their directory,
--   `updatefiles`. Until a generation is complete, the one before counts; what a baseline leaves out is gone with it.
--   `SET VARIABLE pubtag_generation = 2026` selects one. Files of other names always count.
-- * Of each version of a citation, the row of the newest file; of the versions that are not deleted, the highest.
--
-- `pubtag snapshot` writes the same rows to files (`duckdb_snapshot.sql`): use it if you read them more than once.

CREATE OR REPLACE VIEW commits AS
WITH markers AS (
    SELECT *
    FROM read_json(
        getvariable('pubtag') || '/_pubtag/commits/*.json',
        columns = {
            attempt_id: 'VARCHAR',
            input: 'STRUCT(uri VARCHAR)',
            outcome: 'STRUCT(kind VARCHAR)',
            supersedes: 'VARCHAR[]',
            claim: 'STRUCT(uri VARCHAR, number BIGINT, replaces BIGINT[])',
            parts: 'STRUCT("table" VARCHAR, path VARCHAR)[]'
        }
    )
)
SELECT
    attempt_id,
    input.uri AS uri,
    outcome.kind = 'complete' AS is_whole,
    2000 + TRY_CAST(regexp_extract(input.uri, '(^|/)(pubmed|medline)(\d\d)n\d{4,6}\.[^/]*$', 3) AS INTEGER) AS generation,
    TRY_CAST(regexp_extract(input.uri, '(^|/)(pubmed|medline)\d\dn(\d{4,6})\.[^/]*$', 3) AS INTEGER) AS file_seq,
    regexp_matches(input.uri, '(^|/)updatefiles/[^/]*$') AS is_update,
    parts
FROM markers
ANTI JOIN (SELECT unnest(supersedes) AS attempt FROM markers) AS superseded ON attempt_id = attempt
ANTI JOIN (SELECT claim.uri AS uri, unnest(claim.replaces) AS number FROM markers) AS replaced
    ON claim.uri = replaced.uri AND claim.number = replaced.number;

CREATE OR REPLACE VIEW generation_in_force AS
WITH baselines AS (
    SELECT generation, min(file_seq) FILTER (is_update) - 1 AS last
    FROM commits
    WHERE generation IS NOT NULL
    GROUP BY generation
),
complete AS (
    SELECT generation
    FROM baselines JOIN commits USING (generation)
    WHERE is_whole AND file_seq BETWEEN 1 AND last
    GROUP BY generation, last
    HAVING count(DISTINCT file_seq) = last
)
SELECT
    coalesce(
        CAST(getvariable('pubtag_generation') AS INTEGER),
        (SELECT max(generation) FROM complete),
        (SELECT min(generation) FROM baselines)
    ) AS generation;

CREATE OR REPLACE VIEW parts AS
SELECT part.table AS name, regexp_extract(part.path, '[^/]*$') AS file
FROM (SELECT unnest(parts) AS part FROM commits);

CREATE OR REPLACE VIEW documents AS
SELECT * EXCLUDE (filename)
FROM read_parquet(getvariable('pubtag') || '/documents/*.parquet', union_by_name = true, filename = true)
WHERE regexp_extract(filename, '[^/\\]*$') IN (SELECT file FROM parts WHERE name = 'documents');

CREATE OR REPLACE VIEW annotations AS
SELECT * EXCLUDE (filename)
FROM read_parquet(getvariable('pubtag') || '/annotations/*.parquet', union_by_name = true, filename = true)
WHERE regexp_extract(filename, '[^/\\]*$') IN (SELECT file FROM parts WHERE name = 'annotations');

CREATE OR REPLACE VIEW rejects AS
SELECT * EXCLUDE (filename)
FROM read_parquet(getvariable('pubtag') || '/rejects/*.parquet', union_by_name = true, filename = true)
WHERE regexp_extract(filename, '[^/\\]*$') IN (SELECT file FROM parts WHERE name = 'rejects');

-- One row per document that is in PubMed now. Documents are identified by PMID or, without one, by doc_id: the id "123" of
-- a JSONL record is not the PMID 123. Files without numbers count as older than any; ties are broken by the later run.
CREATE OR REPLACE VIEW current_documents AS
WITH counting AS (
    SELECT *
    FROM documents
    WHERE generation IS NULL OR generation = (SELECT generation FROM generation_in_force)
),
newest AS (
    SELECT *
    FROM counting
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
CREATE OR REPLACE VIEW current_annotations AS
SELECT annotations.*
FROM annotations
SEMI JOIN current_documents AS d
    ON annotations.doc_id = d.doc_id
    AND annotations.run_id = d.run_id
    AND annotations.source_file = d.source_file
    AND annotations.ordinal = d.ordinal
    AND annotations.pmid_version = d.pmid_version
    AND annotations.pmid IS NOT DISTINCT FROM d.pmid
    AND annotations.generation IS NOT DISTINCT FROM d.generation
    AND annotations.file_seq IS NOT DISTINCT FROM d.file_seq;
