//! Byte searches. Tests count the bytes searched, to catch readers that search the same bytes repeatedly.

use memchr::memmem;

/// The first position of a byte sequence.
pub(crate) fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    counted(bytes, memmem::find(bytes, sought))
}

/// The first position of a byte.
pub(crate) fn find_byte(bytes: &[u8], sought: u8) -> Option<usize> {
    counted(bytes, memchr::memchr(sought, bytes))
}

/// The first position of either of two bytes.
pub(crate) fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    counted(bytes, memchr::memchr2(one, other, bytes))
}

fn counted(bytes: &[u8], found: Option<usize>) -> Option<usize> {
    count(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// Counts bytes searched or moved.
pub(crate) fn count(bytes: usize) {
    #[cfg(test)]
    tests::SCANNED.set(tests::SCANNED.get() + bytes);
    #[cfg(not(test))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use crate::reader::UnitReader;
    use crate::{InputFormat, ReadOptions, discover};

    thread_local! {
        pub(super) static SCANNED: Cell<usize> = const { Cell::new(0) };
    }

    /// Number of bytes searched to read a file.
    fn work(content: &str, format: InputFormat) -> usize {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(content.as_bytes()).expect("the file is writable");
        let options = ReadOptions { format: Some(format), accept_partial: true, ..Default::default() };
        let path = file.path().to_str().expect("a UTF-8 path").to_owned();
        let unit = discover(&[path], &options).expect("the file exists").units.remove(0);
        let mut reader = UnitReader::open(unit, options).expect("the file can be opened");
        SCANNED.set(0);
        while reader.next_records().expect("no I/O error").is_some() {}
        SCANNED.get()
    }

    /// Files in which a naive reader searches the rest again for each piece: format, start, repeated piece.
    const HOSTILE: [(InputFormat, &str, &str); 19] = [
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<? "),
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<![CDATA[ "),
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<!-- "),
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<!DOCTYPE a [ "),
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<a b=\" "),
        (InputFormat::Xml, "<PubmedArticleSet><PubmedArticle>", "<? ?> <? <![CDATA[ "),
        (InputFormat::Xml, "<PubmedArticleSet>", "x<? <PubmedArticle/>"),
        (InputFormat::Xml, "<PubmedArticleSet>", "x<![CDATA[ </PubmedArticle>"),
        (InputFormat::Xml, "<PubmedArticleSet>", "<PubmedBookArticle><PubmedArticle></PubmedArticle>"),
        (InputFormat::Xml, "<PubmedArticleSet>", "<PubmedArticle>PubmedArticle </PubmedArticle"),
        (InputFormat::Xml, "<PubmedArticle/>", "<? "),
        (InputFormat::Xml, "<PubmedArticle/>", "x<!DOCTYPE [ "),
        (InputFormat::Xml, "<PubmedArticleSet><DeleteCitation>", "<PMID><PMID"),
        (InputFormat::Csv, "id,title,text\n", "k\",z,\"q\n"),
        (InputFormat::Csv, "id,title,text\n", "1,\"a,b\n"),
        (InputFormat::Csv, "id,title,text\n0,\"open,\n", "1,x\"\"y,z\n"),
        (InputFormat::Tsv, "\"id\"\ttext\n", "1\t\"a\"\"\n"),
        (InputFormat::Jsonl, "", "{\"id\": 1, \"text\": \"\n"),
        (InputFormat::Nbib, "PMID- 1\n", "TI  - x\n"),
    ];

    #[test]
    fn work_is_linear_in_the_size() {
        for (format, begin, piece) in HOSTILE {
            let of = |bytes: usize| work(&format!("{begin}{}", piece.repeat(bytes / piece.len())), format);
            let (one, four) = (of(40_000), of(160_000));
            assert!(four < 6 * one.max(40_000), "{format} {piece:?}: {one} then {four}");
        }
    }

    #[test]
    fn a_missing_end_is_not_searched_again_for_each_piece() {
        for (begin, piece) in [
            ("<PubmedArticleSet>", "<? <PubmedArticle/>"),
            ("<PubmedArticleSet>", "<![CDATA[<PubmedArticle/>"),
            ("<PubmedArticle/>", "<? "),
            ("<PubmedArticle/>", "<!DOCTYPE [ "),
        ] {
            // Larger than the window may grow, so the reader must continue before it has seen the end of the file.
            let bytes = 40 << 20;
            let work = work(&format!("{begin}{}", piece.repeat(bytes / piece.len())), InputFormat::Xml);
            assert!(work < 40 * bytes, "{piece:?}: {work}");
        }
    }
}
