//! Scores of random tag sequences equal those of seqeval. Needs `PUBTAG_PEERS_PYTHON`, a Python with seqeval 1.2.2.

use std::io::Write;
use std::process::{Command, Stdio};

use pubtag_corpus::score::tags::{Mode, score};
use serde_json::json;

/// A small reproducible generator (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from[(self.0 >> 33) as usize % from.len()]
    }

    fn sentences(&mut self, tags: &[&'static str], lengths: &[usize]) -> Vec<Vec<&'static str>> {
        lengths.iter().map(|&length| (0..length).map(|_| self.pick(tags)).collect()).collect()
    }
}

#[test]
fn random_tag_sequences_have_the_scores_of_seqeval() {
    let Some(python) = std::env::var_os("PUBTAG_PEERS_PYTHON") else {
        eprintln!("SKIPPED: set PUBTAG_PEERS_PYTHON to a Python with seqeval 1.2.2");
        return;
    };
    let iob: &[&str] = &["O", "O", "B-Disease", "I-Disease", "B-X-y", "I-X-y", "B", "I"];
    let bioes: &[&str] = &["O", "O", "B-D", "I-D", "E-D", "S-D", "B-G", "I-G", "E-G", "S-G"];
    let lengths = ["1", "2", "3", "5", "8", "13", "21"];
    let mut random = Random(42);
    let mut cases = String::new();
    for case in 0..1500 {
        let (mode, tags) = [(Mode::Default, iob), (Mode::Strict, iob), (Mode::Default, bioes)][case % 3];
        let lengths: Vec<usize> = (0..1 + case % 4).map(|_| random.pick(&lengths).parse().unwrap()).collect();
        let expected = random.sentences(tags, &lengths);
        let mut found = random.sentences(tags, &lengths);
        // Copy some sentences, so that some entities are correct.
        for (i, sentence) in expected.iter().enumerate().filter(|(i, _)| (i + case) % 2 == 0) {
            found[i].clone_from(sentence);
        }
        let scores = score(&expected, &found, mode).unwrap();
        // Without entities, seqeval cannot compute a mean.
        if !scores.categories.is_empty() {
            let case = json!({"mode": mode, "expected": expected, "found": found, "scores": scores});
            cases.push_str(&format!("{case}\n"));
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/seqeval_check.py");
    let mut check = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(cases.as_bytes()).ok();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprint!("{said}");
}
