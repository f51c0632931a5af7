//! An operator on a task of its own, behind a bounded channel.

use std::num::NonZeroUsize;
use std::time::Instant;

use async_stream::stream;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::blocking::join_fault;
use crate::{Fault, Flow, Meter, Meters, Operator};

/// Runs an operator on a task of its own; at most `queue_capacity` of its items wait for the next stage. Registers the
/// stage's meter under the operator's name.
///
/// The returned stream yields the operator's items in its order and ends after the first fault. If the task panics, the
/// panic is that fault. Dropping the returned stream aborts the task, and with it every stage before it.
///
/// Must be called within a tokio runtime.
pub fn stage<I, O>(operator: O, input: Flow<I>, queue_capacity: NonZeroUsize, meters: &Meters) -> Flow<O::Output>
where
    I: Send + 'static,
    O: Operator<I>,
{
    let name = operator.name();
    let apply = |meter: Meter| operator.apply(metered(input, meter.clone()), meter);
    stage_from(name, apply, queue_capacity, meters)
}

/// Runs a source on a task of its own, as [`stage`] runs an operator; `flow` makes its stream, given the stage's meter.
pub fn stage_from<T: Send + 'static>(
    name: &'static str,
    flow: impl FnOnce(Meter) -> Flow<T>,
    queue_capacity: NonZeroUsize,
    meters: &Meters,
) -> Flow<T> {
    let meter = meters.register(name);
    let mut flow = flow(meter.clone());
    let (sender, mut receiver) = mpsc::channel(queue_capacity.get());
    let mut task = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(item) = flow.next().await {
            let last = item.is_err();
            if !deliver(&sender, item, &meter).await || last {
                break;
            }
        }
    }));
    Box::pin(stream! {
        while let Some(item) = receiver.recv().await {
            yield item;
        }
        // The channel is closed: only the task's result distinguishes a finished stage from one that panicked.
        if let Err(error) = (&mut task).await {
            yield Err(join_fault(name, error));
        }
    })
}

/// Sends an item, counting the time blocked by the next stage; false once that is gone.
async fn deliver<T>(sender: &mpsc::Sender<Result<T, Fault>>, item: Result<T, Fault>, meter: &Meter) -> bool {
    let waiting = Instant::now();
    let delivered = sender.send(item).await.is_ok();
    meter.add_blocked(waiting.elapsed());
    delivered
}

/// The same stream, counting the time that its reader waits for items.
fn metered<T: Send + 'static>(mut input: Flow<T>, meter: Meter) -> Flow<T> {
    Box::pin(stream! {
        loop {
            let waiting = Instant::now();
            let item = input.next().await;
            meter.add_starved(waiting.elapsed());
            match item {
                Some(item) => yield item,
                None => break,
            }
        }
    })
}
