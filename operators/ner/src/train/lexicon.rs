//! Mention replacement (Dai and Adel, 2020): more varied texts from the mentions of a corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// The different mentions of each type, as written.
#[derive(Clone, Debug, Default)]
pub struct Lexicon(BTreeMap<String, Vec<String>>);

impl Lexicon {
    /// Collects mentions, given by type and text.
    pub fn new<'a>(mentions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut by_type: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (kind, text) in mentions {
            by_type.entry(kind.to_owned()).or_default().insert(text.to_owned());
        }
        Self(by_type.into_iter().map(|(kind, texts)| (kind, texts.into_iter().collect())).collect())
    }

    /// Replaces each mention with probability `share` by one of its type, drawn at random. Returns the new text and its
    /// mentions. `mentions` are bytes and type, in text order, without overlaps.
    pub fn replace(
        &self,
        text: &str,
        mentions: &[(Range<usize>, String)],
        share: f64,
        random: &mut StdRng,
    ) -> (String, Vec<(Range<usize>, String)>) {
        let (mut replaced, mut places, mut copied) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (bytes, kind) in mentions {
            replaced.push_str(&text[copied..bytes.start]);
            copied = bytes.end;
            let known = self.0.get(kind);
            let other = random.random_bool(share).then(|| known.and_then(|known| known.choose(random))).flatten();
            let start = replaced.len();
            replaced.push_str(other.map_or(&text[bytes.clone()], String::as_str));
            places.push((start..replaced.len(), kind.clone()));
        }
        replaced.push_str(&text[copied..]);
        (replaced, places)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn mentions_are_replaced_by_others_of_their_type() {
        let lexicon = Lexicon::new([("Disease", "Huntington disease"), ("Disease", "gout"), ("Gene", "HTT")]);
        let mentions = [(3..7, "Disease".to_owned()), (11..12, "Gene".to_owned()), (13..14, "Drug".to_owned())];
        let mut random = StdRng::seed_from_u64(1);
        let text = "of gout in H d.";
        assert_eq!(lexicon.replace(text, &mentions, 0.0, &mut random), (text.to_owned(), mentions.to_vec()));
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let (replaced, places) = lexicon.replace(text, &mentions, 1.0, &mut random);
            let found: Vec<_> = places.iter().map(|(bytes, _)| &replaced[bytes.clone()]).collect();
            assert_eq!(found[1..], ["HTT", "d"], "a type without other mentions keeps its own");
            assert_eq!(replaced, format!("of {} in HTT d.", found[0]));
            seen.insert(found[0].to_owned());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["Huntington disease", "gout"]);
    }
}
