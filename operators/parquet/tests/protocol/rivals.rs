//! Two runs that read different contents under one name.

use std::collections::BTreeSet;

use crate::inputs::{Content, File, Files, Settings};
use crate::job::{Exit, Job};
use crate::machine::{Form, Machine};
use crate::play::run_on_a_machine;
use crate::rows::observe;

const CONTENTS: [Content; 2] = [1, 2];

fn job(content: Content, overwrite: bool) -> Job {
    let files: Files = [("a", File { content, modified: i64::from(content) })].into();
    Job { files, settings: Settings::A, overwrite }
}

/// Runs both in turns, and returns how they ended and which contents are committed.
fn race(form: Form, overwrite: bool, schedule: &[usize]) -> ([Exit; 2], BTreeSet<Content>) {
    run_on_a_machine(async || {
        let machine = Machine::new(form);
        let jobs = CONTENTS.map(|content| (job(content, overwrite), None));
        let exits = machine.run_two(&jobs, schedule).await;
        let observed = observe(&machine.objects().await);
        (exits, observed.commits.into_keys().collect())
    })
}

#[test]
fn one_content_counts_and_whoever_lost_it_is_told() {
    for form in [Form::Disk, Form::Bucket] {
        for (first, then) in (0..30).flat_map(|first| (1..12).map(move |then| (first, then))) {
            let schedule = [first, then, 1, 1, 2, 1, 3, 2, 1];
            let (exits, committed) = race(form, false, &schedule);
            let what = format!("{form:?}, {schedule:?}: {exits:?}, {committed:?}");
            assert_eq!(committed.len(), 1, "{what}");
            assert!(exits.contains(&Exit::Conflict), "{what}");
            let losers = CONTENTS.iter().zip(exits).filter(|(content, _)| !committed.contains(content));
            for (content, exit) in losers {
                assert_eq!(exit, Exit::Conflict, "content {content} was lost; {what}");
            }

            let (exits, committed) = race(form, true, &schedule);
            let what = format!("{form:?} with overwrite, {schedule:?}: {exits:?}, {committed:?}");
            assert_eq!(committed.len(), 1, "{what}");
            assert!(exits.contains(&Exit::Done), "{what}");
        }
    }
}
