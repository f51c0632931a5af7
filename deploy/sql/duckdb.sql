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

-- Files of the output. Brackets keep characters of its own path from being a pattern.
CREATE OR REPLACE MACRO files_of(pattern) AS
    regexp_replace(getvariable('pubtag'), '[\[*?]', '[\0]', 'g') || '/' || pattern;

CREATE OR REPLACE VIEW commits AS
WITH markers AS (
    SELECT *
    FROM read_json(
        files_of('_pubtag/commits/*.json'),
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
SELECT part.table AS name, regexp_extract(part.path, '[^/]*$') AS file, attempt_id
FROM (SELECT attempt_id, unnest(parts) AS part FROM commits);

-- `attempt_id` is the commit of a row. With `ordinal`, it joins the three tables: two inputs of a run may have one name.
CREATE OR REPLACE VIEW documents AS
SELECT d.* EXCLUDE (filename), parts.attempt_id
FROM read_parquet(files_of('documents/*.parquet'), union_by_name = true, filename = true) AS d
JOIN parts ON parts.name = 'documents' AND parts.file = regexp_extract(d.filename, '[^/\\]*$');

CREATE OR REPLACE VIEW annotations AS
SELECT a.* EXCLUDE (filename), parts.attempt_id
FROM read_parquet(files_of('annotations/*.parquet'), union_by_name = true, filename = true) AS a
JOIN parts ON parts.name = 'annotations' AND parts.file = regexp_extract(a.filename, '[^/\\]*$');

CREATE OR REPLACE VIEW rejects AS
SELECT r.* EXCLUDE (filename), parts.attempt_id
FROM read_parquet(files_of('rejects/*.parquet'), union_by_name = true, filename = true) AS r
JOIN parts ON parts.name = 'rejects' AND parts.file = regexp_extract(r.filename, '[^/\\]*$');

-- One row per document that is in PubMed now. Documents are identified by PMID or, without one, by doc_id: the id "123" of
-- a JSONL record is not the PMID 123. Files without numbers count as older than any; ties are broken by the later run,
-- and within a run by the later commit.
CREATE OR REPLACE VIEW current_rows AS
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

CREATE OR REPLACE VIEW current_documents AS SELECT * EXCLUDE (attempt_id) FROM current_rows;

-- Their annotations.
CREATE OR REPLACE VIEW current_annotations AS
SELECT annotations.* EXCLUDE (attempt_id)
FROM annotations
SEMI JOIN current_rows USING (attempt_id, ordinal);
