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

/// Micro-batches to compare: a name, and the lengths of the sequences.
const CASES: [(&str, &[usize]); 4] = [
    ("one token", &[1]),
    ("one abstract", &[350]),
    ("full window", &[512]),
    ("mixed", &[512, 3, 64, 65, 17, 300, 128, 2]),
];

/// The head of the table.
const HEADER: &str = "| precision | micro-batch | tokens | largest difference | allowed | same label | tokens/s | |\n\
                      |---|---|---|---|---|---|---|---|\n";

/// Compares, prints one table, and says by its exit code whether everything agrees.
///
/// Each precision has a process of its own: a card that has failed once fails everything after it in the same process,
/// and a process keeps the kernels of one precision.
///
/// # Errors
/// The model or the device cannot be used, or the program cannot start itself.
pub fn execute(args: SelfTestArgs) -> Result<u8, Failure> {
    let checkpoint = Checkpoint::open(named_or_bundled(args.model)?)?;
    let config = DeviceConfig::check(args.device);
    use_threads(config.threads)?;
    let (device, mut setup) = config.first()?;
    // The comparison is the point: a device that fails it is to be shown, not refused.
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

/// A reader that has gone has seen enough; the verdict is in the exit code.
fn print(text: &str) {
    let _ = terminal::print(text);
}

/// Has this program test a precision and print its lines; whether all of them agree.
fn in_a_process(precision: Precision) -> io::Result<bool> {
    let name = precision.to_string();
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(std::env::args_os().skip(1)).args(["--only-precision", &name]).status()?;
    // What a process says by its code, it has also printed; what a signal ended has not.
    if status.code().is_none() {
        print(&format!("| {name} | {status} | | | | | | **fails** |\n"));
    }
    Ok(status.success())
}

/// Adds a precision's lines to the table; false if a device that has the precision fails or disagrees.
fn test(checkpoint: &Checkpoint, device: Device, setup: ClassifierSetup, text: &mut String) -> bool {
    let precision = setup.precision;
    let lines = match compare_all(checkpoint, device, setup) {
        Ok(lines) => lines,
        Err(error @ NerError::Precision { .. }) => {
            let _ = writeln!(text, "| {precision} | not to be had: {} | | | | | | |", reason(&error));
            return true;
        }
        Err(error) => {
            let _ = writeln!(text, "| {precision} | {} | | | | | | **fails** |", reason(&error));
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

/// An error and its causes in one line of a table.
fn reason(error: &NerError) -> String {
    error.to_string().replace(['\n', '|'], " ")
}
