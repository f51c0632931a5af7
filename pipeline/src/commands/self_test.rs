//! `pubtag selftest`.

use std::fmt::Write as _;
use std::io;
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::Instant;

use pubtag_ner::agreement::{self, Agreement, tolerance};
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, NerError, Precision, classifier};

use crate::bundled::named_or_bundled;
use crate::cli::SelfTestArgs;
use crate::device::{DeviceConfig, use_threads};
use crate::exit::{Exit, Failure};
use crate::provenance::PROGRAM;
use crate::terminal;

/// Micro-batches to compare: name, and lengths of the sequences.
const CASES: [(&str, &[usize]); 4] = [
    ("one token", &[1]),
    ("one abstract", &[350]),
    ("full window", &[512]),
    ("mixed", &[512, 3, 64, 65, 17, 300, 128, 2]),
];

/// Header of the table.
const HEADER: &str = "| precision | micro-batch | tokens | largest difference | allowed | same label | tokens/s | |\n\
                      |---|---|---|---|---|---|---|---|\n";

/// Compares, prints a table, and returns whether everything agrees as an exit code.
///
/// Each precision is tested in a process of its own: once a CUDA device has failed, everything after it fails in the same
/// process, and a process keeps the kernels of one precision.
///
/// # Errors
/// The model or the device cannot be used, or a process cannot be started.
pub fn execute(args: SelfTestArgs) -> Result<u8, Failure> {
    let checkpoint = Checkpoint::open(named_or_bundled(args.model)?)?;
    let config = DeviceConfig::check(args.device);
    use_threads(config.threads)?;
    let (device, mut setup) = config.first()?;
    // A device that fails the comparison must be reported here, not rejected.
    setup.cuda.unchecked = true;
    let holds = match args.only_precision {
        Some(precision) => {
            let mut lines = String::new();
            let holds = test(&checkpoint, device, ClassifierSetup { precision: precision.into(), ..setup }, &mut lines);
            print(&lines);
            holds
        }
        None => {
            print(&format!("{PROGRAM} selftest, {} on {device}\n\n{HEADER}", checkpoint.name()));
            let mut holds = true;
            for precision in Precision::ALL {
                holds &= in_a_process(precision).map_err(|error| Failure::new(Exit::Internal, error))?;
            }
            holds
        }
    };
    Ok(if holds { Exit::Done } else { Exit::Internal }.code())
}

/// Prints; ignores a closed pipe, since the exit code has the result.
fn print(text: &str) {
    let _ = terminal::print(text);
}

/// Tests a precision in a new process, which prints its lines; returns whether all agree.
fn in_a_process(precision: Precision) -> io::Result<bool> {
    let name = precision.to_string();
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(std::env::args_os().skip(1)).args(["--only-precision", &name]).status()?;
    // A process that was killed by a signal has not printed its result.
    if status.code().is_none() {
        print(&format!("| {name} | {status} | | | | | | **failed** |\n"));
    }
    Ok(status.success())
}

/// Adds a precision's lines to the table; false if the device fails or disagrees.
fn test(checkpoint: &Checkpoint, device: Device, setup: ClassifierSetup, text: &mut String) -> bool {
    let precision = setup.precision;
    let lines = match compare_all(checkpoint, device, setup) {
        Ok(lines) => lines,
        Err(error @ NerError::Precision { .. }) => {
            let _ = writeln!(text, "| {precision} | not supported: {} | | | | | | |", reason(&error));
            return true;
        }
        Err(error) => {
            let _ = writeln!(text, "| {precision} | {} | | | | | | **failed** |", reason(&error));
            return false;
        }
    };
    for (name, agreement, tokens_per_second) in &lines {
        let Agreement { tokens, difference, same_labels } = agreement;
        let verdict = if agreement.holds(precision) { "ok" } else { "**differs**" };
        let _ = writeln!(
            text,
            "| {precision} | {name} | {tokens} | {difference:.1e} | {:.1e} | {:.1}% | {tokens_per_second:.0} | {verdict} |",
            tolerance(precision),
            100.0 * *same_labels as f64 / (*tokens).max(1) as f64,
        );
    }
    lines.iter().all(|(_, agreement, _)| agreement.holds(precision))
}

type Line = (&'static str, Agreement, f64);

fn compare_all(checkpoint: &Checkpoint, device: Device, setup: ClassifierSetup) -> Result<Vec<Line>, NerError> {
    let full: Vec<usize> = vec![checkpoint.max_tokens().get(); setup.token_budget.get() / checkpoint.max_tokens()];
    let mut model = classifier(checkpoint, device, setup)?()?;
    let reference = ClassifierSetup { token_budget: NonZeroUsize::MAX, ..ClassifierSetup::on(Device::Cpu) };
    let mut reference = classifier(checkpoint, Device::Cpu, reference)?()?;
    let mut compare = |(name, lengths): (&'static str, &[usize])| {
        let batch = agreement::sample(checkpoint, lengths);
        let expected = reference.classify(&batch)?;
        model.classify(&batch)?;
        let started = Instant::now();
        let found = model.classify(&batch)?;
        let speed = batch.token_count() as f64 / started.elapsed().as_secs_f64();
        Ok((name, agreement::compare(&expected, &found), speed))
    };
    CASES.into_iter().chain([("full budget", full.as_slice())]).map(&mut compare).collect()
}

/// An error in one cell of a table.
fn reason(error: &NerError) -> String {
    error.to_string().replace(['\n', '|'], " ")
}
