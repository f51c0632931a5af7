//! Generated inputs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// One `PubmedArticle` with a title and an abstract, both XML.
pub fn article(pmid: u32, title: &str, abstract_text: &str) -> String {
    format!(
        "<PubmedArticle><MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\"><PMID Version=\"1\">{pmid}</PMID>\
         <DateRevised><Year>2024</Year><Month>05</Month><Day>06</Day></DateRevised>\
         <Article PubModel=\"Print\"><Journal><JournalIssue CitedMedium=\"Internet\"><PubDate><Year>2003</Year>\
         <Season>Spring</Season></PubDate></JournalIssue><Title>Journal of Tests</Title>\
         <ISOAbbreviation>J Tests</ISOAbbreviation></Journal><ArticleTitle>{title}</ArticleTitle>\
         <Abstract><AbstractText>{abstract_text}</AbstractText></Abstract><Language>eng</Language></Article>\
         </MedlineCitation></PubmedArticle>\n"
    )
}

/// A file.
pub fn article_set(articles: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<PubmedArticleSet>\n{}</PubmedArticleSet>\n",
        articles.concat()
    )
}

/// An article whose words vary with its number, so that a model finds different things in each.
pub fn sample_article(number: u32) -> String {
    const SUBJECTS: [&str; 5] = ["Hereditary ataxia", "Colon cancer", "β-thalassemia", "Myopia", "Familial gout"];
    const PLACES: [&str; 4] = ["in the liver", "of the heart &amp; lungs", "in 12 patients", "of <i>breast</i> tissue"];
    let pick =
        |list: &[&'static str], salt: u32| list[(number.wrapping_mul(2_654_435_761) >> salt) as usize % list.len()];
    let sentence = |salt| format!("{} was seen {}, case {number}. ", pick(&SUBJECTS, salt), pick(&PLACES, salt + 3));
    let body: String = (0..4 + number % 9).map(|salt| sentence(salt % 20)).collect();
    article(990_000_000 + number, &sentence(7), &body)
}

/// Compresses.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written")
}

/// Writes `files` gzipped files of `articles` articles each, named as PubMed names them.
pub fn write_corpus(folder: &Path, files: u32, articles: u32) -> Vec<PathBuf> {
    let write = |file: u32| {
        let path = folder.join(format!("pubmed26n{:04}.xml.gz", file + 1));
        let articles: Vec<String> = (0..articles).map(|number| sample_article(file * articles + number)).collect();
        fs::write(&path, gzip(article_set(&articles).as_bytes())).expect("the folder can be written");
        path
    };
    (0..files).map(write).collect()
}
