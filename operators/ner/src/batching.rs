//! Records into runs, and runs into micro-batches: by content alone, so that the same input gives the same bits.

use std::num::NonZeroUsize;

use pubtag_schemas::TokenizedRecord;

use crate::MicroBatch;

/// At most this many records wait in a run, so that records without tokens (deletions, rejects) do not pile up.
const MAX_RECORDS: usize = 1024;

/// Whole records in input order, at most a token budget of them; a single document may be larger.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) records: Vec<TokenizedRecord>,
    tokens: usize,
}

/// Collects records into runs.
#[derive(Debug)]
pub(crate) struct Runs {
    budget: usize,
    open: Run,
}

impl Runs {
    pub(crate) fn new(token_budget: NonZeroUsize) -> Self {
        Self { budget: token_budget.get(), open: Run::default() }
    }

    /// Takes a record; gives back the run that is full without it.
    pub(crate) fn push(&mut self, record: TokenizedRecord) -> Option<Run> {
        let tokens = model_tokens(&record);
        let full = self.open.tokens > 0 && self.open.tokens + tokens > self.budget;
        let finished = if full || self.open.records.len() >= MAX_RECORDS { self.finish() } else { None };
        self.open.records.push(record);
        self.open.tokens += tokens;
        finished
    }

    /// Gives back what is left: at the end of a commit unit.
    pub(crate) fn finish(&mut self) -> Option<Run> {
        let run = std::mem::take(&mut self.open);
        (!run.records.is_empty()).then_some(run)
    }
}

impl Run {
    /// The run's windows as micro-batches within the budget: one, unless a single document exceeds it.
    pub(crate) fn micro_batches(&self, token_budget: NonZeroUsize) -> Vec<MicroBatch> {
        let mut all = MicroBatch::default();
        self.records.iter().flat_map(windows).for_each(|window| all.push(&window.ids));
        all.split(token_budget.get())
    }
}

/// What the model has to read of a record, special tokens and overlaps included.
fn model_tokens(record: &TokenizedRecord) -> usize {
    windows(record).iter().map(|window| window.ids.len()).sum()
}

fn windows(record: &TokenizedRecord) -> &[pubtag_schemas::TokenWindow] {
    match record {
        TokenizedRecord::Document(document) => &document.windows,
        TokenizedRecord::Deletion(_) | TokenizedRecord::Reject(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{deletion, document};

    fn budget(tokens: usize) -> NonZeroUsize {
        NonZeroUsize::new(tokens).unwrap()
    }

    /// Documents given by the lengths of their windows; an empty one stands for a deletion.
    fn records(lengths: &[Vec<usize>]) -> Vec<TokenizedRecord> {
        lengths.iter().map(|windows| if windows.is_empty() { deletion() } else { document(windows) }).collect()
    }

    fn runs(lengths: &[Vec<usize>], tokens: usize) -> Vec<Run> {
        let mut open = Runs::new(budget(tokens));
        let mut runs: Vec<_> = records(lengths).into_iter().filter_map(|record| open.push(record)).collect();
        runs.extend(open.finish());
        assert!(open.finish().is_none());
        runs
    }

    fn sizes(lengths: &[Vec<usize>], tokens: usize) -> Vec<usize> {
        runs(lengths, tokens).iter().map(|run| run.tokens).collect()
    }

    #[test]
    fn a_run_is_cut_before_the_record_that_would_break_the_budget() {
        assert_eq!(sizes(&[vec![4], vec![4], vec![2], vec![1], vec![9]], 10), [10, 1 + 9]);
        assert_eq!(sizes(&[vec![6], vec![6], vec![6]], 10), [6, 6, 6]);
    }

    #[test]
    fn a_document_above_the_budget_is_a_run_of_several_micro_batches() {
        let runs = runs(&[vec![3], vec![6, 6, 6, 2], vec![1]], 10);
        assert_eq!(runs.iter().map(|run| run.tokens).collect::<Vec<_>>(), [3, 20, 1]);
        let batches = runs[1].micro_batches(budget(10));
        assert_eq!(batches.iter().map(MicroBatch::token_count).collect::<Vec<_>>(), [6, 6, 8]);
    }

    #[test]
    fn a_window_above_the_budget_still_is_read() {
        assert_eq!(runs(&[vec![12]], 10)[0].micro_batches(budget(10))[0].token_count(), 12);
    }

    #[test]
    fn records_without_tokens_do_not_pile_up() {
        let sizes: Vec<_> = runs(&vec![vec![]; 2500], 10).iter().map(|run| run.records.len()).collect();
        assert_eq!(sizes, [1024, 1024, 452]);
    }

    proptest! {
        #[test]
        fn no_record_is_lost_or_moved_and_no_budget_broken(
            lengths in prop::collection::vec(prop::collection::vec(1_usize..12, 0..4), 0..40),
            tokens in 1_usize..40,
        ) {
            let runs = runs(&lengths, tokens);
            let all: Vec<_> = runs.iter().flat_map(|run| run.records.clone()).collect();
            prop_assert_eq!(all, records(&lengths));
            for run in &runs {
                let with_tokens = run.records.iter().filter(|record| !windows(record).is_empty()).count();
                prop_assert!(run.tokens <= tokens || with_tokens == 1);
                let read: usize = run.micro_batches(budget(tokens)).iter().map(MicroBatch::token_count).sum();
                prop_assert_eq!(read, run.tokens);
                for batch in run.micro_batches(budget(tokens)) {
                    prop_assert!(batch.token_count() <= tokens || batch.sequences().len() == 1);
                }
            }
        }
    }
}
