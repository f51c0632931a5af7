//! Annotated corpora on the command line.

use std::fs;
use std::path::Path;

use pubtag_tests::{PubTag, gzip, shared};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;

/// Two documents with astral, accented and composite mentions, in PubTator's form.
const PUBTATOR: &str = "990000001|t|Naïve 𝛽-thalassemia in mice\n990000001|a|We saw gout. No ataxia was seen.\n\
                        990000001\t6\t19\t𝛽-thalassemia\tDisease\tD017086\n\
                        990000001\t35\t39\tgout\tDisease\tD006073\n\
                        990000001\t44\t50\tataxia\tDisease\tD001259|D002524\n\n\
                        990000002|t|Nothing here\n990000002|a|Nor there.\n\n";

#[test]
fn mentions_are_listed_with_offsets_and_concepts() {
    let dir = tempdir().unwrap();
    let corpus = dir.path().join("corpus.txt");
    fs::write(&corpus, PUBTATOR).unwrap();
    let outcome = PubTag::new(PROGRAM, ["corpus", "list"]).arg(&corpus).succeed();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "990000001\t6\t19\tDisease\t𝛽-thalassemia\tD017086");
    assert_eq!(lines[2], "990000001\t44\t50\tDisease\tataxia\tD001259 D002524");
}

#[test]
fn a_corpus_survives_a_round_trip() {
    let dir = tempdir().unwrap();
    let corpus = dir.path().join("corpus.txt");
    fs::write(&corpus, PUBTATOR).unwrap();
    for format in ["bioc-xml", "bioc-json"] {
        let (there, back) = (dir.path().join(format), dir.path().join(format!("{format}.back")));
        let convert = |from: &Path, to: &str, output: &Path| {
            PubTag::new(PROGRAM, ["convert"]).arg(from).arg("--to").arg(to).arg("-o").arg(output).succeed();
        };
        convert(&corpus, format, &there);
        convert(&there, "pubtator", &back);
        assert_eq!(fs::read_to_string(&back).unwrap(), PUBTATOR, "by way of {format}");
    }
}

#[test]
fn gzipped_corpora_are_read_like_plain_ones() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let packed = gzip(PUBTATOR.as_bytes());
    fs::write(path("plain.txt"), PUBTATOR).unwrap();
    fs::write(path("packed.txt.gz"), &packed).unwrap();
    // Detected from the content, not the name; gzip members may follow each other.
    let (title, rest) = PUBTATOR.as_bytes().split_at(20);
    fs::write(path("members.txt"), [gzip(title), gzip(rest)].concat()).unwrap();
    let list = |name: &str| PubTag::new(PROGRAM, ["corpus", "list"]).arg(path(name)).succeed().stdout;
    assert_eq!(list("packed.txt.gz"), list("plain.txt"));
    assert_eq!(list("members.txt"), list("plain.txt"));
    let convert = |from: &str, to: &str, output: &str| {
        PubTag::new(PROGRAM, ["convert", "--to", to]).arg(path(from)).arg("-o").arg(path(output)).succeed();
    };
    convert("packed.txt.gz", "nemo", "nemo");
    let nemo = ["text_packed.txt", "labels_packed.txt"].map(|name| path("nemo").join(name));
    let read =
        |files: &[std::path::PathBuf; 2]| PubTag::new(PROGRAM, ["corpus", "list"]).arg(&files[0]).succeed().stdout;
    let plain = read(&nemo);
    for file in &nemo {
        fs::write(file, gzip(&fs::read(file).unwrap())).unwrap();
    }
    assert_eq!(read(&nemo), plain);

    fs::write(path("cut.txt.gz"), &packed[..packed.len() - 12]).unwrap();
    PubTag::new(PROGRAM, ["corpus", "stats"]).arg(path("cut.txt.gz")).end().assert_fails(65, &["cut.txt.gz", "gzip"]);
}

#[test]
fn a_file_that_is_not_a_corpus_is_refused_by_name() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("poem.txt");
    fs::write(&file, "Shall I compare thee to a summer's day?\n").unwrap();
    PubTag::new(PROGRAM, ["corpus", "stats"]).arg(&file).end().assert_fails(65, &["poem.txt"]);
}

#[test]
fn a_conversion_that_cannot_be_meant_is_refused() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.tsv");
    fs::write(&file, "gout\tB-Disease\n\n").unwrap();
    let convert = |to: &str, output: &str| {
        PubTag::new(PROGRAM, ["convert", "--to", to]).arg(&file).arg("-o").arg(dir.path().join(output))
    };
    convert("jsonl", "out.jsonl").arg("--max-length=3").end().assert_fails(2, &["--max-length is for --to nemo"]);
    convert("jsonl", "missing/out.jsonl").end().assert_fails(78, &["missing/out.jsonl: cannot be written"]);
    convert("jsonl", "out.jsonl").succeed();
}

#[test]
fn nemo_files_equal_the_reference_conversion_byte_for_byte() {
    let Some(shared) = shared("nemo_files_equal_the_reference_conversion_byte_for_byte") else { return };
    let dir = tempdir().unwrap();
    let source = shared.join("data/ncbi_disease/iob/train.tsv");
    for (options, reference) in [(&[][..], "nemo"), (&["--max-length", "40"], "nemo/max_length_40")] {
        let output = dir.path().join(reference.replace('/', "-"));
        let call = PubTag::new(PROGRAM, ["convert", "--to", "nemo"]).arg(&source).arg("-o").arg(&output);
        options.iter().fold(call, PubTag::arg).succeed();
        for file in ["text_train.txt", "labels_train.txt"] {
            let expected = fs::read(shared.join("data/ncbi_disease").join(reference).join(file)).unwrap();
            assert!(fs::read(output.join(file)).unwrap() == expected, "{reference}/{file} differs");
        }
    }
}

#[test]
fn the_published_counts_of_ncbi_disease_are_found() {
    let Some(shared) = shared("the_published_counts_of_ncbi_disease_are_found") else { return };
    let counts = |file: &str| -> Value {
        let path = shared.join("data/ncbi_disease").join(file);
        let outcome = PubTag::new(PROGRAM, ["corpus", "stats", "--json"]).arg(path).succeed();
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["files"][0].clone()
    };
    for (file, documents, mentions) in
        [("NCBItrainset", 593, 5145), ("NCBIdevelopset", 100, 787), ("NCBItestset", 100, 960)]
    {
        let found = counts(&format!("pubtator/{file}_corpus.txt"));
        assert_eq!((&found["documents"], &found["mentions"]), (&documents.into(), &mentions.into()), "{file}");
    }
    for (file, sentences, tokens, mentions) in
        [("train", 5424, 135_701, 5134), ("devel", 923, 23_969, 787), ("test", 940, 24_497, 960)]
    {
        let found = counts(&format!("iob/{file}.tsv"));
        let expected = (&sentences.into(), &tokens.into(), &mentions.into());
        assert_eq!((&found["sentences"], &found["tokens"], &found["mentions"]), expected, "{file}");
    }
}
