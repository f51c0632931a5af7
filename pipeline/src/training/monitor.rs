//! Monitors a training run: shows progress, scores epochs, writes metrics, saves the state.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pubtag_corpus::iob2;
use pubtag_corpus::score::Scores;
use pubtag_corpus::score::tags::{self, Mode};
use pubtag_ner::train::{MaskedScore, Monitor, StepReport, TrainState, Verdict};
use pubtag_ner::{Decoder, Logits, NerError};
use pubtag_schemas::AnnotatedDocument;

use super::metrics::{CorpusScore, EpochLine, HeldOut, Line, Metrics, StepLine};
use super::predict::Tokenized;
use crate::exit::Failure;
use crate::figures::{grouped, human_time};
use crate::terminal;

/// Time between log lines.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// A development corpus, on which epochs are scored.
pub(crate) struct Development {
    /// Its name in tables.
    pub(crate) name: String,
    /// Its documents, with mentions of these types only.
    pub(crate) documents: Vec<AnnotatedDocument>,
    /// The types that both the corpus and the model have; others are not scored.
    pub(crate) types: Vec<String>,
    pub(crate) tokenized: Tokenized,
    pub(crate) decoder: Decoder,
}

impl Development {
    /// Scores the model's logits on its windows.
    fn score(&self, logits: &[Logits]) -> CorpusScore {
        let mut found =
            self.tokenized.decode(&self.documents, &self.decoder, &mut logits.iter().flat_map(Logits::rows));
        for document in &mut found {
            document.mentions.retain(|mention| self.types.contains(&mention.category));
        }
        let scores = tags::score(&iob2(&self.documents), &iob2(&found), Mode::Default);
        let Scores { micro, categories, .. } = scores.expect("both sides have the same tokens");
        CorpusScore { corpus: self.name.clone(), micro, types: categories }
    }

    /// Number of windows.
    fn windows(&self) -> usize {
        self.tokenized.windows.iter().map(Vec::len).sum()
    }
}

/// Scores an epoch by what the model says of the development examples.
pub(crate) trait Judge {
    /// What the model says.
    type Scores: ?Sized;

    /// The scores of development corpora or of held-out documents.
    fn judge(&self, scores: &Self::Scores) -> (Vec<CorpusScore>, Option<HeldOut>);
}

/// Development corpora judge mentions.
impl Judge for Vec<Development> {
    type Scores = [Logits];

    fn judge(&self, mut logits: &[Logits]) -> (Vec<CorpusScore>, Option<HeldOut>) {
        let mut score = |corpus: &Development| {
            let (own, others) = logits.split_at(corpus.windows());
            logits = others;
            corpus.score(own)
        };
        (self.iter().map(&mut score).collect(), None)
    }
}

/// Documents that are held out judge guesses.
pub(crate) struct HeldOutDocuments;

impl Judge for HeldOutDocuments {
    type Scores = MaskedScore;

    fn judge(&self, &MaskedScore { tokens, loss, accuracy }: &MaskedScore) -> (Vec<CorpusScore>, Option<HeldOut>) {
        (Vec::new(), (tokens > 0).then(|| HeldOut { tokens, loss, perplexity: loss.exp(), accuracy }))
    }
}

/// Monitors a training run.
pub(crate) struct TrainingMonitor<'a, J> {
    judge: J,
    pub(crate) metrics: Metrics,
    state: (PathBuf, String),
    report: &'a dyn Fn(&Metrics) -> Result<(), Failure>,
    bar: ProgressBar,
    on_terminal: bool,
    logged: Instant,
    losses: Vec<f32>,
    tokens: usize,
    time: Duration,
}

impl<'a, J> TrainingMonitor<'a, J> {
    /// A monitor that writes metrics, the state (under a label) and, after each epoch, a report.
    pub(crate) fn new(
        judge: J,
        metrics: Metrics,
        state: (PathBuf, String),
        report: &'a dyn Fn(&Metrics) -> Result<(), Failure>,
        quiet: bool,
    ) -> Self {
        let on_terminal = terminal::stderr_is_terminal() && !quiet;
        let target = if on_terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps · {msg} · {eta} left") {
            bar.set_style(style);
        }
        Self {
            judge,
            metrics,
            state,
            report,
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

    /// Writes a line; ignores errors, since a full disk will also fail the model.
    fn write(&mut self, line: Line) {
        if let Err(error) = self.metrics.write(line) {
            tracing::debug!("failed to write metrics: {error}");
        }
    }
}

impl<J: Judge> Monitor<J::Scores> for TrainingMonitor<'_, J> {
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

    fn epoch(&mut self, epoch: usize, scores: &J::Scores) -> Verdict {
        let (development, held_out) = self.judge.judge(scores);
        let loss = self.losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / self.losses.len().max(1) as f64;
        let (tokens, seconds) = (self.tokens, self.time.as_secs_f64());
        let line = EpochLine { epoch: epoch + 1, loss, development, held_out, tokens, seconds };
        let score = line.quality();
        let said: Vec<String> =
            line.heads().into_iter().zip(line.cells()).map(|(head, cell)| format!("{head} {cell}")).collect();
        self.bar.suspend(|| tracing::info!("{}", said.join(" · ")));
        self.write(Line::Epoch(line));
        if let Err(error) = (self.report)(&self.metrics) {
            tracing::debug!("failed to write the report of this epoch: {:#}", error.error);
        }
        (self.losses, self.tokens, self.time) = (Vec::new(), 0, Duration::ZERO);
        Verdict { score }
    }

    fn keep(&mut self, state: &TrainState) -> Result<(), NerError> {
        let (path, label) = &self.state;
        let draft = path.with_extension("draft");
        let written = std::fs::write(&draft, state.to_bytes(label)?).and_then(|()| std::fs::rename(&draft, path));
        written.map_err(|source| NerError::Write { path: path.clone(), source })
    }
}
