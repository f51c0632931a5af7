//! Histories: what happens to files and runs, step by step, with a check of the output after each.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pubtag_crash_points::Point;
use pubtag_schemas::Commit;

use crate::inputs::{Content, File, Files, Settings};
use crate::job::{Exit, Job};
use crate::machine::{Form, Machine};
use crate::model::{Commits, Together, commits, predict};
use crate::process::{Fate, Mishap, When};
use crate::rows::{Observed, observe};

/// The names of files.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// A step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A file is created or rewritten.
    Write(&'static str, Content),
    /// `mv`
    Rename(&'static str, &'static str),
    /// Two files swap names.
    Swap(&'static str, &'static str),
    /// `cp`
    Copy(&'static str, &'static str),
    /// `rm`
    Delete(&'static str),
    /// A part of the commit with this number is removed (`true`) or truncated.
    Damage(usize, bool),
    /// A run.
    Run(Order, Option<Fate>),
    /// Two runs that take turns of the given numbers of calls.
    Beside([(Order, Option<Fate>); 2], Vec<usize>),
}

/// A run over those of the files that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) names: [bool; 3],
    pub(crate) settings: Settings,
    pub(crate) overwrite: bool,
}

/// Runs over all files.
pub(crate) const ALL: Order = Order { names: [true; 3], settings: Settings::A, overwrite: false };

/// What was played.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    pub(crate) runs: usize,
    pub(crate) calls: usize,
    pub(crate) mishaps: usize,
}

/// Plays a history on a new machine, followed by one more run.
pub(crate) fn play(form: Form, steps: &[Step]) -> Played {
    run_on_a_machine(async || {
        let mut world = World::new(form);
        for step in steps {
            world.step(step).await;
        }
        world.last_run().await;
        world.played()
    })
}

pub(crate) fn run_on_a_machine<T>(history: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    let end = runtime.block_on(history());
    // Calls still in progress belong to dead processes.
    runtime.shutdown_background();
    end
}

/// Plays steps and returns the commits at their end, and the calls of the last process.
pub(crate) fn end_of(form: Form, steps: &[Step]) -> (BTreeMap<Content, Settings>, Vec<Point>) {
    run_on_a_machine(async || {
        let mut world = World::new(form);
        for step in steps {
            world.step(step).await;
        }
        let commits = world.commits.iter().map(|(content, kept)| (*content, kept.settings)).collect();
        let calls = world.machine.state().processes.last().map_or(Vec::new(), |process| process.calls.clone());
        (commits, calls)
    })
}

struct World {
    machine: Arc<Machine>,
    files: Files,
    clock: i64,
    commits: Commits,
    /// A run whose last call takes effect during the next.
    lingering: Option<Job>,
    mishaps: usize,
}

impl World {
    fn new(form: Form) -> Self {
        let (files, commits) = (Files::new(), Commits::new());
        Self { machine: Machine::new(form), files, clock: 0, commits, lingering: None, mishaps: 0 }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Write(name, content) => self.write(name, *content),
            Step::Rename(from, to) if from != to => {
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to, file);
                }
            }
            Step::Swap(one, two) => {
                if let (Some(first), Some(second)) = (self.files.get(one).copied(), self.files.get(two).copied()) {
                    self.files.insert(one, second);
                    self.files.insert(two, first);
                }
            }
            Step::Copy(from, to) => {
                if let Some(file) = self.files.get(from).copied() {
                    self.write(to, file.content);
                }
            }
            Step::Delete(name) => drop(self.files.remove(name)),
            Step::Rename(..) => {}
            Step::Damage(number, goes) => self.damage(*number, *goes).await,
            Step::Run(order, fate) => self.run(self.job(*order), *fate).await,
            Step::Beside([one, two], schedule) => {
                self.run_two([(self.job(one.0), one.1), (self.job(two.0), two.1)], schedule).await;
            }
        }
    }

    fn write(&mut self, name: &'static str, content: Content) {
        self.clock += 1;
        self.files.insert(name, File { content, modified: self.clock });
    }

    fn job(&self, order: Order) -> Job {
        let is_named = |name: &str| NAMES.iter().zip(order.names).any(|(known, on)| on && *known == name);
        let files = self.files.iter().filter(|(name, _)| is_named(name)).map(|(name, file)| (*name, *file)).collect();
        Job { files, settings: order.settings, overwrite: order.overwrite }
    }

    async fn run(&mut self, job: Job, fate: Option<Fate>) {
        let prediction = predict(&self.commits, &job);
        let exit = self.machine.run(&job, fate).await;
        let observed = observe(&self.machine.objects().await);
        let after = commits(&observed);
        let last = self.machine.state().processes.len() - 1;
        let met = fate.filter(|fate| fate.at < self.calls(last));
        self.mishaps += usize::from(met.is_some());
        let lingering = self.lingering.take();
        if lingering.is_some() || met.is_some_and(|fate| fate.mishap.lands()) {
            // In an object store, nothing is removed.
            let may_break = self.machine.form == Form::Disk;
            let jobs: Vec<_> =
                [(job.clone(), exit)].into_iter().chain(lingering.map(|job| (job, Exit::Died))).collect();
            let fault = Together { before: &self.commits, jobs: &jobs, may_break }.fault(&after);
            assert_eq!(fault, None, "{job:?} with {met:?} ended with {exit:?}, {:?} became {after:?}", self.commits);
        } else if met.is_some() {
            let is_finished = matches!(exit, Exit::Done | Exit::Data);
            let is_one = prediction.states.contains(&after) && (!is_finished || *prediction.last() == after);
            assert!(is_one, "{job:?} with {met:?} ended with {exit:?} and left {after:?}, none of {prediction:?}");
        } else {
            assert_eq!(exit, prediction.exit, "{job:?} on {:?}", self.commits);
            assert_eq!(&after, prediction.last(), "{job:?} on {:?}", self.commits);
            self.assert_tidy(&observed, &format!("{job:?}"));
        }
        let lingers = met.is_some_and(|fate| fate.mishap.lands_in_the_next());
        self.lingering = lingers.then_some(job);
        self.commits = after;
    }

    async fn run_two(&mut self, jobs: [(Job, Option<Fate>); 2], schedule: &[usize]) {
        let exits = self.machine.run_two(&jobs, schedule).await;
        let observed = observe(&self.machine.objects().await);
        let after = commits(&observed);
        let ended = jobs.iter().zip(exits).map(|((job, _), exit)| (job.clone(), exit));
        let ended: Vec<_> = ended.chain(self.lingering.take().map(|job| (job, Exit::Died))).collect();
        let lands = jobs.iter().any(|(_, fate)| fate.is_some_and(|fate| fate.mishap.lands()));
        let together = Together {
            before: &self.commits,
            jobs: &ended,
            may_break: self.machine.form == Form::Disk && (lands || ended.len() > 2),
        };
        let fault = together.fault(&after);
        assert_eq!(fault, None, "{jobs:?} ended with {exits:?}, {:?} became {after:?}", self.commits);
        let undisturbed = jobs.iter().all(|(_, fate)| fate.is_none()) && ended.len() == 2;
        let ends_well = |exit: &Exit| matches!(exit, Exit::Done | Exit::Data | Exit::Conflict);
        assert!(!undisturbed || exits.iter().all(ends_well), "{jobs:?} ended with {exits:?}");
        if undisturbed && exits.iter().all(|exit| *exit <= Exit::Data) {
            self.assert_tidy(&observed, &format!("{jobs:?}"));
        }
        let lingers = |(_, fate): &&(Job, Option<Fate>)| fate.is_some_and(|fate| fate.mishap.lands_in_the_next());
        self.lingering = jobs.iter().find(lingers).map(|(job, _)| job.clone());
        self.mishaps += jobs.iter().filter(|(_, fate)| fate.is_some()).count();
        self.commits = after;
    }

    /// One more run over everything completes the output, and yet another has nothing to do.
    async fn last_run(&mut self) {
        let job = self.job(Order { overwrite: true, ..ALL });
        if self.lingering.is_some() {
            self.run(job.clone(), None).await;
        }
        self.run(job.clone(), None).await;
        let objects = self.machine.objects().await;
        self.run(Job { overwrite: false, ..job }, None).await;
        assert!(objects == self.machine.objects().await, "a run that had nothing to do has changed something");
    }

    async fn damage(&mut self, number: usize, goes: bool) {
        let objects = self.machine.objects().await;
        let commits = observe(&objects).commits;
        let Some((content, seen)) = commits.iter().nth(number) else { return };
        let markers = objects.iter().filter(|(path, _)| path.starts_with("_pubtag/commits/"));
        let mut markers = markers.map(|(_, bytes)| serde_json::from_slice::<Commit>(bytes).unwrap());
        let commit = markers.find(|commit| commit.attempt_id == seen.attempt).unwrap();
        let path = Path::from(commit.parts[number % commit.parts.len()].path.as_str());
        let store = &self.machine.store;
        if goes {
            // Another step may have removed it before.
            let _ = store.delete(&path).await;
        } else {
            store.put(&path, "cut short".into()).await.unwrap();
        }
        self.commits.get_mut(content).expect("what is observed is known").is_broken = true;
    }

    /// On a disk, an undisturbed run leaves nothing but what markers name.
    fn assert_tidy(&self, observed: &Observed, who: &str) {
        if self.machine.form == Form::Disk {
            assert_eq!(observed.leftovers, [""; 0], "{who} left what no marker names");
        }
    }

    fn calls(&self, process: usize) -> usize {
        self.machine.state().processes[process].calls.len()
    }

    fn played(&self) -> Played {
        let state = self.machine.state();
        let calls = state.processes.iter().map(|process| process.calls.len()).sum();
        Played { runs: state.processes.len(), calls, mishaps: self.mishaps }
    }
}

impl Mishap {
    /// Whether a call takes effect after its process is over.
    fn lands(self) -> bool {
        matches!(self, Self::DieAndLand(_) | Self::FailAndLand { .. })
    }

    fn lands_in_the_next(self) -> bool {
        matches!(self, Self::DieAndLand(when) | Self::FailAndLand { when, .. } if when != When::OwnEnd)
    }
}
