//! What a sample says about all inputs.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::sample::Counted;
use super::speed::Speed;
use crate::config::RunConfig;
use crate::figures::{counted, grouped, human_time};

/// The inputs that are left to tag.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pending {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files that are committed in the output, and are left out.
    pub(crate) committed_files: u64,
}

/// An input, as `--list` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) input: String,
    pub(crate) bytes: Option<u64>,
}

/// What a run over all inputs would take.
#[derive(Debug, Serialize)]
pub(crate) struct Estimate {
    inputs: Pending,
    /// Null if there is nothing left to tag.
    measured: Option<Measured>,
    computed: Computed,
    #[serde(skip)]
    threads: usize,
}

/// What was measured on this machine.
#[derive(Debug, Serialize)]
struct Measured {
    /// Whole files that were read.
    read: Counted,
    /// Citations of them that were tagged and written.
    tagged: Speed,
}

/// What follows for all inputs if they are like the sample.
#[derive(Debug, Default, Serialize)]
struct Computed {
    citations: u64,
    tokens: u64,
    /// On this machine.
    seconds: f64,
    /// Without the cache.
    output_bytes: u64,
    deadline_seconds: Option<f64>,
    /// Machines like this one, to meet the deadline.
    workers: Option<u64>,
}

impl Estimate {
    /// There is nothing left to tag.
    pub(super) fn nothing(inputs: Pending) -> Self {
        Self { inputs, measured: None, computed: Computed::default(), threads: 0 }
    }

    pub(super) fn new(inputs: Pending, read: Counted, tagged: Speed, config: &RunConfig) -> Self {
        let threads = config.tagger.device.threads.get();
        let citations = inputs.bytes as f64 * read.citations as f64 / read.bytes.max(1) as f64;
        let citations = config.read.limit.map_or(citations, |limit| citations.min(limit as f64));
        let per_citation = |amount: f64| amount / tagged.citations.max(1) as f64;
        // Reading shares the processors with the model.
        let reading = read.seconds / read.citations.max(1) as f64 / threads as f64;
        let computed = Computed {
            citations: citations.round() as u64,
            tokens: (citations * per_citation(tagged.tokens as f64)).round() as u64,
            seconds: citations * (per_citation(tagged.seconds) + reading),
            output_bytes: (citations * per_citation(tagged.output_bytes as f64)).round() as u64,
            deadline_seconds: None,
            workers: None,
        };
        Self { inputs, measured: Some(Measured { read, tagged }), computed, threads }
    }

    /// Adds how many machines a deadline takes.
    #[must_use]
    pub(crate) fn by(mut self, deadline: Option<Duration>) -> Self {
        let seconds = deadline.map(|deadline| deadline.as_secs_f64());
        self.computed.deadline_seconds = seconds;
        self.computed.workers = seconds.map(|seconds| (self.computed.seconds / seconds).ceil() as u64);
        self
    }

    /// For people.
    pub(crate) fn page(&self) -> String {
        let mut inputs = format!("{}, {}", counted(self.inputs.files, "file"), size(self.inputs.bytes));
        if self.inputs.committed_files > 0 {
            inputs += &format!("; {} committed already", counted(self.inputs.committed_files, "file"));
        }
        let mut lines = vec![("inputs", inputs)];
        if let Some(measured) = &self.measured {
            lines.extend(measured.lines(self.threads));
            lines.extend(self.computed.lines());
        }
        let mut page = String::new();
        for (name, value) in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "{}", format!("{name:<10} {value}").trim_end());
        }
        page
    }
}

impl Measured {
    fn lines(&self, threads: usize) -> [(&'static str, String); 4] {
        let Self { read, tagged } = self;
        let rate = |count: u64| count as f64 / tagged.seconds.max(f64::EPSILON);
        let threads = counted(threads as u64, "thread");
        let [files, citations] = [counted(read.files, "whole file"), counted(read.citations, "citation")];
        let speed = format!(
            "{} in {}: {:.1} citations/s, {} tokens/s",
            counted(tagged.citations, "citation"),
            human_time(tagged.seconds),
            rate(tagged.citations),
            grouped(rate(tagged.tokens) as u64)
        );
        [
            ("", String::new()),
            ("measured", format!("on {}, {threads}, with {}", tagged.device, tagged.model)),
            ("read", format!("{files}, {}, {citations}", size(read.bytes))),
            ("tagged", speed),
        ]
    }
}

impl Computed {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("", String::new()),
            ("computed", "for all inputs, if they are like the sample".to_owned()),
            ("citations", grouped(self.citations)),
            ("tokens", grouped(self.tokens)),
            ("time", format!("{} on this machine", human_time(self.seconds))),
            ("output", format!("{}, without the cache", size(self.output_bytes))),
        ];
        if let (Some(deadline), Some(workers)) = (self.deadline_seconds, self.workers) {
            let machines = counted(workers, "machine");
            lines.push(("workers", format!("{machines} like this one for {}", human_time(deadline))));
        }
        lines
    }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} GB", bytes / 1e9),
    }
}
