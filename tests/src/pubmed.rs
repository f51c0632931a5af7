//! Generated PubMed files as large as NLM's; each byte is determined by the number of its record.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Every this many records, one deletes three others.
const DELETION_EVERY: u32 = 200;
/// First PMID, far above NLM's.
const FIRST_PMID: u32 = 990_000_000;
/// Broken records are longer than a reject keeps (64 KiB), like those of a consortium.
const BROKEN_AUTHORS: u32 = 220;

/// Content of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PubMedFile {
    /// Readable citations.
    pub citations: u64,
    /// Deleted PMIDs.
    pub deletions: u64,
    /// Broken records.
    pub broken: u64,
    /// Bytes of XML, before compression.
    pub xml_bytes: u64,
}

/// Writes a gzipped file of this many records, every `broken_every`-th of them broken in one of four ways.
///
/// Records have authors with affiliations, MeSH headings and references like NLM's, and about their length. Some titles
/// have markup, some abstracts sections or MathML; letters come from several alphabets, some outside of the basic plane.
pub fn write_pubmed_file(path: &Path, records: u32, broken_every: u32) -> PubMedFile {
    let file = File::create(path).expect("the folder can be written");
    let mut out = GzEncoder::new(BufWriter::new(file), Compression::fast());
    let mut made = PubMedFile::default();
    let mut put = |text: &str| {
        made.xml_bytes += text.len() as u64;
        out.write_all(text.as_bytes()).expect("the file can be written");
    };
    put("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE PubmedArticleSet>\n<PubmedArticleSet>\n");
    let (mut broken, mut deletions) = (0, 0);
    for number in 0..records {
        let draw = &mut Draw(SplitMix64::seed_from_u64(u64::from(number) + 1));
        if number % broken_every == broken_every - 1 {
            put(&article(number, Some(broken % 4), draw));
            broken += 1;
        } else {
            put(&article(number, None, draw));
        }
        if number % DELETION_EVERY == DELETION_EVERY - 1 {
            put(&deletion(number));
            deletions += 3;
        }
    }
    put("</PubmedArticleSet>\n");
    out.finish().and_then(|mut out| out.flush()).expect("the file can be written");
    made.citations = u64::from(records - broken);
    (made.deletions, made.broken) = (deletions, u64::from(broken));
    made
}

/// Draws that are the same on every machine.
struct Draw(SplitMix64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        (self.0.next_u64() % u64::from(bound)) as u32
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u32) as usize]
    }
}

const DISEASES: [&str; 16] = [
    "hereditary ataxia",
    "colon cancer",
    "β-thalassemia",
    "familial gout",
    "high myopia",
    "Duchenne muscular dystrophy",
    "Sjögren's syndrome",
    "type 2 diabetes mellitus",
    "breast and ovarian cancer",
    "Ménière’s disease",
    "cystic fibrosis",
    "chronic kidney disease",
    "asthma",
    "early-onset Alzheimer disease",
    "癌症 (cancer)",
    "Huntington disease",
];
const GROUPS: [&str; 8] = [
    "in 127 unrelated families",
    "among older adults",
    "in mice that lack the gene",
    "of the heart &amp; lungs",
    "in patients with <i>BRCA1</i> mutations",
    "in a cohort of 4,312 women",
    "in the liver",
    "at 37\u{a0}°C",
];
const STARTS: [&str; 8] = [
    "We examined",
    "This study describes",
    "Little is known about",
    "We report here on",
    "Our data point to",
    "Earlier work has shown",
    "The authors measured",
    "A trial was made of",
];
const OBJECTS: [&str; 8] = [
    "the expression of its receptor",
    "mean serum levels (p &lt; 0.05)",
    "the rate of survival at five years",
    "loss of function of one allele",
    "an 𝛼-helical domain of the protein",
    "several markers on chromosome 17q21",
    "the course of",
    "risk factors for",
];
const ENDS: [&str; 8] = [
    "and compared them with controls",
    "during a follow-up of 24 months",
    "without a change of treatment",
    "by means of <sup>18</sup>F imaging",
    "which had been unknown before",
    "after correction for age and sex",
    "as others have seen it, too \u{1f9ec}",
    "although the difference was small",
];
const SURNAMES: [&str; 12] = [
    "Müller",
    "Okafor",
    "Nguyễn",
    "Smith",
    "García-López",
    "Ivanov",
    "Sato",
    "O'Brien",
    "Þórsdóttir",
    "Chaudhuri",
    "van den Berg",
    "Kowalczyk",
];
const FORENAMES: [&str; 10] =
    ["Anna Maria", "John", "Zoë", "Wei", "Fatima", "Piotr", "Kenji", "Ingrid", "José Luis", "Amara"];
const PLACES: [&str; 8] = [
    "Department of Neurology, University Hospital, Zürich, Switzerland",
    "Institute of Molecular Medicine, National University, Seoul, Republic of Korea",
    "School of Public Health, Faculty of Medicine, São Paulo, Brazil",
    "Division of Nephrology, General Hospital, Toronto, Ontario, Canada",
    "Laboratory of Human Genetics, Academy of Sciences, Kraków, Poland",
    "Centre for Clinical Trials, Royal Infirmary, Edinburgh, United Kingdom",
    "Department of Internal Medicine, College of Medicine, Lagos, Nigeria",
    "Unit of Rare Diseases, Children's Hospital, Reykjavík, Iceland",
];
const HEADINGS: [&str; 10] = [
    "Humans",
    "Female",
    "Mutation",
    "Pedigree",
    "Kidney Diseases",
    "Follow-Up Studies",
    "Gene Expression Regulation",
    "Risk Factors",
    "Mice, Knockout",
    "Treatment Outcome",
];
const SECTIONS: [(&str, &str); 4] = [
    ("BACKGROUND", "BACKGROUND"),
    ("METHODS AND PATIENTS", "METHODS"),
    ("RESULTS", "RESULTS"),
    ("CONCLUSIONS", "CONCLUSIONS"),
];
const MATHML: &str = "<mml:math xmlns:mml=\"http://www.w3.org/1998/Math/MathML\"><mml:msup><mml:mi>χ</mml:mi>\
                      <mml:mn>2</mml:mn></mml:msup></mml:math>";

fn sentence(draw: &mut Draw) -> String {
    let [start, object, disease, group, end] =
        [draw.of(&STARTS), draw.of(&OBJECTS), draw.of(&DISEASES), draw.of(&GROUPS), draw.of(&ENDS)];
    format!("{start} {object} {disease} {group} {end}.")
}

fn sentences(count: u32, draw: &mut Draw) -> String {
    let sentences: Vec<String> = (0..count).map(|_| sentence(draw)).collect();
    sentences.join(" ")
}

fn deletion(number: u32) -> String {
    let pmids: String =
        (0..3).map(|back| format!("<PMID Version=\"1\">{}</PMID>\n", FIRST_PMID + number - 7 * back)).collect();
    format!("<DeleteCitation>\n{pmids}</DeleteCitation>\n")
}

/// A record on separate lines; `broken` selects how it is broken, if at all.
fn article(number: u32, broken: Option<u32>, draw: &mut Draw) -> String {
    let pmid = FIRST_PMID + number;
    let version = 1 + u32::from(number % 97 == 96);
    let pmid = match broken {
        Some(0) => String::new(),
        Some(1) => format!("<PMID Version=\"1\">{pmid}a</PMID>\n"),
        _ => format!("<PMID Version=\"{version}\">{pmid}</PMID>\n"),
    };
    let title = match broken {
        Some(2) => "A <i>broken</b> title".to_owned(),
        Some(3) => "A title &of; no entity".to_owned(),
        _ if number.is_multiple_of(11) => format!("<i>{}</i>: {}", draw.of(&DISEASES), sentence(draw)),
        _ => format!("{} {}: case {number}.", draw.of(&DISEASES), draw.of(&GROUPS)),
    };
    let authors = if broken.is_some() { BROKEN_AUTHORS } else { 2 + draw.below(9) };
    let mut text = String::with_capacity(8 * 1024);
    let _ = write!(
        text,
        "<PubmedArticle>\n<MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\" IndexingMethod=\"Automated\">\n{pmid}\
         <DateRevised>\n<Year>{}</Year>\n<Month>{:02}</Month>\n<Day>{:02}</Day>\n</DateRevised>\n\
         <Article PubModel=\"Print-Electronic\">\n{}<ArticleTitle>{title}</ArticleTitle>\n\
         <Pagination>\n<StartPage>{}</StartPage>\n</Pagination>\n{}{}<Language>eng</Language>\n\
         <PublicationTypeList>\n<PublicationType UI=\"D016428\">Journal Article</PublicationType>\n\
         </PublicationTypeList>\n</Article>\n{}</MedlineCitation>\n{}</PubmedArticle>\n",
        2000 + draw.below(25),
        1 + draw.below(12),
        1 + draw.below(28),
        journal(draw),
        1 + draw.below(3000),
        abstract_of(number, draw),
        author_list(authors, draw),
        mesh_headings(draw),
        references(number, draw),
    );
    text
}

fn journal(draw: &mut Draw) -> String {
    let name = draw.of(&["Neurology", "Nephrology", "Oncology", "Genetics"]);
    let date = match draw.below(3) {
        0 => "<MedlineDate>1998 Dec-1999 Jan</MedlineDate>\n".to_owned(),
        1 => "<Year>2003</Year>\n<Season>Spring</Season>\n".to_owned(),
        _ => format!(
            "<Year>{}</Year>\n<Month>Mar</Month>\n<Day>{:02}</Day>\n",
            1990 + draw.below(35),
            1 + draw.below(28)
        ),
    };
    format!(
        "<Journal>\n<ISSN IssnType=\"Electronic\">{:04}-{:04}</ISSN>\n<JournalIssue CitedMedium=\"Internet\">\n\
         <Volume>{}</Volume>\n<PubDate>\n{date}</PubDate>\n</JournalIssue>\n<Title>Annals of made-up {name}</Title>\n\
         <ISOAbbreviation>Ann Made Up {name}</ISOAbbreviation>\n</Journal>\n",
        draw.below(10_000),
        draw.below(10_000),
        1 + draw.below(90),
    )
}

/// One citation in ten has no abstract, four have sections, the others a single text.
fn abstract_of(number: u32, draw: &mut Draw) -> String {
    let mut text = String::from("<Abstract>\n");
    match number % 10 {
        0 => return String::new(),
        1..5 => {
            for (label, category) in SECTIONS {
                let _ = writeln!(
                    text,
                    "<AbstractText Label=\"{label}\" NlmCategory=\"{category}\">{}</AbstractText>",
                    sentences(1 + draw.below(2), draw)
                );
            }
        }
        _ => {
            let math = if number % 50 == 9 { MATHML } else { "" };
            let (one, two) = (sentences(2 + draw.below(2), draw), sentences(2 + draw.below(2), draw));
            let _ = writeln!(text, "<AbstractText>{one} {math}\n{two}</AbstractText>");
        }
    }
    text.push_str("<CopyrightInformation>© The Authors.</CopyrightInformation>\n</Abstract>\n");
    text
}

fn author_list(count: u32, draw: &mut Draw) -> String {
    let mut text = String::from("<AuthorList CompleteYN=\"Y\">\n");
    for _ in 0..count {
        let _ = write!(
            text,
            "<Author ValidYN=\"Y\">\n<LastName>{}</LastName>\n<ForeName>{}</ForeName>\n<Initials>{}</Initials>\n\
             <AffiliationInfo>\n<Affiliation>{}; and {}.</Affiliation>\n</AffiliationInfo>\n</Author>\n",
            draw.of(&SURNAMES),
            draw.of(&FORENAMES),
            draw.of(&["AM", "J", "Z", "W", "JL"]),
            draw.of(&PLACES),
            draw.of(&PLACES),
        );
    }
    text.push_str("</AuthorList>\n");
    text
}

fn mesh_headings(draw: &mut Draw) -> String {
    let mut text = String::from("<MeshHeadingList>\n");
    for _ in 0..3 + draw.below(8) {
        let _ = write!(
            text,
            "<MeshHeading>\n<DescriptorName UI=\"D{:06}\" MajorTopicYN=\"N\">{}</DescriptorName>\n</MeshHeading>\n",
            draw.below(100_000),
            draw.of(&HEADINGS),
        );
    }
    text.push_str("</MeshHeadingList>\n");
    text
}

/// References with PMIDs that are not the record's.
fn references(number: u32, draw: &mut Draw) -> String {
    let mut text = format!(
        "<PubmedData>\n<PublicationStatus>ppublish</PublicationStatus>\n<ArticleIdList>\n\
         <ArticleId IdType=\"doi\">10.9999/made.up.{number}</ArticleId>\n</ArticleIdList>\n<ReferenceList>\n"
    );
    for _ in 0..4 + draw.below(13) {
        let _ = write!(
            text,
            "<Reference>\n<Citation>{} {}. Ann Made Up. 2011;{}:{}-9</Citation>\n<ArticleIdList>\n\
             <ArticleId IdType=\"pubmed\">{}</ArticleId>\n</ArticleIdList>\n</Reference>\n",
            draw.of(&SURNAMES),
            draw.of(&DISEASES),
            1 + draw.below(99),
            1 + draw.below(900),
            10_000_000 + draw.below(20_000_000),
        );
    }
    text.push_str("</ReferenceList>\n</PubmedData>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_is_about_as_long_as_nlms_and_a_broken_one_longer_than_a_reject_keeps() {
        let length = |number: u32, broken| {
            article(number, broken, &mut Draw(SplitMix64::seed_from_u64(u64::from(number) + 1))).len()
        };
        let mean = (0..1000).map(|number| length(number, None)).sum::<usize>() / 1000;
        assert!((5_500..7_500).contains(&mean), "{mean} bytes per citation");
        assert!((0..4).all(|kind| length(7, Some(kind)) > 64 * 1024), "{}", length(7, Some(0)));
    }
}
