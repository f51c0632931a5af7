//! Documents with entities annotated by people: the gold standard for training and evaluation.

use std::ops::Range;

use crate::{DocId, Pmid};

/// One document of an annotated corpus; every range counts bytes (UTF-8) of `text`, on character boundaries.
///
/// A format with offsets fills `text` with the source's own text. A format with tokens only gets a text made of its
/// tokens, joined by spaces, and its sentences, joined by line breaks; [`Layout`] says which. So mentions are ranges of
/// a text, whatever the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotatedDocument {
    /// Identifier; absent where the format does not mark documents (each sentence is then its own document).
    pub id: Option<DocId>,
    /// The text that all ranges refer to.
    pub text: String,
    /// Where the text comes from.
    pub layout: Layout,
    /// Titles, abstracts, paragraphs, in text order; empty where the format has none.
    pub passages: Vec<Passage>,
    /// Sentences in text order, without surrounding space; empty where the text has not been split.
    pub sentences: Vec<Range<usize>>,
    /// Tokens in text order; empty where the text has not been tokenised.
    pub tokens: Vec<Token>,
    /// Mentions in source order. They may overlap.
    pub mentions: Vec<Mention>,
    /// Further properties from the source, as key and value (BioC's infons).
    pub infons: Vec<(String, String)>,
}

impl AnnotatedDocument {
    /// The PMID, if the identifier is one.
    pub fn pmid(&self) -> Option<Pmid> {
        self.id.as_ref()?.as_str().parse().ok()
    }

    /// Byte offsets, ascending, where passages begin and end: no sentence crosses one of these.
    pub fn borders(&self) -> Vec<usize> {
        self.passages.iter().flat_map(|passage| [passage.bytes.start, passage.bytes.end]).collect()
    }

    /// Whether every range is inside the text and on character boundaries, and ordered lists are in order.
    pub fn is_sound(&self) -> bool {
        let text = self.text.as_str();
        in_order(text, self.passages.iter().map(|passage| &passage.bytes))
            && in_order(text, self.sentences.iter())
            && in_order(text, self.tokens.iter().map(|token| &token.bytes))
            && self.mentions.iter().all(|mention| text.get(mention.bytes.clone()).is_some())
            && self.mentions.iter().all(|mention| in_order(text, mention.gaps.iter()))
    }
}

fn in_order<'a>(text: &str, mut ranges: impl Iterator<Item = &'a Range<usize>>) -> bool {
    let step =
        |end, range: &Range<usize>| (end <= range.start && text.get(range.clone()).is_some()).then_some(range.end);
    ranges.try_fold(0, step).is_some()
}

/// Where a document's text comes from, which decides what its offsets mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// The text is the source's own.
    #[default]
    Source,
    /// The source has only tokens: they were joined by spaces, its sentences by line breaks.
    Joined,
}

/// A part of a document, such as its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Its kind as named by the source (`title`, `abstract`, `Title`), if it is.
    pub kind: Option<String>,
    /// Byte range in the text.
    pub bytes: Range<usize>,
    /// Further properties from the source.
    pub infons: Vec<(String, String)>,
}

impl Passage {
    /// A passage with a kind and no further properties.
    pub fn new(kind: &str, bytes: Range<usize>) -> Self {
        Self { kind: Some(kind.to_owned()), bytes, infons: Vec::new() }
    }
}

/// A token as the source delimits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Byte range in the text; never empty, without surrounding white space.
    pub bytes: Range<usize>,
    /// Columns between the token and its tag, as in the source (part of speech, for example).
    pub columns: Vec<String>,
}

impl From<Range<usize>> for Token {
    fn from(bytes: Range<usize>) -> Self {
        Self { bytes, columns: Vec::new() }
    }
}

/// A span of the text that names an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Byte range in the text, from its first byte to its last.
    pub bytes: Range<usize>,
    /// Ranges in between that are not part of it, in text order; empty unless it is discontinuous.
    pub gaps: Vec<Range<usize>>,
    /// The mention as written in the source, which may differ from the text in white space.
    pub text: String,
    /// The category (`Disease`).
    pub category: String,
    /// The concepts it refers to.
    pub concepts: ConceptIds,
    /// Further properties from the source.
    pub infons: Vec<(String, String)>,
}

impl Mention {
    /// A contiguous mention without concepts or infons.
    ///
    /// # Panics
    /// If `bytes` is not a range of `text` on character boundaries.
    pub fn new(text: &str, bytes: Range<usize>, category: &str) -> Self {
        let mention = text[bytes.clone()].to_owned();
        Self {
            bytes,
            gaps: Vec::new(),
            text: mention,
            category: category.to_owned(),
            concepts: ConceptIds::default(),
            infons: Vec::new(),
        }
    }

    /// The pieces of the mention in text order: one unless it is discontinuous.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(self.bytes.start).chain(self.gaps.iter().map(|gap| gap.end));
        let ends = self.gaps.iter().map(|gap| gap.start).chain(std::iter::once(self.bytes.end));
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

/// The concept identifiers of a mention in PubTator's notation: `|` separates the parts of a composite mention, `+` the
/// concepts that apply together; `-1` or an empty string stands for none.
///
/// ```
/// use pubtag_schemas::ConceptIds;
///
/// let ids = ConceptIds::new("D001943|OMIM:114480+D010051");
/// assert_eq!(ids.iter().collect::<Vec<_>>(), ["D001943", "OMIM:114480", "D010051"]);
/// assert_eq!(ConceptIds::new("-1").iter().count(), 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConceptIds(String);

impl ConceptIds {
    /// The identifiers as written in the source.
    pub fn new(ids: impl Into<String>) -> Self {
        Self(ids.into())
    }

    /// The identifiers as written in the source.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifiers one by one, trimmed; `-1` is skipped.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(['|', '+']).map(str::trim).filter(|id| !id.is_empty() && *id != "-1")
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "a mention in one piece is one range")]
mod tests {
    use super::*;

    #[test]
    fn a_discontinuous_mention_has_the_pieces_around_its_gaps() {
        let mut mention = Mention::new("breast and ovarian cancer", 0..25, "Disease");
        assert_eq!(mention.pieces().collect::<Vec<_>>(), [0..25]);
        mention.gaps = vec![6..18];
        assert_eq!(mention.pieces().collect::<Vec<_>>(), [0..6, 18..25]);
    }

    #[test]
    fn a_range_outside_the_text_or_inside_a_character_is_not_sound() {
        let mut document = AnnotatedDocument { text: "aé".into(), ..Default::default() };
        document.tokens = vec![Token::from(0..1), Token::from(1..3)];
        assert!(document.is_sound());
        document.tokens = vec![Token::from(0..2)];
        assert!(!document.is_sound());
        document.tokens = vec![Token::from(1..3), Token::from(0..1)];
        assert!(!document.is_sound());
    }

    #[test]
    fn the_pmid_is_the_identifier_where_it_is_a_number() {
        let with_id = |id: &str| AnnotatedDocument { id: Some(DocId::new(id)), ..Default::default() };
        assert_eq!(with_id("123").pmid().map(Pmid::get), Some(123));
        assert_eq!(with_id("PMC123").pmid(), None);
    }
}
