//! The threads that own the model: one per worker of the CPU, two per CUDA device.
//!
//! GPU streams belong to threads, so a model is made, run and dropped on one thread. The threads
//! share a channel that holds one micro-batch: the next is ready while all of them are busy, and no more wait.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pubtag_stream::without_panic;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::{ClassifierFactory, Logits, MicroBatch, NerError, TokenClassifier};

/// The thread's name in debuggers and profiles.
const NAME: &str = "pubtag-model";

/// A handle to the threads; clones share them. They end once all handles are dropped.
#[derive(Clone, Debug)]
pub(crate) struct ModelThreads {
    jobs: mpsc::Sender<Job>,
    count: usize,
}

/// The receiving end of the channel.
type Queue = Arc<Mutex<mpsc::Receiver<Job>>>;

/// A micro-batch and the receiver of its logits.
struct Job {
    batch: MicroBatch,
    reply: oneshot::Sender<Result<Scored, NerError>>,
}

/// A scored micro-batch.
#[derive(Debug)]
pub(crate) struct Scored {
    /// The scores.
    pub(crate) logits: Logits,
    /// Time in the model.
    pub(crate) took: Duration,
}

impl ModelThreads {
    /// Starts a thread per factory and waits until all models are loaded. Models of a round load in parallel, and rounds
    /// one after the other. After the first round, a device without enough memory is skipped.
    ///
    /// # Errors
    /// If a thread cannot be started, or a factory fails or panics on it.
    pub(crate) fn start(rounds: Vec<Vec<ClassifierFactory>>) -> Result<Self, NerError> {
        let (jobs, queue) = mpsc::channel(1);
        let (mut count, queue) = (0, Arc::new(Mutex::new(queue)));
        for round in rounds {
            let started = count;
            // Start all before waiting for the first.
            let loading: Vec<_> = round.into_iter().map(|factory| start_one(factory, queue.clone())).collect();
            for loaded in loading {
                match loaded?.recv().map_err(|_| NerError::Stopped)? {
                    Ok(()) => count += 1,
                    Err(NerError::OutOfMemory { device }) if started > 0 => {
                        warn!(%device, "out of memory; continuing with one micro-batch at a time");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Self { jobs, count })
    }

    /// The number of threads.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Scores a micro-batch on the first free thread, after all earlier micro-batches have started.
    ///
    /// # Errors
    /// If the model fails or panics. A panic ends its thread.
    pub(crate) async fn classify(&self, batch: MicroBatch) -> Result<Scored, NerError> {
        let (reply, scored) = oneshot::channel();
        self.jobs.send(Job { batch, reply }).await.map_err(|_| NerError::Stopped)?;
        scored.await.map_err(|_| NerError::Stopped)?
    }
}

/// Starts a thread; the returned channel reports when its model is loaded.
fn start_one(factory: ClassifierFactory, queue: Queue) -> Result<Receiver<Result<(), NerError>>, NerError> {
    let (ready, loaded) = sync_channel(1);
    let body = move || match guarded(factory) {
        Ok(model) => {
            if ready.send(Ok(())).is_ok() {
                serve(model, &queue);
            }
        }
        // Nobody may be waiting any more.
        Err(error) => drop(ready.send(Err(error))),
    };
    thread::Builder::new().name(NAME.to_owned()).spawn(body).map_err(NerError::Spawn)?;
    Ok(loaded)
}

/// The next job, for whichever thread asks first; `None` once the channel is closed.
fn next(queue: &Queue) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}

/// Runs jobs until the channel closes or the model panics: its state after a panic is unknown.
fn serve(mut model: Box<dyn TokenClassifier>, queue: &Queue) {
    while let Some(Job { batch, reply }) = next(queue) {
        let start = Instant::now();
        let result = guarded(|| model.classify(&batch)).map(|logits| Scored { logits, took: start.elapsed() });
        let panicked = matches!(result, Err(NerError::Panicked { .. }));
        // The run may have been dropped meanwhile.
        drop(reply.send(result));
        if panicked {
            return;
        }
    }
}

/// Turns a panic into an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, NerError>) -> Result<T, NerError> {
    without_panic(call).unwrap_or_else(|message| Err(NerError::Panicked { message }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use super::*;
    use crate::{Device, Padding};

    /// Returns each id as a logit; panics at id 13, fails at id 14.
    struct Echo {
        _alive: std_mpsc::Sender<()>,
    }

    impl TokenClassifier for Echo {
        fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
            assert!(!batch.ids().contains(&13), "unlucky batch of {} tokens", batch.token_count());
            if batch.ids().contains(&14) {
                return Err(NerError::NotFinite);
            }
            let values = batch.ids().iter().map(|&id| id as f32).collect();
            Ok(Logits { labels: 1, values, padding: Padding::default() })
        }
    }

    /// A thread with an [`Echo`], and a channel that closes when the model is dropped.
    fn echo() -> (ModelThreads, std_mpsc::Receiver<()>) {
        let (alive, ended) = std_mpsc::channel();
        let factory = move || Ok(Box::new(Echo { _alive: alive }) as Box<dyn TokenClassifier>);
        (ModelThreads::start(vec![vec![Box::new(factory)]]).unwrap(), ended)
    }

    fn batch(ids: &[u32]) -> MicroBatch {
        let mut batch = MicroBatch::default();
        batch.push(ids);
        batch
    }

    #[tokio::test]
    async fn micro_batches_come_back_scored() {
        let (thread, _ended) = echo();
        let scored = thread.classify(batch(&[1, 2, 3])).await.unwrap();
        assert_eq!(scored.logits.values, [1.0, 2.0, 3.0]);
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_message_and_ends_the_thread() {
        let (thread, ended) = echo();
        let error = thread.classify(batch(&[7, 13])).await.unwrap_err();
        assert!(matches!(&error, NerError::Panicked { message } if message == "unlucky batch of 2 tokens"), "{error}");
        assert_eq!(ended.recv(), Err(std_mpsc::RecvError));
        assert!(matches!(thread.classify(batch(&[1])).await, Err(NerError::Stopped)));
    }

    #[tokio::test]
    async fn an_error_leaves_the_thread_running() {
        let (thread, _ended) = echo();
        assert!(matches!(thread.classify(batch(&[14])).await, Err(NerError::NotFinite)));
        assert!(thread.classify(batch(&[1])).await.is_ok());
    }

    #[tokio::test]
    async fn the_thread_ends_when_the_last_handle_is_dropped() {
        let (thread, ended) = echo();
        let other = thread.clone();
        drop(thread);
        assert!(other.classify(batch(&[1])).await.is_ok());
        drop(other);
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Err(std_mpsc::RecvTimeoutError::Disconnected));
    }

    /// Waits for another model at each micro-batch.
    struct Together(Arc<std::sync::Barrier>);

    impl TokenClassifier for Together {
        fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
            self.0.wait();
            Ok(Logits {
                labels: 1,
                values: batch.ids().iter().map(|&id| id as f32).collect(),
                padding: Padding::default(),
            })
        }
    }

    #[tokio::test]
    async fn two_models_run_at_the_same_time_and_replies_are_not_mixed_up() {
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let factory = |barrier: Arc<_>| -> ClassifierFactory { Box::new(move || Ok(Box::new(Together(barrier)))) };
        let threads = ModelThreads::start(vec![vec![factory(barrier.clone())], vec![factory(barrier)]]).unwrap();
        for first in (0..20).step_by(2) {
            let (first, second) = (batch(&[first]), batch(&[first + 1]));
            let (one, two) = futures::join!(threads.classify(first.clone()), threads.classify(second.clone()));
            assert_eq!(one.unwrap().logits.values, [first.ids()[0] as f32]);
            assert_eq!(two.unwrap().logits.values, [second.ids()[0] as f32]);
        }
    }

    #[tokio::test]
    async fn a_device_without_memory_for_a_second_model_continues_with_one() {
        let without_memory =
            || -> ClassifierFactory { Box::new(|| Err(NerError::OutOfMemory { device: Device::Cuda(0) })) };
        let (alive, _ended) = std_mpsc::channel();
        let echo: ClassifierFactory = Box::new(move || Ok(Box::new(Echo { _alive: alive })));
        let threads = ModelThreads::start(vec![vec![echo], vec![without_memory()]]).unwrap();
        assert_eq!(threads.count(), 1);
        assert!(threads.classify(batch(&[1])).await.is_ok());
        assert!(matches!(ModelThreads::start(vec![vec![without_memory()]]), Err(NerError::OutOfMemory { .. })));
    }

    #[test]
    fn a_model_that_fails_or_panics_while_loading_is_an_error_at_startup() {
        let failing: ClassifierFactory = Box::new(|| Err(NerError::NotFinite));
        assert!(matches!(ModelThreads::start(vec![vec![failing]]), Err(NerError::NotFinite)));
        let panicking: ClassifierFactory = Box::new(|| panic!("no weights"));
        assert!(
            matches!(ModelThreads::start(vec![vec![panicking]]), Err(NerError::Panicked { message }) if message == "no weights")
        );
    }
}
