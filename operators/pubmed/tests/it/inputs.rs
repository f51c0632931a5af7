//! Discovery of units.

use pubtag_pubmed::{PubmedError, ReadOptions, discover, hashed};
use pubtag_schemas::Location;
use pubtag_store::Buckets;
use pubtag_stream::CancellationToken;

use crate::common::{Files, gz, plain, set};

fn names(files: &Files, arguments: &[&str]) -> Vec<String> {
    let arguments: Vec<_> = arguments.iter().map(|argument| files.path(argument)).collect();
    discover(&arguments, &ReadOptions::default())
        .unwrap()
        .units
        .iter()
        .map(|unit| unit.file_name().to_owned())
        .collect()
}

fn some_files() -> Files {
    let content = set(&plain(990_000_001));
    let (plain, packed) = (content.as_bytes(), gz(&content));
    Files::new(&[
        ("in/pubmed26n0002.xml.gz", &packed),
        ("in/pubmed26n0001.xml.gz", &packed),
        ("in/pubmed26n0001.xml.gz.md5", b"x"),
        ("in/deeper/export.xml", plain),
        ("in/texts.jsonl", b"{\"id\": 1, \"text\": \"t\"}\n"),
        ("in/README.md", b"read me"),
        ("in/feed.xml", b"<rss/>"),
        ("in/empty", b""),
        ("in/.hidden.xml", plain),
        ("in/.checkpoints/export.xml", plain),
        ("in/pubmed26n0003.xml.gz.part", &packed),
        ("other/readme.txt", b"read me"),
    ])
}

#[test]
fn a_directory_gives_its_recognised_files_sorted() {
    let files = some_files();
    let inputs = discover(&[files.path("in")], &ReadOptions::default()).unwrap();
    let found: Vec<_> = inputs.units.iter().map(|unit| unit.file_name()).collect();
    assert_eq!(found, ["export.xml", "pubmed26n0001.xml.gz", "pubmed26n0002.xml.gz", "texts.jsonl"]);
    let mut skipped: Vec<_> = inputs.skipped.iter().map(|s| (s.path.rsplit('/').next().unwrap(), &*s.reason)).collect();
    skipped.sort_unstable();
    let expected = [
        (".checkpoints", "hidden directory"),
        (".hidden.xml", "hidden file"),
        (
            "README.md",
            "not PubMed XML, JSONL, nbib, Parquet, or a table with id and text columns; name the columns with --id-column and \
             --text-column, or give the format with --input-format",
        ),
        ("empty", "empty file"),
        ("feed.xml", "not PubMed XML: root element is <rss>"),
        ("pubmed26n0001.xml.gz.md5", "checksum file"),
        ("pubmed26n0003.xml.gz.part", "partial download"),
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn a_path_has_no_parent_directories() {
    let files = some_files();
    let units = discover(&[files.path("in/deeper/../texts.jsonl")], &ReadOptions::default()).unwrap().units;
    let directory = files.directory.path().canonicalize().unwrap();
    assert_eq!(units[0].uri(), directory.join("in/texts.jsonl").to_str().unwrap());
}

#[test]
fn a_unit_describes_its_file() {
    let files = some_files();
    let unit = &discover(&[files.path("in/pubmed26n0002.xml.gz")], &ReadOptions::default()).unwrap().units[0];
    assert_eq!((unit.index, unit.generation, unit.file_seq), (0, Some(2026), Some(2)));
    assert_eq!(unit.uri(), files.path("in/pubmed26n0002.xml.gz"));
    assert_eq!(unit.size, Some(std::fs::metadata(unit.uri()).unwrap().len()));
    assert!(unit.modified_us.is_some_and(|us| us > 1_600_000_000_000_000));
    assert_eq!(unit.sha256, None);
}

#[test]
fn a_hash_is_that_of_the_bytes_on_disk() {
    let files = Files::new(&[("in.xml", b"abc")]);
    let unit = hashed(&files.unit("in.xml"), &Buckets::default(), &CancellationToken::new()).unwrap();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(unit.sha256.as_deref(), Some(expected), "FIPS 180-2, example B.1");
}

#[test]
fn cancelled_hashing_is_an_error() {
    let files = Files::new(&[("in.xml", &vec![b'x'; 1 << 20])]);
    let stop = CancellationToken::new();
    stop.cancel();
    let error = hashed(&files.unit("in.xml"), &Buckets::default(), &stop).unwrap_err();
    let PubmedError::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::Interrupted);
}

#[test]
fn arguments_keep_their_order_and_a_file_counts_once() {
    let files = some_files();
    let found = names(&files, &["in/texts.jsonl", "in/pubmed26n*.gz", "in/deeper", "in/pubmed26n0001.xml.gz"]);
    assert_eq!(found, ["texts.jsonl", "pubmed26n0001.xml.gz", "pubmed26n0002.xml.gz", "export.xml"]);
    let twice = discover(&[files.path("in"), files.path("in")], &ReadOptions::default()).unwrap();
    assert_eq!(twice.units.len(), 4);
    assert!(twice.skipped.iter().any(|skipped| skipped.reason.contains("more than once")));
}

#[test]
fn a_file_named_directly_is_a_unit_whatever_its_content() {
    let files = some_files();
    assert_eq!(names(&files, &["in/README.md", "in/empty"]), ["README.md", "empty"]);
    let checksum =
        discover(&[files.path("in/texts.jsonl"), files.path("in/pubmed26n0001.xml.gz.md5")], &ReadOptions::default())
            .unwrap();
    assert_eq!(checksum.units.len(), 1, "checksum files, which a pattern of the shell may name, are skipped");
}

#[test]
fn a_distribution_file_in_a_directory_is_a_unit_even_if_empty() {
    let files = Files::new(&[("in/pubmed26n0007.xml.gz", b"")]);
    assert_eq!(names(&files, &["in"]), ["pubmed26n0007.xml.gz"]);
}

#[test]
fn standard_input_is_a_unit_without_metadata() {
    let inputs = discover(&["-".to_owned(), "-".to_owned()], &ReadOptions::default()).unwrap();
    assert_eq!(inputs.units.len(), 1);
    assert_eq!((&inputs.units[0].location, inputs.units[0].size), (&Location::Stdin, None));
    assert!(inputs.units[0].read_once);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_a_unit_only_if_named_and_is_not_opened_before_it_is_read() {
    let files = some_files();
    // Opening a pipe that nobody writes to would wait for ever.
    let pipe = files.path("in/pipe.xml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let named = discover(&[pipe.clone(), pipe.clone()], &ReadOptions::default()).unwrap();
    assert_eq!(named.units.len(), 1);
    let unit = &named.units[0];
    assert_eq!((unit.read_once, unit.size, unit.modified_us), (true, None, None));
    assert_eq!(hashed(unit, &Buckets::default(), &CancellationToken::new()).unwrap(), **unit);
    for argument in ["in", "in/*"] {
        let found = discover(&[files.path(argument)], &ReadOptions::default()).unwrap();
        assert!(found.units.iter().all(|unit| unit.uri() != pipe && !unit.read_once), "{argument}");
        let skipped = found.skipped.iter().find(|skipped| skipped.path == pipe);
        assert!(skipped.is_some_and(|skipped| skipped.reason.contains("name it directly")), "{argument}");
    }
}

#[test]
fn arguments_that_lead_nowhere_are_errors() {
    let files = some_files();
    let error = |argument: &str| discover(&[files.path(argument)], &ReadOptions::default()).unwrap_err();
    assert!(matches!(error("gone.xml"), PubmedError::Missing { argument } if argument.ends_with("gone.xml")));
    assert!(matches!(error("in/*.parquet"), PubmedError::NoMatch { .. }));
    assert!(matches!(error("in/[.xml"), PubmedError::Pattern { .. }));
    let unreadable = error("other");
    assert!(matches!(&unreadable, PubmedError::NothingReadable { skipped: 1, .. }));
    assert!(unreadable.to_string().contains("readme.txt"), "{unreadable}");
    assert!(matches!(discover(&[String::new()], &ReadOptions::default()), Err(PubmedError::EmptyInput)));
    assert!(matches!(discover(&[], &ReadOptions::default()), Err(PubmedError::NoInputs)));
    assert!(matches!(discover(&["https://bucket/x".into()], &ReadOptions::default()), Err(PubmedError::Store { .. })));
    std::fs::create_dir(files.directory.path().join("none")).unwrap();
    assert!(error("none").to_string().contains("no files"));
}

#[test]
fn a_directory_written_by_pubtag_is_skipped_once_unless_it_is_named() {
    let files = some_files();
    files.write("in/out/_pubtag/output.json", b"{}");
    files.write("in/out/documents/a.jsonl", b"{\"id\": 1, \"text\": \"t\"}\n");
    files.write("in/out/documents/b.jsonl", b"{\"id\": 2, \"text\": \"t\"}\n");
    let found = |argument: &str| {
        let inputs = discover(&[files.path(argument)], &ReadOptions::default()).unwrap();
        let of_output = |path: &str| path.contains("/in/out");
        let skipped: Vec<_> = inputs.skipped.into_iter().filter(|skipped| of_output(&skipped.path)).collect();
        (inputs.units.iter().filter(|unit| of_output(unit.uri())).count(), skipped)
    };
    for argument in ["in", "in/*", "in/**/*.jsonl"] {
        let (units, skipped) = found(argument);
        assert_eq!((units, skipped.len()), (0, 1), "{argument}: {skipped:?}");
        assert_eq!(skipped[0].path, files.path("in/out"));
        assert!(skipped[0].reason.contains("written by pubtag"), "{skipped:?}");
    }
    for argument in ["in/out", "in/out/documents", "in/out/documents/*.jsonl"] {
        assert_eq!(found(argument).0, 2, "{argument}");
    }
}

#[test]
fn nothing_in_the_output_of_the_run_is_an_input() {
    let files = some_files();
    files.write("in/out/documents/a.jsonl", b"{\"id\": 1, \"text\": \"t\"}\n");
    let to = |output: &str| ReadOptions { output: Some(files.path(output).parse().unwrap()), ..Default::default() };
    let inputs = discover(&[files.path("in")], &to("in/out")).unwrap();
    assert!(inputs.units.iter().all(|unit| !unit.uri().contains("/out/")));
    assert!(inputs.skipped.iter().any(|skipped| skipped.reason == "output directory of this run"));
    for argument in ["in/out", "in/out/documents", "in/out/documents/a.jsonl", "in/out/documents/*"] {
        let refused = discover(&[files.path(argument)], &to("in/out"));
        assert!(matches!(refused, Err(PubmedError::InOutput { .. })), "{argument}: {refused:?}");
    }
    let refused = discover(&[files.path("in/deeper")], &to("in"));
    assert!(matches!(refused, Err(PubmedError::InOutput { .. })), "{refused:?}");
    assert_eq!(discover(&[files.path("in")], &to("in/deeper/new")).unwrap().units.len(), 5, "it does not exist yet");
}

#[cfg(unix)]
#[test]
fn broken_links_and_names_that_are_not_utf8_are_unreadable_in_a_directory() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let files = some_files();
    let directory = files.directory.path().join("in");
    symlink("nowhere", directory.join("dangling.xml")).unwrap();
    symlink("round.xml", directory.join("round.xml")).unwrap();
    symlink(directory.join("deeper"), directory.join("deeper/up")).unwrap();
    symlink(directory.join("texts.jsonl"), directory.join("zz.jsonl")).unwrap();
    symlink("nowhere", directory.join(".#lock.xml")).unwrap();
    symlink("nowhere", directory.join("notes.txt")).unwrap();
    symlink("nowhere", directory.join("updatefiles")).unwrap();
    std::fs::write(directory.join(std::ffi::OsStr::from_bytes(b"\xFF.xml")), set(&plain(1))).unwrap();
    std::fs::write(directory.join(std::ffi::OsStr::from_bytes(b"\xFF.txt")), "notes").unwrap();
    for argument in ["in", "in/*", "in/**/*"] {
        let inputs = discover(&[files.path(argument)], &ReadOptions::default()).unwrap();
        assert_eq!(inputs.units.len(), 4, "{argument}");
        let skipped = inputs.skipped.iter().map(|skipped| (&*skipped.path, &*skipped.reason));
        let unreadable = inputs.unreadable.iter().map(|file| (&*file.path, &*file.reason));
        let (skipped, unreadable): (Vec<_>, Vec<_>) = (skipped.collect(), unreadable.collect());
        let has = |all: &[(&str, &str)], name: &str, why: &str| {
            let found = all.iter().any(|(path, reason)| path.ends_with(name) && reason.contains(why));
            assert!(found, "{argument}: no {name} with {why:?} in {all:?}");
        };
        has(&unreadable, "dangling.xml", "broken symbolic link");
        has(&unreadable, "round.xml", "broken symbolic link");
        has(&unreadable, "updatefiles", "broken symbolic link");
        has(&unreadable, "\u{FFFD}.xml", "not UTF-8");
        assert_eq!(unreadable.len(), 4, "{argument}: {unreadable:?}");
        has(&skipped, "notes.txt", "broken symbolic link");
        has(&skipped, "\u{FFFD}.txt", "not PubMed XML");
        has(&skipped, "deeper/up", "one of its parent directories");
        has(&skipped, "zz.jsonl", "more than once");
    }
    let none = discover(&[files.path("in/d*.xml")], &ReadOptions::default());
    assert!(matches!(&none, Err(PubmedError::Unreadable { path, .. }) if path.ends_with("dangling.xml")), "{none:?}");
    let named = discover(&[files.path("in/dangling.xml")], &ReadOptions::default());
    assert!(matches!(&named, Err(PubmedError::BrokenLink { target, .. }) if target == "nowhere"), "{named:?}");
}
