//! Groups records into runs and runs into micro-batches, by content alone: the same input gives the same bits.

use std::num::NonZeroUsize;

use pubtag_schemas::{Record, TokenWindow, Tokenized, TokenizedDocument, TokenizedRecord};

use crate::{Aggregation, MicroBatch};

/// Maximum records per run, so that records without tokens (deletions, rejects) do not pile up.
const MAX_RECORDS: usize = 1024;

/// Maximum bytes of cached documents' texts per run.
const MAX_CACHED_BYTES: usize = 1024 * 1024;

/// What is tagged together.
#[derive(Debug, PartialEq)]
pub(crate) enum Run {
    /// Whole records in input order, within the token budget unless a single document exceeds it.
    Records(Vec<Record<TokenizedDocument>>),
    /// Windows of a long document, with more to follow.
    Piece(Vec<TokenWindow>),
    /// A long document with its last windows.
    LastPiece(TokenizedDocument),
}

/// Collects records into runs.
#[derive(Debug)]
pub(crate) struct Runs {
    budget: usize,
    records: Vec<Record<TokenizedDocument>>,
    tokens: usize,
    /// Bytes of the texts of cached documents.
    cached_bytes: usize,
    /// Part of the next document has arrived.
    in_pieces: bool,
}

impl Runs {
    pub(crate) fn new(token_budget: NonZeroUsize) -> Self {
        Self { budget: token_budget.get(), records: Vec::new(), tokens: 0, cached_bytes: 0, in_pieces: false }
    }

    /// Adds a record; returns the runs that are complete: those full without it, or consisting of it alone.
    pub(crate) fn push(&mut self, record: TokenizedRecord) -> impl Iterator<Item = Run> + use<> {
        let whole = match record {
            Record::Document(Tokenized::Windows(windows)) => {
                self.in_pieces = true;
                return self.finish().into_iter().chain(Some(Run::Piece(windows)));
            }
            Record::Document(Tokenized::Document(document)) if std::mem::take(&mut self.in_pieces) => {
                return self.finish().into_iter().chain(Some(Run::LastPiece(document)));
            }
            Record::Document(Tokenized::Document(document)) => Record::Document(document),
            Record::Cached(document) => Record::Cached(document),
            Record::Deletion(deletion) => Record::Deletion(deletion),
            Record::Reject(reject) => Record::Reject(reject),
        };
        self.push_whole(whole).into_iter().chain(None)
    }

    fn push_whole(&mut self, record: Record<TokenizedDocument>) -> Option<Run> {
        let tokens: usize = windows(&record).iter().map(|window| window.ids.len()).sum();
        let full = self.tokens > 0 && self.tokens + tokens > self.budget;
        let many = self.records.len() >= MAX_RECORDS || self.cached_bytes >= MAX_CACHED_BYTES;
        let finished = if full || many { self.finish() } else { None };
        if let Record::Cached(document) = &record {
            self.cached_bytes += document.citation.text.as_str().len();
        }
        self.records.push(record);
        self.tokens += tokens;
        finished
    }

    /// Returns the last run, at the end of a commit unit.
    pub(crate) fn finish(&mut self) -> Option<Run> {
        (self.tokens, self.cached_bytes) = (0, 0);
        let records = std::mem::take(&mut self.records);
        (!records.is_empty()).then_some(Run::Records(records))
    }
}

impl Run {
    /// The run's windows as micro-batches within the budget: one, unless a single document exceeds it.
    pub(crate) fn micro_batches(&self, token_budget: NonZeroUsize, aggregation: Aggregation) -> Vec<MicroBatch> {
        let mut all = MicroBatch::default();
        let mut add = |windows: &[TokenWindow]| {
            windows.iter().for_each(|window| all.push_scored(&window.ids, aggregation.scores(window)));
        };
        match self {
            Self::Records(records) => records.iter().for_each(|record| add(windows(record))),
            Self::Piece(windows) => add(windows),
            Self::LastPiece(document) => add(&document.windows),
        }
        all.split(token_budget.get())
    }
}

/// The windows of a record.
fn windows(record: &Record<TokenizedDocument>) -> &[TokenWindow] {
    match record {
        Record::Document(document) => &document.windows,
        Record::Cached(_) | Record::Deletion(_) | Record::Reject(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pubtag_schemas::testing::deletion;

    use super::*;
    use crate::testing::{document, document_of};

    fn budget(tokens: usize) -> NonZeroUsize {
        NonZeroUsize::new(tokens).unwrap()
    }

    /// Documents given by the lengths of their windows; an empty list means a deletion.
    fn records(lengths: &[Vec<usize>]) -> Vec<Record<TokenizedDocument>> {
        lengths
            .iter()
            .map(|windows| if windows.is_empty() { deletion() } else { Record::Document(document_of(windows)) })
            .collect()
    }

    fn runs(lengths: &[Vec<usize>], tokens: usize) -> Vec<Run> {
        let mut open = Runs::new(budget(tokens));
        let mut runs: Vec<_> =
            records(lengths).into_iter().flat_map(|record| open.push(record.map(Tokenized::Document))).collect();
        runs.extend(open.finish());
        assert!(open.finish().is_none());
        runs
    }

    fn records_of(run: &Run) -> &[Record<TokenizedDocument>] {
        let Run::Records(records) = run else { panic!("no document was split") };
        records
    }

    fn size(run: &Run) -> usize {
        run.micro_batches(budget(usize::MAX), Aggregation::First).iter().map(MicroBatch::token_count).sum()
    }

    fn sizes(lengths: &[Vec<usize>], tokens: usize) -> Vec<usize> {
        runs(lengths, tokens).iter().map(size).collect()
    }

    #[test]
    fn a_run_is_cut_before_the_record_that_would_exceed_the_budget() {
        assert_eq!(sizes(&[vec![4], vec![4], vec![2], vec![1], vec![9]], 10), [10, 1 + 9]);
        assert_eq!(sizes(&[vec![6], vec![6], vec![6]], 10), [6, 6, 6]);
    }

    #[test]
    fn a_document_above_the_budget_is_a_run_of_several_micro_batches() {
        let runs = runs(&[vec![3], vec![6, 6, 6, 2], vec![1]], 10);
        assert_eq!(runs.iter().map(size).collect::<Vec<_>>(), [3, 20, 1]);
        let batches = runs[1].micro_batches(budget(10), Aggregation::First);
        assert_eq!(batches.iter().map(MicroBatch::token_count).collect::<Vec<_>>(), [6, 6, 8]);
    }

    #[test]
    fn a_window_above_the_budget_is_still_read() {
        assert_eq!(runs(&[vec![12]], 10)[0].micro_batches(budget(10), Aggregation::First)[0].token_count(), 12);
    }

    #[test]
    fn each_piece_of_a_document_is_a_run() {
        let (windows, last) = (|| document_of(&[9, 9]).windows, document_of(&[2]));
        let given = [
            document(&[3]),
            Record::Document(Tokenized::Windows(windows())),
            Record::Document(Tokenized::Windows(windows())),
            Record::Document(Tokenized::Document(last.clone())),
            document(&[2]),
        ];
        let whole = |tokens| Record::Document(document_of(&[tokens]));
        let mut open = Runs::new(budget(10));
        let runs: Vec<_> = given.into_iter().flat_map(|record| open.push(record)).collect();
        let pieces = [Run::Piece(windows()), Run::Piece(windows()), Run::LastPiece(last)];
        assert_eq!(runs[1..], pieces);
        assert_eq!((records_of(&runs[0]), open.finish()), (&[whole(3)][..], Some(Run::Records(vec![whole(2)]))));
    }

    #[test]
    fn records_without_tokens_do_not_pile_up() {
        let sizes: Vec<_> = runs(&vec![vec![]; 2500], 10).iter().map(|run| records_of(run).len()).collect();
        assert_eq!(sizes, [1024, 1024, 452]);
    }

    proptest! {
        #[test]
        fn no_record_is_lost_or_moved_and_no_budget_exceeded(
            lengths in prop::collection::vec(prop::collection::vec(1_usize..12, 0..4), 0..40),
            tokens in 1_usize..40,
        ) {
            let runs = runs(&lengths, tokens);
            let all: Vec<_> = runs.iter().flat_map(|run| records_of(run).to_vec()).collect();
            prop_assert_eq!(all, records(&lengths));
            for run in &runs {
                let with_tokens = records_of(run).iter().filter(|record| !windows(record).is_empty()).count();
                prop_assert!(size(run) <= tokens || with_tokens == 1);
                let read: usize = run.micro_batches(budget(tokens), Aggregation::First).iter().map(MicroBatch::token_count).sum();
                prop_assert_eq!(read, size(run));
                for batch in run.micro_batches(budget(tokens), Aggregation::First) {
                    prop_assert!(batch.token_count() <= tokens || batch.sequences().len() == 1);
                }
            }
        }
    }
}
