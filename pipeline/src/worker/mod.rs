//! `pubtag worker`: one input per request, with a model that stays loaded.
//!
//! ```text
//! stdin ─lines─► Line ─► Request ─► run::run() ─► RunRecord ─► Answer ─► stdout
//! ```
//!
//! Each request is a run of its own over one input, so it has the guarantees of a run: an input is committed whole or not at
//! all, what is committed is not tagged again, and a request may be repeated, here or by another worker. The protocol is
//! documented in `deploy/worker.md`.

mod answer;
mod parent;
mod request;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tokio::sync::mpsc;

use crate::config::RunConfig;
use crate::device::names;
use crate::exit::{Exit, Failure};
use crate::model::{Engine, Model};
use crate::progress::Audience;
use crate::provenance::PROGRAM;
use crate::record::RunRecord;
use crate::run;
use crate::signals::Shutdown;
use answer::{Answer, Outcome, PROTOCOL, Progress};
pub(crate) use parent::end_with_parent;
use request::Line;
pub(crate) use request::lines;

/// A model, and what every request has in common.
pub(crate) struct Worker {
    config: RunConfig,
    model: Model,
    shutdown: Shutdown,
    quiet: bool,
}

impl Worker {
    /// Loads the model and says so.
    ///
    /// # Errors
    /// The model cannot be loaded, nobody reads the answers, or a signal arrived.
    pub(crate) async fn start(config: RunConfig, shutdown: Shutdown, quiet: bool) -> Result<Self, Failure> {
        let mut model = Model::default();
        let Engine { config: engine, .. } = shutdown.unless_signalled(model.engine(&config.tagger)).await?;
        let checkpoint = model.checkpoint(&config.tagger).await?;
        let ready = Answer::Ready {
            protocol: PROTOCOL,
            program: PROGRAM,
            model: checkpoint.name(),
            model_sha256: checkpoint.fingerprint().to_owned(),
            device: names(&engine.devices),
        };
        ready.send()?;
        Ok(Self { config, model, shutdown, quiet })
    }

    /// Answers requests in order, until the input ends or a signal arrives. Also stops after an internal error, because the
    /// model may be in any state then. Returns the worst exit.
    ///
    /// # Errors
    /// Requests cannot be read, or answers cannot be written.
    pub(crate) async fn serve(mut self, mut lines: mpsc::Receiver<Result<Line, Failure>>) -> Result<Exit, Failure> {
        let mut worst = Exit::Done;
        while worst < Exit::Internal {
            let line = tokio::select! {
                biased;
                () = self.shutdown.drain.cancelled() => break,
                line = lines.recv() => line,
            };
            let Some(line) = line else { break };
            worst = worst.max(self.answer(line?).await?);
        }
        Ok(self.shutdown.signal().map_or(worst, Exit::Signal))
    }

    async fn answer(&mut self, line: Line) -> Result<Exit, Failure> {
        let (id, number) = (line.id(), line.number);
        let request = match line.request() {
            Ok(request) => request,
            Err(reason) => {
                Answer::refused(id, number, reason).send()?;
                return Ok(Exit::Configuration);
            }
        };
        let started = Instant::now();
        let config = request.config(&self.config);
        let mut record = RunRecord::unpublished(&config);
        let audience = match request.progress_seconds {
            Some(every) => listener(id.clone(), number, every),
            None => Audience::Stderr { quiet: self.quiet },
        };
        let ran = run::run(&config, &mut self.model, &mut record, &self.shutdown, audience).await;
        if let Err(failure) = &ran {
            record.not_started(failure);
        }
        let exit = record.close(config.max_rejects, config.max_differences);
        let outcome = Outcome { id, line: number, seconds: started.elapsed().as_secs_f64(), config: &config, exit };
        let answer = outcome.answer(&record);
        answer.send()?;
        Ok(answer.exit())
    }
}

/// Sends progress records at intervals.
fn listener(id: Json, line: u64, every: NonZeroU32) -> Audience {
    let every = Duration::from_secs(every.get().into());
    let started = Instant::now();
    let mut last = started;
    Audience::Program(Box::new(move |at, total_bytes| {
        if last.elapsed() >= every {
            last = Instant::now();
            let seconds = started.elapsed().as_secs_f64();
            // If nobody reads any more, the answer fails.
            let _ = Answer::Progress(Progress::new(&id, line, at, total_bytes, seconds)).send();
        }
    }))
}
