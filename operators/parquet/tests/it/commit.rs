//! The commit protocol on local disk: what is committed, skipped, refused and replaced.

use std::fs;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use pubtag_parquet::{Conflict, Standing, TextPolicy, WriteConfig};
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};
use pubtag_schemas::{Commit, CommitOutcome, Ending, InputUnit, Location, Outcome, Packet, TaggedRecord, Tally};
use pubtag_stream::FaultKind;

use crate::common::*;

#[tokio::test]
async fn a_unit_becomes_rows_of_three_tables_and_one_marker() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/pubmed26n0007.xml.gz", "a");
    let commit = committed(run_one(folder.path(), config(), &unit).await);

    assert_eq!((commit.rows("annotations"), commit.rows("documents"), commit.rows("rejects")), (3, 3, 1));
    assert_eq!((commit.tally, &commit.outcome), (TALLY, &CommitOutcome::Complete));
    assert_eq!(
        commit.statuses.iter().map(|(s, n)| (s.as_str(), *n)).collect::<Vec<_>>(),
        [("deleted", 1), ("no_entity", 1), ("tagged", 1)]
    );
    assert_eq!(commit.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>(), parts(folder.path()));
    for part in &commit.parts {
        let bytes = fs::read(folder.path().join(&part.path)).unwrap();
        assert_eq!((part.bytes, &part.sha256), (bytes.len() as u64, &sha256(&bytes)), "{}", part.path);
    }
    let marker = fs::read(folder.path().join("_pubtag/commits").join(&markers(folder.path())[0])).unwrap();
    assert_eq!(serde_json::from_slice::<Commit>(&marker).unwrap(), *commit);
    assert!(files(&folder.path().join("_pubtag/attempts")).is_empty(), "a finished run leaves no lock");
}

#[tokio::test]
async fn parts_of_many_row_groups_reach_the_store_whole() {
    // Row groups of one row in one part; in one-row parts; and a part that ends between two packets.
    for (row_group_bytes, part_bytes) in [(1, usize::MAX), (1, 1), (1, 12_000), (2_000, 20_000)] {
        let folder = tempfile::tempdir().unwrap();
        let unit = unit(0, "/in/pubmed26n0007.xml.gz", "a");
        let (mut all, mut records) = (vec![Packet::Open(unit.clone())], many_records(&unit, 40));
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(7));
            all.push(Packet::Items(std::mem::replace(&mut records, rest)));
        }
        all.push(close(&unit, Tally { citations: 80, deletions: 40, rejects: 40 }, Outcome::Complete));
        let bytes = |bytes| std::num::NonZeroUsize::new(bytes).unwrap();
        let config = WriteConfig { row_group_bytes: bytes(row_group_bytes), part_bytes: bytes(part_bytes), ..config() };
        let (output, commit_log) = open(folder.path()).await.unwrap();
        let commit = committed(write_one(&output, &commit_log, config, all).await);
        output.finish().await.unwrap();

        for part in &commit.parts {
            let bytes = fs::read(folder.path().join(&part.path)).unwrap();
            assert_eq!((part.bytes, &part.sha256), (bytes.len() as u64, &sha256(&bytes)), "{}", part.path);
        }
        let rows = |batch: arrow::array::RecordBatch| batch.num_rows() as u64;
        assert_eq!(rows(read::<AnnotationRow>(folder.path())), commit.rows("annotations"));
        assert_eq!(rows(read::<DocumentRow>(folder.path())), commit.rows("documents"));
        assert_eq!(rows(read::<RejectRow>(folder.path())), commit.rows("rejects"));
        assert_eq!(["annotations", "documents", "rejects"].map(|table| commit.rows(table)), [120, 120, 40]);
    }
}

/// [`records`] repeated, with consecutive numbers.
fn many_records(unit: &std::sync::Arc<InputUnit>, times: u32) -> Vec<TaggedRecord> {
    let renumbered = |mut record: TaggedRecord, at: u32| {
        let place = match &mut record {
            TaggedRecord::Document(document) | TaggedRecord::Cached(document) => &mut document.citation.place,
            TaggedRecord::Deletion(deletion) => &mut deletion.place,
            TaggedRecord::Reject(reject) => &mut reject.place,
        };
        place.ordinal += at;
        record
    };
    (0..times).flat_map(|time| records(unit).into_iter().map(move |record| renumbered(record, 4 * time))).collect()
}

#[tokio::test]
async fn offsets_mentions_and_sections_are_those_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    run_one(folder.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    let rows = read::<AnnotationRow>(folder.path());
    let ints = |column| rows[column].as_primitive::<Int32Type>().values().to_vec();
    // Title: 15 characters; then " METHODS: Wir maßen " is 20, of which ß has two bytes.
    assert_eq!((ints("start_char"), ints("end_char")), (vec![0, 11, 35], vec![6, 14, 45]));
    assert_eq!((ints("start_byte"), ints("end_byte")), (vec![0, 11, 36], vec![6, 14, 50]));
    let expected = ["Ataxia", "ALS", "𝛽-Zerfälle"].map(|mention| Some(mention.to_owned()));
    assert_eq!(strings(&rows, "mention"), expected);
    assert_eq!(strings(&rows, "section"), ["title", "title", "METHODS"].map(|name| Some(name.to_owned())));
    assert_eq!(strings(&rows, "source"), ["model", "model", "abbreviation"].map(|name| Some(name.to_owned())));
}

#[tokio::test]
async fn without_the_text_only_its_hash_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = WriteConfig { text: TextPolicy::Hash, ..config() };
    run_one(folder.path(), config, &unit(0, "/in/a.xml", "a")).await;
    let rows = read::<DocumentRow>(folder.path());
    assert_eq!(strings(&rows, "title"), [None, None, None]);
    assert_eq!(strings(&rows, "abstract"), [None, None, None]);
    let text = "Ataxia and ALS. METHODS: Wir maßen 𝛽-Zerfälle.";
    assert_eq!(strings(&rows, "text_sha256")[0], Some(sha256(text.as_bytes())));
    assert_eq!(strings(&rows, "text_sha256")[2], None, "a deletion has no text");
}

#[tokio::test]
async fn the_same_mention_has_the_same_id_in_every_run() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run_one(first.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    run_one(second.path(), tiny_parts(), &unit(3, "/elsewhere/b.xml", "b")).await;
    let ids = |folder: &tempfile::TempDir| strings(&read::<AnnotationRow>(folder.path()), "annotation_id");
    assert_eq!(ids(&first), ids(&second));
    assert_eq!(ids(&first).iter().collect::<std::collections::HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn an_untouched_input_is_skipped_unread_and_a_touched_one_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    run_one(folder.path(), config(), &unit).await;

    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    let unread = InputUnit { sha256: None, ..InputUnit::clone(&unit) };
    assert_eq!(commit_log.recall(&unread, &spec()), unit.sha256);
    assert_eq!(commit_log.recall(&unread, &other_model()), None, "another run spec reads the file anyway");
    let touched = InputUnit { modified_us: Some(2), ..unread.clone() };
    assert_eq!(commit_log.recall(&touched, &spec()), None);
    let hashed = InputUnit { sha256: unit.sha256.clone(), ..touched }.into();
    assert!(matches!(plan_one(&mut commit_log, &hashed, &spec()), Standing::Committed(_)));
    let moved = InputUnit { location: Location::File("/elsewhere/b.xml".into()), ..InputUnit::clone(&unit) }.into();
    assert!(
        matches!(plan_one(&mut commit_log, &moved, &spec()), Standing::Committed(_)),
        "the content counts, not the name"
    );
    let undated = InputUnit { modified_us: None, ..unread };
    assert_eq!(commit_log.recall(&undated, &spec()), None, "without a date nothing is taken on trust");
}

#[tokio::test]
async fn the_second_of_two_inputs_of_the_same_content_is_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    let units = [("/in/a.xml", "same"), ("/in/b.xml", "same"), ("/in/c.xml", "other")];
    let units: Vec<_> = units.iter().enumerate().map(|(index, (uri, content))| unit(index, uri, content)).collect();
    match &commit_log.plan(&units, &spec())[..] {
        [Standing::New, Standing::Duplicate { of }, Standing::New] => assert_eq!(of, "/in/a.xml"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_model_on_the_same_content_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    run_one(folder.path(), config(), &unit).await;
    let before = files(folder.path());

    let (output, mut commit_log) = open(folder.path()).await.unwrap();
    let Standing::Conflict(conflict) = plan_one(&mut commit_log, &unit, &other_model()) else { panic!("a conflict") };
    let message = conflict.to_string();
    for word in ["/in/a.xml", "tiny-0123456789ab", "large-fedcba987654", "--overwrite"] {
        assert!(message.contains(word), "{word} is missing in {message:?}");
    }
    // The sink also refuses, whatever was planned.
    let config = WriteConfig { spec: other_model(), ..config() };
    let fault = write(&output, &commit_log, config, packets(&unit)).await.remove(0).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    drop((output, commit_log));
    run_one(folder.path(), self::config(), &self::unit(0, "/in/b.xml", "b")).await;
    assert!(before.iter().filter(|name| name.ends_with("parquet")).all(|name| folder.path().join(name).exists()));
    assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 6);
}

#[tokio::test]
async fn other_settings_are_named_in_the_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    run_one(folder.path(), config(), &unit).await;
    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    let mut other = spec();
    other.settings.insert("text".into(), "hash".into());
    other.settings.insert("limit".into(), "10".into());
    let Standing::Conflict(conflict) = plan_one(&mut commit_log, &unit, &other) else { panic!("a conflict") };
    let message = conflict.to_string();
    assert!(message.contains("text was keep, now hash") && message.contains("limit was not set, now 10"), "{message}");
}

#[tokio::test]
async fn a_changed_file_is_refused_and_replaced_only_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (unit(0, "/in/a.xml", "old"), unit(0, "/in/a.xml", "new content"));
    let first = committed(run_one(folder.path(), config(), &old).await);

    let (output, mut commit_log) = open(folder.path()).await.unwrap();
    assert!(matches!(plan_one(&mut commit_log, &new, &spec()), Standing::Conflict(Conflict::OtherContent { .. })));
    let fault = write(&output, &commit_log, config(), packets(&new)).await.remove(0).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Configuration);
    drop((output, commit_log));

    let config = WriteConfig { overwrite: true, ..config() };
    let second = committed(run_one(folder.path(), config.clone(), &new).await);
    assert_eq!(second.supersedes, [first.attempt_id.as_str()]);
    assert_eq!(parts(folder.path()), second.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
    assert_eq!(markers(folder.path()).len(), 1);

    // Back to the old content: the marker has its old name again, but names a new attempt.
    let third = committed(run_one(folder.path(), config, &old).await);
    assert_eq!(third.supersedes, [second.attempt_id.as_str()]);
    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    assert!(
        matches!(plan_one(&mut commit_log, &old, &spec()), Standing::Committed(commit) if commit.attempt_id == third.attempt_id)
    );
    assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 3);
}

#[tokio::test]
async fn another_model_replaces_the_rows_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let first = committed(run_one(folder.path(), config(), &unit).await);
    let config = WriteConfig { spec: other_model(), overwrite: true, ..config() };
    let second = committed(run_one(folder.path(), config, &unit).await);
    assert_eq!(second.supersedes, [first.attempt_id.as_str()]);
    assert_eq!(parts(folder.path()), second.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
    let models = strings(&read::<AnnotationRow>(folder.path()), "model_id");
    assert!(models.iter().all(|model| model.as_deref() == Some("large-fedcba987654")), "{models:?}");
}

#[tokio::test]
async fn overwriting_leaves_what_is_identical_alone() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let first = committed(run_one(folder.path(), config(), &unit).await);
    match run_one(folder.path(), WriteConfig { overwrite: true, ..config() }, &unit).await {
        Ending::Identical(commit) => assert_eq!(commit, first),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_read_once_is_committed_once_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let stdin = std::sync::Arc::new(InputUnit {
        location: Location::Stdin,
        read_once: true,
        sha256: None,
        size: None,
        modified_us: None,
        ..InputUnit::clone(&unit(0, "-", ""))
    });
    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    assert!(matches!(plan_one(&mut commit_log, &stdin, &spec()), Standing::New));
    let first = committed(run_one(folder.path(), config(), &stdin).await);
    assert_eq!(first.input.sha256, sha256(b"from stdin"));
    assert!(matches!(run_one(folder.path(), config(), &stdin).await, Ending::Identical(_)));
    assert_eq!(parts(folder.path()).len(), 3);
}

#[tokio::test]
async fn a_unit_written_twice_in_one_run_keeps_the_parts_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let first = committed(write_one(&output, &commit_log, config(), packets(&unit)).await);
    assert!(matches!(write_one(&output, &commit_log, config(), packets(&unit)).await, Ending::Identical(_)));
    assert_eq!(parts(folder.path()), first.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
    for part in &first.parts {
        assert_eq!(sha256(&fs::read(folder.path().join(&part.path)).unwrap()), part.sha256);
    }
}

#[tokio::test]
async fn a_quarantined_unit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (unit(0, "/in/bad.xml", "bad"), unit(1, "/in/good.xml", "good"));
    let mut all = packets(&bad);
    all.pop();
    all.push(close(&bad, TALLY, Outcome::Quarantined("truncated".into())));
    all.extend(packets(&good));
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let reports = write(&output, &commit_log, tiny_parts(), all).await;
    let reports: Vec<_> = reports.into_iter().map(Result::unwrap).collect();
    assert!(matches!(&reports[0].ending, Ending::Quarantined { reason } if reason == "truncated"), "{reports:?}");
    let commit = committed(reports[1].ending.clone());
    let mut named: Vec<_> = commit.parts.iter().map(|part| part.path.clone()).collect();
    named.sort();
    assert_eq!(parts(folder.path()), named);
    assert!(named.len() > 3, "parts this small must be several: {named:?}");
    output.finish().await.unwrap();
    assert_eq!(parts(folder.path()), named);
}

#[tokio::test]
async fn a_file_that_changed_while_it_was_read_is_quarantined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let mut all = packets(&unit);
    if let Some(Packet::Close(close)) = all.last_mut() {
        close.sha256 = sha256(b"something else");
    }
    let (output, commit_log) = open(folder.path()).await.unwrap();
    assert!(matches!(write_one(&output, &commit_log, config(), all).await, Ending::Quarantined { .. }));
    assert!(parts(folder.path()).is_empty() && markers(folder.path()).is_empty());
}

#[tokio::test]
async fn partial_and_limited_units_say_so_and_keep_the_hash_of_the_whole_file() {
    for (outcome, expected) in [
        (Outcome::Limited, CommitOutcome::Limited),
        (Outcome::Partial("cut".into()), CommitOutcome::Partial { reason: "cut".into() }),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let unit = unit(0, "/in/a.xml", "a");
        let mut all = packets(&unit);
        if let Some(Packet::Close(close)) = all.last_mut() {
            close.outcome = outcome;
        }
        let (output, commit_log) = open(folder.path()).await.unwrap();
        let commit = committed(write_one(&output, &commit_log, config(), all).await);
        assert_eq!((&commit.outcome, Some(&commit.input.sha256)), (&expected, unit.sha256.as_ref()));
    }
}

/// Writes a unit that must fail, and returns the message; nothing may be committed.
async fn fault_of(packets: Vec<Tagged>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let results = write(&output, &commit_log, tiny_parts(), packets).await;
    let fault = results.into_iter().find_map(Result::err).expect("a fault");
    assert_eq!(fault.kind(), FaultKind::Internal);
    drop((output, commit_log));
    assert!(markers(folder.path()).is_empty(), "nothing may be committed");
    open(folder.path()).await.unwrap().0.finish().await.unwrap();
    assert!(parts(folder.path()).is_empty(), "the next run must sweep");
    std::error::Error::source(&fault).expect("a cause").to_string()
}

#[tokio::test]
async fn a_lost_record_is_a_fault() {
    let unit = unit(0, "/in/a.xml", "a");
    let mut lost = packets(&unit);
    lost.remove(2);
    assert!(fault_of(lost).await.contains("/in/a.xml: 2 citations read but 1 written"));
    let mut miscounted = packets(&unit);
    miscounted.pop();
    // The total is right, the kinds are not.
    miscounted.push(close(&unit, Tally { citations: 2, deletions: 0, rejects: 2 }, Outcome::Complete));
    assert!(fault_of(miscounted).await.contains("0 deletions read but 1 written"));
}

#[tokio::test]
async fn an_annotation_with_wrong_offsets_is_a_fault_that_names_the_document() {
    let unit = unit(0, "/in/a.xml", "a");
    // "Wir maßen 𝛽" starts at byte 25; ß is bytes 31 and 32.
    for bytes in [30..32, 3..3, 0..1000, 49..60] {
        let mut all = packets(&unit);
        if let Packet::Items(items) = &mut all[1]
            && let TaggedRecord::Document(document) = &mut items[0]
        {
            document.annotations[0].bytes = bytes.clone();
            document.annotations.truncate(1);
        }
        let message = fault_of(all).await;
        assert!(message.contains("document 1000") && message.contains("/in/a.xml"), "{bytes:?}: {message}");
    }
}

#[tokio::test]
async fn records_out_of_order_are_a_fault() {
    let unit = unit(0, "/in/a.xml", "a");
    let mut all = packets(&unit);
    all.swap(1, 2);
    assert!(fault_of(all).await.contains("came before it"));
}

#[tokio::test]
async fn packets_out_of_order_are_a_fault() {
    let (one, two) = (unit(0, "/in/a.xml", "a"), unit(1, "/in/b.xml", "b"));
    fault_of(vec![Packet::Open(one.clone()), Packet::Open(two.clone())]).await;
    fault_of(vec![Packet::Items(records(&one))]).await;
    fault_of(vec![close(&one, TALLY, Outcome::Complete)]).await;
    fault_of(vec![Packet::Open(one), close(&two, Tally::default(), Outcome::Complete)]).await;
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_unit_reports_it_as_abandoned() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let mut all = packets(&unit);
    all.pop();
    let (output, commit_log) = open(folder.path()).await.unwrap();
    assert!(matches!(write_one(&output, &commit_log, tiny_parts(), all).await, Ending::Abandoned));
    assert!(parts(folder.path()).is_empty() && markers(folder.path()).is_empty());
}

#[tokio::test]
async fn an_empty_input_has_a_part_in_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/empty.xml", "");
    let all = vec![Packet::Open(unit.clone()), close(&unit, Tally::default(), Outcome::Complete)];
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let commit = committed(write_one(&output, &commit_log, config(), all).await);
    assert_eq!(
        commit.parts.iter().map(|part| (part.table.as_str(), part.rows)).collect::<Vec<_>>(),
        [("annotations", 0), ("documents", 0), ("rejects", 0)]
    );
    assert_eq!(read::<RejectRow>(folder.path()).num_rows(), 0);
}
