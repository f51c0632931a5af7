//! Tags of tokens and the mentions they encode: reads IOB1, IOB2, BIOES and BILOU, writes IOB2.
//!
//! IOB2: `B-` begins a mention, `I-` continues one, `O` is outside. IOB1 (Ramshaw and Marcus 1995) begins with `I-` and
//! uses `B-` only between adjacent mentions of one category. BIOES (and BILOU, the same with other letters) ends a mention
//! with `E-`/`L-` and marks a single token with `S-`/`U-`.

use std::collections::BTreeMap;
use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Mention};

use crate::diagnostic::{Diagnostic, DiagnosticKind, Effect, Notes, Spot};

/// A tagging scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `I-` begins a mention, `B-` only right after another of the same category.
    Iob1,
    /// `B-` begins every mention.
    Iob2,
    /// `B-`, `I-`, `E-`, and `S-` for one token; or BILOU's `L-` and `U-`.
    Bioes,
}

impl Scheme {
    /// The scheme's usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iob1 => "IOB1",
            Self::Iob2 => "IOB2",
            Self::Bioes => "BIOES/BILOU",
        }
    }

    /// Detects the scheme from the tags of some sentences.
    ///
    /// `E-`, `S-`, `L-` or `U-` mean BIOES. Otherwise it is IOB1 if some mentions begin with `I-` and every `B-` directly
    /// follows a mention of its category, else IOB2.
    pub(crate) fn detect<'a>(sentences: impl Iterator<Item = &'a [Tag]>) -> Self {
        let (mut begins_inside, mut iob1_only) = (false, true);
        for tags in sentences {
            for (i, tag) in tags.iter().enumerate() {
                let before = i.checked_sub(1).map(|i| &tags[i]);
                let follows =
                    before.is_some_and(|before| before.position != Position::Out && before.category == tag.category);
                match tag.position {
                    Position::End | Position::Single => return Self::Bioes,
                    Position::Inside => begins_inside |= !follows,
                    Position::Begin => iob1_only &= follows,
                    Position::Out => {}
                }
            }
        }
        if begins_inside && iob1_only { Self::Iob1 } else { Self::Iob2 }
    }
}

/// The position of a token in a mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Out,
    Begin,
    Inside,
    End,
    Single,
}

/// One token's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) position: Position,
    /// The category; empty outside, and where the tag is bare (`B`, `I`).
    pub(crate) category: String,
}

impl Tag {
    /// Parses `O`, `B-Disease`, `B_Disease` or a bare `B`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let position = match chars.next()? {
            'O' => Position::Out,
            'B' => Position::Begin,
            'I' | 'M' => Position::Inside,
            'E' | 'L' => Position::End,
            'S' | 'U' => Position::Single,
            _ => return None,
        };
        let rest = chars.as_str();
        let category = match rest.strip_prefix(['-', '_']) {
            Some(category) if position != Position::Out && !category.is_empty() => category,
            None if rest.is_empty() => "",
            _ => return None,
        };
        Some(Self { position, category: category.to_owned() })
    }

    /// Whether the tag is in a mention but has no category.
    pub(crate) fn is_bare(&self) -> bool {
        self.position != Position::Out && self.category.is_empty()
    }

    fn out() -> Self {
        Self { position: Position::Out, category: String::new() }
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = match self.position {
            Position::Out => return f.write_str("O"),
            Position::Begin => "B",
            Position::Inside => "I",
            Position::End => "E",
            Position::Single => "S",
        };
        write!(f, "{letter}-{}", self.category)
    }
}

/// The mentions of a sentence as ranges of tokens, or the first token whose tag cannot follow the one before it.
pub(crate) fn decode(tags: &[Tag], scheme: Scheme) -> Result<Vec<(Range<usize>, &str)>, usize> {
    let mut mentions: Vec<(Range<usize>, &str)> = Vec::new();
    // The category of the mention that the next token may continue.
    let mut open: Option<&str> = None;
    for (i, tag) in tags.iter().enumerate() {
        let category = tag.category.as_str();
        let continues = open == Some(category);
        let must_continue = scheme == Scheme::Bioes && open.is_some();
        match tag.position {
            Position::Out if must_continue => return Err(i),
            Position::Out => open = None,
            Position::Begin | Position::Single if must_continue => return Err(i),
            Position::Begin => {
                mentions.push((i..i + 1, category));
                open = Some(category);
            }
            Position::Single => mentions.push((i..i + 1, category)),
            Position::Inside | Position::End if continues => {
                if let Some((range, _)) = mentions.last_mut() {
                    range.end = i + 1;
                }
                open = open.filter(|_| tag.position == Position::Inside);
            }
            Position::Inside if scheme == Scheme::Iob1 => {
                mentions.push((i..i + 1, category));
                open = Some(category);
            }
            Position::Inside | Position::End => return Err(i),
        }
    }
    if scheme == Scheme::Bioes && open.is_some() { Err(tags.len() - 1) } else { Ok(mentions) }
}

/// The IOB2 tags of consecutive tokens, given the index of the mention that each belongs to.
fn spell(owners: &[Option<usize>], mentions: &[&Mention]) -> Vec<Tag> {
    let mut before = None;
    let tag = |&owner: &Option<usize>| {
        let continues = owner == before;
        before = owner;
        owner.map_or_else(Tag::out, |mention| Tag {
            position: if continues { Position::Inside } else { Position::Begin },
            category: mentions[mention].category.clone(),
        })
    };
    owners.iter().map(tag).collect()
}

/// The IOB2 tag of each token of a tokenised document. Mentions that tags cannot express are reported.
pub(crate) fn encode(document: &AnnotatedDocument, notes: &mut Notes<'_>) -> Vec<Tag> {
    let Owned { mentions, owners } = owned(document, notes);
    spell(&owners, &mentions)
}

/// The mentions that tags can express, and the one that each token belongs to.
struct Owned<'a> {
    mentions: Vec<&'a Mention>,
    owners: Vec<Option<usize>>,
}

fn owned<'a>(document: &'a AnnotatedDocument, notes: &mut Notes<'_>) -> Owned<'a> {
    let broken = document.mentions.iter().filter(|mention| !mention.gaps.is_empty()).count();
    notes.add(DiagnosticKind::Discontinuous, broken, format!("{broken} discontinuous mentions left out"));
    let (named, unnamed): (Vec<&Mention>, Vec<&Mention>) = document
        .mentions
        .iter()
        .filter(|mention| mention.gaps.is_empty())
        .partition(|mention| !mention.category.is_empty() && !mention.category.contains(char::is_whitespace));
    notes.add(
        DiagnosticKind::Unwritable,
        unnamed.len(),
        format!("{} mentions left out: their category is empty or contains white space", unnamed.len()),
    );
    let mentions = crate::overlap::flat(named, notes);
    let mut owners = vec![None; document.tokens.len()];
    let (mut tokenless, mut widened, mut crowded) = (0, 0, 0);
    for (number, mention) in mentions.iter().enumerate() {
        let range = tokens_of(document, &mention.bytes);
        if range.is_empty() {
            tokenless += 1;
            continue;
        }
        let covered = document.tokens[range.start].bytes.start..document.tokens[range.end - 1].bytes.end;
        widened += usize::from(covered.start < mention.bytes.start || mention.bytes.end < covered.end);
        if owners[range.clone()].iter().any(Option::is_some) {
            crowded += 1;
            continue;
        }
        owners[range].fill(Some(number));
    }
    notes.add(DiagnosticKind::Unwritable, tokenless, format!("{tokenless} mentions without a token left out"));
    notes.add(DiagnosticKind::MentionWidened, widened, format!("{widened} mentions widened to whole tokens"));
    notes.add(DiagnosticKind::Overlap, crowded, format!("{crowded} mentions that share a token with another left out"));
    Owned { mentions, owners }
}

/// The mentions of a document that tags cannot express, by the reason: discontinuous ones, those that overlap a longer one or
/// share a token with it, and those without a token or a name.
pub fn untaggable(document: &AnnotatedDocument) -> BTreeMap<DiagnosticKind, u64> {
    let mut counts = BTreeMap::new();
    for Diagnostic { kind, count, .. } in silently(|notes| _ = owned(document, notes)) {
        if kind.effect() == Effect::NotCarried {
            *counts.entry(kind).or_default() += count;
        }
    }
    counts
}

/// What is noted of a document whose place does not matter.
fn silently(note: impl FnOnce(&mut Notes<'_>)) -> Vec<Diagnostic> {
    let (spot, mut diagnostics) = (Spot::new(&"".into(), 0), Vec::new());
    note(&mut Notes::new(&spot, None, &mut diagnostics));
    diagnostics
}

/// The IOB2 tags of each sentence of all documents.
pub fn iob2(documents: &[AnnotatedDocument]) -> Vec<Vec<String>> {
    documents.iter().flat_map(sentence_tags).collect()
}

/// The IOB2 tags of each sentence of a document, as they are written to a file; those of [`untaggable`] mentions are missing.
pub fn sentence_tags(document: &AnnotatedDocument) -> Vec<Vec<String>> {
    let mut tags = Vec::with_capacity(document.sentences.len());
    silently(|notes| {
        let Owned { mentions, owners } = owned(document, notes);
        for sentence in &document.sentences {
            let owners = &owners[tokens_of(document, sentence)];
            tags.push(spell(owners, &mentions).iter().map(Tag::to_string).collect());
        }
    });
    tags
}

/// The tokens that a range of bytes overlaps.
pub(crate) fn tokens_of(document: &AnnotatedDocument, bytes: &Range<usize>) -> Range<usize> {
    let start = document.tokens.partition_point(|token| token.bytes.end <= bytes.start);
    let end = document.tokens.partition_point(|token| token.bytes.start < bytes.end);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<Tag> {
        text.split(' ').map(|tag| Tag::parse(tag).unwrap()).collect()
    }

    fn mentions(text: &str, scheme: Scheme) -> Result<Vec<(Range<usize>, String)>, usize> {
        let tags = tags(text);
        decode(&tags, scheme)
            .map(|found| found.into_iter().map(|(range, category)| (range, category.to_owned())).collect())
    }

    #[test]
    fn every_scheme_encodes_the_same_mentions() {
        let expected = Ok(vec![(0..2, "D".to_owned()), (2..3, "D".to_owned()), (4..5, "C".to_owned())]);
        assert_eq!(mentions("B-D I-D B-D O B-C", Scheme::Iob2), expected);
        assert_eq!(mentions("I-D I-D B-D O I-C", Scheme::Iob1), expected);
        assert_eq!(mentions("B-D E-D S-D O S-C", Scheme::Bioes), expected);
        assert_eq!(mentions("B-D L-D U-D O U-C", Scheme::Bioes), expected);
    }

    #[test]
    fn an_invalid_sequence_is_reported_at_its_token() {
        assert_eq!(mentions("O I-D", Scheme::Iob2), Err(1));
        assert_eq!(mentions("B-D I-C", Scheme::Iob2), Err(1));
        assert_eq!(mentions("B-D O", Scheme::Bioes), Err(1));
        assert_eq!(mentions("O B-D", Scheme::Bioes), Err(1));
        assert_eq!(mentions("E-D", Scheme::Bioes), Err(0));
    }

    #[test]
    fn the_scheme_is_detected_from_the_tags() {
        let detect = |sentences: &[&str]| {
            let parsed: Vec<Vec<Tag>> = sentences.iter().map(|s| tags(s)).collect();
            Scheme::detect(parsed.iter().map(Vec::as_slice))
        };
        assert_eq!(detect(&["O O", "I-D I-D O", "I-D B-D"]), Scheme::Iob1);
        assert_eq!(detect(&["O B-D I-D"]), Scheme::Iob2);
        assert_eq!(detect(&["O B-D I-D", "O I-D"]), Scheme::Iob2);
        assert_eq!(detect(&["O S-D"]), Scheme::Bioes);
        assert_eq!(detect(&["O"]), Scheme::Iob2);
    }

    #[test]
    fn only_the_longest_of_overlapping_mentions_is_tagged_and_the_others_are_counted() {
        let text = "breast cancer syndrome of ovarian cancer";
        let words = [0..6, 7..13, 14..22, 23..25, 26..33, 34..40];
        let mut broken = Mention::new(text, 7..40, "D");
        broken.gaps.push(13..34);
        let mut mentions: Vec<Mention> =
            [0..13, 0..22, 7..22, 26..40].map(|bytes| Mention::new(text, bytes, "D")).into();
        mentions.extend([broken, Mention::new(text, 22..23, "D")]);
        let document = AnnotatedDocument {
            text: text.into(),
            mentions,
            tokens: words.map(Into::into).into(),
            sentences: std::iter::once(0..text.len()).collect(),
            ..Default::default()
        };
        assert_eq!(sentence_tags(&document), [["B-D", "I-D", "I-D", "O", "B-D", "I-D"]]);
        let expected =
            [(DiagnosticKind::Discontinuous, 1), (DiagnosticKind::Overlap, 2), (DiagnosticKind::Unwritable, 1)];
        assert_eq!(untaggable(&document), expected.into());
    }

    #[test]
    fn a_tag_is_a_letter_a_hyphen_and_a_category() {
        assert_eq!(Tag::parse("B-X-y").unwrap().category, "X-y");
        assert_eq!(Tag::parse("B").unwrap().category, "");
        for bad in ["", "X-D", "Outside", "O-D", "B-", "Blue", "1"] {
            assert_eq!(Tag::parse(bad), None, "{bad}");
        }
    }
}
