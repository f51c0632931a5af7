//! Texts in, annotated documents out, without files: the stages of a run between its source and its sink.
//!
//! ```text
//! texts ─► tokenize ─► tag ─► abbreviations ─► documents
//! ```

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use pubtag_abbreviations::Abbreviations;
use pubtag_ner::{Aggregation, Checkpoint, Decoding, Tag, on_own_threads};
use pubtag_schemas::{
    Citation, CitationText, Close, DocId, InputUnit, Location, Outcome, Packet, Place, PmidVersion, PubDate, Record,
    TaggedDocument, TaggedRecord, Tally,
};
use pubtag_stream::{Fault, Flow, Meters, stage};
use pubtag_tokenize::{Context, Tokenize, WindowTokenizer};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::bundled::named_or_bundled;
use crate::cli::{self, RunOptions};
use crate::config::tags_abbreviations;
use crate::device::{self, DeviceConfig};
use crate::exit::{Exit, Failure};
use crate::run::QUEUE_CAPACITY;
use crate::runtime::runtime;
use crate::tokenizer;

/// Settings of a [`Tagger`].
#[derive(Clone, Debug)]
pub struct TaggerConfig {
    model: Option<PathBuf>,
    device: DeviceConfig,
    decode: Decoding,
    aggregation: Aggregation,
    context: Option<Context>,
    abbreviations: cli::Abbreviations,
}

impl TaggerConfig {
    /// Settings from options of `pubtag run`, such as `--precision int8`; those about inputs and outputs do not matter.
    ///
    /// # Errors
    /// An option is unknown, or its value is not valid.
    pub fn parse(options: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let command = RunOptions::augment_args(clap::Command::new("pubtag")).no_binary_name(true);
        let parsed = command.try_get_matches_from(options).and_then(|matches| RunOptions::from_arg_matches(&matches));
        let args = parsed.map_err(|error| Failure::message(Exit::Usage, without_usage(&error)))?;
        Ok(Self {
            model: args.model,
            device: DeviceConfig::check(args.device),
            decode: args.decode.into(),
            aggregation: args.aggregation.into(),
            context: args.context.map(Into::into),
            abbreviations: args.abbreviations,
        })
    }
}

/// What clap says about an error in an option, in one line and without how to use a command line.
fn without_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.split("\n\n").next().unwrap_or(&text);
    said.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A model with its threads, for any number of streams of texts.
#[derive(Debug)]
pub struct Tagger {
    runtime: Runtime,
    stages: Stages,
    model_id: String,
    entity_types: Vec<String>,
}

impl Tagger {
    /// Loads the model and starts its threads. Blocks until it can tag.
    ///
    /// # Errors
    /// The model cannot be opened, or the device cannot be used.
    pub fn start(config: TaggerConfig) -> Result<Self, Failure> {
        let checkpoint = Checkpoint::open(named_or_bundled(config.model)?)?;
        let threads = config.device.threads;
        let context = config.context.unwrap_or_else(|| checkpoint.context_words().into());
        let tokenizer = tokenizer::open(&checkpoint)?.with_context(context);
        let start = || device::start(&config.device, &checkpoint, config.aggregation, config.decode);
        let (_, tag) = on_own_threads(threads, start)??;
        let abbreviations = tags_abbreviations(config.abbreviations, &checkpoint);
        Ok(Self {
            runtime: runtime(threads)?,
            stages: Stages { tokenizer, tag, abbreviations, threads },
            model_id: checkpoint.id(),
            entity_types: checkpoint.labels().entity_types().to_vec(),
        })
    }

    /// The model's name and the first 12 hex digits of its SHA-256, as in the tables.
    pub fn model_id(&self) -> &str {
        &self.model_id
    }

    /// The types of entities that the model finds.
    pub fn entity_types(&self) -> &[String] {
        &self.entity_types
    }

    /// Begins a stream of texts.
    pub fn begin(self: &Arc<Self>) -> Tagging {
        let _within = self.runtime.enter();
        let (sender, mut receiver) = mpsc::channel(QUEUE_CAPACITY.get());
        let texts = stream::poll_fn(move |context| receiver.poll_recv(context));
        let documents = self.stages.clone().apply(texts);
        Tagging { texts: Some(sender), documents, tagger: self.clone() }
    }
}

/// Texts on their way through the stages. One thread puts texts in and takes documents out, in the same order.
///
/// - *Memory*: a bounded number of texts; there is no room for more until documents are taken.
/// - *Cancellation*: dropping it drops what is in it; micro-batches in progress finish first.
pub struct Tagging {
    /// `None` once all texts are in.
    texts: Option<mpsc::Sender<Vec<CitationText>>>,
    documents: Flow<Vec<TaggedDocument>>,
    tagger: Arc<Tagger>,
}

/// What can be done next with a [`Tagging`].
#[derive(Debug)]
pub enum Next {
    /// These documents are done.
    Documents(Vec<TaggedDocument>),
    /// There is room for more texts.
    Room,
    /// All documents are done.
    End,
    /// Nothing yet.
    Wait,
}

impl Tagging {
    /// Waits at most this long for documents or, failing that, for room.
    ///
    /// # Errors
    /// A stage failed; nothing more can be tagged.
    pub fn next(&mut self, patience: Duration) -> Result<Next, Failure> {
        let Self { texts, documents, tagger } = self;
        tagger.runtime.block_on(async {
            tokio::select! {
                biased;
                found = documents.next() => Ok(found.transpose()?.map_or(Next::End, Next::Documents)),
                () = room(texts.as_ref()) => Ok(Next::Room),
                () = tokio::time::sleep(patience) => Ok(Next::Wait),
            }
        })
    }

    /// Puts texts in, for which there is [room](Next::Room).
    pub fn push(&mut self, texts: Vec<CitationText>) {
        if let Some(sender) = &self.texts {
            // If a stage failed, there is no receiver, and the failure is what comes next.
            let _ = sender.try_send(texts);
        }
    }

    /// Says that there are no more texts.
    pub fn finish(&mut self) {
        self.texts = None;
    }
}

/// Waits until there is room in a channel; forever if it is closed.
async fn room<T>(sender: Option<&mpsc::Sender<T>>) {
    match sender {
        Some(sender) if sender.reserve().await.is_ok() => (),
        _ => std::future::pending().await,
    }
}

/// The stages of a run that find entities.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    pub(crate) tokenizer: WindowTokenizer,
    pub(crate) tag: Tag,
    pub(crate) abbreviations: bool,
    pub(crate) threads: NonZeroUsize,
}

impl Stages {
    /// One document per text, in order. Must be called within a tokio runtime.
    pub(crate) fn apply(
        self,
        texts: impl Stream<Item = Vec<CitationText>> + Send + 'static,
    ) -> Flow<Vec<TaggedDocument>> {
        let Self { tokenizer, tag, abbreviations, threads } = self;
        let meters = Meters::default();
        let flow = stage(Tokenize::new(tokenizer, threads), packets(texts), QUEUE_CAPACITY, &meters);
        let flow = stage(tag, flow, QUEUE_CAPACITY, &meters);
        let flow = match abbreviations {
            true => stage(Abbreviations::default(), flow, QUEUE_CAPACITY, &meters),
            false => flow,
        };
        Box::pin(flow.try_filter_map(|packet| std::future::ready(Ok(documents(packet)))))
    }
}

/// Texts as a source would yield them from one file.
fn packets(texts: impl Stream<Item = Vec<CitationText>> + Send + 'static) -> Flow<Packet<Record>> {
    let unit = Arc::new(InputUnit { read_once: true, ..InputUnit::new(0, Location::File("texts".to_owned())) });
    let place = Place { unit: unit.clone(), ordinal: 0, byte_offset: 0 };
    let (tally, outcome) = (Tally::default(), Outcome::Complete);
    let close = Close { unit: unit.clone(), tally, bytes: 0, sha256: String::new(), outcome };
    let items = texts.map(move |texts| Packet::Items(texts.into_iter().map(|text| record(text, &place)).collect()));
    let packets = stream::iter([Packet::Open(unit)]).chain(items).chain(stream::iter([Packet::Close(close)]));
    Box::pin(packets.map(Ok::<_, Fault>))
}

fn record(text: CitationText, place: &Place) -> Record {
    Record::Document(Box::new(Citation {
        doc_id: DocId::new(""),
        pmid: None,
        version: PmidVersion::FIRST,
        text,
        pub_date: PubDate::default(),
        date_revised: None,
        journal: None,
        language: None,
        place: place.clone(),
    }))
}

/// The documents of a packet; `None` for a frame.
fn documents(packet: Packet<TaggedRecord>) -> Option<Vec<TaggedDocument>> {
    let Packet::Items(records) = packet else { return None };
    let document = |record| match record {
        TaggedRecord::Document(document) | TaggedRecord::Cached(document) => Some(document),
        TaggedRecord::Deletion(_) | TaggedRecord::Reject(_) => None,
    };
    Some(records.into_iter().filter_map(document).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tiny() -> Arc<Tagger> {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-bert");
        let options = ["--device".into(), "cpu".into(), "--model".into(), model.into_os_string()];
        Arc::new(Tagger::start(TaggerConfig::parse(options).expect("options of a run")).expect("the model starts"))
    }

    /// Puts texts in whenever there is room, and takes all documents out.
    fn tag(tagger: &Arc<Tagger>, texts: &[CitationText]) -> Vec<TaggedDocument> {
        let (mut tagging, mut packets, mut found) = (tagger.begin(), texts.chunks(7), Vec::new());
        loop {
            match tagging.next(Duration::from_secs(60)).expect("nothing fails") {
                Next::Documents(documents) => found.extend(documents),
                Next::Room => match packets.next() {
                    Some(texts) => tagging.push(texts.to_vec()),
                    None => tagging.finish(),
                },
                Next::End => return found,
                Next::Wait => panic!("a minute without documents or room"),
            }
        }
    }

    #[test]
    fn every_text_comes_back_once_in_order_from_streams_at_the_same_time() {
        let text = |number: usize| CitationText::new(&format!("Ataxia {number}"), Vec::new());
        let texts: Vec<CitationText> = (0..1000).map(text).collect();
        let tagger = tiny();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let found = tag(&tagger, &texts);
                    let back: Vec<_> = found.iter().map(|document| document.citation.text.clone()).collect();
                    assert_eq!(back, texts);
                });
            }
        });
        assert!(tag(&tagger, &[]).is_empty());
    }

    #[test]
    fn a_stream_without_room_takes_no_more_texts() {
        let (tagger, mut room) = (tiny(), 0);
        let mut tagging = tagger.begin();
        // Nobody takes what is found.
        while let Ok(Next::Room) = tagging.tagger.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(2), self::room(tagging.texts.as_ref())).await.map(|()| Next::Room)
        }) {
            tagging.push(vec![CitationText::new(&"ataxia of the heart ".repeat(400), Vec::new())]);
            room += 1;
            assert!(room < 10_000, "memory grows without bounds");
        }
        assert!(room > 10, "{room}");
    }

    #[test]
    fn an_invalid_option_is_explained_in_one_line() {
        let failure = TaggerConfig::parse(["--precision".into(), "int9".into()]).expect_err("no such precision");
        assert_eq!(failure.exit, Exit::Usage);
        let text = failure.error.to_string();
        assert!(text.contains("'int9'") && text.contains("int8") && !text.contains('\n'), "{text}");
    }
}
