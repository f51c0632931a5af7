//! The text of a citation, and offsets into it.

use std::ops::Range;

/// One `AbstractText` of a structured abstract, or the whole of an unstructured one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbstractSegment {
    /// `Label` in the source (`BACKGROUND`).
    pub label: Option<String>,
    /// `NlmCategory` in the source (`METHODS`).
    pub nlm_category: Option<String>,
    /// The segment's text, trimmed, without its label.
    pub text: String,
}

/// The part of a citation that a [`Section`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// The title.
    Title,
    /// One segment of the abstract.
    Abstract {
        /// `Label` in the source.
        label: Option<String>,
        /// `NlmCategory` in the source.
        nlm_category: Option<String>,
    },
}

/// A part of a citation's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub kind: SectionKind,
    /// Byte range in the text; an abstract segment includes its `Label: `.
    pub bytes: Range<usize>,
}

impl Section {
    /// The name in annotations: `title`, the segment's label, or `abstract` if it has none.
    pub fn name(&self) -> &str {
        match &self.kind {
            SectionKind::Title => "title",
            SectionKind::Abstract { label: Some(label), .. } => label,
            SectionKind::Abstract { label: None, .. } => "abstract",
        }
    }
}

/// A citation's text: title + one space + abstract, even if one of them is empty (the PubTator convention).
///
/// Every offset in the output refers to this text.
///
/// ```
/// use pubtag_schemas::{AbstractSegment, CitationText};
///
/// let segment = AbstractSegment { label: Some("AIM".into()), text: "To see.".into(), ..Default::default() };
/// let text = CitationText::new("Ataxia.", vec![segment]);
/// assert_eq!(text.as_str(), "Ataxia. AIM: To see.");
/// assert_eq!(text.abstract_text(), "AIM: To see.");
/// assert_eq!(text.section_at(9).map(|section| section.name()), Some("AIM"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitationText {
    text: String,
    title: Range<usize>,
    /// Labels included.
    abstract_bytes: Range<usize>,
    sections: Vec<Section>,
}

impl CitationText {
    /// Joins a title and the segments of an abstract.
    ///
    /// Segments are joined by one space, each preceded by `Label: ` if it has a label. Segments without text are left
    /// out, with their labels.
    pub fn new(title: &str, segments: Vec<AbstractSegment>) -> Self {
        let mut text =
            String::with_capacity(title.len() + 1 + segments.iter().map(|s| s.text.len() + 24).sum::<usize>());
        text.push_str(title);
        let mut sections = vec![Section { kind: SectionKind::Title, bytes: 0..title.len() }];
        text.push(' ');
        for segment in segments.into_iter().filter(|s| !s.text.is_empty()) {
            if sections.len() > 1 {
                text.push(' ');
            }
            let start = text.len();
            if let Some(label) = &segment.label {
                text.push_str(label);
                text.push_str(": ");
            }
            text.push_str(&segment.text);
            let kind = SectionKind::Abstract { label: segment.label, nlm_category: segment.nlm_category };
            sections.push(Section { kind, bytes: start..text.len() });
        }
        let abstract_bytes = title.len() + 1..text.len();
        Self { text, title: 0..title.len(), abstract_bytes, sections }
    }

    /// The text of a document that is not a citation, unchanged. Its parts, in ascending order and on character
    /// boundaries, become sections of an abstract.
    pub fn of_parts(text: &str, parts: impl IntoIterator<Item = Range<usize>>) -> Self {
        let kind = SectionKind::Abstract { label: None, nlm_category: None };
        let sections = parts.into_iter().map(|bytes| Section { kind: kind.clone(), bytes }).collect();
        Self { text: text.to_owned(), title: 0..0, abstract_bytes: 0..text.len(), sections }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The title.
    pub fn title(&self) -> &str {
        &self.text[self.title.clone()]
    }

    /// The abstract with its labels; empty if the citation has none.
    pub fn abstract_text(&self) -> &str {
        &self.text[self.abstract_bytes.clone()]
    }

    /// The sections in text order: the title first, then the segments of the abstract.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Byte offsets, ascending, where sections begin and end: no sentence crosses one of these.
    pub fn borders(&self) -> Vec<usize> {
        self.sections.iter().flat_map(|section| [section.bytes.start, section.bytes.end]).collect()
    }

    /// The section that contains a byte of the text; for the space between two sections, the one before it.
    pub fn section_at(&self, byte: usize) -> Option<&Section> {
        self.sections.iter().rev().find(|section| section.bytes.start <= byte)
    }
}

/// Converts byte offsets to character offsets (Unicode code points), fastest in ascending order.
///
/// A step forward reads only the text in between; a step back starts over.
#[derive(Clone, Debug)]
pub struct CharOffsets<'a> {
    text: &'a str,
    byte: usize,
    chars: usize,
}

impl<'a> CharOffsets<'a> {
    /// Starts at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, byte: 0, chars: 0 }
    }

    /// The number of characters before a byte offset; `None` if it is past the end or inside a character.
    pub fn at(&mut self, byte: usize) -> Option<usize> {
        if byte < self.byte {
            (self.byte, self.chars) = (0, 0);
        }
        self.chars += self.text.get(self.byte..byte)?.chars().count();
        self.byte = byte;
        Some(self.chars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(label: Option<&str>, text: &str) -> AbstractSegment {
        AbstractSegment { label: label.map(Into::into), nlm_category: None, text: text.into() }
    }

    #[test]
    fn a_space_follows_the_title_even_if_either_side_is_empty() {
        assert_eq!(CitationText::new("T.", vec![]).as_str(), "T. ");
        assert_eq!(CitationText::new("", vec![segment(None, "A.")]).as_str(), " A.");
        assert_eq!(CitationText::new("", vec![]).as_str(), " ");
    }

    #[test]
    fn segments_have_their_labels_and_are_joined_by_one_space() {
        let text =
            CitationText::new("T", vec![segment(Some("AIM"), "a."), segment(None, "b."), segment(Some("X"), "c")]);
        assert_eq!(text.as_str(), "T AIM: a. b. X: c");
        let names: Vec<_> = text.sections().iter().map(|s| (s.name(), &text.as_str()[s.bytes.clone()])).collect();
        assert_eq!(names, [("title", "T"), ("AIM", "AIM: a."), ("abstract", "b."), ("X", "X: c")]);
    }

    #[test]
    fn character_offsets_count_code_points() {
        let text = "aé𝛽z";
        let mut offsets = CharOffsets::new(text);
        assert_eq!(offsets.at(0), Some(0));
        assert_eq!(offsets.at(3), Some(2));
        assert_eq!(offsets.at(7), Some(3));
        assert_eq!(offsets.at(1), Some(1));
        assert_eq!(offsets.at(2), None);
        assert_eq!(offsets.at(8), Some(4));
        assert_eq!(offsets.at(9), None);
    }
}
