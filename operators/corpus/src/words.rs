//! Splits text into tokens like the published IOB files of NCBI Disease and BC5CDR.
//!
//! A token is a run of letters and digits, or a single other character that is not white space (or U+FEFF, which has no
//! width). Combining marks, joiners and variation selectors belong to the character before them, so that no token begins
//! inside what a reader sees as one character. On the NCBI corpus this reproduces the published tokens except for a handful
//! in 184,167.

use std::ops::Range;

/// The tokens of a range of a text, also split at each of `cuts` (ascending byte offsets on character boundaries).
pub fn words(text: &str, within: Range<usize>, cuts: &[usize]) -> Vec<Range<usize>> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let mut run = Run::Space;
    let mut cuts = cuts.iter().copied().skip_while(|&cut| cut < within.start).peekable();
    for (offset, char) in text[within.clone()].char_indices() {
        let byte = within.start + offset;
        let end = byte + char.len_utf8();
        while cuts.next_if(|&cut| cut < byte).is_some() {}
        let cut = cuts.next_if_eq(&byte).is_some();
        let kind = Run::of(char, run);
        let open = tokens.last_mut().filter(|_| !cut && kind.continues(run));
        match (kind, open) {
            (Run::Space, _) => {}
            (_, Some(token)) => token.end = end,
            (_, None) => tokens.push(byte..end),
        }
        run = kind.after(run);
    }
    tokens
}

/// The class of a character, which decides whether it continues a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Space,
    Word,
    Other,
    Mark,
}

impl Run {
    fn of(char: char, before: Self) -> Self {
        match char {
            // A byte order mark at the start of a file could not be read back as a token.
            c if c.is_whitespace() || c == '\u{feff}' => Self::Space,
            c if is_mark(c) && before != Self::Space => Self::Mark,
            c if c.is_alphanumeric() => Self::Word,
            _ => Self::Other,
        }
    }

    fn continues(self, before: Self) -> bool {
        match self {
            Self::Word => before == Self::Word,
            Self::Mark => before != Self::Space,
            Self::Space | Self::Other => false,
        }
    }

    /// A mark does not change the class: `e` + acute continues as a word.
    fn after(self, before: Self) -> Self {
        if self == Self::Mark { before } else { self }
    }
}

/// Combining marks (by block), joiners and variation selectors (Unicode 16, `Blocks.txt`).
fn is_mark(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200c}'..='\u{200d}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
        words(text, 0..text.len(), cuts).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn letters_and_digits_form_words_and_everything_else_is_a_token_by_itself() {
        assert_eq!(
            cut("GSK-3beta (p<0.05), H_R", &[]),
            ["GSK", "-", "3beta", "(", "p", "<", "0", ".", "05", ")", ",", "H", "_", "R"]
        );
    }

    #[test]
    fn a_cut_ends_a_token_and_begins_the_next() {
        assert_eq!(cut("microcephalydisease x", &[12, 19]), ["microcephaly", "disease", "x"]);
        assert_eq!(cut("ab cd", &[2, 3]), ["ab", "cd"]);
    }

    #[test]
    fn marks_belong_to_their_character() {
        assert_eq!(cut("cafe\u{301}s +\u{338} x", &[]), ["cafe\u{301}s", "+\u{338}", "x"]);
        assert_eq!(cut("👩\u{200d}🔬 𝛽cell", &[]), ["👩\u{200d}", "🔬", "𝛽cell"]);
    }
}
