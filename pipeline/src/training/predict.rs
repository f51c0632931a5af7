//! Predictions on corpora: during training, and as `pubtag run` makes them.

use std::num::NonZeroUsize;

use futures::{StreamExt, TryStreamExt, stream};
use pubtag_corpus::PackedContext;
use pubtag_ner::{Decoder, Tag};
use pubtag_schemas::{AnnotatedDocument, Annotation, CitationText, TaggedDocument, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowTokenizer};

use crate::exit::Failure;
use crate::runtime::runtime;
use crate::tagger::Stages;

/// Texts per packet.
const PACKET: usize = 64;

/// Contexts and their windows.
#[derive(Debug)]
pub(crate) struct Tokenized {
    contexts: Vec<PackedContext>,
    /// Windows of each context.
    pub(crate) windows: Vec<Vec<TokenWindow>>,
}

impl Tokenized {
    /// Tokenizes contexts.
    pub(crate) fn new(contexts: Vec<PackedContext>, tokenizer: &WindowTokenizer) -> Result<Self, TokenizeError> {
        let windows = contexts.iter().map(|context| Ok(tokenizer.tokenize(&context.text, &[])?.windows));
        Ok(Self { windows: windows.collect::<Result<_, TokenizeError>>()?, contexts })
    }

    /// The documents with the model's mentions instead of their own; `rows` yields the logits of every token of every
    /// window, in order.
    pub(crate) fn decode<'a>(
        &self,
        documents: &[AnnotatedDocument],
        decoder: &Decoder,
        rows: &mut impl Iterator<Item = &'a [f32]>,
    ) -> Vec<AnnotatedDocument> {
        let annotations = self.windows.iter().map(|windows| decoder.decode(windows, rows)).collect();
        returned(&self.contexts, annotations, documents)
    }
}

/// The documents with what was found in their contexts instead of their own mentions.
pub(crate) fn returned(
    contexts: &[PackedContext],
    annotations: Vec<Vec<Annotation>>,
    documents: &[AnnotatedDocument],
) -> Vec<AnnotatedDocument> {
    let without = |document: &AnnotatedDocument| AnnotatedDocument { mentions: Vec::new(), ..document.clone() };
    let mut found: Vec<AnnotatedDocument> = documents.iter().map(without).collect();
    for (context, annotations) in contexts.iter().zip(annotations) {
        context.copy_back(annotations, &mut found);
    }
    found
}

/// What `pubtag run` finds in texts, by the same operators.
///
/// # Errors
/// The tokenizer or the model fails.
pub(crate) fn tagged(
    texts: impl Iterator<Item = CitationText> + Send + 'static,
    tokenizer: WindowTokenizer,
    tag: Tag,
    threads: NonZeroUsize,
) -> Result<Vec<Vec<Annotation>>, Failure> {
    let stages = Stages { tokenizer, tag, abbreviations: None, threads };
    runtime(threads)?.block_on(async {
        let packets = stream::iter(texts).chunks(PACKET);
        let documents: Vec<Vec<TaggedDocument>> = stages.apply(packets).try_collect().await?;
        Ok(documents.into_iter().flatten().map(|document| document.annotations).collect())
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pubtag_ner::{Aggregation, Checkpoint, ClassifierSetup, Decoding, Device, TagConfig};

    use super::*;

    #[test]
    fn the_token_budget_cuts_micro_batches_and_changes_nothing_else() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-bert");
        let checkpoint = Checkpoint::open(model).expect("the fixture opens");
        let read = |budget| {
            let token_budget = NonZeroUsize::new(budget).expect("not 0");
            let setup = ClassifierSetup { token_budget, ..ClassifierSetup::on(Device::Cpu) };
            let (aggregation, decoding) = (Aggregation::First, Decoding::Viterbi);
            let config = TagConfig { devices: vec![Device::Cpu], setup, aggregation, decoding };
            let tag = Tag::start(&checkpoint, &config).expect("the model starts");
            let stats = tag.stats();
            let texts = (1..20).map(|count| CitationText::of_parts(&"ataxia of the heart ".repeat(count), []));
            let tokenizer = crate::tokenizer::open(&checkpoint).expect("the fixture has a tokenizer");
            let found = tagged(texts.collect::<Vec<_>>().into_iter(), tokenizer, tag, NonZeroUsize::MIN);
            (stats.micro_batches(), found.expect("nothing fails"))
        };
        let ((few, found), (many, same)) = (read(100_000), read(100));
        assert!(few == 1 && many > 5, "{few} and {many} micro-batches");
        assert_eq!(found, same);
    }
}
