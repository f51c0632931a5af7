//! `pubtag train`.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use pubtag_corpus::Format;
use pubtag_ner::train::{Example, TrainConfig, TrainState, fine_tune};
use pubtag_ner::{Aggregation, Checkpoint, Decoder, Decoding};
use pubtag_schemas::AnnotatedDocument;
use pubtag_tokenize::{TokenizeError, WindowTokenizer};

use crate::cli::{ClassWeights, TrainArgs};
use crate::device::{of_model, use_threads};
use crate::digest::sha256;
use crate::exit::{Exit, Failure};
use crate::figures::grouped;
use crate::processors::physical_cores;
use crate::terminal;
use crate::training::card::{DataFile, RECORD, Record, command_line, program};
use crate::training::examples::{TrainingSet, unlabelled};
use crate::training::gold::{Gold, Labels, categories};
use crate::training::metrics::{METRICS, Metrics};
use crate::training::monitor::{Development, Watch};
use crate::training::output::Draft;
use crate::training::page::{REPORT, html};
use crate::training::passages::by_sentences;
use crate::training::predict::{Tokenized, tokenizer};

/// Fine-tunes and prints the output directory.
///
/// # Errors
/// Corpora or base cannot be used, the device cannot train, or the output cannot be written.
pub fn execute(args: &TrainArgs, quiet: bool) -> Result<io::Result<()>, Failure> {
    let threads = args.threads.unwrap_or_else(physical_cores);
    use_threads(threads)?;
    let train = read_all(&args.train, args.from, args.labels)?;
    let dev = read_all(&args.dev, args.from, args.labels)?;
    refuse_shared(&train, &dev)?;
    let names = categories(train.iter().flat_map(|gold| &gold.documents));

    let read = args.train.iter().chain(&args.dev).chain([&args.base]).map(PathBuf::as_path);
    let draft = Draft::begin(&args.output, args.overwrite, &read.collect::<Vec<_>>())?;
    let base_weights = args.base.join("model.safetensors");
    let base_sha256 = sha256(&std::fs::read(&base_weights).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot read {}", base_weights.display()));
        Failure::new(Exit::Configuration, error)
    })?);
    let checkpoint = draft.base(&args.base, &names, args.seed)?;
    let tokenizer = tokenizer(&checkpoint)?;
    let development = (!dev.is_empty()).then(|| development(&dev, args, &checkpoint, &tokenizer)).transpose()?;
    let scored: Vec<Example> =
        development.iter().flat_map(|set| set.tokenized.windows.iter().flat_map(|one| unlabelled(one))).collect();

    let mut record = Record {
        program: program(),
        command: command_line(),
        base_sha256,
        base: std::fs::read(args.base.join(RECORD)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        train: train.iter().map(DataFile::from).collect(),
        dev: dev.iter().map(DataFile::from).collect(),
        labels: names,
        settings: args,
        threads: threads.get(),
        epochs: &[],
    };
    let label = run_label(&record)?;
    let state = draft.state(&label);
    let metrics = open_metrics(&draft, state.as_ref())?;
    let mut watch = Watch::new(development, metrics, (draft.state_path(), label), quiet);
    let weights = learn(args, &train, &checkpoint, &tokenizer, (&scored, state), &mut watch)?;

    let epochs = watch.metrics.epochs();
    record.epochs = &epochs;
    let name = args.output.file_name().unwrap_or_default().to_string_lossy();
    draft.write("README.md", record.card(&name).as_bytes())?;
    draft.write(REPORT, html(&record, &watch.metrics, &name).as_bytes())?;
    let json = serde_json::to_vec_pretty(&record).map_err(|error| Failure::new(Exit::Internal, error))?;
    draft.write(RECORD, &json)?;
    draft.finish(&weights, args.dtype)?;
    Ok(terminal::print(&format!("{}\n", args.output.display())))
}

fn learn(
    args: &TrainArgs,
    train: &[Gold],
    checkpoint: &Checkpoint,
    tokenizer: &WindowTokenizer,
    (scored, state): (&[Example], Option<TrainState>),
    watch: &mut Watch,
) -> Result<Vec<u8>, Failure> {
    let documents: Vec<AnnotatedDocument> = train.iter().flat_map(|gold| gold.documents.clone()).collect();
    let set = TrainingSet::new(&by_sentences(&documents, || args.context_words), &documents);
    let labels = checkpoint.labels();
    let examples = |epoch: usize| {
        let seed = args.seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64);
        set.examples(tokenizer, labels, args.label_tokens, args.replace_mentions, seed)
    };
    // A text that the tokenizer refuses shows before the first step; what replaces its mentions comes from such texts.
    let first = examples(0).map_err(|error: TokenizeError| Failure::new(error.kind(), error))?;
    let tokens: usize = first.iter().map(|example| example.ids.len()).sum();
    tracing::info!("{} windows with {} tokens, {} to score by", first.len(), grouped(tokens as u64), scored.len());
    let config = TrainConfig {
        epochs: args.epochs,
        batch_size: args.batch_size,
        accumulation: args.accumulation,
        learning_rate: args.learning_rate,
        warmup_share: args.warmup,
        weight_decay: args.weight_decay,
        clip_norm: args.clip_norm,
        layer_decay: args.layer_decay,
        label_weights: (args.class_weights == ClassWeights::Balanced).then(|| balanced(&first, labels.tags().len())),
        patience: args.patience,
        seed: args.seed,
    };
    let mut of_epoch = |epoch| examples(epoch).unwrap_or_default();
    let device = args.device.choose().map_err(of_model)?[0];
    fine_tune(checkpoint, &mut of_epoch, scored, &config, state, device, watch).map_err(of_model)
}

/// `all / (labels · occurrences)` for each label, as NeMo weighs them; 1 for a label that never occurs.
fn balanced(examples: &[Example], labels: usize) -> Vec<f32> {
    let mut counts = vec![0_u32; labels];
    for label in examples.iter().flat_map(|example| example.targets.iter().flatten()) {
        counts[*label as usize] += 1;
    }
    let all = f64::from(counts.iter().sum::<u32>());
    let weight = |count: &u32| if *count == 0 { 1.0 } else { all / (labels as f64 * f64::from(*count)) };
    counts.iter().map(|count| weight(count) as f32).collect()
}

fn read_all(paths: &[PathBuf], from: Option<Format>, labels: Labels) -> Result<Vec<Gold>, Failure> {
    let read = |path: &PathBuf| {
        let gold = Gold::read(path, from, labels)?;
        let (sentences, mentions) = (gold.sentences(), gold.mentions());
        tracing::info!("{} ({}): {sentences} sentences, {mentions} mentions", path.display(), gold.format);
        Ok(gold)
    };
    paths.iter().map(read).collect()
}

/// A model must not be chosen by what it learnt.
fn refuse_shared(train: &[Gold], dev: &[Gold]) -> Result<(), Failure> {
    let learnt: BTreeSet<&String> = train.iter().filter_map(|gold| gold.sha256.as_ref()).collect();
    match dev.iter().find(|gold| gold.sha256.as_ref().is_some_and(|sha256| learnt.contains(sha256))) {
        Some(gold) => Err(Failure::configuration(format!(
            "{} is named as --train and as --dev: the best epoch would be chosen by what it learnt",
            gold.path.display()
        ))),
        None => Ok(()),
    }
}

fn development(
    dev: &[Gold],
    args: &TrainArgs,
    checkpoint: &Checkpoint,
    tokenizer: &WindowTokenizer,
) -> Result<Development, Failure> {
    let documents: Vec<AnnotatedDocument> = dev.iter().flat_map(|gold| gold.documents.clone()).collect();
    let passages = by_sentences(&documents, || args.context_words);
    let tokenized = Tokenized::new(passages, tokenizer).map_err(|error| Failure::new(error.kind(), error))?;
    let decoder = Decoder::new(checkpoint.labels().clone(), Aggregation::First, Decoding::Viterbi);
    Ok(Development { documents, tokenized, decoder })
}

/// What tells a run from every other: data, base, settings and threads, by their hash.
fn run_label(record: &Record) -> Result<String, Failure> {
    let files: Vec<_> = record.train.iter().chain(&record.dev).map(|file| file.sha256.as_deref()).collect();
    let parts = (&record.base_sha256, files, &record.labels, record.settings, record.threads);
    let json = serde_json::to_vec(&parts).map_err(|error| Failure::new(Exit::Internal, error))?;
    Ok(sha256(&json))
}

fn open_metrics(draft: &Draft, state: Option<&TrainState>) -> Result<Metrics, Failure> {
    let path = draft.path(METRICS);
    Metrics::open(&path, state.map_or(0, |state| state.epochs)).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot write {}", path.display()));
        Failure::new(Exit::Transient, error)
    })
}
