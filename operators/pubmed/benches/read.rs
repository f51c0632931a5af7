//! Speed of reading a file on one thread, compared with `gzip -dc` and, if `PUBTAG_PEERS_PYTHON` has it
//! (`tests/requirements-peers.txt`), pubmed_parser.
//!
//! `cargo bench -p pubtag-pubmed [-- FILE]` reads a synthetic file, or the one given. Best of five, in alternation.

#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use pubtag_pubmed::{ReadOptions, discover, hashed, read_unit};
use pubtag_schemas::{InputUnit, Packet};
use pubtag_stream::{CancellationToken, Meter};

const RUNS: usize = 5;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let path = named.unwrap_or_else(|| {
        let path = directory.path().join("synthetic.xml.gz");
        write_synthetic(&path, 20_000);
        path.to_str().expect("a UTF-8 path").to_owned()
    });
    let unit = discover(std::slice::from_ref(&path), &ReadOptions::default()).expect("the file exists").units.remove(0);
    let packed = unit.size.unwrap_or_default();
    let inflated = inflate(&path).stdout.len() as u64;
    let python = std::env::var("PUBTAG_PEERS_PYTHON").ok();
    let mut records = 0;
    let mut contenders: Vec<Contender<'_>> = vec![
        ("read", Box::new(|| timed(|| records = count_records(unit.clone())))),
        ("gzip -dc", Box::new(|| timed(|| gunzip(&path)))),
        (
            "SHA-256",
            Box::new(|| {
                timed(|| {
                    drop(
                        hashed(&unit, &ReadOptions::default().buckets, &CancellationToken::new())
                            .expect("the file exists"),
                    )
                })
            }),
        ),
    ];
    if let Some(python) = &python {
        contenders.push(("pubmed_parser", Box::new(|| pubmed_parser(python, &path))));
    }
    let times = in_turns(&mut contenders);
    drop(contenders);
    println!("{path}: {records} records, {} MiB packed, {} MiB of XML", packed >> 20, inflated >> 20);
    let read = times[0].1;
    for (name, time) in times {
        let ratio = time.as_secs_f64() / read.as_secs_f64();
        println!("{name:<14} {:>9.1} ms  {ratio:>6.2} of read", time.as_secs_f64() * 1e3);
    }
    println!("read is {:.0} MB/s of XML", inflated as f64 / read.as_secs_f64() / 1e6);
}

fn timed(work: impl FnOnce()) -> Duration {
    let since = Instant::now();
    work();
    since.elapsed()
}

/// A name and a function that returns its time.
type Contender<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

/// The best time of each contender over several rounds.
fn in_turns(contenders: &mut [Contender<'_>]) -> Vec<(&'static str, Duration)> {
    let mut best: Vec<_> = contenders.iter().map(|(name, _)| (*name, Duration::MAX)).collect();
    for _ in 0..RUNS {
        for ((_, run), (_, best)) in contenders.iter_mut().zip(&mut best) {
            *best = run().min(*best);
        }
    }
    best
}

/// The time of pubmed_parser (lxml), without starting Python.
fn pubmed_parser(python: &str, path: &str) -> Duration {
    const SCRIPT: &str = "import sys, time, pubmed_parser\nstarted = time.perf_counter()\n\
                          for _ in pubmed_parser.parse_medline_xml(sys.argv[1]): pass\n\
                          print(time.perf_counter() - started)";
    let output = Command::new(python).args(["-c", SCRIPT, path]).output().expect("PUBTAG_PEERS_PYTHON runs");
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
    Duration::from_secs_f64(seconds.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn count_records(unit: Arc<InputUnit>) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut flow = read_unit(unit, ReadOptions::default(), Meter::new("bench"));
        let mut records = 0;
        while let Some(packet) = flow.next().await {
            if let Packet::Close(close) = packet.expect("no I/O error") {
                records = close.tally.records();
            }
        }
        records
    })
}

fn gunzip(path: &str) {
    let status = Command::new("gzip").args(["-dc", path]).stdout(Stdio::null()).status();
    assert!(status.expect("gzip is installed").success());
}

fn inflate(path: &str) -> std::process::Output {
    Command::new("gzip").args(["-dc", path]).output().expect("gzip is installed")
}

/// Writes citations of about the size in PubMed: abstracts of 1,700 characters in 10 KB of XML.
fn write_synthetic(path: &Path, records: u32) {
    let file = std::fs::File::create(path).expect("a temporary file");
    let mut out = GzEncoder::new(file, Compression::default());
    let mut words = Words(0x9E37_79B9_7F4A_7C15);
    write!(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<PubmedArticleSet>\n").expect("room on the disk");
    for record in 0..records {
        let references: String = (0..30)
            .map(|_| {
                format!(
                    "        <Reference>\n          <Citation>{}</Citation>\n          <ArticleIdList>\n            \
                     <ArticleId IdType=\"pubmed\">{}</ArticleId>\n          </ArticleIdList>\n        </Reference>\n",
                    words.sentence(10),
                    words.next() % 40_000_000
                )
            })
            .collect();
        let authors: String = (0..6)
            .map(|_| {
                format!(
                    "          <Author ValidYN=\"Y\">\n            <LastName>{}</LastName>\n            <AffiliationInfo>\
                     \n              <Affiliation>{}</Affiliation>\n            </AffiliationInfo>\n          </Author>\n",
                    words.word(),
                    words.sentence(12)
                )
            })
            .collect();
        write!(
            out,
            "  <PubmedArticle>\n    <MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\">\n      <PMID Version=\"1\">{}</PMID>\
             \n      <Article PubModel=\"Print\">\n        <Journal>\n          <ISSN IssnType=\"Print\">0000-0000</ISSN>\n          \
             <JournalIssue CitedMedium=\"Print\">\n            <PubDate>\n              <Year>2003</Year>\n            </PubDate>\
             \n          </JournalIssue>\n          <Title>{}</Title>\n        </Journal>\n        <ArticleTitle>{} (p &lt; 0.05)</ArticleTitle>\n        <Abstract>\
             \n          <AbstractText Label=\"AIM\">{}</AbstractText>\n          <AbstractText>{} m<sup>2</sup>\
             </AbstractText>\n        </Abstract>\n        <AuthorList>\n{authors}        </AuthorList>\n      </Article>\
             \n      <MedlineJournalInfo>\n        <Country>England</Country>\n        <NlmUniqueID>0000000</NlmUniqueID>\
             \n      </MedlineJournalInfo>\n    </MedlineCitation>\n    <PubmedData>\n      <ReferenceList>\n{references}      </ReferenceList>\n    \
             </PubmedData>\n  </PubmedArticle>\n",
            990_000_001 + record,
            words.sentence(3),
            words.sentence(12),
            words.sentence(120),
            words.sentence(130),
        )
        .expect("room on the disk");
    }
    writeln!(out, "</PubmedArticleSet>").and_then(|()| out.finish().map(drop)).expect("room on the disk");
}

/// Reproducible random words (xorshift64).
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn word(&mut self) -> String {
        const SYLLABLES: [&str; 16] =
            ["an", "ti", "car", "di", "o", "my", "pa", "thy", "neu", "ro", "gen", "ic", "der", "ma", "to", "sis"];
        let random = self.next();
        (0..1 + random % 4).map(|at| SYLLABLES[(random >> (8 * at + 8) & 15) as usize]).collect()
    }

    fn sentence(&mut self, words: usize) -> String {
        let mut sentence = (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ");
        sentence.push('.');
        sentence
    }
}
