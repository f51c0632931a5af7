//! Speed of each stage on its own: `cargo bench -p pubtag --bench stages`.
//!
//! Bytes are those of the XML, items are tokens or rows. Everything except the model runs on one thread. The input is the
//! bundled sample, repeated, or the PubMed file named by `PUBTAG_BENCH_INPUT`.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::io::{Read, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures::StreamExt;
use pubtag_ner::{
    Checkpoint, ClassifierSetup, Decoder, Device, Logits, MicroBatch, Precision, Tag, TagConfig, TokenClassifier,
};
use pubtag_parquet::{Depth, Event, Output, ParquetSink, RunSpec, VerifyConfig, WriteConfig, verify};
use pubtag_pubmed::{ReadOptions, discover, read_unit};
use pubtag_schemas::{InputUnit, Packet, Record, TaggedRecord, Tokenized, TokenizedDocument, TokenizedRecord};
use pubtag_store::{Address, Store, StoreOptions};
use pubtag_stream::{Flow, Meter, Operator, Write};
use pubtag_tokenize::{Tokenize, WindowSize, WindowTokenizer};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Repetitions of the sample.
const COPIES: usize = 50;

/// Tokens of a micro-batch.
const BUDGET: usize = 2048;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn inflate_and_parse(bencher: Bencher<'_, '_>) {
    let mut xml = Vec::new();
    MultiGzDecoder::new(std::fs::File::open(&FIXTURE.input).unwrap()).read_to_end(&mut xml).unwrap();
    bencher.counter(BytesCount::new(xml.len())).bench(|| {
        let flow = read_unit(FIXTURE.unit.clone(), ReadOptions::default(), Meter::new("bench"));
        FIXTURE.runtime.block_on(flow.count())
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn tokenize(bencher: Bencher<'_, '_>) {
    let tokens: u64 = FIXTURE.documents.iter().map(|document| u64::from(document.token_count)).sum();
    bencher.counter(ItemsCount::new(tokens)).bench(|| {
        for document in &FIXTURE.documents {
            divan::black_box(FIXTURE.tokenizer.tokenize(document.citation.text.as_str(), &[]).unwrap());
        }
    });
}

#[divan::bench(args = [Precision::F32, Precision::Int8], sample_count = 10, sample_size = 1)]
fn forward(bencher: Bencher<'_, '_>, precision: Precision) {
    let mut model = classifier(precision);
    let batches = micro_batches(&FIXTURE.documents);
    let tokens: usize = batches.iter().map(MicroBatch::token_count).sum();
    bencher.counter(ItemsCount::new(tokens)).bench_local(|| {
        for batch in &batches {
            divan::black_box(model.classify(batch).unwrap());
        }
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>) {
    let mut model = classifier(Precision::F32);
    let batches = micro_batches(&FIXTURE.documents);
    let logits: Vec<Logits> = batches.iter().map(|batch| model.classify(batch).unwrap()).collect();
    let tokens: usize = batches.iter().map(MicroBatch::token_count).sum();
    let config = TagConfig::on(Device::Cpu);
    let decoder = Decoder::new(FIXTURE.checkpoint.labels().clone(), config.aggregation, config.decoding);
    bencher.counter(ItemsCount::new(tokens)).bench(|| {
        let mut rows = logits.iter().flat_map(Logits::rows);
        for document in &FIXTURE.documents {
            divan::black_box(decoder.decode(&document.windows, &mut rows));
        }
    });
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn write(bencher: Bencher<'_, '_>) {
    let config = TagConfig::on(Device::Cpu);
    let tag = Tag::start(&FIXTURE.checkpoint, &config).unwrap();
    let packets: Vec<_> = FIXTURE.runtime.block_on(tag.apply(FIXTURE.tokenized(), Meter::new("bench")).collect());
    let packets: Vec<Packet<TaggedRecord>> = packets.into_iter().map(Result::unwrap).collect();
    let folder = tempfile::tempdir().unwrap();
    bencher.counter(ItemsCount::new(rows(&packets))).with_inputs(|| packets.clone()).bench_values(|packets| {
        FIXTURE.runtime.block_on(write_all(&folder.path().join(Uuid::now_v7().to_string()), packets));
    });
    std::fs::read_dir(folder.path()).unwrap().for_each(|output| check_output(&output.unwrap().path()));
}

/// Verifies the output; the time of a wrong output means nothing.
fn check_output(output: &Path) {
    let config = VerifyConfig { depth: Depth::Full, threads: NonZeroUsize::MIN };
    let verified = verify(Store::directory(output).unwrap(), config, FIXTURE.runtime.handle(), |event| {
        if let Event::Found(defect) = event {
            panic!("{}: {defect}", output.display());
        }
    });
    verified.unwrap();
}

/// Shared by all benchmarks.
static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::new);

struct Fixture {
    runtime: Runtime,
    checkpoint: Checkpoint,
    tokenizer: WindowTokenizer,
    input: PathBuf,
    unit: Arc<InputUnit>,
    packets: Vec<Packet<TokenizedRecord>>,
    documents: Vec<TokenizedDocument>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let named = std::env::var_os("PUBTAG_BENCH_INPUT").map(PathBuf::from);
        let input = named.unwrap_or_else(|| repeated_sample(folder.path()));
        let options = ReadOptions::default();
        let unit = discover(&[input.display().to_string()], &options).unwrap().units.remove(0);
        let checkpoint = Checkpoint::open(deployed("models/pubtag-disease")).unwrap();
        let window = WindowSize::of_model(checkpoint.max_tokens());
        let tokenizer = WindowTokenizer::open(checkpoint.files().clone(), window).unwrap();
        let runtime = Runtime::new().unwrap();
        // A few hundred citations are enough for the stages after the source.
        let read = read_unit(unit.clone(), ReadOptions { limit: Some(200), ..options }, Meter::new("bench"));
        let tokenize = Tokenize::new(tokenizer.clone(), 1.try_into().unwrap());
        let packets: Vec<_> = runtime.block_on(tokenize.apply(read, Meter::new("bench")).collect());
        let packets: Vec<Packet<TokenizedRecord>> = packets.into_iter().map(Result::unwrap).collect();
        let documents = packets.iter().flat_map(documents).cloned().collect();
        Self { runtime, checkpoint, tokenizer, input, unit, packets, documents, _folder: folder }
    }

    fn tokenized(&self) -> Flow<Packet<TokenizedRecord>> {
        Box::pin(futures::stream::iter(self.packets.clone().into_iter().map(Ok)))
    }
}

fn deployed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// The citations of the sample, repeated and gzipped like PubMed's files.
fn repeated_sample(folder: &Path) -> PathBuf {
    let sample = std::fs::read_to_string(deployed("sample/pubmed-sample.xml")).unwrap();
    let (before, rest) = sample.split_at(sample.find("<PubmedArticle>").unwrap());
    let (citations, after) = rest.split_at(rest.find("</PubmedArticleSet>").unwrap());
    let path = folder.join("sample.xml.gz");
    let mut out = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::default());
    out.write_all(before.as_bytes()).unwrap();
    (0..COPIES).for_each(|_| out.write_all(citations.as_bytes()).unwrap());
    out.write_all(after.as_bytes()).unwrap();
    out.finish().unwrap();
    path
}

fn documents(packet: &Packet<TokenizedRecord>) -> impl Iterator<Item = &TokenizedDocument> {
    let records = match packet {
        Packet::Items(records) => records.as_slice(),
        Packet::Open(_) | Packet::Close(_) => &[],
    };
    records.iter().filter_map(|record| match record {
        Record::Document(Tokenized::Document(document)) => Some(document),
        _ => None,
    })
}

fn classifier(precision: Precision) -> Box<dyn TokenClassifier> {
    let setup = ClassifierSetup { precision, ..ClassifierSetup::on(Device::Cpu) };
    pubtag_ner::classifier(&FIXTURE.checkpoint, Device::Cpu, setup).unwrap()().unwrap()
}

fn micro_batches(documents: &[TokenizedDocument]) -> Vec<MicroBatch> {
    let mut batches = vec![MicroBatch::default()];
    for window in documents.iter().flat_map(|document| &document.windows) {
        if batches.last().unwrap().token_count() + window.ids.len() > BUDGET {
            batches.push(MicroBatch::default());
        }
        batches.last_mut().unwrap().push(&window.ids);
    }
    batches
}

/// Rows of documents and annotations.
fn rows(packets: &[Packet<TaggedRecord>]) -> usize {
    let records = packets.iter().flat_map(|packet| match packet {
        Packet::Items(records) => records.as_slice(),
        Packet::Open(_) | Packet::Close(_) => &[],
    });
    records
        .map(|record| match record {
            TaggedRecord::Document(document) | TaggedRecord::Cached(document) => 1 + document.annotations.len(),
            TaggedRecord::Deletion(_) | TaggedRecord::Reject(_) => 1,
        })
        .sum()
}

async fn write_all(folder: &Path, packets: Vec<Packet<TaggedRecord>>) {
    let (output, commit_log) =
        Output::open(Address::from(folder).create(&StoreOptions::default()).unwrap(), Uuid::now_v7()).await.unwrap();
    let settings = [("text".to_owned(), "keep".to_owned())].into();
    let checkpoint = &FIXTURE.checkpoint;
    let spec = RunSpec {
        model_id: checkpoint.name().to_owned(),
        model_sha256: checkpoint.fingerprint().to_owned(),
        settings,
        named_after_file: false,
    };
    let flow = Box::pin(futures::stream::iter(packets.into_iter().map(Ok)));
    let write = Write::new(ParquetSink::new(&output, &commit_log, WriteConfig::new(spec, "bench")));
    let reports: Vec<_> = write.apply(flow, Meter::new("bench")).collect().await;
    reports.into_iter().for_each(|report| drop(report.unwrap()));
    output.finish().await.unwrap();
}
