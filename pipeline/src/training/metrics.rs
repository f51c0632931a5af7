//! Metrics of a training run: one JSON object per line, for each step and each epoch.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use pubtag_corpus::score::Score;
use serde::{Deserialize, Serialize};

/// The file in the model's directory.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// Metrics of a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StepLine {
    /// From 1.
    pub(crate) step: usize,
    pub(crate) loss: f32,
    pub(crate) learning_rate: f64,
    pub(crate) gradient_norm: f32,
    /// Special tokens included.
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
}

/// Metrics of an epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EpochLine {
    /// From 1.
    pub(crate) epoch: usize,
    /// Mean loss over its steps.
    pub(crate) loss: f64,
    /// Scores on the development corpora.
    pub(crate) development: Vec<CorpusScore>,
    /// How well the masked tokens of held-out documents are guessed, in pretraining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_out: Option<HeldOut>,
    /// Training tokens, special tokens included.
    pub(crate) tokens: usize,
    /// Time of its steps.
    pub(crate) seconds: f64,
}

/// How well masked tokens are guessed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct HeldOut {
    /// Number of masked tokens.
    pub(crate) tokens: usize,
    /// Mean of −log p.
    pub(crate) loss: f64,
    pub(crate) perplexity: f64,
    /// Share that is guessed right.
    pub(crate) accuracy: f64,
}

/// Strict entity scores on a development corpus, as conlleval and seqeval's default compute them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CorpusScore {
    pub(crate) corpus: String,
    /// Micro average over the types that the corpus annotates.
    pub(crate) micro: Score,
    /// Scores per type.
    pub(crate) types: BTreeMap<String, Score>,
}

impl EpochLine {
    /// The score of an epoch: the mean of the corpora's micro-averaged F1, so that a large corpus does not outweigh the
    /// others. `None` without a development corpus.
    pub(crate) fn mean_f1(&self) -> Option<f64> {
        let sum: f64 = self.development.iter().map(|score| score.micro.f1).sum();
        (!self.development.is_empty()).then(|| sum / self.development.len() as f64)
    }

    /// The quality by which the best epoch is chosen; higher is better.
    pub(crate) fn quality(&self) -> f64 {
        self.held_out.map_or_else(|| self.mean_f1().unwrap_or(0.0), |held_out| -held_out.loss)
    }

    /// Headers of [`cells`](Self::cells).
    pub(crate) fn heads(&self) -> Vec<String> {
        self.columns().into_iter().map(|(head, _)| head).collect()
    }

    /// A row of a table.
    pub(crate) fn cells(&self) -> Vec<String> {
        self.columns().into_iter().map(|(_, cell)| cell).collect()
    }

    fn columns(&self) -> Vec<(String, String)> {
        let column = |head: &str, cell: String| (head.to_owned(), cell);
        let number = |value: f64| format!("{value:.4}");
        let mut columns = vec![column("epoch", self.epoch.to_string()), column("loss", number(self.loss))];
        columns.extend(self.development.iter().map(|score| (format!("{} F1", score.corpus), number(score.micro.f1))));
        if let Some(f1) = self.mean_f1().filter(|_| self.development.len() > 1) {
            columns.push(column("mean F1", number(f1)));
        }
        if let Some(HeldOut { loss, perplexity, accuracy, .. }) = self.held_out {
            columns.push(column("held-out loss", number(loss)));
            columns.push(column("perplexity", format!("{perplexity:.2}")));
            columns.push(column("accuracy", number(accuracy)));
        }
        columns.push(column("tokens/s", format!("{:.0}", self.tokens as f64 / self.seconds.max(1e-9))));
        columns
    }
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Step(StepLine),
    Epoch(EpochLine),
}

/// The file and its content.
#[derive(Debug)]
pub(crate) struct Metrics {
    file: File,
    lines: Vec<Line>,
}

impl Metrics {
    /// Opens the file of a run with this many finished epochs; drops the lines of an interrupted epoch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn open(path: &Path, epochs: usize) -> io::Result<Self> {
        let before = if epochs == 0 { String::new() } else { std::fs::read_to_string(path).unwrap_or_default() };
        let mut lines: Vec<Line> = before.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
        let end = lines.iter().position(|line| matches!(line, Line::Epoch(line) if line.epoch == epochs));
        lines.truncate(end.map_or(0, |last| last + 1));
        let mut metrics = Self { file: File::create(path)?, lines: Vec::new() };
        lines.into_iter().try_for_each(|line| metrics.write(line))?;
        Ok(metrics)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&mut self, line: Line) -> io::Result<()> {
        let json = serde_json::to_string(&line)?;
        self.lines.push(line);
        writeln!(self.file, "{json}")
    }

    /// All epochs so far.
    pub(crate) fn epochs(&self) -> Vec<EpochLine> {
        self.lines
            .iter()
            .filter_map(|line| if let Line::Epoch(line) = line { Some(line.clone()) } else { None })
            .collect()
    }

    /// All steps so far.
    pub(crate) fn steps(&self) -> Vec<StepLine> {
        self.lines.iter().filter_map(|line| if let Line::Step(line) = line { Some(*line) } else { None }).collect()
    }
}
