//! Defects of an output, one line each.

use std::fmt;

use serde::Serialize;

/// Something wrong in an output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Defect {
    /// The file, below the output directory.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
    /// The expected value, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The actual value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The first place in the file: a row, a row group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Number of further places in the same file with the same defect.
    pub more: u64,
}

impl Defect {
    /// A defect of a file as a whole.
    pub(super) fn new(path: impl Into<String>, what: &'static str) -> Self {
        Self { path: path.into(), what, expected: None, found: None, place: None, more: 0 }
    }

    pub(super) fn expected(mut self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        (self.expected, self.found) = (Some(expected.to_string()), Some(found.to_string()));
        self
    }

    pub(super) fn found(mut self, found: impl fmt::Display) -> Self {
        self.found = Some(found.to_string());
        self
    }

    pub(super) fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, what, expected, found, place, more } = self;
        write!(f, "{path}: {what}")?;
        match (expected, found) {
            (Some(expected), Some(found)) => write!(f, ": expected {expected}, found {found}")?,
            (None, Some(found)) => write!(f, ": {found}")?,
            _ => {}
        }
        match (place, more) {
            (None, _) => Ok(()),
            (Some(place), 0) => write!(f, " ({place})"),
            (Some(place), more) => write!(f, " ({place}, and {more} more)"),
        }
    }
}

/// The defects of one input, one per file and kind: a table in which every row is wrong is one line, not a million.
#[derive(Debug, Default)]
pub(super) struct Defects(Vec<Defect>);

impl Defects {
    pub(super) fn add(&mut self, defect: Defect) {
        match self.0.iter_mut().find(|known| known.what == defect.what && known.path == defect.path) {
            Some(known) => known.more += 1,
            None => self.0.push(defect),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<Defect> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_what_and_how_often() {
        let mut defects = Defects::default();
        for row in [7, 8, 9] {
            defects
                .add(Defect::new("documents/a.parquet", "char_count differs").expected(5, 4).at(format!("row {row}")));
        }
        defects.add(Defect::new("documents/a.parquet", "not readable as Parquet").found("no footer"));
        let lines: Vec<String> = defects.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "documents/a.parquet: char_count differs: expected 5, found 4 (row 7, and 2 more)",
                "documents/a.parquet: not readable as Parquet: no footer",
            ]
        );
    }
}
