//! Progress of a run: a bar on a terminal, otherwise a log line now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::figures::{grouped, human_time};
use crate::terminal;

/// Time between log lines.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// How far a run has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Input bytes processed, compressed as on disk.
    pub bytes: u64,
    /// Citations tagged.
    pub citations: u64,
    /// Tokens tagged.
    pub tokens: u64,
}

/// Who wants to know how far a run has got.
pub(crate) enum Audience {
    /// Whoever reads stderr.
    Stderr {
        /// Nobody does.
        quiet: bool,
    },
    /// A program, which is called several times per second.
    Program(Listener),
}

/// Takes the position of a run, and the size of its inputs in bytes, 0 if unknown.
pub(crate) type Listener = Box<dyn FnMut(Position, u64) + Send>;

impl Audience {
    /// Starts; `total_bytes` is the size of all inputs, 0 if unknown.
    pub(crate) fn progress(self, total_bytes: u64) -> Progress {
        match self {
            Self::Stderr { quiet } => Progress::start(total_bytes, quiet),
            Self::Program(listener) => Progress { listener: Some(listener), ..Progress::start(total_bytes, true) },
        }
    }
}

/// Shows the progress of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    total_bytes: u64,
    started: Instant,
    logged: Instant,
    on_terminal: bool,
    listener: Option<Listener>,
}

impl Progress {
    /// Starts; `total_bytes` is the size of all inputs, 0 if unknown.
    pub(crate) fn start(total_bytes: u64, quiet: bool) -> Self {
        let on_terminal = terminal::stderr_is_terminal() && !quiet;
        let target = if on_terminal { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target((total_bytes > 0).then_some(total_bytes), target);
        let template = match total_bytes {
            0 => "{spinner} {bytes} · {msg}",
            _ => "{bar:30} {bytes}/{total_bytes} · {msg} · {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { bar, total_bytes, started: now, logged: now, on_terminal, listener: None }
    }

    /// Shows the position.
    pub(crate) fn show(&mut self, at: Position) {
        if let Some(listener) = &mut self.listener {
            listener(at, self.total_bytes);
        }
        let started = self.started;
        self.show_bytes(at.bytes, || rates(at, started));
    }

    /// Shows the number of bytes processed, and a message.
    pub(crate) fn show_bytes(&mut self, bytes: u64, message: impl FnOnce() -> String) {
        self.bar.set_position(bytes);
        if self.on_terminal {
            self.bar.set_message(message());
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let done = format!("{:.1} MB", bytes as f64 / 1e6);
            tracing::info!(eta = %self.eta(bytes), done, "{}", message());
        }
    }

    /// Prints something while the bar is hidden.
    pub(crate) fn pause(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Estimated time left.
    fn eta(&self, bytes: u64) -> String {
        if bytes == 0 || self.total_bytes == 0 {
            return "unknown".to_owned();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let left = self.total_bytes.saturating_sub(bytes) as f64 / bytes as f64 * seconds;
        human_time(left)
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn rates(at: Position, started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64().max(1e-3);
    let per_second = |count: u64| grouped((count as f64 / seconds) as u64);
    format!(
        "{} citations · {:.1} citations/s · {} tokens/s",
        grouped(at.citations),
        at.citations as f64 / seconds,
        per_second(at.tokens)
    )
}
