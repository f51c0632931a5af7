//! An operator on a task of its own, behind a bounded channel.

use std::num::NonZeroUsize;
use std::time::Instant;

use async_stream::stream;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::blocking::join_fault;
use crate::{Fault, Flow, Meter, Operator};

/// Runs an operator on a task of its own; at most `queue_capacity` of its items wait for the next stage.
///
/// The returned stream yields the operator's items in its order and ends after the first fault. If the task panics, the
/// panic is that fault. Dropping the returned stream aborts the task, and with it every stage before it.
///
/// Must be called within a tokio runtime.
pub fn stage<I, O>(operator: O, input: Flow<I>, queue_capacity: NonZeroUsize, meter: Meter) -> Flow<O::Output>
where
    I: Send + 'static,
    O: Operator<I>,
{
    let name = operator.name();
    let output = operator.apply(metered(input, meter.clone()), meter.clone());
    stage_from(name, output, queue_capacity, meter)
}

/// Runs a stream on a task of its own, as [`stage`] does with an operator's: how a source joins the chain.
pub fn stage_from<T: Send + 'static>(
    name: &'static str,
    mut flow: Flow<T>,
    queue_capacity: NonZeroUsize,
    meter: Meter,
) -> Flow<T> {
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
        // The channel is closed: only the task's own end tells a finished stage from one that panicked.
        if let Err(error) = (&mut task).await {
            yield Err(join_fault(name, error));
        }
    })
}

/// Sends an item, counting the wait for room; false once nobody listens.
async fn deliver<T>(sender: &mpsc::Sender<Result<T, Fault>>, item: Result<T, Fault>, meter: &Meter) -> bool {
    let waiting = Instant::now();
    let delivered = sender.send(item).await.is_ok();
    meter.add_blocked(waiting.elapsed());
    delivered
}

/// The same stream, counting the time that its reader waits for it.
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
