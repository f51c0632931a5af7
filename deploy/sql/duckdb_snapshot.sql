-- DuckDB views of a snapshot of pubtag.
--
--     SET VARIABLE snapshot = '/path/to/output/snapshot';
--     .read duckdb_snapshot.sql
--
-- `latest.json` names the files of the newest snapshot, so the views never mix two of them. They stay with the snapshot that
-- was the newest when this was read: read it again to go on to the next. For an older one, set `snapshot_manifest`:
--
--     SET VARIABLE snapshot_manifest = 'manifests/00000041.json';

SET VARIABLE snapshot_files = (
    WITH manifest AS (
        SELECT unnest(buckets) AS bucket
        FROM read_json(
            getvariable('snapshot') || '/' || coalesce(getvariable('snapshot_manifest'), 'latest.json'),
            columns = {buckets: 'STRUCT(documents STRUCT(path VARCHAR))[]'},
            maximum_object_size = 1073741824
        )
    )
    SELECT list(getvariable('snapshot') || '/' || bucket.documents.path) FROM manifest
);

-- One row per live citation, with its annotations as a list.
CREATE OR REPLACE VIEW snapshot AS
SELECT * FROM read_parquet(getvariable('snapshot_files'), union_by_name = true);

-- One row per annotation, in the columns of `annotations`.
CREATE OR REPLACE VIEW snapshot_annotations AS
SELECT
    d.* EXCLUDE (annotation),
    annotation.*
FROM (
    SELECT
        doc_id, pmid, pmid_version, model_id, run_id, generation, file_seq, ordinal, source_file,
        unnest(annotations) AS annotation
    FROM snapshot
) AS d;
