//! What a process does: a run from its inputs to its exit code, like `pubtag run`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_stream::stream;
use futures::StreamExt;
use object_store::ObjectStore;
use pubtag_parquet::{CommitLog, Conflict, Liveness, Output, ParquetSink, Standing, WriteConfig};
use pubtag_schemas::{Ending, InputUnit};
use pubtag_store::Store;
use pubtag_stream::{CancellationToken, FaultKind, Flow, Meters, Write, stage};
use uuid::Uuid;

use crate::common::{self, Tagged};
use crate::inputs::{self, Content, Files, Settings};

/// The configuration of a run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) files: Files,
    pub(crate) settings: Settings,
    pub(crate) overwrite: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0
    Done,
    /// 65
    Data,
    /// 75
    Transient,
    /// 78, because of a conflict
    Conflict,
    /// 70, or 78 for another reason; the message is printed
    Wrong,
    /// 143
    Signal,
    /// It did not end by itself.
    Died,
}

/// The environment of a run.
pub(crate) trait Host {
    fn store(&self) -> Arc<dyn ObjectStore>;
    /// `None` in an object store.
    fn liveness(&self) -> Option<Arc<dyn Liveness>>;
    fn run_id(&self) -> Uuid;
    fn signals(&self) -> Signals;
    /// Called once the output is open.
    async fn has_opened(&self) {}
}

/// What the first and the second signal cancel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    pub(crate) drain: CancellationToken,
    pub(crate) abort: CancellationToken,
}

/// A run.
pub(crate) async fn run(host: &impl Host, job: &Job) -> Exit {
    let opened = Output::open_with(Store::new("/out", host.store()), host.liveness(), host.run_id()).await;
    let (output, mut commit_log) = match opened {
        Ok(opened) => opened,
        Err(error) => return exit_of(error.kind(), &error),
    };
    host.has_opened().await;
    let units = match plan(&mut commit_log, job) {
        Ok(units) => units,
        Err(_) => return Exit::Conflict,
    };
    let mut exit = Exit::Done;
    if !units.is_empty() {
        exit = write(&output, &commit_log, job, units, host.signals()).await;
    }
    match output.finish().await {
        Ok(finished) if finished.broken.is_empty() => exit,
        Ok(_) => exit.max(Exit::Data),
        Err(error) => exit.max(exit_of(error.kind(), &error)),
    }
}

/// The stream and its end, as in `pipeline`.
async fn write(
    output: &Output,
    commit_log: &CommitLog,
    job: &Job,
    units: Vec<(Arc<InputUnit>, Content)>,
    Signals { drain, abort }: Signals,
) -> Exit {
    let write = Write::new(ParquetSink::new(output, commit_log, config(job)));
    let queue = NonZeroUsize::MIN;
    let mut reports = stage(write, source(units, drain.clone()), queue, &Meters::default());
    let mut exit = Exit::Done;
    loop {
        tokio::select! {
            biased;
            () = abort.cancelled() => return exit.max(Exit::Signal),
            report = reports.next() => match report {
                None if drain.is_cancelled() => return exit.max(Exit::Signal),
                None => return exit,
                Some(Err(fault)) => return exit.max(exit_of_fault(&fault)),
                Some(Ok(report)) => if matches!(report.ending, Ending::Quarantined { .. }) {
                    exit = exit.max(Exit::Data);
                }
            }
        }
    }
}

fn source(units: Vec<(Arc<InputUnit>, Content)>, drain: CancellationToken) -> Flow<Tagged> {
    Box::pin(stream! {
        for (unit, content) in units {
            if drain.is_cancelled() {
                break;
            }
            for packet in inputs::packets(&unit, content) {
                yield Ok(packet);
            }
        }
    })
}

/// Row groups of a few rows, parts of a few row groups.
pub(crate) fn config(job: &Job) -> WriteConfig {
    let bytes = |bytes| NonZeroUsize::new(bytes).unwrap();
    WriteConfig {
        spec: job.settings.spec(),
        overwrite: job.overwrite,
        row_group_bytes: bytes(4_000),
        part_bytes: bytes(6_000),
        piece_bytes: bytes(5_000),
        ..common::config()
    }
}

fn exit_of_fault(fault: &pubtag_stream::Fault) -> Exit {
    let cause = std::error::Error::source(fault);
    let error = cause.and_then(|cause| cause.downcast_ref::<pubtag_parquet::Error>());
    match error {
        Some(pubtag_parquet::Error::Conflict(_)) => Exit::Conflict,
        _ => exit_of(fault.kind(), fault),
    }
}

#[expect(clippy::print_stderr, reason = "a test says what was wrong")]
fn exit_of(kind: FaultKind, error: &dyn std::error::Error) -> Exit {
    match kind {
        FaultKind::Transient => Exit::Transient,
        _ => {
            let causes =
                std::iter::successors(error.source(), |error| error.source()).map(|cause| format!(": {cause}"));
            eprintln!("{error}{}", causes.collect::<String>());
            Exit::Wrong
        }
    }
}

/// The inputs to tag, each with its content.
fn plan(commit_log: &mut CommitLog, job: &Job) -> Result<Vec<(Arc<InputUnit>, Content)>, Conflict> {
    let spec = job.settings.spec();
    let units = job.files.iter().enumerate().map(|(index, (name, file))| {
        let unit = inputs::unit(index, name, *file);
        let sha256 = inputs::sha256(file.content);
        assert!(
            commit_log.recall(&unit, &spec).is_none_or(|recalled| recalled == sha256),
            "{name} is taken for another"
        );
        (Arc::new(InputUnit { sha256: Some(sha256), ..unit }), file.content)
    });
    let units: Vec<_> = units.collect();
    let known: Vec<_> = units.iter().map(|(unit, _)| unit.clone()).collect();
    let mut planned = Vec::new();
    for (standing, unit) in commit_log.plan(&known, &spec).into_iter().zip(units) {
        match standing {
            Standing::Committed(_) | Standing::Duplicate { .. } => {}
            Standing::Conflict(conflict) if !job.overwrite => return Err(conflict),
            Standing::New | Standing::Broken(_) | Standing::Conflict(_) => planned.push(unit),
        }
    }
    Ok(planned)
}
