//! `pubtag train`.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::PathBuf;

use pubtag_corpus::{CorpusSpec, Gold, categories, pack};
use pubtag_ner::train::{Example, Monitor, TrainConfig, TrainState, fine_tune};
use pubtag_ner::{Aggregation, Checkpoint, Decoder, Decoding, Device};
use pubtag_tokenize::WindowTokenizer;

use crate::cli::{ClassWeights, TrainArgs};
use crate::config::missing;
use crate::device::{choose, use_threads};
use crate::digest::sha256;
use crate::exit::{Exit, Failure};
use crate::figures::grouped;
use crate::processors::physical_cores;
use crate::terminal;
use crate::tokenizer;
use crate::training::card::{DataFile, Record, command_line, program, record_of};
use crate::training::corpora::{keep_types, read_gold, refuse_weight, warn_of_untaggable};
use crate::training::metrics::Metrics;
use crate::training::monitor::{Development, TrainingMonitor};
use crate::training::output::{Draft, weights_sha256};
use crate::training::page::{REPORT, html};
use crate::training::predict::Tokenized;
use crate::training::training_set::{Reading, TrainingSet, epoch_seed};
use crate::training::unlabelled::{self, TeacherModel, Texts};

/// Fine-tunes and prints the output directory.
///
/// # Errors
/// The corpora or the base model cannot be used, the device cannot train, or the output cannot be written.
pub fn execute(args: &TrainArgs, quiet: bool) -> Result<io::Result<()>, Failure> {
    if args.train.is_empty() {
        return Err(missing("--train"));
    }
    let base = args.base.as_deref().ok_or_else(|| missing("--base"))?;
    let output = args.output.as_deref().ok_or_else(|| missing("--output"))?;
    if args.training.patience.is_some() && args.dev.is_empty() {
        return Err(Failure::message(Exit::Usage, "--patience needs a development corpus; add --dev"));
    }
    let threads = args.training.threads.unwrap_or_else(physical_cores);
    use_threads(threads)?;
    let (texts, teachers) = texts_and_teachers(args)?;
    args.dev.iter().try_for_each(|corpus| refuse_weight(corpus, "--dev"))?;
    let train = read_all(&args.train, args)?;
    let mut dev = read_all(&args.dev, args)?;
    refuse_shared(&train, &dev)?;
    warn_of_shared_documents(&train, &dev);
    let names = types(&train)?;
    for gold in &mut dev {
        keep_types(gold, &names, "no --train corpus annotates them")?;
    }
    for gold in train.iter().chain(&dev) {
        warn_of_untaggable(gold);
    }

    let corpora = args.train.iter().chain(&args.dev).map(|corpus| corpus.path.as_path());
    let read: Vec<_> = corpora.chain([base]).chain(args.teacher.iter().map(PathBuf::as_path)).collect();
    let draft = Draft::begin(output, args.training.overwrite, &read)?;
    let base_sha256 = weights_sha256(base)?;
    let checkpoint = draft.base(base, &names, args.tagging_context(), args.training.seed)?;
    let tokenizer = tokenizer::open(&checkpoint)?;
    let development = development(&dev, args, &checkpoint, &tokenizer)?;
    let windows = development.iter().flat_map(|corpus| &corpus.tokenized.windows);
    let scored: Vec<Example> = windows.flatten().map(Example::unlabelled).collect();

    let mut record = Record {
        program: program(),
        command: command_line(),
        base_sha256,
        base: record_of(base),
        train: train.iter().map(DataFile::from).collect(),
        dev: dev.iter().map(DataFile::from).collect(),
        unlabelled: texts.files.clone(),
        teachers: teachers.iter().map(TeacherModel::from).collect(),
        labels: names,
        context_words: args.tagging_context(),
        settings: args,
        threads: threads.get(),
        epochs: &[],
    };
    let label = run_label(&record)?;
    let state = draft.state(&label);
    let metrics = draft.metrics(state.as_ref())?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let report = |metrics: &Metrics| draft.write(REPORT, html(&record, metrics, &name).as_bytes());
    let mut monitor = TrainingMonitor::new(development, metrics, (draft.state_path(), label), &report, quiet);
    let device = choose(&args.training.device)?[0];
    let taught = match teachers.is_empty() {
        true => Vec::new(),
        false => {
            let cache = args.training.cache_dir.as_ref();
            texts.teach(&teachers, checkpoint.labels(), device, cache)?.by_epoch(args.training.epochs)
        }
    };
    let reading = Reading {
        context: args.context_words,
        label_tokens: args.label_tokens.into(),
        replaced: args.replace_mentions.0,
    };
    let set = TrainingSet::new(&train, taught, checkpoint.labels(), reading);
    let weights = learn(args, &set, &checkpoint, &tokenizer, device, (&scored, state), &mut monitor)?;

    let metrics = monitor.metrics;
    report(&metrics)?;
    let epochs = metrics.epochs();
    record.epochs = &epochs;
    draft.finish(&weights, args.training.dtype, &record.card(&name), &record)?;
    Ok(terminal::print(&format!("{}\n", output.display())))
}

fn learn(
    args: &TrainArgs,
    set: &TrainingSet<'_>,
    checkpoint: &Checkpoint,
    tokenizer: &WindowTokenizer,
    device: Device,
    (scored, state): (&[Example], Option<TrainState>),
    monitor: &mut dyn Monitor,
) -> Result<Vec<u8>, Failure> {
    let labels = checkpoint.labels();
    let examples = |epoch| set.examples(tokenizer, epoch, epoch_seed(args.training.seed, epoch));
    let first = examples(0)?;
    let tokens: usize = first.iter().map(|example| example.ids.len()).sum();
    tracing::info!(
        "{} training windows with {} tokens, {} development windows",
        first.len(),
        grouped(tokens as u64),
        scored.len()
    );
    let config = TrainConfig {
        label_weights: (args.class_weights == ClassWeights::Balanced).then(|| balanced(&first, labels.tags().len())),
        ..TrainConfig::from(&args.training)
    };
    let mut of_epoch = |epoch| examples(epoch).map_err(Into::into);
    Ok(fine_tune(checkpoint, &mut of_epoch, scored, &config, state, device, monitor)?)
}

/// The types of all corpora, sorted.
///
/// # Errors
/// A type has no mention to learn from.
fn types(train: &[Gold]) -> Result<Vec<String>, Failure> {
    let annotated: BTreeSet<&String> = train.iter().flat_map(|gold| &gold.types).collect();
    let met = categories(train.iter().flat_map(|gold| &gold.documents));
    match annotated.iter().find(|name| !met.contains(name)) {
        Some(name) => Err(Failure::configuration(format!(
            "no --train corpus has a mention of {name}; remove it from types=, or rename a category to it with map="
        ))),
        None => Ok(annotated.into_iter().cloned().collect()),
    }
}

/// `all / (labels · occurrences)` for each label, as in NeMo; 1 for a label that does not occur.
fn balanced(examples: &[Example], labels: usize) -> Vec<f32> {
    let mut counts = vec![0_u32; labels];
    for label in examples.iter().flat_map(|example| example.targets.iter().flatten()) {
        counts[*label as usize] += 1;
    }
    let all = f64::from(counts.iter().sum::<u32>());
    let weight = |count: &u32| if *count == 0 { 1.0 } else { all / (labels as f64 * f64::from(*count)) };
    counts.iter().map(|count| weight(count) as f32).collect()
}

/// The texts without annotations, and the models that teach what is in them.
fn texts_and_teachers(args: &TrainArgs) -> Result<(Texts, Vec<Checkpoint>), Failure> {
    match (args.unlabelled.is_empty(), args.teacher.is_empty()) {
        (true, true) => Ok((Texts::default(), Vec::new())),
        (false, false) => Ok((Texts::read(&args.unlabelled)?, unlabelled::open(&args.teacher)?)),
        (true, false) => Err(missing("--unlabelled")),
        (false, true) => Err(missing("--teacher")),
    }
}

fn read_all(corpora: &[CorpusSpec], args: &TrainArgs) -> Result<Vec<Gold>, Failure> {
    let read = |corpus: &CorpusSpec| {
        let gold = read_gold(corpus, args.from.map(Into::into), args.labels.into())?;
        let (sentences, mentions, types) = (gold.sentences(), gold.mentions(), gold.types.join(", "));
        tracing::info!(
            "{} ({}): {sentences} sentences, {mentions} mentions of {types}",
            corpus.path.display(),
            gold.format
        );
        Ok(gold)
    };
    corpora.iter().map(read).collect()
}

/// Refuses corpora that are used for both training and development.
fn refuse_shared(train: &[Gold], dev: &[Gold]) -> Result<(), Failure> {
    let trained: BTreeSet<&String> = train.iter().filter_map(|gold| gold.sha256.as_ref()).collect();
    match dev.iter().find(|gold| gold.sha256.as_ref().is_some_and(|sha256| trained.contains(sha256))) {
        Some(gold) => Err(Failure::configuration(format!(
            "{} is both a --train and a --dev corpus; the best epoch must be chosen on other data",
            gold.corpus.path.display()
        ))),
        None => Ok(()),
    }
}

/// Warns of documents of a development corpus that are also trained on: scores on them say nothing about other texts. Corpora
/// without identifiers are lists of sentences, of which some are equal by chance.
fn warn_of_shared_documents(train: &[Gold], dev: &[Gold]) {
    let texts = |gold: &Gold| -> Vec<String> {
        let documents = gold.documents.iter().filter(|document| document.id.is_some());
        documents.map(|document| document.text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let trained: HashSet<String> = train.iter().flat_map(texts).collect();
    for gold in dev {
        let shared = texts(gold).iter().filter(|text| trained.contains(*text)).count();
        if shared > 0 {
            let (path, all) = (gold.corpus.path.display(), gold.documents.len());
            tracing::warn!("{path}: {shared} of {all} documents are also in a --train corpus; its scores are too high");
        }
    }
}

fn development(
    dev: &[Gold],
    args: &TrainArgs,
    checkpoint: &Checkpoint,
    tokenizer: &WindowTokenizer,
) -> Result<Vec<Development>, Failure> {
    let corpus = |(gold, name): (&Gold, String)| {
        let contexts = pack(&gold.documents, || args.tagging_context());
        let tokenized = Tokenized::new(contexts, tokenizer)?;
        let decoder = Decoder::new(checkpoint.labels().clone(), Aggregation::First, Decoding::Viterbi);
        let (documents, types) = (gold.documents.clone(), gold.types.clone());
        Ok(Development { name, documents, types, tokenized, decoder })
    };
    dev.iter().zip(short_names(dev)).map(corpus).collect()
}

/// Names of corpora in tables: file names without extension, or more of the path if they are not unique.
fn short_names(corpora: &[Gold]) -> Vec<String> {
    let stem = |gold: &Gold| gold.corpus.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = corpora.iter().map(stem).collect();
    let different = stems.iter().collect::<BTreeSet<_>>().len() == stems.len();
    if different { stems } else { corpora.iter().map(|gold| DataFile::from(gold).name).collect() }
}

/// Identifies a run: a hash of data, base model, teachers, settings and threads.
fn run_label(record: &Record) -> Result<String, Failure> {
    let files: Vec<_> = record.train.iter().chain(&record.dev).map(|file| file.sha256.as_deref()).collect();
    let texts: Vec<_> = record.unlabelled.iter().map(|file| &file.sha256).collect();
    let teachers: Vec<_> = record.teachers.iter().map(|teacher| &teacher.sha256).collect();
    let parts = (&record.base_sha256, files, texts, teachers, &record.labels, record.settings, record.threads);
    let json = serde_json::to_vec(&parts)?;
    Ok(sha256(&json))
}
