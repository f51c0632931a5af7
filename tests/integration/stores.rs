//! Inputs and outputs in an object store, with all that a run promises on disk.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use pubtag_tests::{Bucket, Outcome, PubTag, python, tell, with_endpoint, write_corpus, write_pubmed_file};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{TABLES, run as run_on_disk, tables};

/// `pubtag run INPUT… --output OUTPUT` with access to the bucket.
fn run(bucket: &Bucket, inputs: &[&str], output: &str) -> PubTag {
    let inputs: Vec<&Path> = inputs.iter().map(Path::new).collect();
    bucket.with(PubTag::run(PROGRAM, &inputs, Path::new(output)))
}

fn call(bucket: &Bucket, arguments: &[&str]) -> PubTag {
    bucket.with(PubTag::new(PROGRAM, arguments))
}

/// Writes files, puts them below `in/`, and returns their names.
fn corpus(bucket: &Bucket, folder: &Path, files: u32, articles: u32) -> Vec<PathBuf> {
    let paths = write_corpus(folder, files, articles);
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        bucket.put(&format!("in/{name}"), fs::read(path).unwrap());
    }
    paths
}

fn report(bucket: &Bucket, output: &str) -> Value {
    serde_json::from_slice(&bucket.get(&format!("{output}/report.json"))).unwrap()
}

fn statuses(report: &Value) -> Vec<&str> {
    report["inputs"].as_array().unwrap().iter().map(|input| input["status"].as_str().unwrap()).collect()
}

#[test]
fn a_run_from_bucket_to_bucket_writes_the_rows_of_one_on_disk() {
    let Some(bucket) = Bucket::on_moto("bucket to bucket") else { return };
    run_twice_and_look(&bucket);
}

/// Runs twice from bucket to bucket, and reads the output with every command that does.
fn run_twice_and_look(bucket: &Bucket) {
    let dir = tempdir().unwrap();
    let paths = corpus(bucket, dir.path(), 3, 30);
    bucket.put("in/readme.txt", b"not an input".to_vec());
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();

    run(bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    assert_eq!(bucket.tables("out"), tables(&on_disk));
    let first = report(bucket, "out");
    assert_eq!((&first["ending"], &first["exit_code"]), (&"done".into(), &0.into()));
    assert_eq!(statuses(&first), ["skipped", "committed", "committed", "committed"]);
    assert!(!bucket.get("out/report.html").is_empty());

    let parts = bucket.keys("out/documents");
    run(bucket, &[&bucket.url("in")], &bucket.url("out/")).succeed();
    let second = report(bucket, "out");
    assert_eq!(statuses(&second), ["skipped", "already_committed", "already_committed", "already_committed"]);
    assert_eq!(bucket.keys("out/documents"), parts);

    for arguments in [["verify", &bucket.url("out")], ["inspect", &bucket.url("out")]] {
        call(bucket, &arguments).succeed();
    }
    let shown = call(bucket, &["show", "990000001", "--output", &bucket.url("out")]).succeed();
    assert!(shown.stdout.contains("990000001 · pubmed26n0001.xml.gz"), "{}", shown.stdout);
}

#[test]
fn inputs_and_outputs_may_be_in_different_places() {
    let Some(bucket) = Bucket::on_moto("mixed places") else { return };
    let dir = tempdir().unwrap();
    let paths = corpus(&bucket, dir.path(), 2, 20);
    let (from_bucket, on_disk) = (dir.path().join("from-bucket"), dir.path().join("on-disk"));
    run_on_disk(&paths, &on_disk).succeed();

    // An object, a pattern, and a directory by its URL.
    let from = [bucket.url("in/pubmed26n0001.xml.gz"), bucket.url("in/*2.xml.gz")];
    run(&bucket, &[&from[0], &from[1]], from_bucket.to_str().unwrap()).succeed();
    assert_eq!(tables(&from_bucket), tables(&on_disk));

    let files = paths.iter().map(|path| format!("file://{}", path.display())).collect::<Vec<_>>();
    run(&bucket, &[&files[0], &files[1]], &bucket.url("out")).succeed();
    assert_eq!(bucket.tables("out"), tables(&on_disk));
    let input = bucket.url("out/documents");
    run(&bucket, &[&input], &bucket.url("out")).end().assert_fails(78, &["inside the output"]);
}

/// The URLs of the parts of an output that count.
fn parts(bucket: &Bucket, output: &str) -> String {
    let list = |table| call(bucket, &["inspect", &bucket.url(output), "--parts", table]).succeed().stdout;
    TABLES.map(list).concat()
}

/// Asserts with DuckDB that an output in a bucket, whose parts pyarrow reads, has the rows of one on disk.
fn assert_rows_for_others(bucket: &Bucket, output: &str, on_disk: &Path) {
    let Some(python) = python("rows in a bucket") else { return };
    let dir = tempdir().unwrap();
    let listed = dir.path().join("parts");
    fs::write(&listed, parts(bucket, output)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/same_rows.py");
    bucket.with(PubTag::new(&python.to_string_lossy(), [&script, &listed, on_disk])).succeed();
}

#[test]
fn readers_of_others_read_the_parts_that_inspect_lists() {
    let Some(bucket) = Bucket::on_moto("other readers") else { return };
    let dir = tempdir().unwrap();
    let paths = corpus(&bucket, dir.path(), 2, 20);
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    // What was replaced is still in the bucket, but not listed.
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).arg("--decode").arg("argmax").arg("--overwrite").succeed();
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).arg("--overwrite").succeed();
    assert_eq!(bucket.keys("out/annotations").len(), 6);
    assert_eq!(parts(&bucket, "out").lines().count(), 6);
    assert_rows_for_others(&bucket, "out", &on_disk);
}

#[test]
fn everything_that_is_written_asks_for_the_encryption_of_the_options() {
    let Some(bucket) = Bucket::on_moto("encryption") else { return };
    let dir = tempdir().unwrap();
    corpus(&bucket, dir.path(), 1, 5);
    let encrypted = |call: PubTag| {
        call.arg("--store-option=server_side_encryption=aws:kms").arg("--store-option=sse_kms_key_id=the-key")
    };
    encrypted(run(&bucket, &[&bucket.url("in/")], &bucket.url("out"))).succeed();
    encrypted(run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).arg("--overwrite").arg("--decode=argmax"))
        .succeed();
    let keys = bucket.keys("out");
    assert!(keys.iter().any(|key| key.contains("commits")) && keys.len() >= 12, "{keys:?}");
    for key in keys {
        let head = bucket.head(&format!("out/{key}")).to_ascii_lowercase();
        let asked = ["x-amz-server-side-encryption: aws:kms", "x-amz-server-side-encryption-aws-kms-key-id: the-key"];
        assert!(asked.iter().all(|header| head.contains(header)), "{key}: {head}");
    }
    assert!(!bucket.head("in/pubmed26n0001.xml.gz").contains("aws:kms"));
}

#[test]
fn a_file_of_nlms_size_from_bucket_to_bucket_has_the_rows_of_one_on_disk() {
    let Some(bucket) = Bucket::on_seaweedfs("a large file") else { return };
    let dir = tempdir().unwrap();
    let (input, on_disk) = (dir.path().join("pubmed26n0001.xml.gz"), dir.path().join("on-disk"));
    let made = write_pubmed_file(&input, 15_000, 500);
    bucket.put("in/pubmed26n0001.xml.gz", fs::read(&input).unwrap());
    let tolerant = |call: PubTag| call.arg("--max-rejects").arg(made.broken.to_string());
    tolerant(run_on_disk(&[input], &on_disk)).succeed();
    tolerant(run(&bucket, &[&bucket.url("in/")], &bucket.url("out"))).succeed();
    assert_eq!(report(&bucket, "out")["reconciliation"]["document_rows"], made.citations + made.deletions);
    assert_rows_for_others(&bucket, "out", &on_disk);
}

#[test]
fn a_changed_object_conflicts_until_it_is_to_be_replaced_and_vacuum_removes_what_was() {
    let Some(bucket) = Bucket::on_moto("a changed object") else { return };
    replace_and_vacuum(&bucket);
}

/// Replaces an input, and removes what was committed for it.
fn replace_and_vacuum(bucket: &Bucket) {
    let dir = tempdir().unwrap();
    corpus(bucket, dir.path(), 2, 10);
    run(bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();

    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let paths = write_corpus(&other, 1, 25);
    bucket.put("in/pubmed26n0001.xml.gz", fs::read(&paths[0]).unwrap());
    let changed = run(bucket, &[&bucket.url("in/")], &bucket.url("out")).arg("--reissued=refuse").end();
    changed.assert_fails(78, &["pubmed26n0001.xml.gz has changed since it was committed", "--overwrite"]);
    run(bucket, &[&bucket.url("in/")], &bucket.url("out")).arg("--overwrite").succeed();
    let [_, documents, _] = bucket.tables("out");
    assert_eq!(documents.len(), 25 + 10);
    call(bucket, &["verify", &bucket.url("out")]).succeed();

    let out = bucket.url("out");
    let none = call(bucket, &["vacuum", &out, "--json"]).succeed();
    let none: Value = serde_json::from_str(&none.stdout).unwrap();
    assert_eq!((&none["parts"], &none["younger"]), (&0.into(), &3.into()));
    call(bucket, &["vacuum", &out, "--older-than", "1h"]).end().assert_fails(2, &["--no-runs"]);
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    let dry = PubTag::new(PROGRAM, ["vacuum", "--dry-run"]).arg(&on_disk).end();
    dry.assert_fails(78, &["on-disk", "a dry run needs an object store"]);
    PubTag::new(PROGRAM, ["vacuum"]).arg(&on_disk).succeed();
    std::thread::sleep(Duration::from_secs(1));
    call(bucket, &["vacuum", &out, "--older-than", "0h", "--no-runs", "--dry-run"]).succeed();
    assert_eq!(bucket.keys("out/documents").len(), 3);
    let removed = call(bucket, &["vacuum", &out, "--older-than", "0h", "--no-runs"]).succeed();
    assert!(removed.stdout.contains("removed 3 parts"), "{}", removed.stdout);
    assert_eq!(bucket.keys("out/documents").len(), 2);
    assert_eq!(bucket.tables("out")[1], documents);
    call(bucket, &["verify", &out]).succeed();
}

#[test]
fn parquet_and_damaged_files_and_checksums_are_read_as_on_disk() {
    let Some(bucket) = Bucket::on_moto("formats") else { return };
    let dir = tempdir().unwrap();
    let paths = corpus(&bucket, dir.path(), 1, 40);
    let whole = fs::read(&paths[0]).unwrap();
    bucket.put("in/cut.xml.gz", whole[..whole.len() / 2].to_vec());
    bucket.put("in/wrong.xml.gz", whole.clone());
    bucket.put("in/wrong.xml.gz.md5", b"MD5 (wrong.xml.gz) = 00000000000000000000000000000000\n".to_vec());
    let outcome = run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).end();
    outcome.assert_fails(65, &["cut.xml.gz", "wrong.xml.gz: MD5 is"]);
    let after = report(&bucket, "out");
    assert_eq!(statuses(&after).iter().filter(|status| **status == "quarantined").count(), 2, "{after}");

    // The table of an output, as an input of another run.
    let parts = bucket.keys("out/documents");
    let [part] = parts.iter().filter(|key| key.contains("pubmed26n0001")).collect::<Vec<_>>()[..] else {
        panic!("{parts:?}")
    };
    bucket.put("parquet/texts.parquet", bucket.get(&format!("out/documents/{part}")));
    let table = dir.path().join("texts.parquet");
    fs::write(&table, bucket.get("parquet/texts.parquet")).unwrap();
    let columns = |call: PubTag| call.arg("--id-column").arg("doc_id");
    columns(run(&bucket, &[&bucket.url("parquet/")], &bucket.url("out-2"))).succeed();
    let on_disk = dir.path().join("on-disk");
    columns(run_on_disk(&[table], &on_disk)).succeed();
    assert_eq!(bucket.tables("out-2"), tables(&on_disk));
}

#[test]
fn killed_runs_on_a_bucket_do_not_change_the_rows() {
    let Some(bucket) = Bucket::on_moto("kills") else { return };
    kill_at_random(&bucket, 12);
}

#[test]
fn killed_runs_on_seaweedfs_do_not_change_the_rows() {
    let Some(bucket) = Bucket::on_seaweedfs("kills on SeaweedFS") else { return };
    kill_at_random(&bucket, 200);
}

/// Kills runs at moments spread over a whole run until this many were at work; every fifth output is completed.
fn kill_at_random(bucket: &Bucket, kills: u32) {
    let dir = tempdir().unwrap();
    let paths = corpus(bucket, dir.path(), 6, 30);
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    let complete = |name: &str| {
        let began = Instant::now();
        run(bucket, &[&bucket.url("in/")], &bucket.url(name)).succeed();
        let took = began.elapsed();
        assert_rows_for_others(bucket, name, &on_disk);
        took
    };
    let mut whole = complete("unbroken");
    let (mut started, mut killed) = (0, 0);
    let output = |started: u32| format!("broken-{}", started / 5);
    while killed < kills {
        assert!(started <= 10 * kills, "only {killed} of {started} kills met a run at work");
        let mut child = run(bucket, &[&bucket.url("in/")], &bucket.url(&output(started))).start();
        // The golden ratio spreads the moments.
        std::thread::sleep(whole.mul_f64((f64::from(started) * 0.618_034).fract()));
        child.kill().unwrap();
        if child.wait().unwrap().signal().is_some() {
            killed += 1;
        } else {
            // The machine is less busy than when a whole run was measured.
            whole = whole.mul_f64(0.8);
        }
        started += 1;
        if started % 5 == 0 {
            whole = whole.max(complete(&output(started - 1)));
        }
    }
    complete(&output(started));
    tell(&format!(
        "{killed} of {started} kills met a run at work; the rows of {} outputs are right\n",
        started / 5 + 1
    ));
}

#[test]
fn two_and_eight_runs_at_once_on_one_bucket_write_each_row_once() {
    let Some(bucket) = Bucket::on_moto("races") else { return };
    race(&bucket);
}

#[test]
fn two_and_eight_runs_at_once_on_seaweedfs_write_each_row_once() {
    let Some(bucket) = Bucket::on_seaweedfs("races on SeaweedFS") else { return };
    for _ in 0..10 {
        race(&bucket);
    }
    tell("10 races of two and 10 of eight runs wrote each row once\n");
}

fn race(bucket: &Bucket) {
    let dir = tempdir().unwrap();
    let paths = corpus(bucket, dir.path(), 4, 15);
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    for racers in [2, 8] {
        let output =
            format!("out-{}-{racers}", dir.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'));
        let start = |_| run(bucket, &[&bucket.url("in/")], &bucket.url(&output)).start();
        for child in (0..racers).map(start).collect::<Vec<Child>>() {
            let outcome = Outcome::of(&child.wait_with_output().unwrap());
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        }
        assert_rows_for_others(bucket, &output, &on_disk);
        assert_eq!(bucket.keys(&format!("{output}/_pubtag/commits")).len(), paths.len());
    }
}

#[test]
fn every_command_works_on_azurite() {
    let Some(bucket) = Bucket::on_azurite("every command on Azurite") else { return };
    run_twice_and_look(&bucket);
    let Some(bucket) = Bucket::on_azurite("vacuum on Azurite") else { return };
    replace_and_vacuum(&bucket);
    refuse_what_is_no_output(&bucket, "az://no-such-container/out");
}

#[test]
fn runs_at_once_and_killed_runs_on_azurite_do_not_change_the_rows() {
    let Some(bucket) = Bucket::on_azurite("Azurite") else { return };
    race(&bucket);
    kill_at_random(&bucket, 12);
}

#[test]
fn runs_with_different_contents_of_one_name_collide() {
    let Some(bucket) = Bucket::on_moto("rivals") else { return };
    let dir = tempdir().unwrap();
    let contents: Vec<PathBuf> = [10, 20]
        .map(|articles| {
            let folder = dir.path().join(articles.to_string());
            fs::create_dir(&folder).unwrap();
            write_corpus(&folder, 1, articles).remove(0)
        })
        .into();
    // Two machines with a file of their own under one path.
    let shared = dir.path().join("pubmed26n0001.xml.gz");
    let mut children = Vec::new();
    for content in &contents {
        fs::rename(content, &shared).unwrap();
        let rival = run(&bucket, &[shared.to_str().unwrap()], &bucket.url("out"));
        // Even if the other has committed before this one plans, one of them is told.
        children.push(rival.arg("--reissued=refuse").start());
        // Long enough to have opened its file, not to have committed it.
        std::thread::sleep(Duration::from_millis(150));
    }
    let codes: Vec<_> = children.into_iter().map(|child| Outcome::of(&child.wait_with_output().unwrap())).collect();
    let [_, documents, _] = bucket.tables("out");
    assert!([10, 20].contains(&documents.len()), "{} rows", documents.len());
    let told = codes.iter().filter(|outcome| outcome.code != Some(0)).count();
    assert!(told >= 1, "{codes:?}");
}

#[test]
fn an_output_of_many_commits_is_planned_with_few_requests() {
    let Some(bucket) = Bucket::on_moto("many commits") else { return };
    let dir = tempdir().unwrap();
    corpus(&bucket, dir.path(), 1, 2);
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    // More commits like it, of other files.
    let [marker] = &bucket.keys("out/_pubtag/commits")[..] else { panic!("one input, one marker") };
    let commit: Value = serde_json::from_slice(&bucket.get(&format!("out/_pubtag/commits/{marker}"))).unwrap();
    let store = bucket.store("out");
    bucket.block_on(async {
        use object_store::ObjectStoreExt;
        for number in 0..300 {
            let mut commit = commit.clone();
            let sha256 = format!("{number:064x}");
            let key: String = sha256.chars().rev().collect();
            commit["input"]["sha256"] = key.clone().into();
            commit["input"]["uri"] = format!("s3://elsewhere/{number}.xml").into();
            commit["claim"]["uri"] = commit["input"]["uri"].clone();
            commit["attempt_id"] = format!("{}-{number:05}", uuid()).into();
            let path = object_store::path::Path::from(format!("_pubtag/commits/{}.json", &key[..32]));
            store.objects().put(&path, serde_json::to_vec(&commit).unwrap().into()).await.unwrap();
        }
    });
    let gets = |log: &str| log.lines().filter(|line| line.contains("\"GET ") && line.contains("/commits/")).count();
    let marked = format!("/{}/", bucket.url("").trim_start_matches("s3://").trim_end_matches('/'));
    let own = |log: String| log.lines().filter(|line| line.contains(&marked)).collect::<Vec<_>>().join("\n");
    let before = own(bucket.log());
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    let between = own(bucket.log());
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    let after = own(bucket.log());
    assert_eq!(gets(&between) - gets(&before), 301, "without a log, each marker is read");
    assert_eq!(gets(&after) - gets(&between), 0, "with a log, none is");
    // A damaged log is no harm.
    bucket.put("out/_pubtag/log.parquet", b"damaged".to_vec());
    run(&bucket, &[&bucket.url("in/")], &bucket.url("out")).succeed();
    assert_eq!(gets(&own(bucket.log())) - gets(&after), 301);
}

fn uuid() -> &'static str {
    "01890000-0000-7000-8000-000000000000"
}

/// A server that gives the same answer to every request that begins with the same words, or 404.
fn answering(answers: &'static [(&'static str, &'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || answer(socket, answers));
        }
    });
    endpoint
}

fn answer(mut socket: TcpStream, answers: &[(&str, &str, &str)]) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).unwrap();
        let found = answers.iter().find(|(of, ..)| first.starts_with(of));
        let (status, body) = found.map_or(("404 Not Found", ""), |(_, status, body)| (*status, *body));
        let body = if first.starts_with("HEAD") { "" } else { body };
        let text = format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if socket.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn failures_of_a_store_are_explained() {
    let error = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
    let cases: [(&str, &str, i32, &str); 9] = [
        ("404 Not Found", "NoSuchBucket", 78, "the bucket does not exist"),
        ("403 Forbidden", "AccessDenied", 78, "permission denied"),
        ("403 Forbidden", "InvalidAccessKeyId", 78, "does not accept the credentials"),
        ("403 Forbidden", "RequestTimeTooSkewed", 78, "clock of this machine"),
        ("400 Bad Request", "ExpiredToken", 78, "credentials have expired"),
        ("301 Moved Permanently", "PermanentRedirect", 78, "another region"),
        ("400 Bad Request", "AuthorizationHeaderMalformed", 78, "another region"),
        ("400 Bad Request", "InvalidBucketName", 78, "the store refuses the request"),
        ("400 Bad Request", "RequestTimeout", 75, "run again"),
    ];
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 1).remove(0);
    for (status, code, exit, words) in cases {
        let body: &'static str = Box::leak(error(code).into_boxed_str());
        let endpoint = answering(Box::leak(Box::new([("", status, body)])));
        let call = PubTag::run(PROGRAM, &[&input], Path::new("s3://bucket/out"));
        let outcome = with_endpoint(call, &endpoint).end();
        outcome.assert_fails(exit, &[words, "s3://bucket/out"]);
        // object_store does not pass on the answer with a redirect.
        assert!(outcome.stderr.contains(&format!("({code}: m)")) || code == "PermanentRedirect" || exit == 75);
        assert!(!outcome.stderr.contains("test-secret") && !outcome.stderr.contains('<'), "{}", outcome.stderr);
        let call = PubTag::run(PROGRAM, &[Path::new("s3://bucket/in/")], &dir.path().join("out"));
        let outcome = with_endpoint(call, &endpoint).end();
        assert!(
            outcome.stderr.contains(words) && outcome.code == Some(exit),
            "{code}: {:?} {}",
            outcome.code,
            outcome.stderr
        );
    }
}

#[test]
fn a_bucket_that_does_not_exist_and_an_output_of_a_newer_version_are_called_that() {
    let Some(bucket) = Bucket::on_moto("no output") else { return };
    refuse_what_is_no_output(&bucket, "s3://no-such-bucket/out");
}

fn refuse_what_is_no_output(bucket: &Bucket, absent: &str) {
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 1).remove(0);
    let newer = bucket.url("newer");
    bucket.put("newer/_pubtag/output.json", b"{\"schema_version\": 99}".to_vec());
    for (output, words) in [(absent, "the bucket does not exist"), (&newer, "version 99, but this pubtag supports")] {
        run(bucket, &[input.to_str().unwrap()], output).end().assert_fails(78, &[output, words]);
        for arguments in
            [&["verify", output] as &[_], &["inspect", output], &["vacuum", output], &["show", "1", "--output", output]]
        {
            call(bucket, arguments).end().assert_fails(78, &[output, words]);
        }
    }
    let local = dir.path().join("out");
    run(bucket, &[absent], local.to_str().unwrap()).end().assert_fails(78, &[absent, "the bucket does not exist"]);
}

#[test]
fn a_store_without_conditional_writes_is_refused() {
    const LIST: &str = "<?xml version=\"1.0\"?><ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount>\
        <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>";
    const NO_SUCH_KEY: &str = "<Error><Code>NoSuchKey</Code></Error>";
    const NOT_IMPLEMENTED: &str = "<Error><Code>NotImplemented</Code><Message>a header</Message></Error>";
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 1).remove(0);
    // They list nothing, find nothing, and take everything, or nothing with a condition.
    for put in [("PUT", "200 OK", ""), ("PUT", "501 Not Implemented", NOT_IMPLEMENTED)] {
        let answers = [
            ("GET /bucket?", "200 OK", LIST),
            ("GET", "404 Not Found", NO_SUCH_KEY),
            put,
            ("HEAD", "404 Not Found", ""),
        ];
        let call = PubTag::run(PROGRAM, &[&input], Path::new("s3://bucket/out"));
        let outcome = with_endpoint(call, &answering(Box::leak(Box::new(answers)))).end();
        outcome.assert_fails(78, &["s3://bucket/out", "conditional writes"]);
    }
}

#[test]
fn what_is_no_place_is_refused_with_the_way_out() {
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 1).remove(0);
    let run = |output: &str| PubTag::run(PROGRAM, &[&input], Path::new(output));
    run("http://example.org/out").end().assert_fails(2, &["s3://, gs://, az://"]);
    run("s3:///out").end().assert_fails(2, &["bucket is missing"]);
    let secret = run("s3://bucket/out").arg("--store-option").arg("hunter2").end();
    secret.assert_fails(2, &["KEY=VALUE"]);
    let unknown = run("s3://bucket/out").arg("--store-option").arg("secret_acces_key=hunter2").end();
    unknown.assert_fails(78, &["unknown store option `secret_acces_key`"]);
    for outcome in [secret, unknown] {
        assert!(!outcome.stderr.contains("hunter2=") && !outcome.stderr.contains("=hunter2"), "{}", outcome.stderr);
    }
}
