//! Whether the program can keep many workers busy: `cargo bench -p pubtag-tests --bench workers`.
//!
//! The real source, tokenizer, abbreviations and writer feed workers whose model sleeps for as long as one core takes, at
//! `PUBTAG_BENCH_RATE` tokens/s (default: 3000). `PUBTAG_BENCH_WORKERS` lists numbers of workers, and
//! `PUBTAG_BENCH_INPUT` names a PubMed file (default: 15,000 generated citations). A line for each number of workers says
//! what share of the workers' time was spent in the model, and how busy the other stages were. The output is verified.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use pubtag_abbreviations::Abbreviations;
use pubtag_ner::{
    Checkpoint, ClassifierFactory, Device, Logits, MicroBatch, NerError, Padding, Tag, TagConfig, TokenClassifier,
};
use pubtag_parquet::{Depth, Event, Output, ParquetSink, RunSpec, VerifyConfig, WriteConfig, verify};
use pubtag_pubmed::{ReadOptions, Source, discover};
use pubtag_store::{Address, Store, StoreOptions};
use pubtag_stream::{CancellationToken, Meters, Write, stage, stage_from};
use pubtag_tests::write_pubmed_file;
use pubtag_tokenize::{Tokenize, WindowSize, WindowTokenizer};
use uuid::Uuid;

/// Records of the generated input.
const RECORDS: u32 = 15_000;

/// Packets between two stages, as in a run.
const QUEUE_CAPACITY: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// A model that takes its time and finds a mention at every fortieth token.
struct Sleeper {
    tokens_per_second: f64,
}

impl TokenClassifier for Sleeper {
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        std::thread::sleep(Duration::from_secs_f64(batch.token_count() as f64 / self.tokens_per_second));
        let row = |token: usize| if token % 40 == 39 { [0.0, 5.0, 0.0] } else { [5.0, 0.0, 0.0] };
        let values = (0..batch.token_count()).flat_map(row).collect();
        Ok(Logits { labels: 3, values, padding: Padding::default() })
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let input = std::env::var_os("PUBTAG_BENCH_INPUT").map_or_else(
        || {
            let path = folder.path().join("citations.xml.gz");
            write_pubmed_file(&path, RECORDS, RECORDS + 1);
            path
        },
        PathBuf::from,
    );
    let workers = std::env::var("PUBTAG_BENCH_WORKERS").unwrap_or_else(|_| "1 4 16 64".to_owned());
    let rate: f64 = std::env::var("PUBTAG_BENCH_RATE").map_or(3000.0, |rate| rate.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("workers  seconds  tokens/s  in the model  busy seconds of each stage");
    for workers in workers.split_whitespace() {
        let output = folder.path().join(Uuid::now_v7().to_string());
        runtime.block_on(run(&input, &output, workers.parse().unwrap(), rate));
        check(&output, &runtime);
    }
}

async fn run(input: &Path, folder: &Path, workers: usize, rate: f64) {
    let checkpoint = Checkpoint::open(deployed("models/pubtag-disease")).unwrap();
    let options = ReadOptions::default();
    let units = discover(&[input.display().to_string()], &options).unwrap().units;
    let window = WindowSize::of_model(checkpoint.max_tokens());
    let tokenizer = WindowTokenizer::open(checkpoint.files().clone(), window).unwrap();
    let (output, commit_log) =
        Output::open(Address::from(folder).create(&StoreOptions::default()).unwrap(), Uuid::now_v7()).await.unwrap();
    let tag = sleepers(&checkpoint, workers, rate);
    let (stats, meters) = (tag.stats(), Meters::default());

    let started = Instant::now();
    let source = Source::new(units, options, CancellationToken::new());
    let flow = stage_from(Source::NAME, |meter| source.flow(meter), QUEUE_CAPACITY, &meters);
    let threads = std::thread::available_parallelism().unwrap();
    let flow = stage(Tokenize::new(tokenizer, threads), flow, QUEUE_CAPACITY, &meters);
    let flow = stage(tag, flow, QUEUE_CAPACITY, &meters);
    let flow = stage(Abbreviations::default(), flow, QUEUE_CAPACITY, &meters);
    let sink = ParquetSink::new(&output, &commit_log, WriteConfig::new(spec(&checkpoint), "bench"));
    let reports: Vec<_> = stage(Write::new(sink), flow, QUEUE_CAPACITY, &meters).try_collect().await.unwrap();
    assert_eq!(reports.len(), 1, "one input, one report");
    let seconds = started.elapsed().as_secs_f64();
    output.finish().await.unwrap();

    let in_model = stats.tokens() as f64 / rate / seconds / workers as f64;
    print!("{workers:7}  {seconds:7.1}  {:8.0}  {:11.1}%", stats.tokens() as f64 / seconds, 100.0 * in_model);
    for stage in meters.snapshots().iter().filter(|stage| stage.stage != "tag") {
        print!("  {} {:.1}", stage.stage, stage.busy.as_secs_f64());
    }
    println!();
}

fn sleepers(checkpoint: &Checkpoint, workers: usize, tokens_per_second: f64) -> Tag {
    let sleeper = || -> ClassifierFactory {
        Box::new(move || Ok(Box::new(Sleeper { tokens_per_second }) as Box<dyn TokenClassifier>))
    };
    let sleepers = std::iter::repeat_with(sleeper).take(workers).collect();
    Tag::with_classifiers(checkpoint.labels().clone(), vec![sleepers], &TagConfig::on(Device::Cpu)).unwrap()
}

fn spec(checkpoint: &Checkpoint) -> RunSpec {
    RunSpec {
        model_id: "sleeper".to_owned(),
        model_sha256: checkpoint.fingerprint().to_owned(),
        settings: [("text".to_owned(), "keep".to_owned())].into(),
        named_after_file: false,
    }
}

/// Verifies the output; the time of a wrong output means nothing.
fn check(output: &Path, runtime: &tokio::runtime::Runtime) {
    let config = VerifyConfig { depth: Depth::Full, threads: NonZeroUsize::MIN };
    let verified = verify(Store::directory(output).unwrap(), config, runtime.handle(), |event| {
        if let Event::Found(defect) = event {
            panic!("{}: {defect}", output.display());
        }
    });
    verified.unwrap();
}

fn deployed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}
