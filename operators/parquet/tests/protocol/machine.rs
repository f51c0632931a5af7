//! One output on a disk, and the processes working on it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use pubtag_crash_points::Point;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::job::{Exit, Job, Signals, run};
use crate::process::{Fate, Process};

/// Where an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// On a disk, with locks and without comparing versions.
    Disk,
    /// In an object store, without locks.
    Bucket,
}

/// A disk or bucket in memory and the runs on it. One run works at a time; turns change only between calls.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) form: Form,
    pub(crate) store: Arc<InMemory>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) processes: Vec<Proc>,
    /// Runs that are alive.
    pub(crate) alive: HashMap<Uuid, usize>,
    /// The holder of the lock on replacing.
    pub(crate) locked: Option<usize>,
    /// The process whose turn it is.
    turn: usize,
    /// Calls until the next change of turns, and of those after it.
    left: usize,
    schedule: VecDeque<usize>,
}

/// The state of a process.
#[derive(Debug, Default)]
pub(crate) struct Proc {
    pub(crate) phase: Phase,
    /// Calls so far.
    pub(crate) calls: Vec<Point>,
    /// Whether it has opened the output.
    pub(crate) has_opened: bool,
    pub(crate) signals: Signals,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Runs,
    Dead,
    Over,
}

impl Machine {
    pub(crate) fn new(form: Form) -> Arc<Self> {
        let (store, state) = (Arc::new(InMemory::new()), Mutex::default());
        Arc::new(Self { form, store, state, changed: Notify::new() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state and wakes everyone who waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        changed
    }

    /// Waits until a condition yields a value; until then it may change nothing but whose turn it is.
    pub(crate) async fn until<T>(&self, mut condition: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (found, has_passed) = {
                let mut state = self.state();
                let turn = state.turn;
                (condition(&mut state), state.turn != turn)
            };
            if found.is_some() || has_passed {
                self.changed.notify_waiters();
            }
            match found {
                Some(found) => return found,
                None => changed.await,
            }
        }
    }

    /// Runs a process from its start to its end or death.
    pub(crate) async fn run(self: &Arc<Self>, job: &Job, fate: Option<Fate>) -> Exit {
        let numbers = self.start(1, &[]);
        self.process(numbers[0], job, fate).await
    }

    /// Runs two processes that take turns.
    pub(crate) async fn run_two(self: &Arc<Self>, jobs: &[(Job, Option<Fate>); 2], schedule: &[usize]) -> [Exit; 2] {
        let numbers = self.start(2, schedule);
        let [one, two] = jobs;
        let both = tokio::join!(self.process(numbers[0], &one.0, one.1), self.process(numbers[1], &two.0, two.1));
        both.into()
    }

    async fn process(self: &Arc<Self>, number: usize, job: &Job, fate: Option<Fate>) -> Exit {
        let process = Process::new(self, number, fate);
        let is_dead = self.until(|state| (state.processes[number].phase == Phase::Dead).then_some(()));
        let exit = tokio::select! {
            exit = run(&process, job) => exit,
            () = is_dead => Exit::Died,
        };
        self.end(number, Phase::Over);
        self.settle().await;
        exit
    }

    /// Adds processes that take turns of the given lengths; the first begins.
    pub(crate) fn start(&self, count: usize, schedule: &[usize]) -> Vec<usize> {
        self.change(|state| {
            let first = state.processes.len();
            state.processes.resize_with(first + count, Proc::default);
            state.turn = first;
            state.schedule = schedule.iter().copied().collect();
            state.left = state.schedule.pop_front().unwrap_or(usize::MAX);
            (first..first + count).collect()
        })
    }

    /// Called by a process before a call; waits for its turn. A dead process waits forever.
    pub(crate) async fn arrive(&self, process: usize, point: Point) -> usize {
        self.until(|state| {
            if !state.may_go_on(process) {
                return None;
            }
            let calls = &mut state.processes[process].calls;
            calls.push(point);
            Some(calls.len() - 1)
        })
        .await
    }

    /// Called when a process ends or dies: its locks end with it.
    pub(crate) fn end(&self, process: usize, phase: Phase) {
        self.change(|state| {
            if state.processes[process].phase != Phase::Runs {
                return;
            }
            state.processes[process].phase = phase;
            state.alive.retain(|_, holder| *holder != process);
            state.locked = state.locked.filter(|holder| *holder != process);
            if state.turn == process {
                state.turn = state.other(process).unwrap_or(process);
            }
        });
    }

    /// Lets tasks that have become ready take effect.
    pub(crate) async fn settle(&self) {
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
    }

    /// All objects, with their bytes.
    pub(crate) async fn objects(&self) -> BTreeMap<String, Bytes> {
        let list: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut objects = BTreeMap::new();
        for object in list {
            let bytes = self.store.get(&object.location).await.unwrap().bytes().await.unwrap();
            objects.insert(object.location.to_string(), bytes);
        }
        objects
    }
}

impl State {
    /// Whether a process is running and may make its next call.
    fn may_go_on(&mut self, process: usize) -> bool {
        if self.processes[process].phase != Phase::Runs || self.turn != process {
            return false;
        }
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.left = self.schedule.pop_front().unwrap_or(usize::MAX);
        self.yield_turn(process, None);
        self.turn == process && self.may_go_on(process)
    }

    /// Passes the turn to another process, if one is running.
    pub(crate) fn yield_turn(&mut self, process: usize, to: Option<usize>) {
        if self.turn == process {
            self.turn = to.or_else(|| self.other(process)).unwrap_or(process);
        }
    }

    fn other(&self, process: usize) -> Option<usize> {
        (0..self.processes.len()).find(|&other| other != process && self.processes[other].phase == Phase::Runs)
    }
}
