//! Which generation is in force.

use pubtag_schemas::CommitOutcome;
use pubtag_snapshot::{Baseline, Baselines, Committed, Error, Generations};

use crate::made::{Made, Output};

fn commits(files: &[(i32, &[i32], &[i32])]) -> Vec<Committed> {
    let mut output = Output::default();
    for (year, baseline, updates) in files {
        for (numbers, is_update) in [(baseline, false), (updates, true)] {
            for number in *numbers {
                let (generation, file_seq) = (Some(*year), Some(*number));
                output.add(Made { generation, file_seq, is_update, records: Vec::new() });
            }
        }
    }
    output.committed()
}

fn in_force(commits: &[Committed]) -> Option<i32> {
    Generations::of(commits, &Baselines::new(), None, None).unwrap().in_force
}

#[test]
fn a_generation_is_in_force_once_its_baseline_and_its_first_update_file_are_there() {
    let complete: (i32, &[i32], &[i32]) = (2026, &[1, 2, 3], &[4, 5]);
    assert_eq!(in_force(&commits(&[complete])), Some(2026));
    assert_eq!(
        in_force(&commits(&[complete, (2027, &[1, 2], &[])])),
        Some(2026),
        "the last baseline file is not known"
    );
    assert_eq!(in_force(&commits(&[complete, (2027, &[1, 3], &[4])])), Some(2026), "a baseline file is missing");
    assert_eq!(in_force(&commits(&[complete, (2027, &[1, 2, 3], &[4])])), Some(2027));
    assert_eq!(in_force(&commits(&[complete, (2027, &[1, 2, 3], &[5])])), Some(2026), "file 4 may be of the baseline");
    assert_eq!(in_force(&commits(&[complete, (2027, &[], &[4])])), Some(2026));
    assert_eq!(in_force(&[]), None);
}

#[test]
fn a_baseline_file_that_was_read_in_part_is_missing() {
    let mut commits = commits(&[(2026, &[1], &[2]), (2027, &[1, 2], &[3])]);
    assert_eq!(in_force(&commits), Some(2027));
    commits[2].commit.outcome = CommitOutcome::Limited;
    assert_eq!(in_force(&commits), Some(2026));
}

#[test]
fn while_none_is_complete_the_oldest_is_in_force_and_a_published_one_stays() {
    let incomplete = commits(&[(2026, &[1], &[]), (2027, &[1, 2], &[])]);
    assert_eq!(in_force(&incomplete), Some(2026));
    assert_eq!(Generations::of(&incomplete, &Baselines::new(), Some(2027), None).unwrap().in_force, Some(2027));
    assert_eq!(
        Generations::of(&incomplete, &Baselines::new(), Some(2028), None).unwrap().in_force,
        Some(2026),
        "it has no inputs any more"
    );
}

#[test]
fn a_generation_can_be_chosen_if_it_exists() {
    let commits = commits(&[(2026, &[1, 2], &[4]), (2027, &[1], &[])]);
    let chosen = Generations::of(&commits, &Baselines::new(), None, Some(2027)).unwrap();
    assert_eq!((chosen.in_force, chosen.is_complete), (Some(2027), false));
    let error = Generations::of(&commits, &Baselines::new(), None, Some(2028)).unwrap_err();
    assert!(matches!(&error, Error::NoGeneration { wanted: 2028, found } if *found == [2026, 2027]), "{error}");
    assert_eq!(Generations::of(&commits, &Baselines::new(), None, None).unwrap().missing, [3]);
}

#[test]
fn a_baseline_that_is_known_needs_no_update_file_and_no_number_that_was_never_issued() {
    let known = |last, gaps: &[i32]| Baselines::from([(2027, Baseline { last, gaps: gaps.iter().copied().collect() })]);
    let in_force = |baselines: &Baselines, numbers: &[i32]| {
        let commits = commits(&[(2026, &[1], &[2]), (2027, numbers, &[])]);
        Generations::of(&commits, baselines, None, None).unwrap().in_force
    };
    assert_eq!(in_force(&Baselines::new(), &[1, 2, 3]), Some(2026));
    assert_eq!(in_force(&known(3, &[]), &[1, 2, 3]), Some(2027));
    assert_eq!(in_force(&known(3, &[]), &[1, 3]), Some(2026), "not committed yet");
    assert_eq!(in_force(&known(3, &[2]), &[1, 3]), Some(2027), "never issued");
    assert_eq!(in_force(&known(4, &[2]), &[1, 3]), Some(2026));
}
