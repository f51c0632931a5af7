//! Builds documents from tagged sentences, for IOB and NeMo files.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, DocId, Layout, Mention, Token};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::reader::{Item, Parse};
use crate::tagging::{Scheme, Tag, decode};

/// Number of sentences that the scheme is detected from.
const LOOK_AHEAD: usize = 1000;
/// The widest gap between tokens, in characters; a document with wider gaps is read as if it had no offsets.
const WIDEST_GAP: usize = 10_000;

/// How tags are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagOptions {
    /// The scheme [default: detected from the first thousand sentences].
    pub scheme: Option<Scheme>,
    /// The category of bare tags (`B`, `I`).
    pub bare_category: String,
    /// Read an `I-` with nothing before it as the start of a mention instead of skipping its sentence.
    pub repair: bool,
}

impl Default for TagOptions {
    fn default() -> Self {
        Self { scheme: None, bare_category: "Entity".to_owned(), repair: false }
    }
}

/// A token and its columns, as in the file.
#[derive(Clone, Debug)]
pub(crate) struct RawToken {
    pub(crate) line: u64,
    pub(crate) text: String,
    pub(crate) columns: Vec<String>,
}

/// A sentence as in the file, with one tag per token.
#[derive(Clone, Debug)]
pub(crate) struct RawSentence {
    pub(crate) spot: Spot,
    pub(crate) tokens: Vec<RawToken>,
    pub(crate) tags: Vec<Tag>,
}

/// An item of a file of tagged sentences.
pub(crate) enum Raw {
    /// A sentence.
    Sentence(RawSentence),
    /// The start of a document, with its identifier if there is one.
    Document(Spot, Option<String>),
    /// A diagnostic.
    Diagnostic(crate::Diagnostic),
}

/// A reader of raw items in one format.
pub(crate) trait RawSource {
    fn next_raw(&mut self) -> Result<Option<Raw>, CorpusError>;
}

/// Groups raw items into documents.
pub(crate) struct Tagged<S> {
    source: S,
    options: TagOptions,
    ahead: VecDeque<Raw>,
    scheme: Option<Scheme>,
    /// Whether the file marks documents; if not, each sentence is a document.
    marked: bool,
    open: Option<OpenDocument>,
}

/// A mention: its tokens in the sentence, and its category.
type Decoded = (Range<usize>, String);

struct OpenDocument {
    spot: Spot,
    id: Option<String>,
    sentences: Vec<(RawSentence, Vec<Decoded>)>,
}

impl<S: RawSource> Tagged<S> {
    pub(crate) fn new(source: S, options: TagOptions) -> Self {
        Self { source, options, ahead: VecDeque::new(), scheme: None, marked: false, open: None }
    }

    /// Reads ahead to determine the scheme, and reports if it is unusual.
    fn settle(&mut self, out: &mut VecDeque<Item>) -> Result<Scheme, CorpusError> {
        if let Some(scheme) = self.scheme {
            return Ok(scheme);
        }
        let mut sentences = 0;
        while sentences < LOOK_AHEAD {
            let Some(raw) = self.source.next_raw()? else { break };
            sentences += usize::from(matches!(raw, Raw::Sentence(_)));
            self.ahead.push_back(raw);
        }
        let seen = || {
            self.ahead.iter().filter_map(|raw| if let Raw::Sentence(sentence) = raw { Some(sentence) } else { None })
        };
        let scheme =
            self.options.scheme.unwrap_or_else(|| Scheme::detect(seen().map(|sentence| sentence.tags.as_slice())));
        let bare = seen().any(|sentence| sentence.tags.iter().any(Tag::is_bare));
        if let Some(first) = seen().next() {
            let mut diagnostics = Vec::new();
            let mut notes = Notes::new(&first.spot, None, &mut diagnostics);
            if scheme != Scheme::Iob2 {
                notes.add(
                    DiagnosticKind::SchemeConverted,
                    1,
                    format!("tags converted from {} to IOB2", scheme.as_str()),
                );
            }
            if bare {
                notes.add(
                    DiagnosticKind::SchemeConverted,
                    1,
                    format!("tags without a category read as {}", self.options.bare_category),
                );
            }
            out.extend(diagnostics.into_iter().map(Item::Diagnostic));
        }
        self.scheme = Some(scheme);
        Ok(scheme)
    }

    fn next_raw(&mut self) -> Result<Option<Raw>, CorpusError> {
        match self.ahead.pop_front() {
            Some(raw) => Ok(Some(raw)),
            None => self.source.next_raw(),
        }
    }

    fn take_sentence(&mut self, mut sentence: RawSentence, scheme: Scheme, out: &mut VecDeque<Item>) {
        for tag in &mut sentence.tags {
            if tag.is_bare() {
                tag.category.clone_from(&self.options.bare_category);
            }
        }
        let decoded = match decode(&sentence.tags, scheme) {
            Err(_) if self.options.repair && scheme == Scheme::Iob2 => decode(&sentence.tags, Scheme::Iob1),
            decoded => decoded,
        };
        match decoded {
            Ok(mentions) => {
                let mentions = mentions.into_iter().map(|(range, category)| (range, category.to_owned())).collect();
                let spot = sentence.spot.clone();
                let open = self.open.get_or_insert_with(|| OpenDocument { spot, id: None, sentences: Vec::new() });
                open.sentences.push((sentence, mentions));
            }
            Err(token) => {
                let before = token
                    .checked_sub(1)
                    .map_or("the start of the sentence".to_owned(), |i| sentence.tags[i].to_string());
                let what = format!(
                    "{} at {:?} cannot follow {before}; sentence skipped",
                    sentence.tags[token], sentence.tokens[token].text
                );
                let spot = Spot { line: sentence.tokens[token].line, ..sentence.spot };
                let mut diagnostics = Vec::new();
                Notes::new(&spot, None, &mut diagnostics).add(DiagnosticKind::TagSequence, 1, what);
                out.extend(diagnostics.into_iter().map(Item::Diagnostic));
            }
        }
    }

    /// Emits the open document, if it has an identifier or a sentence.
    fn close(&mut self, out: &mut VecDeque<Item>) {
        if let Some(open) = self.open.take().filter(|open| open.id.is_some() || !open.sentences.is_empty()) {
            let document = if self.marked { with_offsets(&open) } else { None };
            let document = document.unwrap_or_else(|| joined(&open));
            out.push_back(Item::Document(open.spot, Box::new(document)));
        }
    }
}

impl<S: RawSource> Parse for Tagged<S> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let scheme = self.settle(out)?;
        match self.next_raw()? {
            Some(Raw::Sentence(sentence)) => {
                self.take_sentence(sentence, scheme, out);
                if !self.marked {
                    self.close(out);
                }
            }
            Some(Raw::Document(spot, id)) => {
                self.close(out);
                self.marked = true;
                self.open = Some(OpenDocument { spot, id, sentences: Vec::new() });
            }
            Some(Raw::Diagnostic(diagnostic)) => out.push_back(Item::Diagnostic(diagnostic)),
            None => {
                self.close(out);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A document whose text is made of its tokens.
fn joined(open: &OpenDocument) -> AnnotatedDocument {
    let mut build = Build::new(open, Layout::Joined);
    for (number, (sentence, mentions)) in open.sentences.iter().enumerate() {
        for (i, token) in sentence.tokens.iter().enumerate() {
            let separator = if i > 0 {
                " "
            } else if number > 0 {
                "\n"
            } else {
                ""
            };
            build.document.text.push_str(separator);
            build.token(token, token.columns.clone());
        }
        build.sentence(sentence, mentions);
    }
    build.document
}

/// A document whose tokens have `start` and `end` in their first two columns (as written by bconv): the text as far as the
/// tokens give it, filled with spaces. `None` if the columns are not the offsets of these tokens.
fn with_offsets(open: &OpenDocument) -> Option<AnnotatedDocument> {
    let mut build = Build::new(open, Layout::Source);
    let mut chars = 0;
    for (sentence, mentions) in &open.sentences {
        for token in &sentence.tokens {
            let (start, end) = match token.columns.as_slice() {
                [start, end, ..] => (start.parse::<usize>().ok()?, end.parse::<usize>().ok()?),
                _ => return None,
            };
            let gap = start.checked_sub(chars).filter(|&gap| gap <= WIDEST_GAP)?;
            (end.checked_sub(start)? == token.text.chars().count()).then_some(())?;
            build.document.text.extend(std::iter::repeat_n(' ', gap));
            build.token(token, token.columns[2..].to_vec());
            chars = end;
        }
        build.sentence(sentence, mentions);
    }
    Some(build.document)
}

struct Build {
    document: AnnotatedDocument,
    /// Index of the first token of the current sentence.
    first: usize,
}

impl Build {
    fn new(open: &OpenDocument, layout: Layout) -> Self {
        let id = open.id.as_deref().map(DocId::new);
        Self { document: AnnotatedDocument { id, layout, ..Default::default() }, first: 0 }
    }

    fn token(&mut self, token: &RawToken, columns: Vec<String>) {
        let start = self.document.text.len();
        self.document.text.push_str(&token.text);
        self.document.tokens.push(Token { bytes: start..self.document.text.len(), columns });
    }

    fn sentence(&mut self, sentence: &RawSentence, mentions: &[Decoded]) {
        let document = &mut self.document;
        let tokens = &document.tokens[self.first..];
        let bytes = |range: &Range<usize>| tokens[range.start].bytes.start..tokens[range.end - 1].bytes.end;
        let whole = bytes(&(0..sentence.tokens.len()));
        let found = mentions.iter().map(|(range, category)| Mention::new(&document.text, bytes(range), category));
        document.mentions.extend(found.collect::<Vec<_>>());
        document.sentences.push(whole);
        self.first = document.tokens.len();
    }
}

/// A diagnostic at a line of a file of tagged sentences.
pub(crate) fn diagnostic(file: &Arc<str>, line: u64, kind: DiagnosticKind, detail: String) -> Raw {
    Raw::Diagnostic(crate::Diagnostic { kind, spot: Spot::new(file, line), document: None, count: 1, detail })
}
