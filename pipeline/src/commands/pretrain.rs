//! `pubtag pretrain`.

use std::io;
use std::path::Path;

use pubtag_ner::train::{LanguageModel, MaskedScore, Monitor, TrainConfig, TrainState, pretrain};
use pubtag_schemas::AnnotatedDocument;

use crate::cli::{PretrainArgs, Share};
use crate::config::missing;
use crate::device::{choose, use_threads};
use crate::digest::sha256;
use crate::exit::{Exit, Failure};
use crate::figures::grouped;
use crate::processors::physical_cores;
use crate::terminal;
use crate::training::card::{command_line, program, record_of};
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
    if args.training.patience.is_some() && args.held_out.0 == 0.0 {
        return Err(Failure::message(Exit::Usage, "--patience needs held-out documents; set --held-out above 0"));
    }
    let threads = args.training.threads.unwrap_or_else(physical_cores);
    use_threads(threads)?;
    let texts = Texts::read(&args.inputs)?;
    let documents = Split::of(texts.documents, args.held_out)?;
    let sources: Vec<&Path> = args.inputs.iter().map(Path::new).chain([base]).collect();
    let draft = Draft::begin(output, args.training.overwrite, &sources)?;
    let mut record = LanguageRecord {
        program: program(),
        command: command_line(),
        base_sha256: weights_sha256(base)?,
        base: record_of(base),
        texts: texts.files,
        learnt: documents.learnt.len(),
        held_out: documents.held_out.len(),
        settings: args,
        threads: threads.get(),
        epochs: &[],
    };
    let model = draft.language_model(base, args.training.seed)?;
    let label = run_label(&record)?;
    let state = draft.state(&label);
    let metrics = draft.metrics(state.as_ref())?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let report = |metrics: &Metrics| draft.write(REPORT, record.html(metrics, &name).as_bytes());
    let mut monitor = TrainingMonitor::new(HeldOutDocuments, metrics, (draft.state_path(), label), &report, quiet);
    let weights = learn(args, &documents, &model, state, &mut monitor)?;

    let metrics = monitor.metrics;
    report(&metrics)?;
    let epochs = metrics.epochs();
    record.epochs = &epochs;
    draft.finish(&weights, args.training.dtype, &record.card(&name), &record)?;
    Ok(terminal::print(&format!("{}\n", output.display())))
}

/// The documents of a run.
struct Split {
    learnt: Vec<AnnotatedDocument>,
    held_out: Vec<AnnotatedDocument>,
}

impl Split {
    fn of(documents: Vec<AnnotatedDocument>, share: Share) -> Result<Self, Failure> {
        let (held_out, learnt): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| is_held_out(document, share.0));
        if learnt.is_empty() {
            let count = held_out.len();
            let problem = format!("nothing is left to learn: all documents ({count}) are held out; lower --held-out");
            return Err(Failure::message(Exit::Data, problem));
        }
        Ok(Self { learnt, held_out })
    }
}

fn learn(
    args: &PretrainArgs,
    documents: &Split,
    model: &LanguageModel,
    state: Option<TrainState>,
    monitor: &mut dyn Monitor<MaskedScore>,
) -> Result<Vec<u8>, Failure> {
    let device = choose(&args.training.device)?[0];
    let (reading, seed) = (MaskedTexts::new(model, args)?, args.training.seed);
    let held_out = reading.windows(&documents.held_out, seed)?;
    let guessed: usize = held_out.iter().map(|window| window.targets.len()).sum();
    tracing::info!(
        "{} documents to learn, {} held out with {} masked tokens",
        grouped(documents.learnt.len() as u64),
        grouped(documents.held_out.len() as u64),
        grouped(guessed as u64)
    );
    let config = TrainConfig::from(&args.training);
    let mut examples = |epoch| reading.windows(&documents.learnt, epoch_seed(seed, epoch)).map_err(Into::into);
    Ok(pretrain(model, &mut examples, &held_out, &config, state, device, monitor)?)
}

/// Identifies a run: a hash of texts, base model, settings and threads.
fn run_label(record: &LanguageRecord<'_>) -> Result<String, Failure> {
    let texts: Vec<_> = record.texts.iter().map(|file| &file.sha256).collect();
    let parts = ("pretrain", &record.base_sha256, texts, record.settings, record.threads);
    Ok(sha256(&serde_json::to_vec(&parts)?))
}
