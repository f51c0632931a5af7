-- The current state of PubMed, as views over the part files that pubtag writes (DuckDB).
--
--     SET VARIABLE pubtag = '/path/to/output';
--     .read views.sql
--
-- The tables only grow: an update file brings a new row for a PMID that an earlier file had, and a DeleteCitation is a
-- row with the status 'deleted'. Which row of a document is current follows from the rows alone: the one with the highest
--
--     (generation, file_seq, pmid_version, ordinal)
--
-- and the document is gone if that row is a deletion. `generation` and `file_seq` come from the name of the input file
-- (pubmed26n0001: 2026 and 1). A file whose name does not say has nulls there; they count as older than any number.
-- Rows that are equal in all four (files without numbers) are told apart by the later run, then by the file's name.
--
-- A yearly baseline replaces all that came before it. A PMID that it silently leaves out still has its row of the year
-- before: once a whole baseline is in, add `WHERE generation = 2026` to see that year alone.
--
-- A document is a PMID or, where there is none, a doc_id: the id "123" of a JSONL record is not the PMID 123.

CREATE OR REPLACE VIEW documents AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/documents/**/*.parquet', union_by_name = true);

CREATE OR REPLACE VIEW annotations AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/annotations/**/*.parquet', union_by_name = true);

CREATE OR REPLACE VIEW rejects AS
SELECT * FROM read_parquet(getvariable('pubtag') || '/rejects/**/*.parquet', union_by_name = true);

-- One row for each document that is in PubMed now.
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

-- The annotations of those rows, and of no earlier version of the document.
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
