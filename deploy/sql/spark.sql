-- Spark SQL views of an output of pubtag: its tables, and the current state of PubMed. The rules are those of `duckdb.sql`.
--
--     spark-sql --conf pubtag=/path/to/output -f spark.sql
--
-- or, in a session, `spark.conf.set("pubtag", "/path/to/output")` and each statement with `spark.sql`.

CREATE OR REPLACE TEMPORARY VIEW markers (
    attempt_id STRING,
    input STRUCT<uri: STRING>,
    outcome STRUCT<kind: STRING>,
    supersedes ARRAY<STRING>,
    claim STRUCT<uri: STRING, number: BIGINT, replaces: ARRAY<BIGINT>>,
    parts ARRAY<STRUCT<`table`: STRING, path: STRING>>
)
USING json OPTIONS (path '${pubtag}/_pubtag/commits', multiLine true, pathGlobFilter '*.json');

CREATE OR REPLACE TEMPORARY VIEW commits AS
SELECT
    attempt_id,
    input.uri AS uri,
    outcome.kind = 'complete' AS is_whole,
    2000 + TRY_CAST(regexp_extract(input.uri, '(^|/)(pubmed|medline)([0-9]{2})n[0-9]{4,6}[.][^/]*$', 3) AS INT) AS generation,
    TRY_CAST(regexp_extract(input.uri, '(^|/)(pubmed|medline)[0-9]{2}n([0-9]{4,6})[.][^/]*$', 3) AS INT) AS file_seq,
    input.uri RLIKE '(^|/)updatefiles/[^/]*$' AS is_update,
    parts
FROM markers
LEFT ANTI JOIN (SELECT explode(supersedes) AS attempt FROM markers) ON attempt_id = attempt
LEFT ANTI JOIN (SELECT claim.uri AS uri, explode(claim.replaces) AS number FROM markers) AS replaced
    ON claim.uri = replaced.uri AND claim.number = replaced.number;

-- To select a generation, replace the last line by a year: `SELECT 2026 AS generation`.
CREATE OR REPLACE TEMPORARY VIEW generation_in_force AS
WITH baselines AS (
    SELECT generation, min(file_seq) FILTER (WHERE is_update) - 1 AS last
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
SELECT coalesce((SELECT max(generation) FROM complete), (SELECT min(generation) FROM baselines)) AS generation;

CREATE OR REPLACE TEMPORARY VIEW parts AS
SELECT part.`table` AS name, regexp_extract(part.path, '[^/]*$', 0) AS file, attempt_id
FROM (SELECT attempt_id, explode(parts) AS part FROM commits);

-- Columns that older versions did not write are null.
SET spark.sql.parquet.mergeSchema = true;

-- `attempt_id` is the commit of a row. With `ordinal`, it joins the three tables: two inputs of a run may have one name.
CREATE OR REPLACE TEMPORARY VIEW documents AS
SELECT d.*, parts.attempt_id
FROM parquet.`${pubtag}/documents` AS d
JOIN parts ON parts.name = 'documents' AND parts.file = d._metadata.file_name;

CREATE OR REPLACE TEMPORARY VIEW annotations AS
SELECT a.*, parts.attempt_id
FROM parquet.`${pubtag}/annotations` AS a
JOIN parts ON parts.name = 'annotations' AND parts.file = a._metadata.file_name;

CREATE OR REPLACE TEMPORARY VIEW rejects AS
SELECT r.*, parts.attempt_id
FROM parquet.`${pubtag}/rejects` AS r
JOIN parts ON parts.name = 'rejects' AND parts.file = r._metadata.file_name;

-- One row per document that is in PubMed now.
CREATE OR REPLACE TEMPORARY VIEW current_rows AS
WITH counting AS (
    SELECT *
    FROM documents
    WHERE generation IS NULL OR generation = (SELECT generation FROM generation_in_force)
),
newest AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY pmid, CASE WHEN pmid IS NULL THEN doc_id END, pmid_version
            ORDER BY
                generation DESC NULLS LAST,
                file_seq DESC NULLS LAST,
                run_id DESC,
                source_file DESC,
                attempt_id DESC,
                ordinal DESC
        ) AS age
    FROM counting
),
live AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY pmid, CASE WHEN pmid IS NULL THEN doc_id END
            ORDER BY pmid_version DESC
        ) AS place
    FROM newest
    WHERE age = 1 AND status <> 'deleted'
)
SELECT * EXCEPT (age, place) FROM live WHERE place = 1;

CREATE OR REPLACE TEMPORARY VIEW current_documents AS SELECT * EXCEPT (attempt_id) FROM current_rows;

-- Their annotations.
CREATE OR REPLACE TEMPORARY VIEW current_annotations AS
SELECT a.* EXCEPT (attempt_id)
FROM annotations AS a
LEFT SEMI JOIN current_rows AS d ON a.attempt_id = d.attempt_id AND a.ordinal = d.ordinal;
