//! What a reader or writer has to say of one record: where, what, and how much of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The file as the caller named it.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// The line, from 1; 0 where a format gives no line.
    pub line: u64,
}

impl Spot {
    /// A line of a file.
    pub fn new(file: &Arc<str>, line: u64) -> Self {
        Self { file: Arc::clone(file), line }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// What became of the thing that a diagnostic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A record, or a mention of one, could not be read and was left out.
    Skipped,
    /// It was kept in another form.
    Changed,
    /// It was read, but the model or the target cannot express it.
    NotCarried,
}

macro_rules! diagnostic_kinds {
    ($($variant:ident = $name:literal, $effect:ident, $doc:literal;)*) => {
        /// Classes of diagnostics. The names are part of the output and only ever added to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DiagnosticKind { $(#[doc = $doc] $variant,)* }

        impl DiagnosticKind {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that reports carry.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What became of the thing.
            pub fn effect(self) -> Effect {
                match self { $(Self::$variant => Effect::$effect,)* }
            }
        }
    };
}

diagnostic_kinds! {
    BadRecord = "bad_record", Skipped, "A record that is not what its format says.";
    TagSequence = "tag_sequence", Skipped, "A sentence whose tags contradict each other (an `I-` with nothing before it).";
    WordCount = "word_count", Skipped, "A sentence with more words than labels, or fewer.";
    OffsetMismatch = "offset_mismatch", Skipped, "A mention whose offsets point at other text.";
    SchemeConverted = "scheme_converted", Changed, "Tags of another scheme than IOB2, converted.";
    MentionSpace = "mention_space", Changed, "A mention that differs from the text at its offsets in white space only.";
    OffsetUnit = "offset_unit", Changed, "Offsets that count bytes, converted to code points.";
    LineBreaks = "line_breaks", Changed, "Line breaks or tabs of the text, written as spaces.";
    ControlCharacters = "control_characters", Changed, "Control characters that XML cannot hold, written as U+FFFD.";
    StrayTab = "stray_tab", Changed, "A tab inside an abstract, kept as a character of the text.";
    SpaceInserted = "space_inserted", Changed, "A space put between title and abstract, which shifts the offsets after it.";
    SentencesJoined = "sentences_joined", Changed, "Sentences joined because a mention reaches across their border.";
    MentionWidened = "mention_widened", Changed, "A mention widened to whole tokens.";
    MentionCut = "mention_cut", Changed, "A mention cut in two by the longest sentence allowed.";
    SentenceCut = "sentence_cut", Changed, "A sentence cut to the longest allowed.";
    NameChanged = "name_changed", Changed, "A document or category renamed because the target cannot write its name.";
    Unterminated = "unterminated", Changed, "A last sentence without the blank line after it, kept.";
    Relations = "relations", NotCarried, "Relations between mentions.";
    Attributes = "attributes", NotCarried, "Events, attributes and other annotations that are not mentions.";
    CollectionMetadata = "collection_metadata", NotCarried, "Source, date and key of a collection.";
    Discontinuous = "discontinuous", NotCarried, "Discontinuous mentions.";
    Overlap = "overlap", NotCarried, "Mentions that overlap a longer one.";
    UnwritableDocument = "unwritable_document", NotCarried, "A document that the target has no way to write, with all in it.";
    Unwritable = "unwritable", NotCarried, "Mentions that the target has no way to write.";
    Concepts = "concepts", NotCarried, "Concept identifiers.";
    Infons = "infons", NotCarried, "Further keys and values.";
    Passages = "passages", NotCarried, "Borders or kinds of passages.";
    Sentences = "sentences", NotCarried, "Borders of sentences.";
    Tokens = "tokens", NotCarried, "Borders of tokens.";
    Columns = "columns", NotCarried, "Columns between token and tag.";
    Offsets = "offsets", NotCarried, "The text between tokens, and with it the offsets.";
    Ids = "ids", NotCarried, "Identifiers of documents.";
    MentionText = "mention_text", NotCarried, "A mention's own wording where it differs from the text.";
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One diagnostic: where, what, how many things, and for a person, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Its class.
    pub kind: DiagnosticKind,
    /// Where in the input.
    #[serde(flatten)]
    pub spot: Spot,
    /// The document that it is about, where that has a name.
    pub document: Option<String>,
    /// How many things it is about (mentions, relations, line breaks); 1 for a record.
    pub count: u64,
    /// What exactly, for a person.
    pub detail: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.spot)?;
        if let Some(document) = &self.document {
            write!(f, "document {document}: ")?;
        }
        f.write_str(&self.detail)
    }
}

/// Diagnostics counted by class, the first of each kept with their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// For each class, how many diagnostics there were and how many things they were about.
    pub counts: BTreeMap<DiagnosticKind, DiagnosticCount>,
    /// The first [`Diagnostics::KEPT`] of each class, in the order in which they arose.
    pub kept: Vec<Diagnostic>,
}

/// The size of a class of diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiagnosticCount {
    /// Number of diagnostics.
    pub count: u64,
    /// Number of mentions, relations, line breaks, … that they are about: the sum of [`Diagnostic::count`].
    pub things: u64,
}

impl Diagnostics {
    /// How many diagnostics of a class are kept with their places, so that memory does not grow with a bad corpus.
    pub const KEPT: u64 = 1000;

    /// Counts a diagnostic, and keeps it if it is among the first of its class.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        let class = self.counts.entry(diagnostic.kind).or_default();
        class.count += 1;
        class.things += diagnostic.count;
        if class.count <= Self::KEPT {
            self.kept.push(diagnostic);
        }
    }

    /// How many things diagnostics of a class were about.
    pub fn things(&self, kind: DiagnosticKind) -> u64 {
        self.counts.get(&kind).map_or(0, |class| class.things)
    }

    /// How many diagnostics there were with an effect.
    pub fn with_effect(&self, effect: Effect) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.effect() == effect).map(|(_, class)| class.count).sum()
    }
}

/// Takes down the diagnostics on one document.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    spot: &'a Spot,
    document: Option<&'a str>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(spot: &'a Spot, document: Option<&'a str>, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self { spot, document, diagnostics }
    }

    /// A diagnostic on `count` things; none if there are none.
    pub(crate) fn add(&mut self, kind: DiagnosticKind, count: usize, detail: impl Into<String>) {
        self.add_at(self.spot.clone(), kind, count, detail);
    }

    /// The same for a place of its own.
    pub(crate) fn add_at(&mut self, spot: Spot, kind: DiagnosticKind, count: usize, detail: impl Into<String>) {
        if count > 0 {
            let document = self.document.map(str::to_owned);
            self.diagnostics.push(Diagnostic { kind, spot, document, count: count as u64, detail: detail.into() });
        }
    }
}
