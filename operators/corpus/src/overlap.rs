//! Selects mentions for formats that cannot express overlaps.

use pubtag_schemas::Mention;

use crate::diagnostic::{DiagnosticKind, Notes};

/// Of overlapping mentions, keeps the longest (the first of equals) and reports the others. Returns them in text order.
///
/// Empty mentions, which tags cannot express, are left out and reported too.
pub(crate) fn flat<'a>(mut mentions: Vec<&'a Mention>, notes: &mut Notes<'_>) -> Vec<&'a Mention> {
    let all = mentions.len();
    mentions.retain(|mention| !mention.bytes.is_empty());
    let empty = all - mentions.len();
    notes.add(DiagnosticKind::Unwritable, empty, format!("{empty} empty mentions left out"));

    mentions.sort_by_key(|mention| (std::cmp::Reverse(mention.bytes.len()), mention.bytes.start));
    let mut kept: Vec<&Mention> = Vec::with_capacity(mentions.len());
    let mut lost = Vec::new();
    for mention in mentions {
        // `kept` is in text order without overlaps, so only the neighbours need to be checked.
        let place = kept.partition_point(|other| other.bytes.start < mention.bytes.start);
        let before = place.checked_sub(1).is_none_or(|i| kept[i].bytes.end <= mention.bytes.start);
        let after = kept.get(place).is_none_or(|other| mention.bytes.end <= other.bytes.start);
        if before && after {
            kept.insert(place, mention);
        } else {
            lost.push(mention.text.as_str());
        }
    }
    if let Some(first) = lost.first() {
        notes.add(
            DiagnosticKind::Overlap,
            lost.len(),
            format!("{} mentions that overlap a longer one left out; the first is {first:?}", lost.len()),
        );
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Spot;

    #[test]
    fn the_longest_of_overlapping_mentions_is_kept() {
        let text = "aaaa bbbb cccc dddd";
        let mentions: Vec<Mention> =
            [0..4, 0..9, 5..14, 10..14, 15..19, 15..19].map(|bytes| Mention::new(text, bytes, "X")).into();
        let (spot, mut diagnostics) = (Spot { file: "f".into(), line: 1 }, Vec::new());
        let kept = flat(mentions.iter().collect(), &mut Notes::new(&spot, None, &mut diagnostics));
        assert_eq!(kept.iter().map(|mention| mention.bytes.clone()).collect::<Vec<_>>(), [0..9, 10..14, 15..19]);
        assert_eq!((diagnostics[0].kind, diagnostics[0].count), (DiagnosticKind::Overlap, 3));
    }
}
