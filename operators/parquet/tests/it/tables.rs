//! The files themselves: their schema is pinned, old ones can still be read, and their footers have provenance.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, Int64Type};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};

use crate::common::*;

/// Set to rewrite the golden files instead of comparing with them.
const BLESS: &str = "PUBTAG_BLESS";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn metadata(path: &Path) -> ParquetMetaData {
    SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap().metadata().clone()
}

/// The first part of each table.
async fn written(folder: &Path) -> Vec<PathBuf> {
    run_one(folder, config(), &unit(0, "/in/pubmed26n0007.xml.gz", "a")).await;
    parts(folder).into_iter().map(|part| folder.join(part)).collect()
}

#[tokio::test]
async fn the_schema_of_the_files_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut schema = Vec::new();
    for part in written(folder.path()).await {
        let table = part.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        schema.extend_from_slice(format!("-- {table}\n").as_bytes());
        print_schema(&mut schema, metadata(&part).file_metadata().schema());
    }
    let (schema, path) = (String::from_utf8(schema).unwrap(), golden("schema-v1.txt"));
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert_eq!(
        schema, golden,
        "within a schema version columns are only added; if that is what happened, set {BLESS}=1"
    );
}

/// Checks that every column of an old file still exists, with its id and type.
fn check_old_file<T: Table>(path: &Path) {
    let old = ArrowReaderMetadata::load(&fs::File::open(path).unwrap(), Default::default()).unwrap();
    for field in old.schema().fields() {
        let schema = T::schema();
        let now = schema.field_with_name(field.name()).unwrap_or_else(|_| panic!("{} is gone", field.name()));
        assert_eq!(now, field.as_ref(), "{}.{} has changed", T::NAME, field.name());
    }
}

#[test]
fn files_of_schema_version_1_are_still_read() {
    let [annotations, documents, rejects] =
        ["annotations-v1.parquet", "documents-v1.parquet", "rejects-v1.parquet"].map(golden);
    check_old_file::<AnnotationRow>(&annotations);
    check_old_file::<DocumentRow>(&documents);
    check_old_file::<RejectRow>(&rejects);

    let annotations = &read_file(&annotations)[0];
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(strings(annotations, "mention"), [text("Ataxia"), text("ALS"), text("𝛽-Zerfälle")]);
    // Computed with Python's hashlib from document, version, text, span, label and model.
    assert_eq!(strings(annotations, "annotation_id")[0], text("ba4ba4bfa37e0076798f2ccbcbe99676"));
    assert_eq!(annotations["score"].as_primitive::<Float32Type>().values(), &[0.75; 3]);
    assert!(annotations["concept_ids"].is_null(0));
    let documents = &read_file(&documents)[0];
    assert_eq!(documents["pmid"].as_primitive::<Int64Type>().values(), &[1000, 1001, 1002]);
    assert_eq!(strings(documents, "status"), [text("tagged"), text("no_entity"), text("deleted")]);
    let sections = documents["sections"].as_list::<i32>();
    assert_eq!((sections.value_length(0), sections.value_length(2)), (2, 0));
    assert_eq!(read_file(&rejects)[0]["raw"].as_binary::<i32>().value(0), b"<a");
}

/// Run by hand, once per schema version.
#[tokio::test]
#[ignore = "writes the golden files"]
async fn write_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    for (part, name) in written(folder.path()).await.iter().zip(["annotations", "documents", "rejects"]) {
        fs::copy(part, golden(&format!("{name}-v1.parquet"))).unwrap();
    }
}

#[tokio::test]
async fn a_part_has_its_provenance_in_the_footer() {
    let folder = tempfile::tempdir().unwrap();
    for part in written(folder.path()).await {
        let metadata = metadata(&part);
        let pairs = metadata.file_metadata().key_value_metadata().expect("key-value metadata");
        let value = |key: &str| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.as_deref());
        assert_eq!(value("pubtag.schema_version"), Some("1"));
        assert_eq!(value("pubtag.input_uri"), Some("/in/pubmed26n0007.xml.gz"));
        let sha256 = sha256(b"a");
        assert_eq!(value("pubtag.input_sha256"), Some(sha256.as_str()));
        assert_eq!(value("pubtag.fingerprint"), Some(spec().fingerprint(&sha256).as_str()));
        assert_eq!(value("pubtag.model_id"), Some("tiny-0123456789ab"));
        let run_id = value("pubtag.run_id").unwrap();
        assert!(part.display().to_string().contains(run_id), "the name of the part tells the same run");
    }
}

#[tokio::test]
async fn row_groups_say_how_they_are_sorted_and_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let part = &written(folder.path()).await[0];
    let metadata = metadata(part);
    let group = metadata.row_group(0);
    let names: Vec<_> = group.columns().iter().map(|column| column.column_path().string()).collect();
    let sorted: Vec<_> = group.sorting_columns().unwrap().iter().map(|by| &*names[by.column_idx as usize]).collect();
    assert_eq!(sorted, ["ordinal", "start_byte", "end_byte"]);
    for column in group.columns() {
        let name = column.column_path().string();
        assert_eq!(column.bloom_filter_offset().is_some(), ["doc_id", "pmid"].contains(&&*name), "{name}");
        assert_eq!(column.statistics().is_some(), name != "annotation_id", "{name}");
        assert!(column.compression_codec().to_string().starts_with("ZSTD"), "{name}");
    }
}
