//! The committed tables of an output folder, read back.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_parquet::CommitLog;

use crate::exit::{Exit, Failure};

/// The part files that commits name.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Table and path.
    parts: Vec<(String, PathBuf)>,
}

impl Tables {
    /// Whether a folder is an output.
    pub(crate) fn are_in(folder: &Path) -> bool {
        folder.join("_pubtag/output.json").is_file()
    }

    /// Those of a folder.
    pub(crate) fn of(folder: &Path, commit_log: &CommitLog) -> Self {
        let parts = commit_log.commits().flat_map(|commit| &commit.parts);
        let mut parts: Vec<_> = parts.map(|part| (part.table.clone(), folder.join(&part.path))).collect();
        parts.sort();
        Self { parts }
    }

    /// The rows of a table, these columns of them, a batch at a time, in the order of the parts' names. Columns come in
    /// the table's order.
    pub(crate) fn batches<'a>(
        &'a self,
        table: &'a str,
        columns: &'a [&'a str],
    ) -> impl Iterator<Item = anyhow::Result<RecordBatch>> + 'a {
        let parts = self.parts.iter().filter(move |(name, _)| name == table);
        parts.flat_map(move |(_, path)| {
            let (batches, error) = match open(path, columns) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            batches.into_iter().flatten().chain(error)
        })
    }
}

fn open(path: &Path, columns: &[&str]) -> anyhow::Result<impl Iterator<Item = anyhow::Result<RecordBatch>>> {
    let context = || format!("cannot read {}", path.display());
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(File::open(path).with_context(context)?).with_context(context)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let place = path.display().to_string();
    let batches = builder.with_projection(mask).build().with_context(context)?;
    Ok(batches.map(move |batch| batch.with_context(|| format!("cannot read {place}"))))
}

/// A table that cannot be read back.
pub(crate) fn failure(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Transient, error)
}
