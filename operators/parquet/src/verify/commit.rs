//! Verifies one commit: its files, then its rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};
use pubtag_schemas::{Commit, Part};
use tokio::runtime::Handle;

use super::columns::Batch;
use super::config::Depth;
use super::defect::{Defect, Defects};
use super::object::Object;
use super::part::{Footer, PartRows};
use super::survey::Marked;
use super::unit;
use crate::objects::Objects;

/// The context for verifying commits.
#[derive(Clone, Copy)]
pub(super) struct Verifier<'a> {
    pub(super) objects: &'a Objects,
    pub(super) runtime: &'a Handle,
    pub(super) depth: Depth,
    /// Lengths of the files that existed when the output was listed.
    pub(super) files: &'a HashMap<String, u64>,
}

/// What is wrong with a commit, and what could not be checked.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) defects: Vec<Defect>,
    /// Documents whose text was not kept.
    pub(super) without_text: u64,
}

impl From<Vec<Defect>> for Checked {
    fn from(defects: Vec<Defect>) -> Self {
        Self { defects, without_text: 0 }
    }
}

/// A part whose file is intact.
struct SoundPart<'a> {
    part: &'a Part,
    path: Path,
    footer: Footer,
}

impl Verifier<'_> {
    /// Checks a commit; `read` is called with the number of bytes as they are read.
    pub(super) fn check(&self, marked: &Marked, read: &dyn Fn(u64)) -> Checked {
        let Marked { path, commit, .. } = marked;
        let mut defects = Defects::default();
        let mut parts = Vec::new();
        for part in &commit.parts {
            match self.check_file(part, commit) {
                Ok(sound) => parts.push(sound),
                Err(defect) => defects.add(defect),
            }
        }
        let mut without_text = 0;
        if defects.is_empty() {
            match self.depth {
                Depth::Quick => {
                    reconcile(path.as_ref(), commit, &mut defects);
                    read(commit.bytes());
                }
                Depth::Full => match self.check_rows(commit, &parts, read, &mut defects) {
                    Ok(sums) => {
                        sums.check(path.as_ref(), commit, &mut defects);
                        without_text = sums.without_text;
                    }
                    Err(defect) => defects.add(defect),
                },
            }
        }
        if !defects.is_empty() && self.is_gone(marked) {
            return Checked::default();
        }
        Checked { defects: defects.into_vec(), without_text }
    }

    /// Whether a live run has replaced the commit meanwhile.
    fn is_gone(&self, Marked { path, commit, .. }: &Marked) -> bool {
        let now = self.runtime.block_on(self.objects.read_marker(path));
        matches!(now, Ok(now) if now.as_ref().is_none_or(|now| now.commit.attempt_id != commit.attempt_id))
    }

    fn check_file<'a>(&self, part: &'a Part, commit: &Commit) -> Result<SoundPart<'a>, Defect> {
        let path = Path::from(part.path.as_str());
        let len = self.length(part, &path)?;
        if len != part.bytes {
            let defect = Defect::new(&part.path, "length differs from the marker's");
            return Err(defect.expected(format_args!("{} bytes", part.bytes), len));
        }
        let object = Object { store: self.objects.store().as_ref(), runtime: self.runtime, path: &path, len };
        if self.depth == Depth::Full {
            let unreadable = |error| Defect::new(&part.path, "cannot be read").found(error);
            let sha256 = object.sha256().map_err(unreadable)?;
            if sha256 != part.sha256 {
                return Err(Defect::new(&part.path, "SHA-256 differs from the marker's").expected(&part.sha256, sha256));
            }
        }
        let footer = Footer::read(&object, part, commit, &schema(&part.table))?;
        Ok(SoundPart { part, path, footer })
    }

    fn length(&self, part: &Part, path: &Path) -> Result<u64, Defect> {
        if let Some(len) = self.files.get(&part.path) {
            return Ok(*len);
        }
        // Committed after the files were listed, or missing.
        let found = self.runtime.block_on(self.objects.store().head(path));
        let missing = || Defect::new(&part.path, "missing").expected(format_args!("{} bytes", part.bytes), "no file");
        found.map(|found| found.size).map_err(|_| missing())
    }

    fn check_rows(
        &self,
        commit: &Commit,
        parts: &[SoundPart<'_>],
        read: &dyn Fn(u64),
        defects: &mut Defects,
    ) -> Result<unit::Sums, Defect> {
        let batches = |table: &'static str| self.batches(parts, table, read);
        let [annotations, documents, rejects] = [AnnotationRow::NAME, DocumentRow::NAME, RejectRow::NAME].map(batches);
        unit::check(commit, documents, annotations, rejects, defects)
    }

    /// All rows of a table, in order of its parts.
    fn batches<'a>(
        &'a self,
        parts: &'a [SoundPart<'a>],
        table: &'static str,
        read: &'a dyn Fn(u64),
    ) -> impl Iterator<Item = Batch> + 'a {
        let parts = parts.iter().filter(move |sound| sound.part.table == table);
        parts.flat_map(move |SoundPart { part, path, footer }| {
            let object = Object { store: self.objects.store().as_ref(), runtime: self.runtime, path, len: part.bytes };
            let name: Arc<str> = part.path.as_str().into();
            PartRows::new(object, part, footer, read).map(move |batch| Ok((name.clone(), batch?)))
        })
    }
}

fn schema(table: &str) -> SchemaRef {
    match table {
        AnnotationRow::NAME => AnnotationRow::schema(),
        DocumentRow::NAME => DocumentRow::schema(),
        _ => RejectRow::schema(),
    }
}

/// Compares the marker's counts with its parts' row counts.
fn reconcile(marker: &str, commit: &Commit, defects: &mut Defects) {
    let met = commit.tally;
    let checks = [
        ("records read differ from the rows of documents", met.citations + met.deletions, DocumentRow::NAME),
        ("rejects read differ from their rows", met.rejects, RejectRow::NAME),
    ];
    for (what, met, table) in checks {
        let rows = commit.rows(table);
        if met != rows {
            defects.add(Defect::new(marker, what).expected(met, rows));
        }
    }
}
