//! What the long form of an abbreviation says of its short form.

use std::cmp::Ordering::{Equal, Less};
use std::collections::HashMap;
use std::ops::Range;

use pubtag_schemas::{Annotation, AnnotationSource};

use crate::occurrences::occurrences;
use crate::{Definition, definitions};

/// Words that end the core of a noun phrase: what is before them is its head, what is behind them is of another thing
/// (`deficiency of …`, `dystrophy with …`).
const FUNCTION_WORDS: [&str; 5] = ["and", "in", "of", "or", "with"];

/// What [`complete`] has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Short forms that it annotated.
    pub added: u64,
    /// Annotations of short forms that it took away.
    pub removed: u64,
}

/// Makes the annotations of each abbreviation that a text defines agree with the definition.
///
/// - If the long form is a mention, every occurrence of the short form that no annotation overlaps becomes one, with the
///   mention's label and score, from [`AnnotationSource::Abbreviation`].
/// - If the long form names something else, the annotations of the short form alone are removed: the model read the
///   letters without their meaning.
/// - If one does not know, nothing changes.
///
/// The last word of a long form says what it is. So it is a mention if an annotation ends where it ends, and begins
/// where it begins or at most a few adjectives beside: no function word (`of`, `with`) is in between. It names
/// something else if nothing in it is annotated, or only words before the last one (`cancer` in `cancer stem cell`).
///
/// Of several definitions of a short form, the first whose long form is a mention counts; it names something else only
/// if all of them do. An existing annotation is never changed, whatever its label.
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

/// What a form means.
#[derive(Clone, Debug, PartialEq)]
enum Meaning {
    /// An entity.
    Mention { label: String, score: f32 },
    /// Something else.
    Other,
    /// Hard to say.
    Unknown,
}

/// What each short form means that a text defines.
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
    // One that says nothing must not hide a shorter one within it.
    meanings.retain(|_, meaning| *meaning != Meaning::Unknown);
    meanings
}

/// What a long form means by the last annotation in it.
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
