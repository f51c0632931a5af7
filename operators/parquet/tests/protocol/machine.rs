//! One output on a disk, and the processes that work on it.

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

/// A disk in memory with the runs on it. One of them works at a time: whose turn it is changes only between calls.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) store: Arc<InMemory>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) processes: Vec<Proc>,
    /// Runs that hold their mark of life.
    pub(crate) alive: HashMap<Uuid, usize>,
    /// Who holds the lock on replacing.
    pub(crate) locked: Option<usize>,
    /// Who works.
    turn: usize,
    /// Calls until it is another's turn, this time and the next times.
    left: usize,
    schedule: VecDeque<usize>,
}

/// What the machine knows of a process.
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
    pub(crate) fn new() -> Arc<Self> {
        let (store, state) = (Arc::new(InMemory::new()), Mutex::default());
        Arc::new(Self { store, state, changed: Notify::new() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes the state and lets everybody who waits look again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.notify_waiters();
        changed
    }

    /// Waits until a condition yields something; it may change the state only when it does, but for whose turn it is.
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

    /// Adds processes that are to work in turns of so many calls; the first begins.
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

    /// A process arrives at a call and waits for its turn to make it. A dead process waits for ever.
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

    /// A process is over, by its end or by its death: nothing that it holds outlives it.
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
    /// Whether a process is at work and may make its next call.
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

    /// Hands the turn to somebody else, if anybody else works.
    pub(crate) fn yield_turn(&mut self, process: usize, to: Option<usize>) {
        if self.turn == process {
            self.turn = to.or_else(|| self.other(process)).unwrap_or(process);
        }
    }

    fn other(&self, process: usize) -> Option<usize> {
        (0..self.processes.len()).find(|&other| other != process && self.processes[other].phase == Phase::Runs)
    }
}
