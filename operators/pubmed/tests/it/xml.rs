//! The forms of PubMed XML, and the fields of a citation.

use pubtag_schemas::{Outcome, civil_date};

use crate::common::{article_of, gz, plain, read, set};

const DELETIONS: &str =
    "<DeleteCitation>\n<PMID Version=\"1\">990000010</PMID><PMID Version=\"2\">990000011</PMID>\n</DeleteCitation>";

#[test]
fn a_set_gives_its_records_in_order_with_their_offsets() {
    let content = set(&format!("{}\n{}\n{DELETIONS}", plain(990_000_001), plain(990_000_002)));
    let reading = read(&content);
    assert_eq!(reading.pmids(), [990_000_001, 990_000_002]);
    let deleted: Vec<_> =
        reading.deletions().iter().map(|deletion| (deletion.pmid.get(), deletion.version.get())).collect();
    assert_eq!(deleted, [(990_000_010, 1), (990_000_011, 2)]);
    let offset = reading.citations()[1].place.byte_offset as usize;
    assert!(content[offset..].starts_with("<PubmedArticle><MedlineCitation"), "the offset points at the record");
    let offset = reading.deletions()[1].place.byte_offset as usize;
    assert!(content[offset..].starts_with("<PMID Version=\"2\">"), "the offset points at the deletion");
    assert_eq!(reading.close.outcome, Outcome::Complete);
}

#[test]
fn offsets_refer_to_the_decompressed_content() {
    let content = set(&plain(990_000_001));
    let reading = read(gz(&content));
    assert_eq!(reading.citations()[0].place.byte_offset as usize, content.find("<PubmedArticle>").unwrap());
    assert_eq!(reading.close.bytes, gz(&content).len() as u64);
}

#[test]
fn compression_is_detected_from_the_content() {
    let content = set(&plain(990_000_001));
    let two_members = [gz(&content[..200]), gz(&content[200..])].concat();
    for input in [content.clone().into_bytes(), gz(&content), two_members] {
        assert_eq!(read(input).pmids(), [990_000_001]);
    }
}

#[test]
fn a_document_type_may_be_missing_and_lines_may_end_in_crlf() {
    let bare = format!("<PubmedArticleSet>\r\n{}\r\n</PubmedArticleSet>\r\n", plain(990_000_001));
    assert_eq!(read(bare).pmids(), [990_000_001]);
}

#[test]
fn an_empty_set_has_no_records_and_is_complete() {
    for content in [set(""), "<PubmedArticleSet/>".to_owned(), set("<DeleteCitation/>")] {
        let reading = read(content);
        assert_eq!((reading.records.len(), reading.close.outcome), (0, Outcome::Complete));
    }
}

#[test]
fn records_may_occur_without_a_set() {
    let medline = "<MedlineCitation><PMID>990000003</PMID></MedlineCitation>";
    for (content, pmids) in [
        (plain(990_000_001), vec![990_000_001]),
        (format!("{}\n{}", plain(990_000_001), plain(990_000_002)), vec![990_000_001, 990_000_002]),
        (medline.to_owned(), vec![990_000_003]),
        (format!("<MedlineCitationSet>{medline}{DELETIONS}</MedlineCitationSet>"), vec![990_000_003]),
    ] {
        let reading = read(content);
        assert_eq!((reading.pmids(), reading.close.outcome), (pmids, Outcome::Complete));
    }
}

#[test]
fn documents_may_follow_each_other_in_one_file() {
    let content = format!("{}{}", set(&plain(990_000_001)), set(&plain(990_000_002)));
    let reading = read(content);
    assert_eq!(reading.pmids(), [990_000_001, 990_000_002]);
    assert_eq!(reading.close.outcome, Outcome::Complete);
}

#[test]
fn content_after_the_root_is_ignored() {
    for junk in ["junk", "<html><p>junk</html>", "<!-- open", "\0\0\0", "<"] {
        let reading = read(format!("{}{junk}", set(&plain(990_000_001))));
        assert_eq!((reading.pmids(), reading.close.outcome), (vec![990_000_001], Outcome::Complete), "{junk}");
    }
    let behind_gzip = [gz(set(&plain(990_000_001))), b"junk".to_vec()].concat();
    assert_eq!(read(behind_gzip).close.outcome, Outcome::Complete);
}

#[test]
fn a_file_that_is_not_pubmed_is_quarantined_with_the_cause() {
    for (content, said) in [
        ("<?xml version=\"1.0\"?><!-- x --><rss><channel/></rss>", "<rss>"),
        ("<html>Not found</html>", "<html>"),
        ("<?xml version=\"1.0\"?>", "no XML element"),
        ("hello", "not PubMed XML, JSONL"),
        ("", "empty"),
        ("PK\x03\x04", "zip"),
    ] {
        let reading = read(content);
        assert!(reading.quarantine().contains(said), "{content:?}: {}", reading.quarantine());
        assert_eq!(reading.records.len(), 0);
    }
    assert!(read(gz("")).quarantine().contains("empty gzip data"));
    assert!(read(gz(gz("<a/>"))).quarantine().contains("gzip inside gzip"));
}

#[test]
fn only_the_pmid_directly_under_the_citation_counts() {
    let record = plain(990_000_001).replace("<PMID Version=\"1\">990000001</PMID>", "");
    let moved = record.replace("</MedlineCitation>", "<PMID Version=\"3\">990000001</PMID></MedlineCitation>");
    let reading = read(set(&moved));
    assert_eq!(reading.pmids(), [990_000_001], "the PMID of a cited article, which comes first, does not count");
    assert_eq!(reading.citations()[0].version.get(), 3);
}

#[test]
fn records_in_comments_are_ignored_and_those_in_cdata_are_text() {
    let quoted =
        plain(990_000_002).replace("Abstract.", "<![CDATA[</PubmedArticle><PubmedArticle>]]> <!--</PubmedArticle>-->.");
    let content = set(&format!("<!-- {} -->{quoted}{}", plain(990_000_001), plain(990_000_003)));
    let reading = read(content);
    assert_eq!(reading.pmids(), [990_000_002, 990_000_003]);
    assert_eq!(reading.texts()[0], "Title 990000002. </PubmedArticle><PubmedArticle> .");
    assert_eq!(reading.reasons(), []);
}

#[test]
fn the_fields_of_an_article_are_read() {
    let inner = "<Journal><ISSN>1</ISSN><JournalIssue><Volume>3</Volume><PubDate><Year>2016</Year><Month>Mar</Month>\
                 <Day>04</Day></PubDate></JournalIssue><Title>Journal of Tests</Title><ISOAbbreviation>J Tests\
                 </ISOAbbreviation></Journal><ArticleTitle>T</ArticleTitle><Language>eng</Language><Language>fre\
                 </Language><ArticleDate><Year>1999</Year></ArticleDate>";
    let record = article_of(990_000_001, inner)
        .replace("<Article ", "<DateRevised><Year>2020</Year><Month>02</Month><Day>29</Day></DateRevised><Article ");
    let reading = read(set(&record));
    let citation = reading.citations()[0];
    assert_eq!(citation.doc_id.as_str(), "990000001");
    assert_eq!(citation.journal.as_deref(), Some("J Tests"));
    assert_eq!(citation.language.as_deref(), Some("eng,fre"));
    assert_eq!(citation.pub_date.raw.as_deref(), Some("2016 Mar 04"));
    assert_eq!(citation.pub_date.date, civil_date(2016, 3, 4));
    assert_eq!(citation.date_revised, civil_date(2020, 2, 29));
    let untitled = record.replace("<ISOAbbreviation>J Tests</ISOAbbreviation>", "");
    assert_eq!(read(set(&untitled)).citations()[0].journal.as_deref(), Some("Journal of Tests"));
}

#[test]
fn book_records_are_citations() {
    let book = "<Book><BookTitle>The Book</BookTitle><PubDate><Year>2010</Year></PubDate></Book>";
    let chapter = format!(
        "<PubmedBookArticle><BookDocument><PMID Version=\"1\">990000004</PMID>{book}<ArticleTitle>Chapter</ArticleTitle>\
         <Language>eng</Language><Abstract><AbstractText Label=\"AIM\">A.</AbstractText></Abstract></BookDocument>\
         <PubmedBookData/></PubmedBookArticle>"
    );
    let whole = chapter.replace("<ArticleTitle>Chapter</ArticleTitle>", "").replace("990000004", "990000005");
    let deleted = "<DeleteDocument><PMID>990000006</PMID></DeleteDocument>";
    for content in [
        format!("<PubmedBookArticleSet>{chapter}{whole}{deleted}</PubmedBookArticleSet>"),
        set(&format!("{chapter}{whole}{deleted}")),
    ] {
        let reading = read(content);
        assert_eq!(reading.texts(), ["Chapter AIM: A.", "The Book AIM: A."]);
        assert_eq!(reading.citations()[0].pub_date.year, Some(2010));
        assert_eq!(reading.deletions().len(), 1);
    }
}
