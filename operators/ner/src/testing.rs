//! Tokenized documents for the tests of this crate.

use pubtag_schemas::testing::citation;
use pubtag_schemas::{Record, TokenSpan, TokenWindow, Tokenized, TokenizedDocument, TokenizedRecord};

/// A document whose windows have these many tokens, one word of one letter each; neighbours do not overlap.
pub(crate) fn document(lengths: &[usize]) -> TokenizedRecord {
    Record::Document(Tokenized::Document(document_of(lengths)))
}

/// The same, not yet a record.
pub(crate) fn document_of(lengths: &[usize]) -> TokenizedDocument {
    let count: usize = lengths.iter().sum();
    let mut first = 0;
    let windows = lengths.iter().map(|&length| {
        let span = |token: u32| TokenSpan { start_byte: 2 * token, end_byte: 2 * token + 1, word: token };
        let end = first + u32::try_from(length).expect("short");
        let window = TokenWindow {
            ids: (first..end).map(|token| token % 7).collect(),
            spans: (first..end).map(|token| Some(span(token))).collect(),
            first_token: first,
            context: 0,
        };
        first = end;
        window
    });
    let (windows, token_count) = (windows.collect(), u32::try_from(count).expect("short"));
    TokenizedDocument { citation: citation(&"a ".repeat(count)), windows, token_count }
}
