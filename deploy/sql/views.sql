-- DuckDB views of the current state of PubMed over the part files written by pubtag.
--
--     SET VARIABLE pubtag = '/path/to/output';
--     .read views.sql
--
-- The tables only grow: an update file adds a new row for a PMID of an earlier file, and a DeleteCitation is a row with the
-- status 'deleted'. The current row of a document is the one with the highest
--
--     (generation, file_seq, pmid_version, ordinal)
--
-- and the document is deleted if that row is a deletion. `generation` and `file_seq` come from the name of the input file
-- (pubmed26n0001: 2026 and 1). Other file names have nulls, which count as older than any number. Ties (files without
-- numbers) are broken by the later run, then by the file name.
--
-- A yearly baseline replaces everything before it. A PMID that it silently drops still has its row of the year before: once
-- a baseline is complete, add `WHERE generation = 2026` to see only that year.
--
-- Documents are identified by PMID or, without one, by doc_id: the id "123" of a JSONL record is not the PMID 123.

CREATE OR REPLACE VIEW documents AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/documents/**/*.parquet', union_by_name = true);

CREATE OR REPLACE VIEW annotations AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/annotations/**/*.parquet', union_by_name = true);

CREATE OR REPLACE VIEW rejects AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/rejects/**/*.parquet', union_by_name = true);

-- One row per document that is in PubMed now.
CREATE OR REPLACE VIEW current_documents AS
SELECT * EXCLUDE (recency)
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY pmid, CASE WHEN pmid IS NULL THEN doc_id END
            ORDER BY
                generation DESC NULLS LAST,
                file_seq DESC NULLS LAST,
                pmid_version DESC,
                ordinal DESC,
                run_id DESC,
                source_file DESC
        ) AS recency
    FROM documents
)
WHERE recency = 1 AND status <> 'deleted';

-- The annotations of those rows, without those of earlier versions of a document.
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
