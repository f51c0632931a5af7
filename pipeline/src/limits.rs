//! The limits on rejects and on differences from NLM's counts.
//!
//! They hold for what one run has committed: for the run that ends, and for each earlier run whose commits it finds. So an
//! input with too many rejects fails every run that names it, not only the one that committed it (and may have been killed
//! before it could say so), and thousands of good inputs do not hide it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubtag_schemas::{Commit, Tally};
use uuid::Uuid;

use crate::cli::Tolerance;
use crate::figures::counted;
use crate::nlm::NlmSummary;

/// What a run has committed, of the inputs of the run that ends.
#[derive(Debug, Default)]
struct Committed {
    tally: Tally,
    /// Inputs with rejects.
    rejected: Vec<Arc<Commit>>,
    nlm: NlmSummary,
}

/// The commits of a run's inputs, by the run that made them.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    runs: BTreeMap<Uuid, Committed>,
}

impl Limits {
    /// Adds a commit.
    pub(crate) fn add(&mut self, commit: &Arc<Commit>) {
        let run = self.runs.entry(commit.run_id).or_default();
        run.tally += commit.tally;
        run.rejected.extend((commit.tally.rejects > 0).then(|| commit.clone()));
    }

    /// Adds the comparison of a commit's counts with NLM's.
    pub(crate) fn compared(&mut self, commit: &Commit, nlm: NlmSummary) {
        self.runs.entry(commit.run_id).or_default().nlm += nlm;
    }

    /// The comparison with NLM's counts over the commits of a run; `None` if there were no counts.
    pub(crate) fn nlm(&self, run: Uuid) -> Option<&NlmSummary> {
        self.runs.get(&run).map(|run| &run.nlm).filter(|nlm| nlm.files > 0)
    }

    /// Whether there are too many rejects: how many, where, and how to accept them.
    pub(crate) fn too_many_rejects(&self, current: Uuid, max: Tolerance) -> Vec<String> {
        let exceeds = |run: &Committed| max.exceeded_by(run.tally.rejects, run.tally.records());
        self.exceeding(current, exceeds, |runs, by| {
            let rejects = counted(runs.iter().map(|run| run.tally.rejects).sum(), "reject");
            let inputs: Vec<_> = runs.iter().flat_map(|run| &run.rejected).collect();
            let files = counted(inputs.len() as u64, "file");
            let first = inputs.first().map_or("", |commit| &commit.input.uri);
            format!(
                "too many rejects: {rejects} in {files}{by}; first is {first}; --max-rejects is {max}; replace the files, or \
                 set a higher --max-rejects to accept them"
            )
        })
    }

    /// Whether NLM counts other numbers of records: where, and how to accept it.
    pub(crate) fn too_many_differences(&self, current: Uuid, max: Tolerance) -> Vec<String> {
        let exceeds = |run: &Committed| max.exceeded_by(run.nlm.difference, run.nlm.records);
        self.exceeding(current, exceeds, |runs, by| {
            let mut nlm = NlmSummary::default();
            runs.iter().for_each(|run| nlm += run.nlm.clone());
            format!("{}{by}; --max-differences is {max}; set a higher one to accept them", nlm.line())
        })
    }

    /// One message for the current run and one for all earlier ones, if they exceed a limit.
    fn exceeding(
        &self,
        current: Uuid,
        exceeds: impl Fn(&Committed) -> bool,
        message: impl Fn(&[&Committed], &str) -> String,
    ) -> Vec<String> {
        let of = |is_current: bool| -> Vec<&Committed> {
            let runs = self.runs.iter().filter(|(run, _)| (**run == current) == is_current);
            runs.map(|(_, committed)| committed).filter(|committed| exceeds(committed)).collect()
        };
        let both = [(of(true), ""), (of(false), " that an earlier run committed")];
        both.iter().filter(|(runs, _)| !runs.is_empty()).map(|(runs, by)| message(runs, by)).collect()
    }
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::{COMMIT_VERSION, CommitOutcome, Input, InputUnit, Location};

    use super::*;

    fn commit(run_id: Uuid, uri: &str, citations: u64, rejects: u64) -> Arc<Commit> {
        let unit = InputUnit::new(0, Location::File(uri.to_owned()));
        Arc::new(Commit {
            version: COMMIT_VERSION,
            fingerprint: String::new(),
            input: Input::new(&unit, "0".to_owned(), "0".to_owned()),
            attempt_id: format!("{run_id}-00000"),
            run_id,
            model_id: String::new(),
            model_sha256: String::new(),
            settings: BTreeMap::new(),
            program: String::new(),
            parts: Vec::new(),
            tally: Tally { citations, deletions: 0, rejects },
            statuses: BTreeMap::new(),
            outcome: CommitOutcome::Complete,
            supersedes: Vec::new(),
            claim: None,
            former_claims: Vec::new(),
            committed_at: String::new(),
        })
    }

    #[test]
    fn a_bad_input_is_neither_forgotten_nor_hidden_among_good_ones() {
        let [earlier, bad, current] = [1, 2, 3].map(Uuid::from_u128);
        let mut limits = Limits::default();
        limits.add(&commit(earlier, "/in/many.xml", 1_000_000, 10));
        limits.add(&commit(current, "/in/new.xml", 30_000, 1));
        assert_eq!(limits.too_many_rejects(current, Tolerance::default()), [""; 0]);
        limits.add(&commit(bad, "/in/bad.xml", 78, 22));
        let found = limits.too_many_rejects(current, Tolerance::default());
        assert_eq!(found.len(), 1);
        for what in ["22 rejects in 1 file that an earlier run committed", "/in/bad.xml", "higher --max-rejects"] {
            assert!(found[0].contains(what), "{found:?}");
        }
        assert_eq!(limits.too_many_rejects(current, Tolerance::Count(22)), [""; 0]);
        assert!(limits.too_many_rejects(bad, Tolerance::default())[0].contains("22 rejects in 1 file; first"));
    }
}
