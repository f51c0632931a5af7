//! Diagnostics of readers and writers: what happened to a record, and where.

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
    /// The line, from 1; 0 if unknown.
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

/// What happened to the subject of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A record, or one of its mentions, could not be read and was left out.
    Skipped,
    /// It was kept in another form.
    Changed,
    /// It was read, but the data model or the target format cannot express it.
    NotCarried,
}

macro_rules! diagnostic_kinds {
    ($($variant:ident = $name:literal, $plural:literal, $effect:ident, $doc:literal;)*) => {
        /// Classes of diagnostics. The names are part of the output: names are added, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum DiagnosticKind { $(#[doc = $doc] $variant,)* }

        impl DiagnosticKind {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name used in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its subjects in plain words, in the plural.
            pub fn subjects(self) -> &'static str {
                match self { $(Self::$variant => $plural,)* }
            }

            /// What happened to the subject.
            pub fn effect(self) -> Effect {
                match self { $(Self::$variant => Effect::$effect,)* }
            }
        }
    };
}

diagnostic_kinds! {
    BadRecord = "bad_record", "invalid records", Skipped, "A record that does not follow its format.";
    TagSequence = "tag_sequence", "sentences with an invalid sequence of tags", Skipped, "A sentence with an invalid tag sequence, such as an `I-` with nothing before it.";
    WordCount = "word_count", "sentences with unequal numbers of words and labels", Skipped, "A sentence whose numbers of words and labels differ.";
    OffsetMismatch = "offset_mismatch", "mentions that do not match their text", Skipped, "A mention whose offsets point at different text.";
    SchemeConverted = "scheme_converted", "tags of another scheme", Changed, "Tags of a scheme other than IOB2, converted.";
    MentionSpace = "mention_space", "mentions that differ from their text in white space", Changed, "A mention that differs from the text at its offsets only in white space.";
    OffsetUnit = "offset_unit", "offsets in bytes", Changed, "Offsets in bytes, converted to code points.";
    LineBreaks = "line_breaks", "line breaks and tabs", Changed, "Line breaks or tabs in the text, written as spaces.";
    ControlCharacters = "control_characters", "control characters", Changed, "Control characters that XML does not allow, written as U+FFFD.";
    StrayTab = "stray_tab", "tabs inside abstracts", Changed, "A tab inside an abstract, kept as text.";
    SpaceInserted = "space_inserted", "titles without a space after them", Changed, "A space inserted between title and abstract, which shifts the offsets after it.";
    SentencesJoined = "sentences_joined", "sentences that a mention crosses", Changed, "Sentences joined because a mention crosses their boundary.";
    MentionWidened = "mention_widened", "mentions that are not whole tokens", Changed, "A mention widened to whole tokens.";
    MentionCut = "mention_cut", "mentions across the maximum sentence length", Changed, "A mention split by the maximum sentence length.";
    SentenceCut = "sentence_cut", "sentences above the maximum length", Changed, "A sentence split at the maximum length.";
    NameChanged = "name_changed", "names that the format does not allow", Changed, "A document or category renamed because the target format does not allow its name.";
    Unterminated = "unterminated", "last sentences without a blank line", Changed, "A last sentence without the final blank line, kept.";
    Relations = "relations", "relations", NotCarried, "Relations between mentions.";
    Attributes = "attributes", "events and attributes", NotCarried, "Events, attributes and other annotations that are not mentions.";
    CollectionMetadata = "collection_metadata", "metadata of collections", NotCarried, "Source, date and key of a collection.";
    Discontinuous = "discontinuous", "discontinuous mentions", NotCarried, "Discontinuous mentions.";
    Overlap = "overlap", "mentions that overlap a longer one", NotCarried, "Mentions that overlap a longer one.";
    UnwritableDocument = "unwritable_document", "documents that the format cannot express", NotCarried, "A document that the target format cannot express, with all its mentions.";
    Unwritable = "unwritable", "mentions that the format cannot express", NotCarried, "Mentions that the target format cannot express.";
    Concepts = "concepts", "concept identifiers", NotCarried, "Concept identifiers.";
    Infons = "infons", "other keys and values", NotCarried, "Other keys and values.";
    Passages = "passages", "passages", NotCarried, "Boundaries or kinds of passages.";
    Sentences = "sentences", "sentence boundaries", NotCarried, "Sentence boundaries.";
    Tokens = "tokens", "token boundaries", NotCarried, "Token boundaries.";
    Columns = "columns", "columns between token and tag", NotCarried, "Columns between token and tag.";
    Offsets = "offsets", "texts between tokens", NotCarried, "The text between tokens, and therefore the offsets.";
    Ids = "ids", "document identifiers", NotCarried, "Document identifiers.";
    MentionText = "mention_text", "wordings of mentions that differ from the text", NotCarried, "The wording of a mention where it differs from the text.";
}

impl DiagnosticKind {
    /// Whether mentions, or sentences with their mentions, are lost for whoever reads the corpus.
    pub fn is_loss(self) -> bool {
        self.effect() == Effect::Skipped || matches!(self, Self::Discontinuous | Self::Overlap)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skipped => "left out",
            Self::Changed => "changed",
            Self::NotCarried => "not carried over",
        })
    }
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One diagnostic: its class, place, count and explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Its class.
    pub kind: DiagnosticKind,
    /// Its place in the input.
    #[serde(flatten)]
    pub spot: Spot,
    /// The identifier of the document, if it has one.
    pub document: Option<String>,
    /// Number of mentions, relations, line breaks, … that it is about; 1 for a record.
    pub count: u64,
    /// An explanation.
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

/// Diagnostics counted by class; the first of each class are kept with their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// The counts of each class.
    pub counts: BTreeMap<DiagnosticKind, DiagnosticCount>,
    /// The first [`Diagnostics::KEPT`] of each class, in order of occurrence.
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
    /// Number of diagnostics kept per class, which bounds the memory that a bad corpus takes.
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

    /// [`DiagnosticCount::things`] of a class.
    pub fn things(&self, kind: DiagnosticKind) -> u64 {
        self.counts.get(&kind).map_or(0, |class| class.things)
    }

    /// Number of diagnostics with an effect.
    pub fn with_effect(&self, effect: Effect) -> u64 {
        self.counts.iter().filter(|(kind, _)| kind.effect() == effect).map(|(_, class)| class.count).sum()
    }
}

/// Collects the diagnostics of one document.
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

    /// Adds a diagnostic about `count` things, unless that is 0.
    pub(crate) fn add(&mut self, kind: DiagnosticKind, count: usize, detail: impl Into<String>) {
        self.add_at(self.spot.clone(), kind, count, detail);
    }

    /// The same at another place.
    pub(crate) fn add_at(&mut self, spot: Spot, kind: DiagnosticKind, count: usize, detail: impl Into<String>) {
        if count > 0 {
            let document = self.document.map(str::to_owned);
            self.diagnostics.push(Diagnostic { kind, spot, document, count: count as u64, detail: detail.into() });
        }
    }
}
