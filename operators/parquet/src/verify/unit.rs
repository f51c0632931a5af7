//! Checks the rows of one commit against each other: three tables, each in input order, read side by side.

use std::collections::BTreeMap;

use arrow::array::{Array, Int32Array, StringArray};
use pubtag_schemas::tables::Status;
use pubtag_schemas::{Commit, Tally};

use super::annotation;
use super::columns::{Annotations, Batch, Columns, Cursor, Documents, Rejects, Row};
use super::defect::{Defect, Defects};
use super::document::Document;
use crate::TextPolicy;

/// Totals over the rows of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) statuses: BTreeMap<String, u64>,
    pub(super) rejects: u64,
    /// Documents whose text was not kept.
    pub(super) without_text: u64,
}

impl Sums {
    fn counts(&self) -> Tally {
        let deletions = self.statuses.get(Status::Deleted.as_str()).copied().unwrap_or(0);
        let documents: u64 = self.statuses.values().sum();
        Tally { citations: documents - deletions, deletions, rejects: self.rejects }
    }

    /// Compares the totals with the marker's.
    pub(super) fn check(&self, marker: &str, commit: &Commit, defects: &mut Defects) {
        let (rows, met) = (self.counts(), commit.tally);
        let checks = [
            ("citations read differ from their rows", met.citations, rows.citations),
            ("deletions read differ from their rows", met.deletions, rows.deletions),
            ("rejects read differ from their rows", met.rejects, rows.rejects),
        ];
        for (what, met, rows) in checks.into_iter().filter(|(_, met, rows)| met != rows) {
            defects.add(Defect::new(marker, what).expected(met, rows));
        }
        if self.statuses != commit.statuses {
            let defect = Defect::new(marker, "statuses differ from the rows");
            defects.add(defect.expected(listed(&commit.statuses), listed(&self.statuses)));
        }
    }
}

fn listed(statuses: &BTreeMap<String, u64>) -> String {
    let listed: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
    if listed.is_empty() { "none".to_owned() } else { listed.join(" + ") }
}

/// Reads the three tables of a commit in order and checks their rows against each other and the marker.
///
/// # Memory
/// A batch of each table and the annotations of one document.
///
/// # Errors
/// If a part cannot be read.
pub(super) fn check(
    commit: &Commit,
    documents: impl Iterator<Item = Batch>,
    annotations: impl Iterator<Item = Batch>,
    rejects: impl Iterator<Item = Batch>,
    defects: &mut Defects,
) -> Result<Sums, Defect> {
    let policy = commit.settings.get("text").and_then(|policy| policy.parse::<TextPolicy>().ok());
    let mut documents = InOrder::<Documents, _>::new(documents, commit);
    let mut annotations = InOrder::<Annotations, _>::new(annotations, commit);
    let mut rejects = InOrder::<Rejects, _>::new(rejects, commit);
    let mut sums = Sums::default();
    while let Some(row) = documents.next(defects)? {
        *sums.statuses.entry(row.columns.status.value(row.at).to_owned()).or_default() += 1;
        let ordinal = row.ordinal();
        if rejects.until(Some(ordinal), defects, |_, _| sums.rejects += 1)? == Some(ordinal) {
            defects.add(row.defect("record is also a reject"));
        }
        annotations.until(Some(ordinal), defects, orphan)?;
        let annotations = annotations.of(ordinal, defects)?;
        let document = Document::new(row);
        sums.without_text += u64::from(document.text.is_none() && document.status() != Status::Deleted.as_str());
        let checked = document.check(policy);
        let checked = checked.and(annotation::check_all(&annotations, &document, |defect| defects.add(defect)));
        if let Err(defect) = checked {
            defects.add(defect);
        }
    }
    annotations.until(None, defects, orphan)?;
    rejects.until(None, defects, |_, _| sums.rejects += 1)?;
    Ok(sums)
}

fn orphan(row: &Row<Annotations>, defects: &mut Defects) {
    defects.add(row.defect("annotation without a document"));
}

/// The rows of a table in order; a row out of order is a defect and is skipped.
struct InOrder<'a, C, I> {
    cursor: Cursor<C, I>,
    origin: Origin<'a>,
    last: Option<[i32; 3]>,
    looked: Option<Row<C>>,
}

impl<'a, C: Keyed, I: Iterator<Item = Batch>> InOrder<'a, C, I> {
    fn new(batches: I, commit: &'a Commit) -> Self {
        Self { cursor: Cursor::new(batches), origin: Origin::of(commit), last: None, looked: None }
    }

    /// Peeks at the next row.
    fn peek(&mut self, defects: &mut Defects) -> Result<Option<&Row<C>>, Defect> {
        while self.looked.is_none() {
            let Some(row) = self.cursor.row()? else { return Ok(None) };
            self.cursor.advance();
            if let Err(defect) = self.check_order(&row) {
                defects.add(defect);
                continue;
            }
            if let Err(defect) = self.origin.check(&row) {
                defects.add(defect);
            }
            self.looked = Some(row);
        }
        Ok(self.looked.as_ref())
    }

    fn next(&mut self, defects: &mut Defects) -> Result<Option<Row<C>>, Defect> {
        self.peek(defects)?;
        Ok(self.looked.take())
    }

    /// Skips the rows before a record, or all; returns the record of the next row.
    fn until(
        &mut self,
        ordinal: Option<i32>,
        defects: &mut Defects,
        mut each: impl FnMut(&Row<C>, &mut Defects),
    ) -> Result<Option<i32>, Defect> {
        while let Some(found) = self.peek(defects)?.map(Row::ordinal) {
            if ordinal.is_some_and(|ordinal| found >= ordinal) {
                return Ok(Some(found));
            }
            if let Some(row) = self.looked.take() {
                each(&row, defects);
            }
        }
        Ok(None)
    }

    /// The rows of a record.
    fn of(&mut self, ordinal: i32, defects: &mut Defects) -> Result<Vec<Row<C>>, Defect> {
        let mut rows = Vec::new();
        while self.peek(defects)?.map(Row::ordinal) == Some(ordinal) {
            rows.extend(self.looked.take());
        }
        Ok(rows)
    }

    fn check_order(&mut self, row: &Row<C>) -> Result<(), Defect> {
        let key = row.columns.key(row.at);
        match self.last {
            Some(last) if key == last && C::UNIQUE => Err(row.defect("duplicate record")),
            Some(last) if key < last => Err(row.defect("rows are out of order")),
            _ => {
                self.last = Some(key);
                Ok(())
            }
        }
    }
}

/// A table with the order of its rows.
trait Keyed: Columns {
    /// Whether no two rows have the same key.
    const UNIQUE: bool;

    fn key(&self, row: usize) -> [i32; 3];

    fn model_id(&self) -> Option<&StringArray>;
}

impl Keyed for Documents {
    const UNIQUE: bool = true;

    fn key(&self, row: usize) -> [i32; 3] {
        [self.ordinal(row), 0, 0]
    }

    fn model_id(&self) -> Option<&StringArray> {
        Some(&self.model_id)
    }
}

impl Keyed for Rejects {
    const UNIQUE: bool = true;

    fn key(&self, row: usize) -> [i32; 3] {
        [self.ordinal(row), 0, 0]
    }

    fn model_id(&self) -> Option<&StringArray> {
        None
    }
}

impl Keyed for Annotations {
    const UNIQUE: bool = false;

    fn key(&self, row: usize) -> [i32; 3] {
        [self.ordinal(row), self.start_byte.value(row), self.end_byte.value(row)]
    }

    fn model_id(&self) -> Option<&StringArray> {
        Some(&self.model_id)
    }
}

/// What all rows of a commit have in common.
struct Origin<'a> {
    run_id: String,
    model_id: &'a str,
    source_file: &'a str,
    /// Generation and number of the file, from the first row.
    file: Option<[Option<i32>; 2]>,
}

impl<'a> Origin<'a> {
    fn of(commit: &'a Commit) -> Self {
        let uri = &commit.input.uri;
        let source_file = uri.rsplit('/').next().unwrap_or(uri);
        Self { run_id: commit.run_id.to_string(), model_id: &commit.model_id, source_file, file: None }
    }

    fn check<C: Keyed>(&mut self, row: &Row<C>) -> Result<(), Defect> {
        let origin = row.columns.origin();
        row.equal("run_id differs from the marker's", &*self.run_id, origin.run_id.value(row.at))?;
        row.equal("source_file differs from the marker's", self.source_file, origin.source_file.value(row.at))?;
        if let Some(model_id) = row.columns.model_id() {
            row.equal("model_id differs from the marker's", self.model_id, model_id.value(row.at))?;
        }
        let int = |column: &Int32Array| column.is_valid(row.at).then(|| column.value(row.at));
        let file = [int(&origin.generation), int(&origin.file_seq)];
        row.equal("generation and file_seq differ within an input", *self.file.get_or_insert(file), file)
    }
}
