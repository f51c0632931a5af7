//! The operator that tags.

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
use crate::decode::DocumentDecoder;
use crate::model_threads::ModelThreads;
use crate::stats::{Size, TagStats};
use crate::{
    Aggregation, Checkpoint, ClassifierFactory, ClassifierSetup, Decoder, Decoding, Device, LabelSet, Logits, NerError,
};

/// The stage's name in reports and errors.
const NAME: &str = "tag";

/// Runs at a time beside one for each model: the next in the models' channel, and one being decoded.
const IN_FLIGHT: usize = 2;

/// How to tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagConfig {
    /// Where the model runs: micro-batches go to whichever of these is free.
    pub devices: Vec<Device>,
    /// How it runs there.
    pub setup: ClassifierSetup,
    /// What a tag is given to.
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

/// Tags tokenized citations with a model.
///
/// - *Ordering*: records keep their order, and so do the frames of their units. Micro-batches are cut in that order by
///   token budget, never across the end of a unit and never by timing.
/// - *Memory*: two runs and one for each model, of at most a token budget (or one longer document, or a piece of a long
///   one) and 1024 records each, the annotations of a long document, and the models: one on the CPU, two on each CUDA card.
/// - *Cancellation*: dropping the output closes the model threads' channel; the micro-batches at hand end first.
/// - *Rejects*: rejects and deletions pass through. A failing or panicking model is a fault.
#[derive(Debug)]
pub struct Tag {
    threads: ModelThreads,
    decoder: Arc<Decoder>,
    token_budget: NonZeroUsize,
    stats: TagStats,
}

impl Tag {
    /// Starts the threads of each device and loads a checkpoint onto them. Blocks until that is done.
    ///
    /// # Errors
    /// If a device cannot be used, lacks the precision, or the weights are not those that the configuration describes.
    pub fn start(checkpoint: &Checkpoint, config: &TagConfig) -> Result<Self, NerError> {
        let round = |lane| {
            // A further thread that could read only little at a time would hold up the one that reads much.
            let mut setup = config.setup.clone();
            setup.cuda.whole_budget |= lane > 0;
            let devices = config.devices.iter().filter(|device| lane < device.lanes());
            devices.map(|&device| crate::classifier(checkpoint, device, setup.clone())).collect()
        };
        let lanes = config.devices.iter().map(|device| device.lanes()).max().unwrap_or(0);
        let rounds: Result<Vec<_>, _> = (0..lanes).map(round).collect();
        Self::with_classifiers(checkpoint.labels().clone(), rounds?, config)
    }

    /// Starts a thread for each of some classifiers of any kind; their labels are those given. Blocks until they are
    /// made, those of a round side by side.
    ///
    /// # Errors
    /// If a factory fails or panics.
    pub(crate) fn with_classifiers(
        labels: LabelSet,
        rounds: Vec<Vec<ClassifierFactory>>,
        config: &TagConfig,
    ) -> Result<Self, NerError> {
        let threads = ModelThreads::start(rounds)?;
        let decoder = Arc::new(Decoder::new(labels, config.aggregation, config.decoding));
        Ok(Self { threads, decoder, token_budget: config.setup.token_budget, stats: TagStats::default() })
    }

    /// What the model reads from now on.
    pub fn stats(&self) -> TagStats {
        self.stats.clone()
    }
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
                    Tagged::Packet(packet) => yield packet,
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
        for batch in run.micro_batches(self.token_budget) {
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

/// What comes of a step.
enum Tagged {
    /// A frame, or records with their annotations.
    Packet(Packet<TaggedRecord>),
    /// A piece of a long document: decoded once all before it are.
    Piece(Vec<TokenWindow>, Vec<Logits>),
    /// The last of its pieces.
    LastPiece(TokenizedDocument, Vec<Logits>),
}

/// A long document, decoded piece by piece.
struct Pieces {
    decoder: Arc<Decoder>,
    meter: Meter,
    /// What has been decoded, and the windows so far.
    open: Option<(DocumentDecoder, usize)>,
}

impl Pieces {
    async fn push(&mut self, windows: Vec<TokenWindow>, logits: Vec<Logits>) -> Result<(), Fault> {
        let decoder = self.decoder.clone();
        let (mut document, count) = self.open.take().unwrap_or_else(|| (DocumentDecoder::new(&decoder), 0));
        let decode = move || {
            let mut rows = logits.iter().flat_map(Logits::rows);
            windows.iter().for_each(|window| document.push(&decoder, window, &mut rows));
            (document, count + windows.len())
        };
        self.open = Some(spawn_blocking(&self.meter, decode).await?);
        Ok(())
    }

    async fn finish(&mut self, last: TokenizedDocument, logits: Vec<Logits>) -> Result<Packet<TaggedRecord>, Fault> {
        self.push(last.windows, logits).await?;
        let decoder = &self.decoder;
        let (document, count) = self.open.take().unwrap_or_else(|| (DocumentDecoder::new(decoder), 0));
        self.meter.add_items(1);
        let document = tagged(last.citation, document.finish(decoder), last.token_count, count);
        Ok(Packet::Items(vec![Record::Document(document)]))
    }
}

/// What goes through the operator in order.
enum Step {
    /// A unit opens or closes.
    Frame(Packet<TaggedRecord>),
    /// Records to tag.
    Run(Run),
}

/// Collects items into runs; a run never crosses the end of a unit.
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

/// Turns the logits of a run into the annotations of its documents.
fn decode(decoder: &Decoder, records: Vec<Record<TokenizedDocument>>, logits: &[Logits]) -> Vec<TaggedRecord> {
    let mut rows = logits.iter().flat_map(Logits::rows);
    let mut tag = |TokenizedDocument { citation, windows, token_count }| {
        let annotations = decoder.decode(&windows, &mut rows);
        tagged(citation, annotations, token_count, windows.len())
    };
    records.into_iter().map(|record| record.map(&mut tag)).collect()
}

fn tagged(citation: Box<Citation>, annotations: Vec<Annotation>, token_count: u32, windows: usize) -> TaggedDocument {
    TaggedDocument { citation, annotations, token_count, window_count: u32::try_from(windows).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests;
