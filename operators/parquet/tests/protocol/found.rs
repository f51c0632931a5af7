//! Histories that once failed.

use crate::inputs::Settings;
use crate::machine::Form;
use crate::play::{ALL, Order, Step, play};
use crate::process::{Fate, Mishap};

fn play_everywhere(steps: &[Step]) {
    for form in [Form::Disk, Form::Bucket] {
        play(form, steps);
    }
}

const OVERWRITE: Order = Order { overwrite: true, ..ALL };

#[test]
fn a_renamed_file_keeps_its_rows_when_a_new_one_takes_its_name() {
    let steps = [Step::Write("a", 1), Step::Run(ALL, None), Step::Rename("a", "b"), Step::Write("a", 2)];
    play_everywhere(&[&steps[..], &[Step::Run(OVERWRITE, None)]].concat());
}

#[test]
fn a_renamed_file_keeps_its_rows_when_what_took_its_name_has_moved_on() {
    let only = |names| Order { names, ..OVERWRITE };
    let steps = [Step::Write("a", 1), Step::Run(ALL, None), Step::Rename("a", "b"), Step::Write("a", 2)];
    let moved_on = [Step::Run(ALL, None), Step::Rename("a", "c")];
    let moved_run = Step::Run(Order { settings: Settings::B, ..only([false, false, true]) }, None);
    let named_again = [Step::Write("a", 3), Step::Run(only([true, false, false]), None)];
    play_everywhere(&[&steps[..], &moved_on, &[moved_run], &named_again].concat());
}

#[test]
fn files_that_swap_names_are_both_tagged_again() {
    let steps = [Step::Write("a", 1), Step::Write("b", 2), Step::Run(ALL, None), Step::Swap("a", "b")];
    let other_settings = Order { settings: Settings::B, ..OVERWRITE };
    play_everywhere(&[&steps[..], &[Step::Run(other_settings, None)]].concat());
}

#[test]
fn a_second_signal_while_a_marker_is_put_leaves_no_marker_without_parts() {
    for at in 0..40 {
        let fate = Fate { at, mishap: Mishap::Abort { hold: 100 } };
        play_everywhere(&[Step::Write("a", 1), Step::Run(ALL, Some(fate)), Step::Run(ALL, None)]);
    }
}

#[test]
fn two_runs_may_begin_at_once_on_a_new_output() {
    for calls in 0..8 {
        play_everywhere(&[Step::Write("a", 1), Step::Beside([(ALL, None), (ALL, None)], vec![calls])]);
    }
}

#[test]
fn a_renamed_file_conflicts_if_another_run_removes_its_commit_meanwhile() {
    let [b, c] = [[false, true, false], [false, false, true]].map(|names| Order { names, ..ALL });
    let beside = |calls| Step::Beside([(Order { overwrite: true, ..c }, None), (b, None)], vec![calls]);
    let steps =
        [Step::Write("b", 0), Step::Write("c", 2), Step::Run(ALL, None), Step::Write("b", 1), Step::Swap("b", "c")];
    for calls in 1..8 {
        play_everywhere(&[&steps[..], &[beside(calls)]].concat());
    }
}
