//! Helpers that write files and read them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use pubtag_pubmed::{ReadOptions, discover, read_unit};
use pubtag_schemas::{Citation, Close, Deletion, InputUnit, Outcome, Packet, Record, Reject, RejectReason};
use pubtag_stream::Meter;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime can be built"));

/// Everything read from a unit.
pub(crate) struct Reading {
    pub(crate) records: Vec<Record>,
    pub(crate) packets: Vec<usize>,
    pub(crate) close: Close,
}

impl Reading {
    pub(crate) fn citations(&self) -> Vec<&Citation> {
        self.records
            .iter()
            .filter_map(|record| if let Record::Document(it) = record { Some(&**it) } else { None })
            .collect()
    }

    pub(crate) fn deletions(&self) -> Vec<&Deletion> {
        self.records
            .iter()
            .filter_map(|record| if let Record::Deletion(it) = record { Some(it) } else { None })
            .collect()
    }

    pub(crate) fn rejects(&self) -> Vec<&Reject> {
        self.records.iter().filter_map(|record| if let Record::Reject(it) = record { Some(it) } else { None }).collect()
    }

    pub(crate) fn reasons(&self) -> Vec<RejectReason> {
        self.rejects().iter().map(|reject| reject.reason).collect()
    }

    pub(crate) fn pmids(&self) -> Vec<u32> {
        self.citations().iter().filter_map(|citation| citation.pmid).map(|pmid| pmid.get()).collect()
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.citations().iter().map(|citation| citation.text.as_str()).collect()
    }

    pub(crate) fn quarantine(&self) -> &str {
        match &self.close.outcome {
            Outcome::Quarantined(reason) => reason,
            other => panic!("not quarantined but {other:?}"),
        }
    }

    /// Checks that the records equal the counts and are numbered in order.
    pub(crate) fn assert_reconciliation(&self) {
        let tally = self.close.tally;
        assert_eq!(tally.citations, self.citations().len() as u64);
        assert_eq!(tally.deletions, self.deletions().len() as u64);
        assert_eq!(tally.rejects, self.rejects().len() as u64);
        let places: Vec<_> = self.records.iter().map(place).collect();
        assert!(
            places.iter().enumerate().all(|(at, place)| place.0 as usize == at),
            "ordinals count from 0: {places:?}"
        );
        assert!(places.is_sorted_by(|a, b| a.1 < b.1), "records follow each other: {places:?}");
    }
}

fn place(record: &Record) -> (u32, u64) {
    let place = match record {
        Record::Document(citation) => &citation.place,
        Record::Cached(document) => &document.citation.place,
        Record::Deletion(deletion) => &deletion.place,
        Record::Reject(reject) => &reject.place,
    };
    (place.ordinal, place.byte_offset)
}

/// Reads a unit to its end.
pub(crate) fn read_all(unit: Arc<InputUnit>, options: ReadOptions) -> Reading {
    RUNTIME.block_on(async {
        let mut flow = read_unit(unit.clone(), options, Meter::new("test"));
        assert!(matches!(flow.next().await, Some(Ok(Packet::Open(opened))) if opened == unit));
        let (mut records, mut packets) = (Vec::new(), Vec::new());
        loop {
            match flow.next().await.expect("a unit is closed").expect("no I/O error") {
                Packet::Open(_) => panic!("a unit is opened once"),
                Packet::Items(items) => {
                    packets.push(items.len());
                    records.extend(items);
                }
                Packet::Close(close) => {
                    assert!(flow.next().await.is_none(), "nothing follows the close");
                    let reading = Reading { records, packets, close };
                    reading.assert_reconciliation();
                    return reading;
                }
            }
        }
    })
}

/// A directory of files.
pub(crate) struct Files {
    pub(crate) directory: TempDir,
}

impl Files {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let files_in = Self { directory: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            files_in.write(name, content);
        }
        files_in
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn unit(&self, name: &str) -> Arc<InputUnit> {
        discover(&[self.path(name)], &ReadOptions::default()).unwrap().units.remove(0)
    }
}

/// Reads bytes as a file.
pub(crate) fn read_with(content: &[u8], options: ReadOptions) -> Reading {
    let files = Files::new(&[("input", content)]);
    read_all(files.unit("input"), options)
}

pub(crate) fn read(content: impl AsRef<[u8]>) -> Reading {
    read_with(content.as_ref(), ReadOptions::default())
}

pub(crate) fn read_partial(content: impl AsRef<[u8]>) -> Reading {
    read_with(content.as_ref(), ReadOptions { accept_partial: true, ..Default::default() })
}

pub(crate) fn gz(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A set of records as written by NLM.
pub(crate) fn set(records: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE PubmedArticleSet PUBLIC \"-//NLM//DTD PubMedArticle, 1st \
         January 2025//EN\" \"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd\">\n<PubmedArticleSet>\n\
         {records}\n</PubmedArticleSet>\n"
    )
}

/// A record with a title and an abstract, both as XML.
pub(crate) fn article(pmid: u32, title: &str, abstract_xml: &str) -> String {
    let inner = format!("<ArticleTitle>{title}</ArticleTitle><Abstract>{abstract_xml}</Abstract>");
    article_of(pmid, &inner)
}

/// A record with the given content of `Article`.
pub(crate) fn article_of(pmid: u32, inner: &str) -> String {
    format!(
        "<PubmedArticle><MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\"><PMID Version=\"1\">{pmid}</PMID><Article \
         PubModel=\"Print\">{inner}</Article><CommentsCorrectionsList><CommentsCorrections RefType=\"Cites\"><PMID \
         Version=\"1\">1</PMID></CommentsCorrections></CommentsCorrectionsList></MedlineCitation><PubmedData>\
         <ArticleIdList><ArticleId IdType=\"pubmed\">2</ArticleId></ArticleIdList></PubmedData></PubmedArticle>"
    )
}

/// A record with a plain abstract.
pub(crate) fn plain(pmid: u32) -> String {
    article(pmid, &format!("Title {pmid}."), "<AbstractText>Abstract.</AbstractText>")
}

/// The shared test data, if available.
pub(crate) fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("PUBTAG_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = root.join("data/pubmed_xml").is_dir();
    if !found {
        eprintln!("SKIPPED: no shared data in {} (set PUBTAG_SHARED)", root.display());
    }
    found.then_some(root)
}
