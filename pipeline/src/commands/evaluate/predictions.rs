//! Predictions on a corpus: found as in a run, and written as conlleval reads them.

use std::fmt::{self, Write as _};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use pubtag_corpus::{Gold, Labels, PackedContext, WholeFile, pack, sentence_tags};
use pubtag_ner::Checkpoint;
use pubtag_schemas::{AnnotatedDocument, Annotation, CitationText, Layout, Mention};
use pubtag_tokenize::Context;

use crate::cli::EvaluateArgs;
use crate::config::tags_abbreviations;
use crate::device::{self, DeviceConfig};
use crate::exit::Failure;
use crate::tokenizer;
use crate::training::predict::{returned, tagged};

/// The documents with the model's mentions of the types that the corpus annotates, found by the stages of a run.
pub(super) fn predict(
    args: &EvaluateArgs,
    gold: &Gold,
    checkpoint: &Checkpoint,
) -> Result<Vec<AnnotatedDocument>, Failure> {
    let device = DeviceConfig::check(args.device.clone());
    let (_, tag) = device::start(&device, checkpoint, args.aggregation.into(), args.decode.into())?;
    let tokenizer = tokenizer::open(checkpoint)?;
    let mut found = match reading(args, gold, checkpoint) {
        Reading::Run(context) => {
            let of_parts = |document: &AnnotatedDocument| {
                CitationText::of_parts(&document.text, document.passages.iter().map(|passage| passage.bytes.clone()))
            };
            let texts: Vec<CitationText> = gold.documents.iter().map(of_parts).collect();
            let mut found = tagged(texts.into_iter(), tokenizer.with_context(context), tag, device.threads)?;
            if completes_abbreviations(args, gold, checkpoint) {
                for (document, found) in gold.documents.iter().zip(&mut found) {
                    pubtag_abbreviations::complete(&document.text, found);
                }
            }
            gold.documents.iter().zip(found).map(|(document, found)| with_found(document, found)).collect()
        }
        Reading::Tokens(words) => {
            let contexts = pack(&gold.documents, || words.get());
            let whole = |context: &PackedContext| CitationText::of_parts(&context.text, []);
            let texts: Vec<CitationText> = contexts.iter().map(whole).collect();
            returned(&contexts, tagged(texts.into_iter(), tokenizer, tag, device.threads)?, &gold.documents)
        }
    };
    for document in &mut found {
        // A model with four categories can be scored on their union.
        Labels::from(args.labels).apply(document);
        document.mentions.retain(|mention| gold.types.contains(&mention.category));
    }
    Ok(found)
}

/// A document with these annotations in place of its own mentions.
fn with_found(document: &AnnotatedDocument, found: Vec<Annotation>) -> AnnotatedDocument {
    let mention = |Annotation { bytes, label, .. }: Annotation| Mention::new(&document.text, bytes, &label);
    AnnotatedDocument { mentions: found.into_iter().map(mention).collect(), ..document.clone() }
}

/// How the model reads a corpus.
pub(super) enum Reading {
    /// As `pubtag run` reads the same texts.
    Run(Context),
    /// Consecutive sentences of up to this many words, of a corpus that has only tokens.
    Tokens(NonZeroUsize),
}

/// Words per context of a corpus without text, if neither the user nor the model sets it.
const DEFAULT_WORDS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not 0");

/// How the model reads this corpus.
pub(super) fn reading(args: &EvaluateArgs, gold: &Gold, checkpoint: &Checkpoint) -> Reading {
    let context = args.context.map_or_else(|| checkpoint.context_words().into(), Context::from);
    match context {
        context if has_own_text(gold) => Reading::Run(context),
        Context::Words(words) => Reading::Tokens(words),
        Context::Document => Reading::Tokens(DEFAULT_WORDS),
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(Context::Document) => f.write_str("each document whole, as `pubtag run` reads it"),
            Self::Run(Context::Words(words)) => {
                write!(f, "consecutive sentences of up to {words} words, as `pubtag run` reads them")
            }
            Self::Tokens(words) => write!(f, "consecutive sentences of up to {words} tokens; the corpus has no text"),
        }
    }
}

/// Whether the corpus has the documents' text, not only tokens.
pub(super) fn has_own_text(gold: &Gold) -> bool {
    gold.documents.iter().all(|document| document.layout == Layout::Source)
}

/// Whether abbreviations are tagged by their definitions, which need the documents' text.
pub(super) fn completes_abbreviations(args: &EvaluateArgs, gold: &Gold, checkpoint: &Checkpoint) -> bool {
    tags_abbreviations(args.abbreviations, checkpoint) && has_own_text(gold)
}

/// Opens the predictions file. Never replaces the corpora or the model, and other files only with --overwrite.
pub(super) fn begin_file(path: &Path, args: &EvaluateArgs) -> Result<WholeFile, Failure> {
    let within = |read: &Path| match (path.canonicalize(), read.canonicalize()) {
        (Ok(path), Ok(read)) => path.starts_with(read),
        _ => false,
    };
    if args.gold.iter().any(|corpus| within(&corpus.path)) || args.model.as_deref().is_some_and(within) {
        return Err(Failure::configuration(format!(
            "{}: is an input of this command; choose another file",
            path.display()
        )));
    }
    let file = if args.overwrite { WholeFile::replacing(path) } else { WholeFile::new(path) };
    file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::configuration(format!(
            "{}: already exists; choose another file, or use --overwrite",
            path.display()
        )),
        _ => Failure::write(path, error),
    })
}

/// Every token with its expected and its predicted tag, and a blank line after each sentence, in conlleval's format.
pub(super) fn columns(gold: &[AnnotatedDocument], found: &[AnnotatedDocument]) -> String {
    let mut text = String::new();
    for (gold, found) in gold.iter().zip(found) {
        let mut tokens = gold.tokens.iter().map(|token| &gold.text[token.bytes.clone()]);
        let (expected, found) = (sentence_tags(gold), sentence_tags(found));
        for (expected, found) in expected.iter().zip(&found) {
            for ((expected, found), token) in expected.iter().zip(found).zip(tokens.by_ref()) {
                let _ = writeln!(text, "{token} {expected} {found}");
            }
            text.push('\n');
        }
    }
    text
}
