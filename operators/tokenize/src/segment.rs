//! Cuts a long text so that its pieces have the tokens of the whole.

/// Bytes tokenized at a time. The tokenizer uses up to 200 bytes of memory per byte.
const SEGMENT_BYTES: usize = 64 * 1024;

/// The length of the first piece of a text; a short text is one piece.
///
/// WordPiece and byte-level BPE start a token at a space between two letters or digits, and the space belongs to the token
/// after it (RoBERTa's `Ġ`), so a piece ends before such a space. If 64 KiB have none, it ends before a punctuation mark,
/// which is exact for WordPiece, or else anywhere in the word.
pub(crate) fn segment_end(text: &str) -> usize {
    if text.len() <= SEGMENT_BYTES {
        return text.len();
    }
    let limit = text.floor_char_boundary(SEGMENT_BYTES);
    let ends_word = |at: usize| text[..at].ends_with(char::is_alphanumeric);
    let space = |at: &usize| ends_word(*at) && text[at + 1..].starts_with(char::is_alphanumeric);
    let spaces = text[..limit].rmatch_indices(' ').map(|(at, _)| at);
    let marks = text[..limit].rmatch_indices(|mark: char| mark.is_ascii_punctuation()).map(|(at, _)| at);
    let cut = spaces.into_iter().find(space).or_else(|| marks.into_iter().find(|&at| ends_word(at)));
    cut.unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_before_the_last_space_between_two_words() {
        assert_eq!(segment_end("short text"), 10);
        let text = format!("{} a  b, c{}", "x ".repeat(SEGMENT_BYTES / 2 - 20), "d".repeat(SEGMENT_BYTES));
        // Not at the double space, and not after the comma.
        assert_eq!(&text[segment_end(&text)..][..6], " x  a ");
    }

    #[test]
    fn without_spaces_it_ends_before_punctuation_and_without_that_between_characters() {
        let marks = "ab,".repeat(SEGMENT_BYTES);
        assert_eq!(&marks[segment_end(&marks)..][..3], ",ab");
        let letters = "癌".repeat(SEGMENT_BYTES);
        assert_eq!(segment_end(&letters), SEGMENT_BYTES - 1);
    }
}
