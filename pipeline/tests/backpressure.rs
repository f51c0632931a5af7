//! No queue grows, whichever stage is slow: the main job's chain with one stage a hundred times slower than it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_stream::stream;
use futures::StreamExt;
use pubtag_ner::{Checkpoint, Device, Tag, TagConfig};
use pubtag_parquet::{Output, ParquetSink, RunSpec, WriteConfig};
use pubtag_pubmed::{ReadOptions, Source, discover};
use pubtag_store::{Address, StoreOptions};
use pubtag_stream::{CancellationToken, Flow, Meter, Meters, Operator, Write, stage, stage_from};
use pubtag_tokenize::{Tokenize, WindowSize, WindowTokenizer};
use uuid::Uuid;

const CITATIONS: u64 = 60_000;
const QUEUE: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
const SLOWER: u32 = 100;
const STAGES: [&str; 4] = [Source::NAME, "tokenize", "tag", "write"];

/// The most citations that fit between the source and the end: three runs of 1024 in the tagger and one being
/// collected, and packets of a few dozen everywhere else.
const PLACES: u64 = 8_000;

/// Delays each item until the stage has rested 99 times as long as it has worked since the last.
fn slowed<T: Send + 'static>(mut input: Flow<T>, meter: Meter) -> Flow<T> {
    Box::pin(stream! {
        let mut seen = Duration::ZERO;
        while let Some(item) = input.next().await {
            let busy = meter.snapshot().busy;
            tokio::time::sleep((busy - seen) * (SLOWER - 1)).await;
            seen = busy;
            yield item;
        }
    })
}

/// An operator that may be slowed down.
struct Paced<O> {
    operator: O,
    slow: bool,
}

impl<I: Send + 'static, O: Operator<I>> Operator<I> for Paced<O> {
    type Output = O::Output;

    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn apply(self, input: Flow<I>, meter: Meter) -> Flow<O::Output> {
        let input = if self.slow { slowed(input, meter.clone()) } else { input };
        self.operator.apply(input, meter)
    }
}

fn write_citations(folder: &Path) -> PathBuf {
    let mut text = String::new();
    for number in 1..=CITATIONS {
        writeln!(text, r#"{{"id": "{number}", "title": "Case {number}", "abstract": "Ataxia in a family."}}"#).unwrap();
    }
    let path = folder.join("citations.jsonl");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the chain for a while and returns the most citations in flight at once, and how many were read.
async fn most_under_way(slow: &str, input: &Path, output: &Path, watch: Duration) -> (u64, u64) {
    let meters = Meters::default();
    let units = discover(&[input.display().to_string()], &ReadOptions::default()).unwrap().units;
    let checkpoint = Checkpoint::open(Path::new("../tests/fixtures/tiny-bert")).unwrap();
    let window = WindowSize::of_model(checkpoint.max_tokens());
    let tokenizer = WindowTokenizer::open(checkpoint.files().clone(), window).unwrap();
    let tag = Tag::start(&checkpoint, &TagConfig::on(Device::Cpu)).unwrap();
    let (output, commit_log) =
        Output::open(Address::from(output).create(&StoreOptions::default()).unwrap(), Uuid::now_v7()).await.unwrap();
    let settings = [("text".to_owned(), "keep".to_owned())].into();
    let spec = RunSpec {
        model_id: "tiny".into(),
        model_sha256: checkpoint.fingerprint().to_owned(),
        settings,
        named_after_file: false,
    };
    let write = Write::new(ParquetSink::new(&output, &commit_log, WriteConfig::new(spec, "backpressure")));

    let source = Source::new(units, ReadOptions::default(), CancellationToken::new());
    let paced = |meter: Meter| {
        let flow = source.flow(meter.clone());
        if slow == Source::NAME { slowed(flow, meter) } else { flow }
    };
    let flow = stage_from(Source::NAME, paced, QUEUE, &meters);
    let tokenize = Tokenize::new(tokenizer, THREADS);
    let flow = stage(Paced { operator: tokenize, slow: slow == "tokenize" }, flow, QUEUE, &meters);
    let flow = stage(Paced { operator: tag, slow: slow == "tag" }, flow, QUEUE, &meters);
    let mut reports = stage(Paced { operator: write, slow: slow == "write" }, flow, QUEUE, &meters);

    let items = |stage: &str| meters.snapshot(stage).unwrap().items;
    let (began, mut most) = (Instant::now(), 0);
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while began.elapsed() < watch {
        tokio::select! {
            report = reports.next() => match report {
                Some(report) => drop(report.unwrap()),
                None => break,
            },
            _ = tick.tick() => {
                // The end is read first, so that the number in flight is never underestimated.
                let done = items("write");
                most = most.max(items(Source::NAME) - done);
            }
        }
    }
    (most, items(Source::NAME))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_queue_grows_when_a_stage_is_a_hundred_times_slower() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_citations(folder.path());
    for slow in STAGES {
        let watch = Duration::from_secs(3);
        let (most, read) = most_under_way(slow, &input, &folder.path().join(slow), watch).await;
        assert!(most > 0 && most <= PLACES, "{slow} is slow: {most} citations were in flight at once");
        assert!(read < CITATIONS, "{slow} is slow, but all {read} citations were read in {watch:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_full_speed_the_whole_input_passes_within_the_same_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_citations(folder.path());
    let (most, read) = most_under_way("none", &input, &folder.path().join("out"), Duration::from_secs(300)).await;
    assert!(most <= PLACES, "{most} citations were in flight at once");
    assert_eq!(read, CITATIONS);
}
