//! What a model says of passages: while it is trained, and as `pubtag run` would find it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::StreamExt;
use pubtag_ner::{Checkpoint, Decoder, Tag};
use pubtag_schemas::{
    AnnotatedDocument, Annotation, Citation, CitationText, Close, DocId, InputUnit, Outcome, Packet, Place, PubDate,
    Record, TaggedRecord, Tally, TokenWindow,
};
use pubtag_stream::{Fault, Flow, Meter, Operator};
use pubtag_tokenize::{Tokenize, TokenizeError, WindowTokenizer};

use super::passages::Passage;
use crate::commands::run::runtime;
use crate::exit::{Exit, Failure};

/// Texts of a packet.
const PACKET: usize = 64;

/// Passages and their windows.
#[derive(Debug)]
pub(crate) struct Tokenized {
    passages: Vec<Passage>,
    /// Of each passage.
    pub(crate) windows: Vec<Vec<TokenWindow>>,
}

impl Tokenized {
    /// Tokenizes passages.
    pub(crate) fn new(passages: Vec<Passage>, tokenizer: &WindowTokenizer) -> Result<Self, TokenizeError> {
        let windows = passages.iter().map(|passage| Ok(tokenizer.tokenize(&passage.text, &[])?.windows));
        Ok(Self { windows: windows.collect::<Result<_, TokenizeError>>()?, passages })
    }

    /// The documents with what the model found in place of their own mentions; `rows` yields the logits of every token
    /// of every window, in order.
    pub(crate) fn decode<'a>(
        &self,
        documents: &[AnnotatedDocument],
        decoder: &Decoder,
        rows: &mut impl Iterator<Item = &'a [f32]>,
    ) -> Vec<AnnotatedDocument> {
        let annotations = self.windows.iter().map(|windows| decoder.decode(windows, rows)).collect();
        returned(&self.passages, annotations, documents)
    }
}

/// The documents with what was found in their passages in place of their own mentions.
pub(crate) fn returned(
    passages: &[Passage],
    annotations: Vec<Vec<Annotation>>,
    documents: &[AnnotatedDocument],
) -> Vec<AnnotatedDocument> {
    let without = |document: &AnnotatedDocument| AnnotatedDocument { mentions: Vec::new(), ..document.clone() };
    let mut found: Vec<AnnotatedDocument> = documents.iter().map(without).collect();
    for (passage, annotations) in passages.iter().zip(annotations) {
        passage.give_back(annotations, &mut found);
    }
    found
}

/// What `pubtag run` finds in texts: by the operators that it tags with.
///
/// # Errors
/// If the tokenizer or the model fails.
pub(crate) fn tagged(
    texts: impl Iterator<Item = CitationText> + Send + 'static,
    tokenizer: WindowTokenizer,
    tag: Tag,
    threads: NonZeroUsize,
) -> Result<Vec<Vec<Annotation>>, Failure> {
    let runtime = runtime(threads).map_err(|error| Failure::new(Exit::Internal, error))?;
    runtime.block_on(async {
        let packets: Flow<_> = Box::pin(futures::stream::iter(packets(texts).map(Ok)));
        let tokenized = Tokenize::new(tokenizer, threads).apply(packets, Meter::new("tokenize"));
        let mut packets = tag.apply(tokenized, Meter::new("tag"));
        let mut found = Vec::new();
        while let Some(packet) = packets.next().await {
            let packet = packet.map_err(|fault: Fault| Failure::new(fault.kind(), fault))?;
            let Packet::Items(records) = packet else { continue };
            found.extend(records.into_iter().filter_map(|record| match record {
                TaggedRecord::Document(document) => Some(document.annotations),
                TaggedRecord::Deletion(_) | TaggedRecord::Reject(_) => None,
            }));
        }
        Ok(found)
    })
}

/// Texts as a source would read them from one file.
fn packets(texts: impl Iterator<Item = CitationText>) -> impl Iterator<Item = Packet<Record>> {
    let unit = Arc::new(InputUnit {
        index: 0,
        uri: "corpus".to_owned(),
        read_once: true,
        sha256: None,
        size: None,
        modified_us: None,
        generation: None,
        file_seq: None,
    });
    let place = Place { unit: unit.clone(), ordinal: 0, byte_offset: 0 };
    let mut records = texts.map(move |text| {
        Record::Citation(Box::new(Citation {
            doc_id: DocId::new(""),
            pmid: None,
            version: 1,
            text,
            pub_date: PubDate::default(),
            date_revised: None,
            journal: None,
            language: None,
            place: place.clone(),
        }))
    });
    let items = std::iter::from_fn(move || {
        let packet: Vec<_> = records.by_ref().take(PACKET).collect();
        (!packet.is_empty()).then_some(Packet::Items(packet))
    });
    let (tally, outcome) = (Tally::default(), Outcome::Complete);
    let close = Packet::Close(Close { unit: unit.clone(), tally, bytes: 0, sha256: String::new(), outcome });
    std::iter::once(Packet::Open(unit)).chain(items).chain(std::iter::once(close))
}

/// The tokenizer of a checkpoint.
pub(crate) fn tokenizer(checkpoint: &Checkpoint) -> Result<WindowTokenizer, Failure> {
    let size = pubtag_tokenize::WindowSize::of_model(checkpoint.max_tokens());
    WindowTokenizer::open(checkpoint.files().clone(), size).map_err(|error| Failure::new(error.kind(), error))
}

#[cfg(test)]
mod tests {
    use pubtag_ner::Padding;

    use super::*;

    /// Gives back each token's id, and notes how many there were at a time.
    struct Counting(Vec<usize>);

    impl TokenClassifier for Counting {
        fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
            self.0.push(batch.token_count());
            let values = batch.ids().iter().map(|id| *id as f32).collect();
            Ok(Logits { labels: 1, values, padding: Padding::default() })
        }
    }

    #[test]
    fn the_token_budget_cuts_micro_batches_and_changes_nothing_else() {
        let window = |length: u32| TokenWindow { ids: (0..length).collect(), spans: Vec::new(), first_token: 0 };
        let windows = vec![[3, 4, 5].map(window).to_vec(), [20, 6].map(window).to_vec()];
        let tokenized = Tokenized { passages: Vec::new(), windows };
        let read = |budget| {
            let mut model = Counting(Vec::new());
            let budget = NonZeroUsize::new(budget).expect("not 0");
            let logits = tokenized.classify(&mut model, budget).expect("it cannot fail");
            (model.0, logits.into_iter().flat_map(|logits| logits.values).collect::<Vec<_>>())
        };
        assert_eq!(read(100).0, [38]);
        assert_eq!(read(10).0, [7, 5, 20, 6], "a window that is longer by itself is read all the same");
        assert_eq!(read(10).1, read(100).1);
    }
}
