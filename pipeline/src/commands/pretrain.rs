//! `pubtag pretrain`.

use std::io;
use std::path::Path;

use pubtag_ner::train::{MaskedWindow, TrainConfig, pretrain};
use pubtag_schemas::AnnotatedDocument;

use crate::cli::PretrainArgs;
use crate::config::missing;
use crate::device::{choose, use_threads};
use crate::digest::sha256;
use crate::exit::{Exit, Failure};
use crate::figures::grouped;
use crate::processors::physical_cores;
use crate::terminal;
use crate::training::card::{RECORD, command_line, program, record_of};
use crate::training::language_record::LanguageRecord;
use crate::training::masked_texts::{MaskedTexts, is_held_out};
use crate::training::metrics::Metrics;
use crate::training::monitor::{HeldOutDocuments, TrainingMonitor};
use crate::training::output::{Draft, weights_sha256};
use crate::training::page::REPORT;
use crate::training::training_set::epoch_seed;
use crate::training::unlabelled::Texts;

/// Pretrains and prints the output directory.
///
/// # Errors
/// The texts or the base model cannot be used, the device cannot train, or the output cannot be written.
pub fn execute(args: &PretrainArgs, quiet: bool) -> Result<io::Result<()>, Failure> {
    if args.inputs.is_empty() {
        return Err(missing("INPUT"));
    }
    let base = args.base.as_deref().ok_or_else(|| missing("--base"))?;
    let output = args.output.as_deref().ok_or_else(|| missing("--output"))?;
    let threads = args.training.threads.unwrap_or_else(physical_cores);
    use_threads(threads)?;
    let texts = Texts::read(&args.inputs)?;
    let (held_out, learnt): (Vec<_>, Vec<_>) =
        texts.documents.into_iter().partition(|document| is_held_out(document, args.held_out.0));
    if learnt.is_empty() {
        let problem = format!("all {} documents are held out; lower --held-out", held_out.len());
        return Err(Failure::message(Exit::Data, problem));
    }

    let sources: Vec<&Path> = args.inputs.iter().map(Path::new).chain([base]).collect();
    let draft = Draft::begin(output, args.training.overwrite, &sources)?;
    let mut record = LanguageRecord {
        program: program(),
        command: command_line(),
        base_sha256: weights_sha256(base)?,
        base: record_of(base),
        texts: texts.files,
        learnt: learnt.len(),
        held_out: held_out.len(),
        settings: args,
        threads: threads.get(),
        epochs: &[],
    };
    let model = draft.language_model(base, args.training.seed)?;
    let reading = MaskedTexts::new(&model, args)?;
    let label = run_label(&record)?;
    let state = draft.state(&label);
    let metrics = draft.metrics(state.as_ref())?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let report = |metrics: &Metrics| draft.write(REPORT, record.html(metrics, &name).as_bytes());
    let mut monitor = TrainingMonitor::new(HeldOutDocuments, metrics, (draft.state_path(), label), &report, quiet);
    let device = choose(&args.training.device)?[0];
    let development = reading.windows(&held_out, args.training.seed)?;
    let seed = args.training.seed;
    let mut examples = |epoch| reading.windows(&learnt, epoch_seed(seed, epoch)).map_err(Into::into);
    describe(&learnt, &held_out, &development);
    let config = TrainConfig::from(&args.training);
    let weights = pretrain(&model, &mut examples, &development, &config, state, device, &mut monitor)?;

    let metrics = monitor.metrics;
    report(&metrics)?;
    let epochs = metrics.epochs();
    record.epochs = &epochs;
    draft.write("README.md", record.card(&name).as_bytes())?;
    draft.write(RECORD, &serde_json::to_vec_pretty(&record)?)?;
    draft.finish(&weights, args.training.dtype)?;
    Ok(terminal::print(&format!("{}\n", output.display())))
}

fn describe(learnt: &[AnnotatedDocument], held_out: &[AnnotatedDocument], development: &[MaskedWindow]) {
    let guessed: usize = development.iter().map(|window| window.targets.len()).sum();
    tracing::info!(
        "{} documents to learn, {} held out with {} masked tokens",
        grouped(learnt.len() as u64),
        grouped(held_out.len() as u64),
        grouped(guessed as u64)
    );
}

/// Identifies a run: a hash of texts, base model, settings and threads.
fn run_label(record: &LanguageRecord<'_>) -> Result<String, Failure> {
    let texts: Vec<_> = record.texts.iter().map(|file| &file.sha256).collect();
    let parts = ("pretrain", &record.base_sha256, texts, record.settings, record.threads);
    Ok(sha256(&serde_json::to_vec(&parts)?))
}
