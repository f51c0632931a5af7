//! Visits each call of a run: the run dies, fails or is signalled there, or another runs meanwhile.

use std::collections::BTreeMap;
use std::io::Write;

use pubtag_crash_points::Point;

use crate::inputs::{BAD, LARGE, Settings};
use crate::machine::Form;
use crate::play::{ALL, Order, Step, end_of};
use crate::process::{Fate, Mishap, When};

const OVERWRITE: Order = Order { overwrite: true, ..ALL };
const OTHER_SETTINGS: Order = Order { settings: Settings::B, ..OVERWRITE };

/// Everything that can happen to a run at a call.
fn mishaps() -> Vec<Mishap> {
    let whens = [When::OwnEnd, When::NextOpened, When::NextOver];
    let holds = [0, 2, 8, 100];
    let mut all = vec![Mishap::DieBefore, Mishap::DieAfter, Mishap::Drain];
    all.extend(whens.map(Mishap::DieAndLand));
    all.extend(holds.map(|hold| Mishap::Abort { hold }));
    for times in [1, 3] {
        all.extend([Mishap::FailBefore { times }, Mishap::FailAfter { times }]);
        all.extend(whens.map(|when| Mishap::FailAndLand { when, times }));
    }
    all
}

/// Visits each call of a run after some steps; one more run must have the result of an undisturbed run.
fn visit_each(what: &str, steps: &[Step], order: Order) {
    for form in [Form::Disk, Form::Bucket] {
        visit_each_on(form, what, steps, order);
    }
}

fn visit_each_on(form: Form, what: &str, steps: &[Step], order: Order) {
    let then = |more: Vec<Step>| [steps, &more[..]].concat();
    let (unbroken, calls) = end_of(form, &then(vec![Step::Run(order, None)]));
    assert!(calls.len() > 4, "{what}: a run makes calls: {calls:?}");
    let mut visits = 0;
    for (at, point) in calls.iter().enumerate() {
        for mishap in mishaps() {
            let fate = Some(Fate { at, mishap });
            // The second run covers calls that take effect during the first.
            let (end, _) =
                end_of(form, &then(vec![Step::Run(order, fate), Step::Run(order, None), Step::Run(order, None)]));
            assert_eq!(end, unbroken, "{what}: {mishap:?} at call {at}, {point}");
            visits += 1;
        }
        for neighbour in [order, OVERWRITE, OTHER_SETTINGS] {
            let beside = Step::Beside([(order, None), (neighbour, None)], vec![at]);
            let (end, _) = end_of(form, &then(vec![beside, Step::Run(order, None)]));
            // Another kind of run may have another result; each step is compared with the model in any case.
            assert!(
                neighbour != order || end == unbroken,
                "{what}: {neighbour:?} beside call {at}, {point}: {end:?} and not {unbroken:?}"
            );
            visits += 1;
        }
    }
    let mut points: BTreeMap<Point, usize> = BTreeMap::new();
    calls.iter().for_each(|point| *points.entry(*point).or_default() += 1);
    let points: Vec<_> = points.iter().map(|(point, count)| format!("{point} {count}")).collect();
    let line = format!("{what} ({form:?}): {} calls, {visits} visits ({})\n", calls.len(), points.join(", "));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[test]
fn a_first_run_over_files_of_several_parts() {
    let steps = [Step::Write("a", LARGE), Step::Write("b", 0), Step::Write("c", 1)];
    let (_, calls) = end_of(Form::Disk, &[&steps[..], &[Step::Run(ALL, None)]].concat());
    let ended = |point: &&Point| ["put documents", "complete documents"].contains(&&*point.to_string());
    let parts = calls.iter().filter(ended).count();
    assert!(parts > steps.len(), "{parts} parts");
    visit_each("a first run", &steps, ALL);
}

#[test]
fn a_run_that_overwrites_with_other_settings() {
    let steps = [Step::Write("a", LARGE), Step::Write("b", 1), Step::Run(ALL, None)];
    visit_each("other settings", &steps, OTHER_SETTINGS);
}

#[test]
fn a_renamed_file_and_a_new_one_of_its_name() {
    let steps = [Step::Write("a", 1), Step::Run(ALL, None), Step::Rename("a", "b"), Step::Write("a", 2)];
    visit_each("a rename", &steps, OVERWRITE);
}

#[test]
fn two_files_that_swap_names() {
    let steps = [Step::Write("a", 1), Step::Write("b", 2), Step::Run(ALL, None), Step::Swap("a", "b")];
    visit_each("a swap", &steps, OTHER_SETTINGS);
}

#[test]
fn an_edited_file_replaces_its_earlier_content() {
    let steps = [Step::Write("a", 1), Step::Write("b", 2), Step::Run(ALL, None), Step::Write("a", 3)];
    visit_each("an edit", &steps, OVERWRITE);
}

#[test]
fn a_damaged_file_among_others() {
    let steps = [Step::Write("a", 1), Step::Write("b", BAD), Step::Write("c", 2)];
    visit_each("a damaged file", &steps, ALL);
}

#[test]
fn an_input_that_conflicts() {
    let steps = [Step::Write("a", 1), Step::Run(ALL, None), Step::Write("a", 2), Step::Write("b", 3)];
    visit_each("a conflict", &steps, ALL);
}

#[test]
fn a_commit_that_has_lost_a_part() {
    let steps = [Step::Write("a", 1), Step::Write("b", 2), Step::Run(ALL, None), Step::Damage(0, true)];
    visit_each("a lost part", &steps, ALL);
}
