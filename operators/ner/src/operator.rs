//! The operator that runs the model.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{
    Annotation, Citation, Packet, Record, TaggedDocument, TaggedRecord, TokenWindow, TokenizedDocument, TokenizedRecord,
};
use pubtag_stream::{Fault, Flow, Meter, Operator, spawn_blocking};
use tracing::debug;

use crate::batching::{Run, Runs};
use crate::cpu;
use crate::decode::DocumentDecoder;
use crate::device::CUDA_LANES;
use crate::model_threads::ModelThreads;
use crate::stats::{Size, TagStats};
use crate::{
    Aggregation, Checkpoint, ClassifierFactory, ClassifierSetup, Decoder, Decoding, Device, LabelSet, Logits, NerError,
};

/// The stage's name in reports and errors.
const NAME: &str = "tag";

/// Runs in flight besides one per model: the next in the models' channel, and one being decoded.
const IN_FLIGHT: usize = 2;

/// Maximum records per packet: a run of cached documents has many, and several packets wait between stages.
const PACKET_RECORDS: usize = 128;

/// Settings of [`Tag`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagConfig {
    /// Devices; micro-batches go to whichever is free.
    pub devices: Vec<Device>,
    /// How the model runs on each device.
    pub setup: ClassifierSetup,
    /// What gets a tag: words or tokens.
    pub aggregation: Aggregation,
    /// How tags are chosen.
    pub decoding: Decoding,
}

impl TagConfig {
    /// The defaults on a device.
    pub fn on(device: Device) -> Self {
        Self {
            devices: vec![device],
            setup: ClassifierSetup::on(device),
            aggregation: Aggregation::default(),
            decoding: Decoding::default(),
        }
    }
}

/// Finds entities in tokenized citations with a model.
///
/// ```no_run
/// use futures::StreamExt;
/// use pubtag_ner::{Checkpoint, Device, Tag, TagConfig};
/// use pubtag_schemas::{Packet, TokenizedRecord};
/// use pubtag_stream::{Flow, Meter, Operator};
///
/// # async fn example(tokenized: Flow<Packet<TokenizedRecord>>) -> Result<(), Box<dyn std::error::Error>> {
/// let checkpoint = Checkpoint::open("models/disease")?;
/// let tag = Tag::start(&checkpoint, &TagConfig::on(Device::Cpu))?;
/// let mut tagged = tag.apply(tokenized, Meter::new("tag"));
/// while let Some(packet) = tagged.next().await {
///     let Packet::Items(records) = packet? else { continue };
///     println!("{} records", records.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// - *Ordering*: records and the frames of their units keep their order. Micro-batches are cut in that order by token
///   budget, never across the end of a unit and never by timing.
/// - *Memory*: the models (one for all workers of the CPU, two per CUDA device) and each worker's working memory; two runs
///   plus one per model, each at most 1024 records and one token budget, one longer document, or a piece of a long one; the
///   annotations of a long document.
/// - *Cancellation*: dropping the output closes the model threads' channel; micro-batches in progress finish first.
/// - *Rejects*: rejects, deletions and cached documents pass through. A failing or panicking model is a fault.
///
/// Clones share the threads, which end with the last of them.
#[derive(Clone, Debug)]
pub struct Tag {
    threads: ModelThreads,
    decoder: Arc<Decoder>,
    token_budget: NonZeroUsize,
    stats: TagStats,
}

impl Tag {
    /// Starts the threads of each device and loads a checkpoint onto them. Blocks until all are loaded.
    ///
    /// # Errors
    /// If a device cannot be used or lacks the precision, or the weights do not match the configuration.
    pub fn start(checkpoint: &Checkpoint, config: &TagConfig) -> Result<Self, NerError> {
        let rounds = match config.devices[..] {
            [Device::Cpu] => vec![cpu::workers(checkpoint, &config.setup)?],
            _ => on_cuda(checkpoint, config)?,
        };
        Self::with_classifiers(checkpoint.labels().clone(), rounds, config)
    }

    /// Starts a thread per classifier, of any kind, with the given labels. Blocks until they are made; those of a round
    /// are made in parallel.
    ///
    /// # Errors
    /// If a factory fails or panics.
    pub fn with_classifiers(
        labels: LabelSet,
        rounds: Vec<Vec<ClassifierFactory>>,
        config: &TagConfig,
    ) -> Result<Self, NerError> {
        let threads = ModelThreads::start(rounds)?;
        let decoder = Arc::new(Decoder::new(labels, config.aggregation, config.decoding));
        Ok(Self { threads, decoder, token_budget: config.setup.token_budget, stats: TagStats::default() })
    }

    /// An operator for another stream, on the same threads and with counters of its own.
    #[must_use]
    pub fn again(&self) -> Self {
        let Self { threads, decoder, token_budget, stats: _ } = self;
        let (threads, decoder) = (threads.clone(), decoder.clone());
        Self { threads, decoder, token_budget: *token_budget, stats: TagStats::default() }
    }

    /// Counters of what the model processes from now on.
    pub fn stats(&self) -> TagStats {
        self.stats.clone()
    }
}

/// A round of classifiers per lane.
fn on_cuda(checkpoint: &Checkpoint, config: &TagConfig) -> Result<Vec<Vec<ClassifierFactory>>, NerError> {
    let round = |lane| {
        // A second thread with a smaller budget would slow the first one down.
        let mut setup = config.setup.clone();
        setup.cuda.whole_budget |= lane > 0;
        config.devices.iter().map(|&device| crate::classifier(checkpoint, device, setup.clone())).collect()
    };
    (0..CUDA_LANES).map(round).collect()
}

impl Operator<Packet<TokenizedRecord>> for Tag {
    type Output = Packet<TaggedRecord>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn apply(self, input: Flow<Packet<TokenizedRecord>>, meter: Meter) -> Flow<Self::Output> {
        let steps = steps(input, Runs::new(self.token_budget));
        let in_flight = IN_FLIGHT + self.threads.count();
        let mut pieces = Pieces { decoder: self.decoder.clone(), meter: meter.clone(), open: None };
        let tagger = Arc::new((self, meter));
        let mut tagged = steps
            .map(move |step| {
                let tagger = tagger.clone();
                async move {
                    match step? {
                        Step::Frame(frame) => Ok(Tagged::Packet(frame)),
                        Step::Run(run) => tagger.0.tag(run, &tagger.1).await,
                    }
                }
            })
            .buffered(in_flight);
        Box::pin(try_stream! {
            while let Some(tagged) = tagged.next().await {
                match tagged? {
                    Tagged::Packet(Packet::Items(mut records)) => {
                        while records.len() > PACKET_RECORDS {
                            let rest = records.split_off(PACKET_RECORDS);
                            yield Packet::Items(std::mem::replace(&mut records, rest));
                        }
                        yield Packet::Items(records);
                    }
                    Tagged::Packet(frame) => yield frame,
                    Tagged::Piece(windows, logits) => pieces.push(windows, logits).await?,
                    Tagged::LastPiece(document, logits) => yield pieces.finish(document, logits).await?,
                }
            }
        })
    }
}

impl Tag {
    async fn tag(&self, run: Run, meter: &Meter) -> Result<Tagged, Fault> {
        let mut logits = Vec::new();
        for batch in run.micro_batches(self.token_budget, self.decoder.aggregation) {
            let size = Size::of(&batch);
            self.stats.begin();
            let scored = self.threads.classify(batch).await.map_err(|error| Fault::new(NAME, error.kind(), error))?;
            debug!(?size, took = ?scored.took, "micro-batch");
            self.stats.add(size, &scored);
            meter.add_busy(scored.took);
            logits.push(scored.logits);
        }
        match run {
            Run::Piece(windows) => Ok(Tagged::Piece(windows, logits)),
            Run::LastPiece(document) => Ok(Tagged::LastPiece(document, logits)),
            Run::Records(records) => {
                meter.add_items(records.len());
                let decoder = self.decoder.clone();
                let decoded = spawn_blocking(meter, move || decode(&decoder, records, &logits)).await?;
                Ok(Tagged::Packet(Packet::Items(decoded)))
            }
        }
    }
}

/// The result of a step.
enum Tagged {
    /// A frame, or records with their annotations.
    Packet(Packet<TaggedRecord>),
    /// A piece of a long document, decoded after all earlier ones.
    Piece(Vec<TokenWindow>, Vec<Logits>),
    /// The last of its pieces.
    LastPiece(TokenizedDocument, Vec<Logits>),
}

/// A long document, decoded piece by piece.
struct Pieces {
    decoder: Arc<Decoder>,
    meter: Meter,
    /// What is decoded so far, and what was read for it.
    open: Option<(DocumentDecoder, Read)>,
}

impl Pieces {
    async fn push(&mut self, windows: Vec<TokenWindow>, logits: Vec<Logits>) -> Result<(), Fault> {
        let decoder = self.decoder.clone();
        let (mut document, mut read) =
            self.open.take().unwrap_or_else(|| (DocumentDecoder::new(&decoder), Read::default()));
        let decode = move || {
            read.add(&windows);
            let mut rows = logits.iter().flat_map(Logits::rows);
            windows.iter().for_each(|window| document.push(&decoder, window, &mut rows));
            (document, read)
        };
        self.open = Some(spawn_blocking(&self.meter, decode).await?);
        Ok(())
    }

    async fn finish(&mut self, last: TokenizedDocument, logits: Vec<Logits>) -> Result<Packet<TaggedRecord>, Fault> {
        self.push(last.windows, logits).await?;
        let decoder = &self.decoder;
        let (document, read) = self.open.take().unwrap_or_else(|| (DocumentDecoder::new(decoder), Read::default()));
        self.meter.add_items(1);
        let document = tagged(last.citation, document.finish(decoder), last.token_count, read);
        Ok(Packet::Items(vec![Record::Document(document)]))
    }
}

/// What passes through the operator in order.
enum Step {
    /// A unit opens or closes.
    Frame(Packet<TaggedRecord>),
    /// Records to tag.
    Run(Run),
}

/// Groups records into runs; a run never crosses the end of a unit.
fn steps(mut input: Flow<Packet<TokenizedRecord>>, mut runs: Runs) -> Flow<Step> {
    Box::pin(try_stream! {
        while let Some(packet) = input.next().await {
            match packet? {
                Packet::Open(unit) => yield Step::Frame(Packet::Open(unit)),
                Packet::Items(records) => {
                    for record in records {
                        for run in runs.push(record) {
                            yield Step::Run(run);
                        }
                    }
                }
                Packet::Close(close) => {
                    if let Some(run) = runs.finish() {
                        yield Step::Run(run);
                    }
                    yield Step::Frame(Packet::Close(close));
                }
            }
        }
    })
}

/// Decodes the logits of a run into the annotations of its documents.
fn decode(decoder: &Decoder, records: Vec<Record<TokenizedDocument>>, logits: &[Logits]) -> Vec<TaggedRecord> {
    let mut rows = logits.iter().flat_map(Logits::rows);
    let mut tag = |TokenizedDocument { citation, windows, token_count }| {
        let annotations = decoder.decode(&windows, &mut rows);
        let mut read = Read::default();
        read.add(&windows);
        tagged(citation, annotations, token_count, read)
    };
    records.into_iter().map(|record| record.map(&mut tag)).collect()
}

/// What the model read of a document.
#[derive(Clone, Copy, Default)]
struct Read {
    windows: u32,
    tokens: u32,
}

impl Read {
    fn add(&mut self, windows: &[TokenWindow]) {
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
        self.windows = self.windows.saturating_add(count(windows.len()));
        let tokens = windows.iter().map(|window| count(window.ids.len()));
        self.tokens = tokens.fold(self.tokens, u32::saturating_add);
    }
}

fn tagged(citation: Box<Citation>, annotations: Vec<Annotation>, token_count: u32, read: Read) -> TaggedDocument {
    TaggedDocument { citation, annotations, token_count, window_count: read.windows, model_tokens: read.tokens }
}

#[cfg(test)]
mod tests;
