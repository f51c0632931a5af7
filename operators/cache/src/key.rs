//! What an entry is found by.

use pubtag_schemas::Citation;
use sha2::{Digest, Sha256};

/// Loci of documents without a PMID have this bit set, so that they never equal a PMID.
const NO_PMID: u64 = 1 << 63;

/// What identifies an entry, in the order of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// Where the entry is kept: near those that are looked up with it.
    pub(crate) locus: u64,
    /// SHA-256 of the text and the borders of its sections. Contexts of whole sentences never cross a border, so the same
    /// text with other sections may have other annotations.
    pub(crate) sha256: [u8; 32],
}

impl Key {
    /// The key of a citation.
    pub(crate) fn of(citation: &Citation) -> Self {
        let text = citation.text.as_str();
        let mut hasher = Sha256::new();
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
        for border in citation.text.borders() {
            hasher.update((border as u64).to_le_bytes());
        }
        let sha256: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = sha256;
        let hashed = NO_PMID | u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self { locus: citation.pmid.map_or(hashed, |pmid| pmid.get().into()), sha256 }
    }
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::testing::citation;
    use pubtag_schemas::{AbstractSegment, CitationText, Pmid};

    use super::*;

    fn of(segments: &[&str], pmid: Option<u32>) -> Key {
        let segment = |text: &&str| AbstractSegment { text: (*text).to_owned(), ..AbstractSegment::default() };
        let text = CitationText::new("T", segments.iter().map(segment).collect());
        let pmid = pmid.map(|pmid| Pmid::try_from(pmid).unwrap());
        Key::of(&Citation { text, pmid, ..*citation("T") })
    }

    #[test]
    fn a_key_depends_on_the_text_and_its_borders() {
        assert_eq!(of(&["a b"], Some(7)), of(&["a b"], Some(7)));
        assert_ne!(of(&["a b"], Some(7)).sha256, of(&["a", "b"], Some(7)).sha256, "the text is the same: T a b");
        assert_eq!(of(&["a b"], Some(7)).sha256, of(&["a b"], Some(8)).sha256);
    }

    #[test]
    fn a_document_without_a_pmid_has_a_locus_beyond_all_pmids() {
        assert_eq!(of(&["a"], Some(u32::MAX)).locus, u64::from(u32::MAX));
        assert!(of(&["a"], None).locus >= NO_PMID);
    }
}
