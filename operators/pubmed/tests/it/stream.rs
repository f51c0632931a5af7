//! Packets, units, limits and checksums.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::StreamExt;
use pubtag_pubmed::{ReadOptions, Source, discover, read_unit};
use pubtag_schemas::{InputUnit, Outcome, Packet, Record};
use pubtag_stream::{CancellationToken, Meter};

use crate::common::{Files, RUNTIME, article, gz, plain, read, read_all, read_with, set};

fn some(count: u32) -> String {
    set(&(0..count).map(|n| plain(990_000_001 + n)).collect::<String>())
}

fn packets(units: Vec<Arc<InputUnit>>, options: ReadOptions, cancel: CancellationToken) -> Vec<Packet<Record>> {
    let flow = Source::new(units, options, cancel).flow(Meter::new(Source::NAME));
    RUNTIME.block_on(flow.map(|packet| packet.expect("no I/O error")).collect())
}

fn limited(limit: u64) -> ReadOptions {
    ReadOptions { limit: Some(limit), ..Default::default() }
}

#[test]
fn packets_are_bounded_in_records_and_bytes() {
    let reading = read(some(200));
    assert_eq!(reading.packets, [64, 64, 64, 8]);
    let long = format!("<AbstractText>{}</AbstractText>", "x".repeat(300 << 10));
    let large = set(&(0..5).map(|n| article(990_000_001 + n, "T", &long)).collect::<String>());
    assert_eq!(read(large).packets, [2, 2, 1]);
}

#[test]
fn units_do_not_interleave() {
    let files = Files::new(&[("a.xml", some(3).as_bytes()), ("b.xml", b"junk"), ("c.xml", some(1).as_bytes())]);
    let units =
        discover(&["a.xml", "b.xml", "c.xml"].map(|name| files.path(name)), &ReadOptions::default()).unwrap().units;
    let met: Vec<_> = packets(units, ReadOptions::default(), CancellationToken::new())
        .iter()
        .map(|packet| match packet {
            Packet::Open(unit) => format!("open {}", unit.index),
            Packet::Items(items) => format!("{} items", items.len()),
            Packet::Close(close) => format!("close {}", matches!(close.outcome, Outcome::Complete)),
        })
        .collect();
    let expected = ["open 0", "3 items", "close true", "open 1", "close false", "open 2", "1 items", "close true"];
    assert_eq!(met, expected);
}

#[test]
fn a_limit_applies_to_all_units_together_and_later_ones_are_not_opened() {
    let files =
        Files::new(&[("a.xml", some(3).as_bytes()), ("b.xml", some(3).as_bytes()), ("c.xml", some(3).as_bytes())]);
    let units =
        discover(&["a.xml", "b.xml", "c.xml"].map(|name| files.path(name)), &ReadOptions::default()).unwrap().units;
    let outcomes = |limit| -> Vec<(u64, Outcome)> {
        packets(units.clone(), limited(limit), CancellationToken::new())
            .into_iter()
            .filter_map(|packet| if let Packet::Close(close) = packet { Some(close) } else { None })
            .map(|close| (close.tally.records(), close.outcome))
            .collect()
    };
    assert_eq!(outcomes(4), [(3, Outcome::Complete), (1, Outcome::Limited)]);
    assert_eq!(outcomes(3), [(3, Outcome::Complete)], "a unit that ends at the limit is complete");
    assert_eq!(outcomes(0), []);
}

#[test]
fn a_limited_unit_still_has_the_hash_of_the_whole_file() {
    let content = gz(some(500));
    let whole = read(&content).close;
    let cut = read_with(&content, limited(2)).close;
    assert_eq!((cut.outcome, cut.tally.records()), (Outcome::Limited, 2));
    assert_eq!((cut.sha256, cut.bytes), (whole.sha256, content.len() as u64));
}

#[test]
fn a_cancelled_source_ends_between_units() {
    let files = Files::new(&[("a.xml", some(200).as_bytes()), ("b.xml", some(3).as_bytes())]);
    let units = discover(&["a.xml", "b.xml"].map(|name| files.path(name)), &ReadOptions::default()).unwrap().units;
    let cancel = CancellationToken::new();
    let mut flow = Source::new(units, ReadOptions::default(), cancel.clone()).flow(Meter::new(Source::NAME));
    let rest: Vec<_> = RUNTIME.block_on(async {
        assert!(matches!(flow.next().await, Some(Ok(Packet::Open(_)))));
        cancel.cancel();
        flow.map(|packet| packet.expect("no I/O error")).collect().await
    });
    let records: usize =
        rest.iter().map(|packet| if let Packet::Items(items) = packet { items.len() } else { 0 }).sum();
    assert_eq!(records, 200, "the open unit is read to its end");
    assert!(matches!(rest.last(), Some(Packet::Close(close)) if close.outcome == Outcome::Complete));
}

#[test]
fn the_meter_counts_records() {
    let files = Files::new(&[("a.xml", some(70).as_bytes())]);
    let meter = Meter::new(Source::NAME);
    let source = Source::new(vec![files.unit("a.xml")], ReadOptions::default(), CancellationToken::new());
    RUNTIME.block_on(source.flow(meter.clone()).for_each(async |_| ()));
    assert_eq!(meter.snapshot().items, 70);
    assert!(!meter.snapshot().busy.is_zero());
}

/// Runs `reads_the_given_input` in another process, with a pipe as its standard input.
fn read_through_a_pipe(argument: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "stream::reads_the_given_input"])
        .env("PUBTAG_TEST_INPUT", argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&gz(some(500))).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{argument}: {said}");
}

#[test]
fn standard_input_and_pipes_are_read() {
    read_through_a_pipe("-");
    read_through_a_pipe("/dev/stdin");
}

#[test]
#[ignore = "run by the test above, which gives it an input"]
fn reads_the_given_input() {
    let unit =
        discover(&[std::env::var("PUBTAG_TEST_INPUT").unwrap()], &ReadOptions::default()).unwrap().units.remove(0);
    let reading = read_all(unit, ReadOptions::default());
    assert_eq!((reading.close.outcome.clone(), reading.pmids().len()), (Outcome::Complete, 500));
    assert_eq!(reading.close.sha256, read(gz(some(500))).close.sha256);
}

#[test]
fn a_checksum_beside_the_file_is_checked() {
    // Computed with md5sum.
    let content = b"<PubmedArticleSet></PubmedArticleSet>\n";
    let (right, wrong) = ("beeaae580339bedd0ccdc712da5b8d41", "00000000000000000000000000000000");
    for (checksum, quarantined) in
        [(format!("MD5(a.xml)= {right}\n"), false), (format!("MD5(a.xml)= {wrong}\n"), true), ("?".into(), true)]
    {
        let files = Files::new(&[("a.xml", content), ("a.xml.md5", checksum.as_bytes())]);
        let outcome = read_all(files.unit("a.xml"), ReadOptions::default()).close.outcome;
        assert_eq!(
            matches!(&outcome, Outcome::Quarantined(why) if why.contains("MD5")),
            quarantined,
            "{checksum}: {outcome:?}"
        );
    }
}

#[test]
fn a_wrong_checksum_is_reported_together_with_the_damage() {
    let content = gz(some(300));
    let cut = &content[..content.len() / 2];
    let files = Files::new(&[("a.xml.gz", cut), ("a.xml.gz.md5", b"MD5(a.xml.gz)= 00000000000000000000000000000000")]);
    let reading = read_all(files.unit("a.xml.gz"), ReadOptions { accept_partial: true, ..Default::default() });
    assert!(
        matches!(&reading.close.outcome, Outcome::Partial(why) if why.contains("truncated") && why.contains("MD5"))
    );
}

#[test]
fn a_file_that_changes_is_quarantined() {
    let files = Files::new(&[("a.xml", some(3).as_bytes())]);
    let unit = files.unit("a.xml");
    files.write("a.xml", some(4).as_bytes());
    assert!(read_all(unit.clone(), ReadOptions::default()).quarantine().contains("changed"));

    let known = |sha256: &str| Arc::new(InputUnit { sha256: Some(sha256.into()), ..(*files.unit("a.xml")).clone() });
    assert!(read_all(known("00"), ReadOptions::default()).quarantine().contains("SHA-256"));
    let right = read_all(files.unit("a.xml"), ReadOptions::default()).close.sha256;
    assert_eq!(read_all(known(&right), ReadOptions::default()).close.outcome, Outcome::Complete);

    std::fs::remove_file(files.path("a.xml")).unwrap();
    assert!(read_all(unit, ReadOptions::default()).quarantine().contains("no longer exists"));
}

#[test]
fn a_file_that_grows_while_being_read_is_quarantined() {
    let files = Files::new(&[("a.xml", some(2000).as_bytes())]);
    let source = Source::new(vec![files.unit("a.xml")], ReadOptions::default(), CancellationToken::new());
    let mut flow = source.flow(Meter::new(Source::NAME));
    let last = RUNTIME.block_on(async {
        flow.next().await;
        flow.next().await;
        files.write("a.xml", some(2001).as_bytes());
        flow.map(|packet| packet.expect("no I/O error")).collect::<Vec<_>>().await.pop()
    });
    assert!(
        matches!(last, Some(Packet::Close(close)) if matches!(&close.outcome, Outcome::Quarantined(why) if why.contains("changed")))
    );
}

/// How a file changes while being read.
#[derive(Clone, Copy, Debug)]
enum Change {
    Grows,
    IsCut,
    IsReplaced,
}

impl Change {
    fn happen(self, path: &str) {
        let content = std::fs::read(path).unwrap();
        match self {
            Self::Grows => std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"\n").unwrap(),
            Self::IsCut => {
                std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(content.len() as u64 / 2).unwrap();
            }
            Self::IsReplaced => {
                let other = format!("{path}.new");
                std::fs::write(&other, content).unwrap();
                std::fs::rename(other, path).unwrap();
            }
        }
    }
}

#[test]
fn a_file_that_changes_while_being_read_is_quarantined_in_every_format_and_with_every_option() {
    let rows = |head: &str, row: &str| format!("{head}{}", row.repeat(3000)).into_bytes();
    let contents = [
        some(2000).into_bytes(),
        gz(some(2000)),
        rows("", "{\"id\": 1, \"text\": \"Gout was seen.\"}\n"),
        rows("id,text\n", "1,\"Gout, ataxia\"\n"),
        rows("id\ttext\n", "1\tGout\n"),
        rows("", "PMID- 1\nTI  - Gout\n\n"),
        crate::formats::parquet_of(3000),
    ];
    for content in &contents {
        for (limit, accept_partial) in [(None, false), (None, true), (Some(1), false), (Some(1), true)] {
            for change in [Change::Grows, Change::IsCut, Change::IsReplaced] {
                let files = Files::new(&[("in", content)]);
                let options = ReadOptions { limit, accept_partial, ..Default::default() };
                let mut flow = read_unit(files.unit("in"), options, Meter::new("test"));
                let close = RUNTIME.block_on(async {
                    flow.next().await;
                    assert!(matches!(flow.next().await, Some(Ok(Packet::Items(_)))));
                    change.happen(&files.path("in"));
                    flow.map(|packet| packet.expect("no I/O error")).collect::<Vec<_>>().await.pop()
                });
                let Some(Packet::Close(close)) = close else { panic!("a unit is closed") };
                assert!(
                    matches!(&close.outcome, Outcome::Quarantined(why) if why.contains("changed")),
                    "{:.9} {limit:?} {accept_partial} {change:?}: {:?}",
                    String::from_utf8_lossy(content),
                    close.outcome
                );
            }
        }
    }
}

#[test]
fn an_unreadable_checksum_quarantines_only_its_file() {
    let files = Files::new(&[("a.xml", some(1).as_bytes())]);
    let unit = files.unit("a.xml");
    std::fs::create_dir(files.path("a.xml.md5")).unwrap();
    assert_eq!(
        read_all(unit.clone(), ReadOptions::default()).close.outcome,
        Outcome::Complete,
        "a directory is not a checksum file"
    );
    std::fs::remove_dir(files.path("a.xml.md5")).unwrap();
    files.write("a.xml.md5", b"404 not found");
    assert!(read_all(unit, ReadOptions::default()).quarantine().contains("no MD5"));
}
