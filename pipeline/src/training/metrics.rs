//! The record of a run as it goes: one JSON object a line, of each step and of each epoch.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use pubtag_corpus::score::Score;
use serde::{Deserialize, Serialize};

/// The file beside the model.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// What a step came to.
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

/// What an epoch came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct EpochLine {
    /// From 1.
    pub(crate) epoch: usize,
    /// Mean loss of its steps.
    pub(crate) loss: f64,
    /// On the development set, if there is one.
    pub(crate) development: Option<Score>,
    /// Tokens learnt from, special tokens included.
    pub(crate) tokens: usize,
    /// Spent on its steps.
    pub(crate) seconds: f64,
}

impl EpochLine {
    /// What [`cells`](Self::cells) are.
    pub(crate) const HEADS: [&str; 6] = ["epoch", "loss", "dev precision", "dev recall", "dev F1", "tokens/s"];

    /// The line of a table.
    pub(crate) fn cells(&self) -> [String; 6] {
        let score = |of: fn(&Score) -> f64| {
            self.development.as_ref().map_or_else(|| "–".to_owned(), |score| format!("{:.4}", of(score)))
        };
        [
            self.epoch.to_string(),
            format!("{:.4}", self.loss),
            score(|score| score.precision),
            score(|score| score.recall),
            score(|score| score.f1),
            format!("{:.0}", self.tokens as f64 / self.seconds.max(1e-9)),
        ]
    }
}

/// A line of the file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Step(StepLine),
    Epoch(EpochLine),
}

/// The file, and what is in it.
#[derive(Debug)]
pub(crate) struct Metrics {
    file: File,
    lines: Vec<Line>,
}

impl Metrics {
    /// Opens the file of a run that has so many epochs behind it; what an interrupted epoch left after them is dropped.
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
        self.lines.push(line);
        writeln!(self.file, "{}", serde_json::to_string(&line)?)
    }

    /// Every epoch so far.
    pub(crate) fn epochs(&self) -> Vec<EpochLine> {
        self.lines.iter().filter_map(|line| if let Line::Epoch(line) = line { Some(*line) } else { None }).collect()
    }

    /// Every step so far.
    pub(crate) fn steps(&self) -> Vec<StepLine> {
        self.lines.iter().filter_map(|line| if let Line::Step(line) = line { Some(*line) } else { None }).collect()
    }
}
