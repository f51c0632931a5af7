//! `pubtag inspect`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use arrow::array::AsArray;
use futures::StreamExt;
use pubtag_ner::{Checkpoint, ModelConfig};
use pubtag_parquet::Tables;
use pubtag_schemas::CommitOutcome;
use pubtag_schemas::ModelFiles;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::AnnotationRow;
use pubtag_store::{Address, Store, StoreOptions};
use serde::Serialize;

use crate::bundled::named_or_bundled;
use crate::cli::{InspectArgs, TableName};
use crate::committed::{committed, generations};
use crate::exit::Failure;
use crate::figures::{counted, grouped};
use crate::outputs;
use crate::runtime::runtime;
use crate::terminal;

/// Describes a model or an output directory.
///
/// # Errors
/// The path is neither, or cannot be read.
pub fn execute(args: &InspectArgs) -> Result<io::Result<()>, Failure> {
    let runtime = runtime(NonZeroUsize::MIN)?;
    let options = args.store.options();
    let output = match &args.path {
        Some(address) => runtime.block_on(output_in(address, &options))?.map(|store| (address, store)),
        None => None,
    };
    let text = match (output, args.parts) {
        (Some((address, store)), Some(table)) => {
            printed(&runtime.block_on(parts(address, store, &options, table))?, args.json, lines)?
        }
        (Some((_, store)), None) => {
            printed(&runtime.block_on(OutputSummary::of(store, args.top))?, args.json, OutputSummary::page)?
        }
        (None, Some(_)) => {
            return Err(Failure::configuration(
                "--parts needs an output of pubtag: a directory with _pubtag/output.json",
            ));
        }
        (None, None) => {
            let folder = args.path.as_ref().and_then(Address::local).map(Path::to_owned);
            let files = named_or_bundled(folder)?;
            if !files.has("config.json") {
                return Err(Failure::configuration(format!(
                    "{}: neither a model (no config.json) nor an output of pubtag (no _pubtag)",
                    files.place().display()
                )));
            }
            printed(&ModelPage::of(files)?, args.json, ModelPage::page)?
        }
    };
    Ok(terminal::print(&text))
}

/// The part files of a table that count.
async fn parts(
    address: &Address,
    store: Store,
    options: &StoreOptions,
    table: TableName,
) -> Result<Vec<String>, Failure> {
    let tables = Tables::open(store.clone()).await?;
    let commits = committed(&tables);
    let generations = generations(address, options, &commits).await?;
    let counting = commits.iter().filter(|commit| generations.counts(commit));
    let parts = counting.flat_map(|commit| &commit.commit.parts).filter(|part| part.table == table.as_str());
    let mut paths: Vec<_> = parts.map(|part| format!("{store}/{}", part.path)).collect();
    paths.sort_unstable();
    Ok(paths)
}

#[expect(clippy::ptr_arg, reason = "it is the page of a Vec")]
fn lines(lines: &Vec<String>) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The output in a place; `None` if it is a directory that is not an output.
async fn output_in(address: &Address, options: &StoreOptions) -> Result<Option<Store>, Failure> {
    match outputs::open(address, options)? {
        Some(store) if Tables::exist_at(&store).await? => Ok(Some(store)),
        _ if address.local().is_some() => Ok(None),
        _ => Err(Failure::configuration(format!("{address}: not an output of pubtag (no _pubtag)"))),
    }
}

fn printed<T: Serialize>(summary: &T, json: bool, page: fn(&T) -> String) -> Result<String, Failure> {
    if !json {
        return Ok(page(summary));
    }
    Ok(serde_json::to_string_pretty(summary)? + "\n")
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "  {name:<14} {value}");
}

/// Description of a model.
#[derive(Debug, Serialize)]
struct ModelPage {
    name: String,
    place: String,
    architecture: String,
    labels: Vec<String>,
    parameters: usize,
    layers: usize,
    hidden_size: usize,
    heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_tokens: usize,
    /// Words of consecutive sentences that it reads at a time; null if it reads whole documents.
    context_words: Option<usize>,
    /// SHA-256 of every file that the model's output depends on.
    fingerprint: String,
    /// The content of `training.json`, if `pubtag train` made the model.
    training: Option<serde_json::Value>,
}

impl ModelPage {
    fn of(files: ModelFiles) -> Result<Self, Failure> {
        let checkpoint = Checkpoint::open(files)?;
        let config: &ModelConfig = checkpoint.config();
        let files = checkpoint.origin();
        let training = files.read("training.json").ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self {
            name: checkpoint.name(),
            place: files.place().display().to_string(),
            architecture: format!("{:?}", config.encoder.family),
            labels: checkpoint.labels().names(),
            parameters: config.parameter_count(),
            layers: config.encoder.layers,
            hidden_size: config.encoder.hidden_size,
            heads: config.encoder.heads,
            intermediate_size: config.encoder.intermediate_size,
            vocab_size: config.encoder.vocab_size,
            max_tokens: checkpoint.max_tokens().get(),
            context_words: checkpoint.context_words().map(NonZeroUsize::get),
            fingerprint: checkpoint.fingerprint().to_owned(),
            training,
        })
    }

    fn page(&self) -> String {
        let mut text = format!("{}: token classifier in {}\n", self.name, self.place);
        let Self { layers, hidden_size, heads, intermediate_size, .. } = self;
        let shape = format!("{layers} layers × {hidden_size}, {heads} heads, {intermediate_size} intermediate");
        line(&mut text, "architecture", format_args!("{}, {shape}", self.architecture));
        line(&mut text, "parameters", grouped(self.parameters as u64));
        line(&mut text, "vocabulary", grouped(self.vocab_size as u64));
        let context =
            self.context_words.map_or_else(String::new, |words| format!(", in sentences of up to {words} words"));
        line(&mut text, "reads", format_args!("{} tokens at a time{context}", self.max_tokens));
        line(&mut text, "labels", self.labels.join(", "));
        line(&mut text, "fingerprint", &self.fingerprint);
        if let Some(command) = self.training.as_ref().and_then(|training| training["command"].as_str()) {
            line(&mut text, "command", command);
        }
        text
    }
}

/// Description of an output directory.
#[derive(Debug, Default, Serialize)]
struct OutputSummary {
    folder: String,
    /// Committed inputs.
    inputs: usize,
    /// Those that were not read to the end.
    cut_short: Vec<String>,
    /// Times of the first and the last commit.
    committed: Option<[String; 2]>,
    runs: usize,
    /// Number of inputs by model.
    models: BTreeMap<String, usize>,
    tables: BTreeMap<String, TableSummary>,
    /// Rows of `documents` by status.
    statuses: BTreeMap<String, u64>,
    /// The most frequent mentions, ignoring case.
    top_mentions: Vec<(String, u64)>,
}

/// Size of a table.
#[derive(Debug, Default, Serialize)]
struct TableSummary {
    rows: u64,
    files: usize,
    bytes: u64,
}

impl OutputSummary {
    async fn of(store: Store, top: usize) -> Result<Self, Failure> {
        let mut summary = Self { folder: store.name().to_owned(), ..Self::default() };
        let tables = Tables::open(store).await?;
        let mut runs = std::collections::BTreeSet::new();
        for commit in tables.commits() {
            summary.inputs += 1;
            runs.insert(commit.run_id);
            *summary.models.entry(commit.model_id.clone()).or_default() += 1;
            match &commit.outcome {
                CommitOutcome::Complete => {}
                CommitOutcome::Partial { reason } => summary.cut_short.push(reason.clone()),
                CommitOutcome::Limited => summary.cut_short.push(format!("{}: limited", commit.input.uri)),
            }
            for part in &commit.parts {
                let table = summary.tables.entry(part.table.clone()).or_default();
                *table = TableSummary {
                    rows: table.rows + part.rows,
                    files: table.files + 1,
                    bytes: table.bytes + part.bytes,
                };
            }
            for (status, count) in &commit.statuses {
                *summary.statuses.entry(status.clone()).or_default() += count;
            }
            let at = &commit.committed_at;
            let [first, last] = summary.committed.get_or_insert_with(|| [at.clone(), at.clone()]);
            if at < first {
                first.clone_from(at);
            }
            if at > last {
                last.clone_from(at);
            }
        }
        summary.runs = runs.len();
        if top > 0 {
            summary.top_mentions = top_mentions(&tables, top).await?;
        }
        Ok(summary)
    }

    fn page(&self) -> String {
        let mut text = format!("{}: output of pubtag\n", self.folder);
        line(
            &mut text,
            "inputs",
            format_args!("{} committed in {}", grouped(self.inputs as u64), counted(self.runs as u64, "run")),
        );
        if let Some([first, last]) = &self.committed {
            line(&mut text, "committed", format_args!("from {first} to {last}"));
        }
        for (model, inputs) in &self.models {
            line(&mut text, "model", format_args!("{model}: {}", counted(*inputs as u64, "input")));
        }
        for (name, TableSummary { rows, files, bytes }) in &self.tables {
            let megabytes = *bytes as f64 / 1e6;
            let (rows, files) = (counted(*rows, "row"), counted(*files as u64, "file"));
            line(&mut text, name, format_args!("{rows} in {files}, {megabytes:.1} MB"));
        }
        let statuses: Vec<_> =
            self.statuses.iter().map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
        line(&mut text, "status", statuses.join(", "));
        for reason in &self.cut_short {
            line(&mut text, "cut short", reason);
        }
        for (mention, count) in &self.top_mentions {
            line(&mut text, "top mention", format_args!("{mention} {}", grouped(*count)));
        }
        text
    }
}

async fn top_mentions(tables: &Tables, top: usize) -> Result<Vec<(String, u64)>, Failure> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut batches = tables.batches(AnnotationRow::NAME, &["mention"]);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for mention in batch.column(0).as_string::<i32>().iter().flatten() {
            *counts.entry(mention.to_lowercase()).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    counts.truncate(top);
    Ok(counts)
}
