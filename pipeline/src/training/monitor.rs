//! Watches a training run: says how it goes, scores each epoch, writes metrics, keeps the state.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pubtag_corpus::score::Score;
use pubtag_corpus::score::tags::{self, Mode};
use pubtag_ner::train::{Monitor, StepReport, TrainState, Verdict};
use pubtag_ner::{Decoder, Logits, NerError};
use pubtag_schemas::AnnotatedDocument;

use super::metrics::{EpochLine, Line, Metrics, StepLine};
use super::passages;
use super::predict::Tokenized;
use crate::figures::{grouped, human_time};
use crate::terminal;

/// Where there is no terminal, at most one line in this time.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The development set: what the epochs of a run are scored by.
pub(crate) struct Development {
    pub(crate) documents: Vec<AnnotatedDocument>,
    pub(crate) tokenized: Tokenized,
    pub(crate) decoder: Decoder,
}

impl Development {
    /// The strict entity score over all categories (micro average), as seqeval's default and conlleval compute it.
    fn score(&self, logits: &[Logits]) -> Score {
        let found = self.tokenized.decode(&self.documents, &self.decoder, &mut logits.iter().flat_map(Logits::rows));
        let scores = tags::score(&passages::all_tags(&self.documents), &passages::all_tags(&found), Mode::Default);
        scores.expect("both sides have the same tokens").micro
    }
}

/// The watcher.
pub(crate) struct Watch {
    pub(crate) development: Option<Development>,
    pub(crate) metrics: Metrics,
    state: (PathBuf, String),
    bar: ProgressBar,
    on_terminal: bool,
    logged: Instant,
    losses: Vec<f32>,
    tokens: usize,
    time: Duration,
}

impl Watch {
    /// A watcher that writes metrics to a file and the state, under a label, to another.
    pub(crate) fn new(
        development: Option<Development>,
        metrics: Metrics,
        state: (PathBuf, String),
        quiet: bool,
    ) -> Self {
        let on_terminal = terminal::stderr_is_terminal() && !quiet;
        let target = if on_terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps · {msg} · {eta} left") {
            bar.set_style(style);
        }
        Self {
            development,
            metrics,
            state,
            bar,
            on_terminal,
            logged: Instant::now(),
            losses: Vec::new(),
            tokens: 0,
            time: Duration::ZERO,
        }
    }

    fn tokens_per_second(&self) -> u64 {
        (self.tokens as f64 / self.time.as_secs_f64().max(1e-9)) as u64
    }

    /// Metrics are there to be looked at: a full disk shows when the model is written.
    fn write(&mut self, line: Line) {
        if let Err(error) = self.metrics.write(line) {
            tracing::debug!("a line of metrics is lost: {error}");
        }
    }
}

impl Monitor for Watch {
    fn step(&mut self, report: &StepReport) {
        let &StepReport { step, steps, loss, learning_rate, gradient_norm, tokens, time, .. } = report;
        self.losses.push(loss);
        self.tokens += tokens;
        self.time += time;
        self.write(Line::Step(StepLine {
            step,
            loss,
            learning_rate,
            gradient_norm,
            tokens,
            seconds: time.as_secs_f64(),
        }));
        self.bar.set_length(steps as u64);
        self.bar.set_position(step as u64);
        let recent = &self.losses[self.losses.len().saturating_sub(20)..];
        let loss = recent.iter().sum::<f32>() / recent.len() as f32;
        let message = format!("loss {loss:.4} · {} tokens/s", grouped(self.tokens_per_second()));
        if self.on_terminal {
            self.bar.set_message(message);
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let left = self.time.as_secs_f64() / self.losses.len() as f64 * (steps - step) as f64;
            tracing::info!(step, steps, left = %human_time(left), "{message}");
        }
    }

    fn epoch(&mut self, epoch: usize, logits: &[Logits]) -> Verdict {
        let development = self.development.as_ref().map(|development| development.score(logits));
        let loss = self.losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / self.losses.len().max(1) as f64;
        let (tokens, seconds) = (self.tokens, self.time.as_secs_f64());
        let line = EpochLine { epoch: epoch + 1, loss, development, tokens, seconds };
        let on_development = development.map_or_else(String::new, |score| {
            format!(" · dev P {:.4} R {:.4} F1 {:.4}", score.precision, score.recall, score.f1)
        });
        let rate = grouped(self.tokens_per_second());
        self.bar.suspend(|| tracing::info!("epoch {}: loss {loss:.4}{on_development} · {rate} tokens/s", epoch + 1));
        self.write(Line::Epoch(line));
        (self.losses, self.tokens, self.time) = (Vec::new(), 0, Duration::ZERO);
        Verdict { score: development.map_or(0.0, |score| score.f1) }
    }

    fn keep(&mut self, state: &TrainState) -> Result<(), NerError> {
        let (path, label) = &self.state;
        let draft = path.with_extension("draft");
        let written = std::fs::write(&draft, state.to_bytes(label)?).and_then(|()| std::fs::rename(&draft, path));
        written.map_err(|source| NerError::Write { path: path.clone(), source })
    }
}
