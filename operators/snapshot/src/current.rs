//! Which row of a document is current.

use std::collections::HashMap;

use crate::inputs::{Input, Recency};
use crate::key::Entry;

/// The inputs from oldest to newest.
#[derive(Debug)]
pub(crate) struct Order {
    positions: HashMap<i32, usize>,
}

impl Order {
    pub(crate) fn of<'a>(inputs: impl IntoIterator<Item = &'a Input>) -> Self {
        let mut inputs: Vec<(Recency<'_>, i32)> =
            inputs.into_iter().map(|input| (input.recency(), input.number)).collect();
        inputs.sort_unstable();
        Self { positions: inputs.into_iter().enumerate().map(|(position, (_, number))| (number, position)).collect() }
    }

    /// The newest of some rows.
    pub(crate) fn newest<'a>(&self, rows: &'a [Entry]) -> Option<&'a Entry> {
        rows.iter().max_by_key(|row| self.recency(row))
    }

    /// Later rows are newer: by input, then by position in it.
    fn recency(&self, entry: &Entry) -> (Option<usize>, i32) {
        (self.positions.get(&entry.input).copied(), entry.ordinal)
    }
}

/// The current row among all rows of one document: of each version, the newest row counts; of the versions that are not
/// deleted, the highest. `None` if all are deleted.
pub(crate) fn current<'a>(rows: impl IntoIterator<Item = &'a Entry>, order: &Order) -> Option<&'a Entry> {
    let mut newest: Vec<&Entry> = Vec::with_capacity(1);
    for row in rows {
        match newest.iter_mut().find(|other| other.version == row.version) {
            Some(other) if order.recency(other) < order.recency(row) => *other = row,
            Some(_) => {}
            None => newest.push(row),
        }
    }
    newest.into_iter().filter(|row| !row.deleted).max_by_key(|row| row.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn input(number: i32, generation: Option<i32>, file_seq: Option<i32>, run: &str) -> Input {
        Input {
            number,
            attempt_id: format!("{run}-00000"),
            uri: format!("/in/{number}.xml"),
            generation,
            file_seq,
            documents: 1,
        }
    }

    fn row(input: i32, version: i32, ordinal: i32, deleted: bool) -> Entry {
        Entry { key: Key::Pmid(1), version, input, ordinal, deleted }
    }

    fn winner(rows: &[Entry]) -> Option<(i32, i32)> {
        let inputs = [
            input(0, Some(2026), Some(10), "b"),
            input(1, Some(2026), Some(9), "c"),
            input(2, None, None, "d"),
            input(3, Some(2026), Some(11), "a"),
        ];
        current(rows, &Order::of(&inputs)).map(|row| (row.input, row.ordinal))
    }

    #[test]
    fn the_newest_file_counts_whatever_the_order_of_runs() {
        assert_eq!(winner(&[row(3, 1, 0, false), row(0, 1, 5, false), row(1, 1, 9, false)]), Some((3, 0)));
        assert_eq!(winner(&[row(0, 1, 5, false), row(0, 1, 7, false)]), Some((0, 7)));
        assert_eq!(
            winner(&[row(2, 1, 5, false), row(1, 1, 0, false)]),
            Some((1, 0)),
            "files without numbers are older"
        );
        assert_eq!(winner(&[row(2, 1, 5, false)]), Some((2, 5)));
        assert_eq!(winner(&[]), None);
    }

    #[test]
    fn a_later_file_that_repeats_or_deletes_version_1_leaves_version_2() {
        assert_eq!(winner(&[row(0, 2, 0, false), row(3, 1, 0, false)]), Some((0, 0)));
        assert_eq!(winner(&[row(0, 2, 0, false), row(3, 1, 0, true)]), Some((0, 0)));
    }

    #[test]
    fn when_version_2_is_deleted_version_1_counts_again() {
        assert_eq!(winner(&[row(1, 1, 3, false), row(0, 2, 0, false), row(3, 2, 0, true)]), Some((1, 3)));
        assert_eq!(winner(&[row(1, 1, 3, false), row(0, 1, 0, true), row(3, 2, 0, true)]), None);
        assert_eq!(winner(&[row(3, 1, 3, false), row(0, 1, 0, true)]), Some((3, 3)), "deleted, then published again");
    }
}
