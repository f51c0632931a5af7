//! Texts in, annotated documents out, without files: the stages of a run between its source and its sink.
//!
//! ```text
//! texts ─► tokenize ─► tag ─► abbreviations ─► documents
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use pubtag_abbreviations::Abbreviations;
use pubtag_ner::{Checkpoint, Tag, on_own_threads};
use pubtag_schemas::{
    Citation, CitationText, Close, DocId, InputUnit, Location, Outcome, Packet, Place, PmidVersion, PubDate, Record,
    TaggedDocument, TaggedRecord, Tally,
};
use pubtag_stream::{Fault, Flow, Meters, stage};
use pubtag_tokenize::{Tokenize, WindowTokenizer};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::bundled::named_or_bundled;
use crate::config::TaggerConfig;
use crate::exit::Failure;
use crate::model::Engine;
use crate::runtime::runtime;

/// Packets between two stages. A packet has at most a few dozen citations.
pub(crate) const QUEUE_CAPACITY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

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
        let checkpoint = Checkpoint::open(named_or_bundled(config.model.clone())?)?;
        let threads = config.device.threads;
        let engine = on_own_threads(threads, || Engine::start(&config, &checkpoint))??;
        let abbreviations = config.abbreviations(&checkpoint).then(Abbreviations::default);
        Ok(Self {
            runtime: runtime(threads)?,
            stages: Stages::new(engine, abbreviations, threads),
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
/// - *Memory*: a bounded number of texts; more are accepted only as documents are taken.
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
            // If a stage failed, the receiver is gone, and `next` returns the failure.
            let _ = sender.try_send(texts);
        }
    }

    /// Ends the input.
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
    pub(crate) abbreviations: Option<Abbreviations>,
    pub(crate) threads: NonZeroUsize,
}

impl Stages {
    /// Those of a model.
    pub(crate) fn new(engine: Engine, abbreviations: Option<Abbreviations>, threads: NonZeroUsize) -> Self {
        let Engine { tokenizer, tag, config: _ } = engine;
        Self { tokenizer, tag, abbreviations, threads }
    }

    /// Puts the stages behind a flow: tokenize → tag → abbreviations.
    pub(crate) fn wire(self, flow: Flow<Packet<Record>>, meters: &Meters) -> Flow<Packet<TaggedRecord>> {
        let Self { tokenizer, tag, abbreviations, threads } = self;
        let flow = stage(Tokenize::new(tokenizer, threads), flow, QUEUE_CAPACITY, meters);
        let flow = stage(tag, flow, QUEUE_CAPACITY, meters);
        match abbreviations {
            Some(abbreviations) => stage(abbreviations, flow, QUEUE_CAPACITY, meters),
            None => flow,
        }
    }

    /// One document per text, in order. Must be called within a tokio runtime.
    pub(crate) fn apply(
        self,
        texts: impl Stream<Item = Vec<CitationText>> + Send + 'static,
    ) -> Flow<Vec<TaggedDocument>> {
        let flow = self.wire(packets(texts), &Meters::default());
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
    use crate::exit::Exit;

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
