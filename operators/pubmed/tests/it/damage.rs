//! Damage to a record affects no other record; damage to a file is reported.

use pubtag_schemas::{MAX_RAW_BYTES, Outcome, RejectReason};

use crate::common::{gz, plain, read, read_partial, set};

/// A set of three records, the middle one changed.
fn with_middle(change: impl Fn(String) -> String) -> String {
    let middle = change(plain(990_000_002));
    set(&format!("{}\n{middle}\n{}", plain(990_000_001), plain(990_000_003)))
}

fn assert_only_the_middle_is_rejected(content: impl AsRef<[u8]>, reason: RejectReason, what: &str) {
    let reading = read(content.as_ref());
    assert_eq!(reading.pmids(), [990_000_001, 990_000_003], "{what}");
    assert_eq!(reading.reasons(), [reason], "{what}: {:?}", reading.rejects());
    assert_eq!(reading.close.outcome, Outcome::Complete, "{what}");
    let reject = reading.rejects()[0];
    assert_eq!(reject.place.ordinal, 1, "{what}");
    let offset = reject.place.byte_offset as usize;
    assert!(
        content.as_ref()[offset..].starts_with(&reject.raw),
        "{what}: the raw bytes are at the offset of the reject"
    );
}

#[test]
fn a_malformed_record_is_rejected_alone() {
    let attributes: String = (0..101).map(|number| format!(" a{number}=''")).collect();
    for (from, to) in [
        ("Title 9", "a < b"),
        ("Title 9", "a & b"),
        ("Title 9", "a &nbsp; b"),
        ("Title 9", "a &#0; b"),
        ("Title 9", "a &#xD800; b"),
        ("Title 9", "<i>open"),
        ("Title 9", "<i>crossed<b></i></b>"),
        ("Title 9", "\u{1}"),
        ("Title 9", "<!-- -- -->"),
        ("Title 9", "<![CDATA[ open"),
        ("Title 9", "<!-- open"),
        ("Status=\"MEDLINE\"", "Status=MEDLINE"),
        ("Status=\"MEDLINE\"", attributes.as_str()),
        ("Status=\"MEDLINE\"", "Status=\"a\" Status=\"b\""),
        ("Status=\"MEDLINE\"", "Status=\"a & b\""),
        ("Status=\"MEDLINE\"", "Status=\"open"),
        ("IdType=\"pubmed\"", "IdType=\"&undefined;\""),
        ("</ArticleId>", "</ArticleID>"),
        ("</PubmedArticle>", ""),
        ("</PubmedArticle>", "</PubmedArticl>"),
        ("<PubmedArticle>", ""),
        ("<PubmedArticle>", "<PubmedArtcle>"),
        ("<PubmedArticle>", "PubmedArticle>"),
        ("</Article>", "</Article><Article></Article>"),
        ("</MedlineCitation>", "</MedlineCitation><MedlineCitation><PMID>7</PMID></MedlineCitation>"),
        ("</PMID><Article", "</PMID><PMID>7</PMID><Article"),
        ("</ArticleTitle>", "</ArticleTitle><ArticleTitle/>"),
    ] {
        let content = with_middle(|record| {
            assert!(record.contains(from), "{from}");
            record.replacen(from, to, 1)
        });
        assert_only_the_middle_is_rejected(&content, RejectReason::Malformed, &format!("{from} → {to}"));
    }
}

#[test]
fn a_rejected_record_has_its_pmid_if_that_is_certain() {
    let content = with_middle(|record| record.replacen("Title 9", "a & b", 1));
    assert_eq!(read(content).rejects()[0].pmid.map(|pmid| pmid.get()), Some(990_000_002));
    let unnamed = with_middle(|record| record.replace("<PMID Version=\"1\">990000002</PMID>", "&"));
    assert_eq!(read(unnamed).rejects()[0].pmid, None, "the PMID of a cited article is not the record's");
}

#[test]
fn a_reject_gives_the_position_of_the_error() {
    let content = with_middle(|record| record.replacen("Title 9", "a &nbsp; b", 1));
    let reading = read(&content);
    let detail = &reading.rejects()[0].detail;
    assert!(detail.contains("&nbsp;") && detail.contains("at byte"), "{detail}");
}

#[test]
fn invalid_utf8_rejects_one_record() {
    let content = with_middle(|record| record.replacen("Title 9", "T\u{1}tle", 1));
    let bytes: Vec<u8> = content.bytes().map(|byte| if byte == 1 { 0xE9 } else { byte }).collect();
    assert_only_the_middle_is_rejected(bytes, RejectReason::Encoding, "a byte of Latin-1");
}

#[test]
fn bytes_invalid_in_the_declared_encoding_reject_one_record() {
    let content = with_middle(|record| record.replacen("Title 9", "T\u{1}tle", 1)).replace("utf-8", "shift_jis");
    let bytes: Vec<u8> = content.bytes().map(|byte| if byte == 1 { 0xFD } else { byte }).collect();
    let reading = read(bytes);
    assert_eq!(reading.pmids(), [990_000_001, 990_000_003]);
    assert_eq!(reading.reasons(), [RejectReason::Encoding]);
}

#[test]
fn an_invalid_identifier_rejects_the_record() {
    const OWN: &str = "<PMID Version=\"1\">990000002</PMID>";
    for (own, reason) in [
        ("", RejectReason::MissingId),
        ("<PMID/>", RejectReason::MissingId),
        ("<PMID>12x</PMID>", RejectReason::BadId),
        ("<PMID>0</PMID>", RejectReason::BadId),
        ("<PMID>99999999999</PMID>", RejectReason::BadId),
        ("<PMID Version=\"x\">990000002</PMID>", RejectReason::BadId),
        ("<PMID Version=\"0\">990000002</PMID>", RejectReason::BadId),
        ("<PMID Version=\"2147483648\">990000002</PMID>", RejectReason::BadId),
    ] {
        assert_only_the_middle_is_rejected(with_middle(|record| record.replace(OWN, own)), reason, own);
    }
}

#[test]
fn deletions_are_rejected_one_by_one() {
    let content = set(&format!(
        "{}<DeleteCitation><PMID>990000002</PMID><PMID>x</PMID>junk<PMID>990000003</PMID><PMID>990000004<PMID>990000005\
         </PMID></DeleteCitation>",
        plain(990_000_001)
    ));
    let reading = read(content);
    let deleted: Vec<_> = reading.deletions().iter().map(|deletion| deletion.pmid.get()).collect();
    assert_eq!(deleted, [990_000_002, 990_000_003, 990_000_005]);
    assert_eq!(reading.reasons(), [RejectReason::BadId, RejectReason::Malformed, RejectReason::Malformed]);
    assert_eq!(reading.close.outcome, Outcome::Complete);
}

#[test]
fn records_after_an_unclosed_list_of_deletions_are_read() {
    let content = set(&format!("<DeleteCitation><PMID>990000002</PMID>{}", plain(990_000_001)));
    let reading = read(content);
    assert_eq!((reading.pmids(), reading.deletions().len(), reading.rejects().len()), (vec![990_000_001], 1, 0));
}

#[test]
fn a_record_that_is_too_large_is_rejected_and_skipped() {
    let content = with_middle(|record| record.replace("Abstract.", &"x".repeat(17 << 20)));
    for content in [content.clone().into_bytes(), gz(content)] {
        let reading = read(content);
        assert_eq!(reading.pmids(), [990_000_001, 990_000_003]);
        assert_eq!(reading.reasons(), [RejectReason::TooLarge]);
        let reject = reading.rejects()[0];
        assert_eq!(reject.raw.len(), MAX_RAW_BYTES);
        assert_eq!(reject.pmid.map(|pmid| pmid.get()), Some(990_000_002));
    }
}

#[test]
fn a_large_record_is_read() {
    let long = "x".repeat(5 << 20);
    let reading = read(with_middle(|record| record.replace("Abstract.", &long)));
    assert_eq!(reading.pmids(), [990_000_001, 990_000_002, 990_000_003]);
    assert_eq!(reading.texts()[1].len(), "Title 990000002. ".len() + long.len());
}

#[test]
fn a_file_that_ends_inside_a_record_is_quarantined() {
    let content = with_middle(|record| record);
    let cut = &content[..content.find("990000003").unwrap()];
    let reading = read(cut);
    assert!(reading.quarantine().contains("inside a record"), "{}", reading.quarantine());
    assert!(reading.quarantine().contains("--accept-partial"), "the hint is shown: {}", reading.quarantine());

    let partial = read_partial(cut);
    assert_eq!(partial.pmids(), [990_000_001, 990_000_002]);
    assert_eq!(partial.reasons(), [RejectReason::Truncated]);
    assert!(matches!(&partial.close.outcome, Outcome::Partial(reason) if reason.contains("inside a record")));
    assert!(cut.as_bytes().ends_with(&partial.rejects()[0].raw));
}

#[test]
fn a_file_that_ends_between_records_is_quarantined() {
    let content = with_middle(|record| record);
    for cut in [content.rfind("</PubmedArticleSet").unwrap(), content.rfind("Set>").unwrap()] {
        let reading = read(&content[..cut]);
        assert!(reading.quarantine().contains("</PubmedArticleSet>"), "{}", reading.quarantine());
        let partial = read_partial(&content[..cut]);
        assert_eq!((partial.pmids().len(), partial.rejects().len()), (3, 0), "no record had started");
        assert!(matches!(partial.close.outcome, Outcome::Partial(_)));
    }
}

#[test]
fn truncated_and_corrupt_gzip_is_quarantined_with_the_cause() {
    let data = gz(set(&(0..300).map(|n| plain(990_000_001 + n)).collect::<String>()));
    let cut = &data[..data.len() - 2000];
    assert!(read(cut).quarantine().contains("truncated"), "{}", read(cut).quarantine());
    let partial = read_partial(cut);
    assert!(partial.pmids().len() > 10, "the readable part is read");
    assert!(matches!(&partial.close.outcome, Outcome::Partial(reason) if reason.contains("truncated")));
    assert_eq!(partial.close.bytes, cut.len() as u64);

    let without_trailer = &data[..data.len() - 4];
    assert!(read(without_trailer).quarantine().contains("truncated"));

    let mut corrupt = data.clone();
    let checksum = corrupt.len() - 6;
    corrupt[checksum] ^= 0xFF;
    assert!(read(&corrupt).quarantine().contains("corrupt"), "{}", read(&corrupt).quarantine());
    assert_eq!(read_partial(&corrupt).pmids().len(), 300);
}
