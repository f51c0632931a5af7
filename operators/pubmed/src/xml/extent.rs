//! Finds the end of a record.

use super::grammar::{Level, RecordKind};
use super::markup::{Markup, Sought, markup_at};
use crate::scan::{find, find_byte};

/// A view of the window over a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    /// The bytes in the window.
    pub(crate) bytes: &'a [u8],
    /// Their offset in the stream.
    pub(crate) offset: u64,
    /// Whether no more bytes can be read; a comment or section without an end is then a stray `<`.
    pub(crate) last: bool,
}

/// The end of a record, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// After its end tag.
    Closed(usize),
    /// It has no end tag and ends before the next structural tag of the file.
    Broken(usize),
    /// It continues beyond the window.
    Unended,
}

/// Finds the end of a record by searching for its name, as fast as memory allows.
///
/// Correct if the bytes up to there are a well-formed record: if the end tag is inside a comment or CDATA section, they are not.
pub(crate) fn likely_extent(bytes: &[u8], kind: RecordKind) -> Extent {
    let name = kind.name().as_bytes();
    let mut from = 1;
    while let Some(at) = find(&bytes[from..], name).map(|at| from + at) {
        from = at + name.len();
        let behind = &bytes[at + name.len()..];
        let closes = behind.iter().position(|b| !b.is_ascii_whitespace());
        match (&bytes[..at], closes.map(|blank| (blank, behind[blank]))) {
            ([.., b'<', b'/'], Some((blank, b'>'))) => return Extent::Closed(at + name.len() + blank + 1),
            ([.., b'<'], _) if at > 1 => return Extent::Broken(at - 1),
            _ => (),
        }
    }
    Extent::Unended
}

/// Finds the end of a record by parsing all markup in it.
pub(crate) fn exact_extent(look: Look<'_>, kind: RecordKind, level: Level, sought: &mut Sought) -> Extent {
    walk(look, level, sought, |tag| matches!(tag, Markup::End { name } if *name == kind.name().as_bytes()))
}

/// Finds the next structural tag after something that does not belong there.
pub(crate) fn stray_extent(look: Look<'_>, level: Level, sought: &mut Sought) -> Extent {
    walk(look, level, sought, |_| false)
}

fn walk(look: Look<'_>, level: Level, sought: &mut Sought, ends: impl Fn(&Markup<'_>) -> bool) -> Extent {
    let Look { bytes, offset, last } = look;
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| find_byte(rest, b'<')) {
        at += found;
        // A document type declaration is allowed only before a root element.
        if bytes[at..].starts_with(b"<!DOCTYPE") {
            at += 1;
            continue;
        }
        match markup_at(&bytes[at..], offset + at as u64, sought) {
            (Markup::Unclosed, _) if !last => return Extent::Unended,
            (Markup::Unclosed, _) => at += 1,
            (tag, len) if ends(&tag) => return Extent::Closed(at + len),
            (tag, _) if level.is_boundary(&tag) => return Extent::Broken(at),
            (_, len) => at += len,
        }
    }
    Extent::Unended
}

#[cfg(test)]
mod tests {
    use super::super::grammar::Set;
    use super::*;

    const SET: Level = Level::Set(Set::Articles);

    fn exact(bytes: &[u8], last: bool) -> Extent {
        exact_extent(Look { bytes, offset: 0, last }, RecordKind::Article, SET, &mut Sought::default())
    }

    fn both(text: &str) -> (Extent, Extent) {
        let bytes = text.as_bytes();
        (likely_extent(bytes, RecordKind::Article), exact(bytes, true))
    }

    #[test]
    fn a_record_ends_after_its_end_tag() {
        let text = "<PubmedArticle><a>PubmedArticle</a></PubmedArticle >x";
        let end = Extent::Closed(text.len() - 1);
        assert_eq!(both(text), (end, end));
    }

    #[test]
    fn a_record_without_an_end_tag_ends_before_the_next() {
        for next in ["<PubmedArticle>", "</PubmedArticleSet>", "<PubmedArticle a='b'/>"] {
            let broken = Extent::Broken("<PubmedArticle><a>".len());
            assert_eq!(both(&format!("<PubmedArticle><a>{next}</PubmedArticle>")).1, broken, "{next}");
        }
        let before_book = exact(b"<PubmedArticle><PubmedBookArticle>", true);
        assert_eq!(before_book, Extent::Broken(15));
    }

    #[test]
    fn an_end_tag_in_a_comment_or_section_is_not_the_end() {
        for hidden in
            ["<!--</PubmedArticle>-->", "<![CDATA[<PubmedArticle></PubmedArticle>]]>", "<?x </PubmedArticle>?>"]
        {
            let text = format!("<PubmedArticle>{hidden}</PubmedArticle>");
            assert_eq!(both(&text).1, Extent::Closed(text.len()), "{text}");
        }
    }

    #[test]
    fn an_unclosed_section_hides_nothing_once_the_stream_has_ended() {
        let text = b"<PubmedArticle><![CDATA[ </PubmedArticle>";
        assert_eq!(exact(text, false), Extent::Unended);
        assert_eq!(exact(text, true), Extent::Closed(text.len()));
    }
}
