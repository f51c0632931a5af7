//! Where a long text can be cut so that its pieces have the tokens of the whole.

/// Bytes that the tokenizer is given at a time. What it makes of a byte takes up to 200 of its own.
const SEGMENT_BYTES: usize = 64 * 1024;

/// The length of the piece that a text begins with: all of a short one.
///
/// WordPiece and byte-level BPE begin a token at a space between two letters or digits, and the space belongs to the
/// token after it (RoBERTa's `Ġ`): a piece ends before one. Where 64 KiB have none, it ends before a punctuation mark,
/// which is exact for WordPiece, or, within a word as long as that, anywhere.
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
        // Not at the two spaces, and not behind the comma.
        assert_eq!(&text[segment_end(&text)..][..6], " x  a ");
    }

    #[test]
    fn without_spaces_it_ends_before_a_mark_and_without_marks_on_a_character() {
        let marks = "ab,".repeat(SEGMENT_BYTES);
        assert_eq!(&marks[segment_end(&marks)..][..3], ",ab");
        let letters = "癌".repeat(SEGMENT_BYTES);
        assert_eq!(segment_end(&letters), SEGMENT_BYTES - 1);
    }
}
