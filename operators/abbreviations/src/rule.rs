//! Applies the meaning of a long form to its short form.

use std::cmp::Ordering::{Equal, Less};
use std::collections::HashMap;
use std::ops::Range;

use pubtag_schemas::{Annotation, AnnotationSource};

use crate::occurrences::occurrences;
use crate::{Definition, definitions};

/// Words that end the core of a noun phrase: the head is before them, and what follows names something else
/// (`deficiency of …`, `dystrophy with …`).
const FUNCTION_WORDS: [&str; 5] = ["and", "in", "of", "or", "with"];

/// The changes made by [`complete`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Annotations added to short forms.
    pub added: u64,
    /// Annotations of short forms removed.
    pub removed: u64,
}

/// Makes the annotations of each abbreviation that a text defines agree with the definition.
///
/// - If the long form is a mention, every occurrence of the short form without an overlapping annotation becomes one, with
///   the mention's label and score and [`AnnotationSource::Abbreviation`].
/// - If the long form names something else, annotations of exactly the short form are removed: the model did not know what
///   the letters mean.
/// - If the meaning is unclear, nothing changes.
///
/// The last word of a long form determines its meaning. So the long form is a mention if an annotation ends where it ends
/// and starts where it starts, or differs only by words that are not function words (`of`, `with`). It names something
/// else if nothing in it is annotated, or only words before the last one (`cancer` in `cancer stem cell`).
///
/// If a short form has several definitions, the first whose long form is a mention counts; it names something else only
/// if all of them do. Existing annotations are never changed, whatever their label.
///
/// `annotations` are sorted by start and do not overlap, before and after.
pub fn complete(text: &str, annotations: &mut Vec<Annotation>) -> Changes {
    if annotations.is_empty() {
        return Changes::default();
    }
    let meanings = meanings(text, annotations);
    let mut changes = Changes::default();
    let mut before = std::mem::take(annotations).into_iter().peekable();
    for (place, meaning) in occurrences(text, &meanings) {
        while let Some(annotation) = before.next_if(|annotation| annotation.bytes.end <= place.start) {
            annotations.push(annotation);
        }
        let there = before.peek().map(|annotation| &annotation.bytes).filter(|bytes| bytes.start < place.end);
        match (meaning, there) {
            (Meaning::Mention { label, score }, None) => {
                let (label, source) = (label.clone(), AnnotationSource::Abbreviation);
                annotations.push(Annotation { bytes: place, label, score: *score, source, concept_ids: Vec::new() });
                changes.added += 1;
            }
            (Meaning::Other, Some(bytes)) if *bytes == place => {
                before.next();
                changes.removed += 1;
            }
            _ => {}
        }
    }
    annotations.extend(before);
    changes
}

/// The meaning of a form.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// An entity.
    Mention { label: String, score: f32 },
    /// Something else.
    Other,
    /// Unclear.
    Unknown,
}

/// The meaning of each short form that a text defines.
fn meanings<'a>(text: &'a str, annotations: &[Annotation]) -> HashMap<&'a str, Meaning> {
    let mut meanings: HashMap<&str, Meaning> = HashMap::new();
    for Definition { long, short } in definitions(text) {
        let meaning = meaning(text, &long, annotations);
        let known = meanings.entry(&text[short]).or_insert_with(|| meaning.clone());
        match (&*known, &meaning) {
            (Meaning::Mention { .. }, _) | (Meaning::Unknown, Meaning::Other) => {}
            _ => *known = meaning,
        }
    }
    // An unclear form must not hide a shorter one inside it.
    meanings.retain(|_, meaning| *meaning != Meaning::Unknown);
    meanings
}

/// The meaning of a long form, from the last annotation in it.
fn meaning(text: &str, long: &Range<usize>, annotations: &[Annotation]) -> Meaning {
    let before = annotations.partition_point(|annotation| annotation.bytes.start < long.end);
    let last = annotations[..before].last().filter(|annotation| annotation.bytes.end > long.start);
    let Some(Annotation { bytes, label, score, .. }) = last else { return Meaning::Other };
    match bytes.end.cmp(&long.end) {
        Less if is_one_phrase(&text[bytes.end..long.end]) => Meaning::Other,
        Equal if is_one_phrase(&text[bytes.start.min(long.start)..bytes.start.max(long.start)]) => {
            Meaning::Mention { label: label.clone(), score: *score }
        }
        _ => Meaning::Unknown,
    }
}

fn is_one_phrase(words: &str) -> bool {
    words.split_whitespace().all(|word| !FUNCTION_WORDS.contains(&word))
}
