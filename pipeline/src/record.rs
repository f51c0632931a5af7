//! The record of a run in progress, which becomes its report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use pubtag_abbreviations::Changes;
use pubtag_cache::CacheCounts;
use pubtag_ner::{Checkpoint, TagConfig, TagStats};
use pubtag_parquet::{Finished, RunSpec};
use pubtag_pubmed::Unreadable;
use pubtag_schemas::{Commit, Ending, InputUnit, Tally, UnitReport};
use pubtag_store::{Buckets, Store};
use pubtag_stream::{Fault, FaultKind, Snapshot};
use uuid::Uuid;

use crate::cli::Tolerance;
use crate::config::RunConfig;
use crate::device::names;
use crate::exit::{Exit, Failure};
use crate::limits::Limits;
use crate::nlm::NlmSummary;
use crate::provenance::PROGRAM;
use crate::report::{
    AbbreviationSummary, CacheSummary, InputLine, InputStatus, ModelSummary, Packing, Reconciliation, Report,
    RunEnding, StageLine, Throughput, committed,
};

/// Statistics that are read at once, which matters in an object store.
const STATISTICS_AT_ONCE: usize = 16;

/// The record of a run.
#[derive(Debug)]
pub(crate) struct RunRecord {
    started: Instant,
    report: Report,
    /// Where inputs are, with what is beside them.
    buckets: Buckets,
    /// What counts of the run's inputs: the commits that it made, and those that it found.
    commits: Vec<Arc<Commit>>,
    /// What these commits contain, by the run that made them.
    limits: Limits,
    /// Whether the output gets a report.
    is_left: bool,
    /// The worst outcome so far.
    exit: Exit,
}

impl RunRecord {
    /// Starts the record of a run.
    pub(crate) fn new(config: &RunConfig) -> Self {
        let report = Report {
            run_id: Uuid::now_v7(),
            program: PROGRAM.to_owned(),
            started_at: jiff::Timestamp::now().to_string(),
            seconds: 0.0,
            first_micro_batch_seconds: None,
            ending: RunEnding::Running,
            exit_code: None,
            errors: Vec::new(),
            model: None,
            device: None,
            threads: config.tagger.device.threads.get(),
            settings: BTreeMap::new(),
            inputs: Vec::new(),
            already_committed: Tally::default(),
            reconciliation: Reconciliation::default(),
            nlm: None,
            statuses: BTreeMap::new(),
            annotations: 0,
            abbreviations: None,
            cache: None,
            throughput: Throughput::default(),
            packing: Packing::default(),
            stages: Vec::new(),
        };
        Self {
            started: Instant::now(),
            report,
            buckets: config.read.buckets.clone(),
            commits: Vec::new(),
            limits: Limits::default(),
            is_left: true,
            exit: Exit::Done,
        }
    }

    /// Starts the record of a run that leaves no report in its output.
    pub(crate) fn unpublished(config: &RunConfig) -> Self {
        Self { is_left: false, ..Self::new(config) }
    }

    /// ID of the run.
    pub(crate) fn run_id(&self) -> Uuid {
        self.report.run_id
    }

    /// The report so far.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// What counts of the run's inputs so far: the commits that it made, and those that it found.
    pub(crate) fn commits(&self) -> &[Arc<Commit>] {
        &self.commits
    }

    /// The report of a closed record.
    pub(crate) fn into_report(self) -> Report {
        self.report
    }

    /// Writes a report that says `running` to an output directory; logs a failure to do so.
    pub(crate) async fn announce(&self, output: &Store) {
        if !self.is_left {
            return;
        }
        if let Err(Failure { error, .. }) = self.report.leave(output).await {
            tracing::warn!("{error:#}");
        }
    }

    /// Records the model, and the settings that the rows depend on.
    pub(crate) fn tags_with(&mut self, checkpoint: &Checkpoint, spec: &RunSpec) {
        self.report.settings = spec.settings.clone();
        self.report.model = Some(ModelSummary {
            id: spec.model_id.clone(),
            sha256: checkpoint.fingerprint().to_owned(),
            entity_types: checkpoint.labels().entity_types().to_vec(),
        });
    }

    /// Records the inputs that need no tagging, and the commits that they have. What these contain counts towards the limits
    /// as if this run had committed it.
    pub(crate) async fn settled(&mut self, inputs: Vec<InputLine>, found: Vec<Found>) {
        self.report.inputs.extend(inputs);
        let buckets = self.buckets.clone();
        let compare = |Found { unit, commit }| {
            let buckets = buckets.clone();
            async move { (NlmSummary::of(&unit, commit.tally, &buckets).await, commit) }
        };
        let mut compared = futures::stream::iter(found).map(compare).buffered(STATISTICS_AT_ONCE);
        while let Some((nlm, commit)) = compared.next().await {
            self.report.already_committed += commit.tally;
            self.counts(&commit, nlm);
        }
    }

    /// Records the inputs that cannot be read.
    pub(crate) fn unreadable(&mut self, unreadable: Vec<Unreadable>) {
        for Unreadable { path, reason, kind } in unreadable {
            self.report.errors.push(format!("{path}: not read: {reason}"));
            self.report.inputs.push(InputLine::unread(path, InputStatus::Unreadable, Some(reason)));
            self.worsen(kind.into());
        }
    }

    /// Records a commit that counts.
    fn counts(&mut self, commit: &Arc<Commit>, nlm: Option<NlmSummary>) {
        self.limits.add(commit);
        if let Some(nlm) = nlm {
            self.limits.compared(commit, nlm);
        }
        self.commits.push(commit.clone());
    }

    /// Records why the run could not start.
    pub(crate) fn not_started(&mut self, failure: &Failure) {
        let interrupted = matches!(failure.exit, Exit::Signal(_));
        self.report.ending = if interrupted { RunEnding::Interrupted } else { RunEnding::Failed };
        self.report.errors.push(format!("{:#}", failure.error));
        self.worsen(failure.exit);
    }

    /// Records the device.
    pub(crate) fn runs_on(&mut self, config: &TagConfig) {
        self.report.device = Some(names(&config.devices));
        self.report.packing.token_budget = config.setup.token_budget.get() as u64;
    }

    /// Records the end of a unit.
    pub(crate) async fn unit(&mut self, unit: &UnitReport) {
        let line = InputLine::of_unit(unit);
        if line.status == InputStatus::Quarantined {
            let reason = line.reason.as_deref().unwrap_or_default();
            tracing::error!(input = %line.input, reason, "quarantined: nothing of this file was committed");
            self.worsen(Exit::Data);
        }
        if let Some(commit) = committed(unit) {
            self.report.reconciliation.add(unit.tally, commit);
            self.report.annotations += commit.rows("annotations");
            for (status, count) in &commit.statuses {
                *self.report.statuses.entry(status.clone()).or_default() += count;
            }
        }
        if let Ending::Committed(commit) | Ending::Identical(commit) = &unit.ending {
            let nlm = NlmSummary::of(&unit.unit, commit.tally, &self.buckets).await;
            nlm.iter().for_each(NlmSummary::warn);
            self.counts(commit, nlm);
            self.report.nlm = self.limits.nlm(self.run_id()).cloned();
        }
        self.report.inputs.push(line);
    }

    /// Records the units that were never reported on.
    pub(crate) fn unread(&mut self, units: &[Arc<InputUnit>]) {
        for unit in units {
            if !self.report.inputs.iter().any(|line| line.input == unit.uri()) {
                self.report.inputs.push(InputLine::unread(unit.uri(), InputStatus::Unfinished, None));
            }
        }
    }

    /// Records how the stream ended.
    pub(crate) fn ended(&mut self, end: StreamEnd, signal: Option<i32>) {
        match (end, signal) {
            (StreamEnd::Fault(fault), _) => self.failed(fault.kind(), &fault),
            (StreamEnd::Aborted | StreamEnd::Drained, Some(signal)) => {
                self.report.ending = RunEnding::Interrupted;
                self.worsen(Exit::Signal(signal));
            }
            (StreamEnd::Aborted | StreamEnd::Drained, None) => {}
        }
    }

    /// Records committed parts that are missing or changed: they fail every run until their input is tagged again.
    pub(crate) fn finished(&mut self, finished: &Finished) {
        for broken in &finished.broken {
            self.report
                .errors
                .push(format!("{broken}; restore the file, or run again with this input to tag it again"));
            self.worsen(Exit::Data);
        }
    }

    /// Records an error that ended the run.
    pub(crate) fn failed(&mut self, kind: FaultKind, error: &(dyn std::error::Error + 'static)) {
        self.report.ending = RunEnding::Failed;
        let causes = std::iter::successors(Some(error), |cause| cause.source()).map(ToString::to_string);
        self.report.errors.push(causes.collect::<Vec<_>>().join(": "));
        self.worsen(kind.into());
    }

    /// Records what the cache saved; `None` without a cache.
    pub(crate) fn saved(&mut self, counts: Option<CacheCounts>) {
        self.report.cache = counts.map(CacheSummary::from);
    }

    /// Records the meters of the stages.
    pub(crate) fn measured(&mut self, stats: &TagStats, abbreviations: Option<Changes>, stages: &[Snapshot]) {
        let first = stats.first_micro_batch().map(|first| first.duration_since(self.started).as_secs_f64());
        self.report.first_micro_batch_seconds = first;
        self.report.packing = Packing {
            micro_batches: stats.micro_batches(),
            windows: stats.sequences(),
            tokens: stats.tokens(),
            rounding_tokens: stats.padding(),
            attention_padding: stats.attention_padding(),
            ..self.report.packing
        };
        self.report.abbreviations =
            abbreviations.map(|Changes { added, removed }| AbbreviationSummary { added, removed });
        self.report.stages = stages.iter().copied().map(StageLine::from).collect();
    }

    /// Closes the record; returns how the run ended.
    pub(crate) fn close(&mut self, max_rejects: Tolerance, max_differences: Tolerance) -> Exit {
        if self.report.ending == RunEnding::Running {
            self.report.ending = RunEnding::Done;
        }
        let run = self.run_id();
        let rejects = self.limits.too_many_rejects(run, max_rejects);
        for exceeded in rejects.into_iter().chain(self.limits.too_many_differences(run, max_differences)) {
            self.report.errors.push(exceeded);
            self.worsen(Exit::Data);
        }
        if !self.report.reconciliation.holds() {
            self.report.errors.push(format!("records do not reconcile: {}", self.report.reconciliation));
            self.worsen(Exit::Internal);
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let per_second = |count: u64| count as f64 / seconds.max(f64::EPSILON);
        self.report.seconds = seconds;
        self.report.throughput = Throughput {
            citations_per_second: per_second(self.report.reconciliation.citations),
            tokens_per_second: per_second(self.report.packing.tokens),
        };
        self.report.exit_code = Some(self.exit.code());
        self.exit
    }

    /// The worst exit wins, in the order in which [`Exit`] declares them.
    fn worsen(&mut self, exit: Exit) {
        self.exit = self.exit.max(exit);
    }
}

/// An input that is committed already.
#[derive(Debug)]
pub(crate) struct Found {
    /// The input.
    pub(crate) unit: Arc<InputUnit>,
    /// Its commit.
    pub(crate) commit: Arc<Commit>,
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// On its own; after a signal, once the current file was finished.
    Drained,
    /// Dropped after a second signal or at the end of the grace period.
    Aborted,
    /// By a fault.
    Fault(Fault),
}
