//! One run as a process: what happens to it, and its locks.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use pubtag_crash_points::{Director, Point, PointLiveness, PointStore, Verdict};
use pubtag_parquet::{Error, Hold, Liveness};
use uuid::Uuid;

use crate::job::{Host, Signals};
use crate::machine::{Form, Machine, Phase};

/// What happens to a process at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It dies before the call.
    DieBefore,
    /// It dies after the call, before the answer arrives.
    DieAfter,
    /// It dies, and the call, if it only adds an object, takes effect later.
    DieAndLand(When),
    /// This and further calls fail.
    FailBefore {
        /// Number of calls.
        times: usize,
    },
    /// This and further calls take effect but report a failure.
    FailAfter {
        /// Number of calls.
        times: usize,
    },
    /// This and further calls report a failure; those that only add an object take effect later.
    FailAndLand {
        /// When.
        when: When,
        /// Number of calls.
        times: usize,
    },
    /// A first signal: no new unit is begun.
    Drain,
    /// A second signal. The current call takes effect after the given number of further calls, or once the process makes
    /// none without it.
    Abort {
        /// Number of further calls.
        hold: usize,
    },
}

/// When a call that nobody awaits takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Once its process is over.
    OwnEnd,
    /// Once the next process has opened the output.
    NextOpened,
    /// Once the next process is over.
    NextOver,
}

/// A mishap and its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Number of the call, from 0.
    pub(crate) at: usize,
    /// What happens.
    pub(crate) mishap: Mishap,
}

impl Fate {
    fn is_met_at(self, call: usize) -> bool {
        let times = match self.mishap {
            Mishap::FailBefore { times } | Mishap::FailAfter { times } | Mishap::FailAndLand { times, .. } => times,
            _ => 1,
        };
        (self.at..self.at + times).contains(&call)
    }
}

/// One run on a machine.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) machine: Arc<Machine>,
    pub(crate) number: usize,
    pub(crate) run_id: Uuid,
    pub(crate) fate: Option<Fate>,
}

impl Process {
    pub(crate) fn new(machine: &Arc<Machine>, number: usize, fate: Option<Fate>) -> Self {
        Self { machine: machine.clone(), number, run_id: Uuid::now_v7(), fate }
    }

    async fn land(&self, when: When) {
        let (own, next) = (self.number, self.number + 1);
        self.machine
            .until(|state| {
                let of = |process: usize| state.processes.get(process);
                let is_over = |process: usize| of(process).is_some_and(|proc| proc.phase != Phase::Runs);
                let is_due = match when {
                    When::OwnEnd => is_over(own),
                    When::NextOpened => of(next).is_some_and(|proc| proc.has_opened || is_over(next)),
                    When::NextOver => is_over(next),
                };
                is_due.then_some(())
            })
            .await;
    }

    /// Completes after the given number of further calls, or when the process makes no more.
    async fn hold_back(&self, hold: usize) {
        const QUIET: usize = 100;
        let calls = || self.machine.state().processes[self.number].calls.len();
        let (first, mut last, mut quiet) = (calls(), calls(), 0);
        while quiet < QUIET && calls() < first + hold {
            tokio::task::yield_now().await;
            quiet = if calls() == last { quiet + 1 } else { 0 };
            last = calls();
        }
    }
}

impl Host for Process {
    fn store(&self) -> Arc<dyn ObjectStore> {
        let store = PointStore::new(self.machine.store.clone(), Arc::new(self.clone()));
        Arc::new(if self.machine.form == Form::Disk { store.like_a_disk() } else { store })
    }

    fn liveness(&self) -> Option<Arc<dyn Liveness>> {
        if self.machine.form == Form::Bucket {
            return None;
        }
        let locks = Locks { machine: self.machine.clone(), process: self.number };
        Some(Arc::new(PointLiveness::new(Arc::new(locks), Arc::new(self.clone()))))
    }

    fn run_id(&self) -> Uuid {
        self.run_id
    }

    fn signals(&self) -> Signals {
        self.machine.state().processes[self.number].signals.clone()
    }

    async fn has_opened(&self) {
        self.machine.change(|state| state.processes[self.number].has_opened = true);
        self.machine.settle().await;
    }
}

#[async_trait]
impl Director for Process {
    async fn before(&self, point: Point) -> Verdict {
        let call = self.machine.arrive(self.number, point).await;
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        let Some(Fate { mishap, .. }) = self.fate.filter(|fate| fate.is_met_at(call)) else { return Verdict::Proceed };
        match mishap {
            Mishap::DieAndLand(when) if point.call.only_adds() => {
                self.machine.end(self.number, Phase::Dead);
                self.land(when).await;
                Verdict::DieAfter
            }
            Mishap::DieBefore | Mishap::DieAndLand(_) => {
                self.die().await;
                Verdict::Proceed
            }
            Mishap::DieAfter => Verdict::DieAfter,
            Mishap::FailAndLand { .. } if point.call.only_adds() => Verdict::FailAndLand(timed_out()),
            Mishap::FailBefore { .. } | Mishap::FailAndLand { .. } => Verdict::Fail(timed_out()),
            Mishap::FailAfter { .. } => Verdict::FailAfter(timed_out()),
            Mishap::Drain => {
                self.signals().drain.cancel();
                Verdict::Proceed
            }
            Mishap::Abort { hold } => {
                self.signals().abort.cancel();
                self.hold_back(hold).await;
                Verdict::Proceed
            }
        }
    }

    async fn landing(&self) {
        if let Some(Fate { mishap: Mishap::FailAndLand { when, .. }, .. }) = self.fate {
            self.land(when).await;
        }
    }

    async fn die(&self) {
        self.machine.end(self.number, Phase::Dead);
        std::future::pending().await
    }
}

/// The locks of a machine, as one of its processes sees them.
#[derive(Clone, Debug)]
struct Locks {
    machine: Arc<Machine>,
    process: usize,
}

impl Locks {
    fn mark(&self, run_id: Option<Uuid>) -> Mark {
        Mark { locks: self.clone(), run_id }
    }
}

impl Liveness for Locks {
    fn hold(&self, run_id: Uuid) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        self.machine.change(|state| state.alive.insert(run_id, self.process));
        let mark = self.mark(Some(run_id));
        async move { Ok(Box::new(mark) as Box<dyn Hold>) }.boxed()
    }

    fn is_alive(&self, run_id: Uuid) -> BoxFuture<'_, Result<bool, Error>> {
        async move { Ok(self.machine.state().alive.contains_key(&run_id)) }.boxed()
    }

    fn exclusive(&self) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        async move {
            // Waiting for a lock passes the turn to its holder.
            self.machine
                .until(|state| match state.locked {
                    None => {
                        state.locked = Some(self.process);
                        Some(())
                    }
                    Some(holder) => {
                        state.yield_turn(self.process, Some(holder));
                        None
                    }
                })
                .await;
            Ok(Box::new(self.mark(None)) as Box<dyn Hold>)
        }
        .boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
}

/// A run's hold, or the lock on replacing.
#[derive(Debug)]
struct Mark {
    locks: Locks,
    run_id: Option<Uuid>,
}

impl Hold for Mark {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        async move {
            drop(self);
            Ok(())
        }
        .boxed()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.locks.machine.change(|state| match self.run_id {
            Some(run_id) => drop(state.alive.remove(&run_id)),
            None => state.locked = state.locked.filter(|holder| *holder != self.locks.process),
        });
    }
}
