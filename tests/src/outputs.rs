//! Readers for the program's output.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The columns that differ from run to run.
const VOLATILE: [&str; 3] = ["run_id", "processed_at", "cached"];

/// The rows of a table, each as `column=value` fields in column order, sorted.
pub type Rows = Vec<String>;

/// Reads every row of `OUTPUT/TABLE/**/*.parquet`, without the columns that differ from run to run.
pub fn read_table(output: &Path, table: &str) -> Rows {
    let mut rows = Vec::new();
    for path in parquet_files(&output.join(table)) {
        read_file(&path, &mut rows);
    }
    rows.sort_unstable();
    rows
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let nested = paths.flat_map(|path| if path.is_dir() { parquet_files(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

fn read_file(path: &Path, rows: &mut Rows) {
    let file = File::open(path).expect("a part can be opened");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
    for batch in reader.unwrap_or_else(|error| panic!("{} is not a Parquet file: {error}", path.display())) {
        let batch = batch.unwrap_or_else(|error| panic!("{} is damaged: {error}", path.display()));
        let options = FormatOptions::default().with_null("∅");
        let schema = batch.schema();
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter(|(field, _)| !VOLATILE.contains(&field.name().as_str()))
            .map(|(field, array)| (field.name(), ArrayFormatter::try_new(array, &options).expect("a printable type")))
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            columns.iter().map(|(name, values)| format!("{name}={}\u{1f}", values.value(row))).collect::<String>()
        }));
    }
}

/// The run's `report.json`.
pub fn report(output: &Path) -> serde_json::Value {
    let text = fs::read(output.join("report.json")).expect("a run leaves a report");
    serde_json::from_slice(&text).expect("the report is JSON")
}
