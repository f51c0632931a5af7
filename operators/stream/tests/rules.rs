//! The rules of the stream, one test each.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_stream::stream;
use futures::StreamExt;
use pubtag_stream::{Fault, FaultKind, Flow, Meter, Meters, Operator, spawn_blocking, stage, stage_from};
use tokio::runtime::Builder;

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");

/// Counts up from 0 without end, and records how far it got.
fn counter(drawn: Arc<AtomicUsize>) -> Flow<usize> {
    Box::pin(stream! {
        loop {
            yield Ok(drawn.fetch_add(1, Ordering::SeqCst));
        }
    })
}

/// Applies a function on a blocking thread, two at a time, in order.
struct Map<F>(F);

impl<F> Operator<usize> for Map<F>
where
    F: Fn(usize) -> Result<usize, Fault> + Clone + Send + 'static,
{
    type Output = usize;

    fn name(&self) -> &'static str {
        "map"
    }

    fn apply(self, input: Flow<usize>, meter: Meter) -> Flow<usize> {
        let work = move |item: Result<usize, Fault>| {
            let (meter, function) = (meter.clone(), self.0.clone());
            async move {
                let item = item?;
                spawn_blocking(&meter, move || function(item)).await?
            }
        };
        Box::pin(input.map(work).buffered(2))
    }
}

fn mapped(
    function: impl Fn(usize) -> Result<usize, Fault> + Clone + Send + 'static,
    input: Flow<usize>,
) -> Flow<usize> {
    stage(Map(function), input, TWO, &Meters::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_channel_slows_the_source() {
    let drawn = Arc::new(AtomicUsize::new(0));
    let mut flow = mapped(Ok, stage_from("count", |_| counter(drawn.clone()), TWO, &Meters::default()));
    assert!(flow.next().await.is_some());
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Two channels of two, two calls in flight, one item held by each of the two tasks, and the one taken.
    let limit = 2 + 2 + 2 + 2 + 1;
    let reached = drawn.load(Ordering::SeqCst);
    assert!(reached <= limit, "the source ran ahead: {reached} items, at most {limit} have a place");
    for _ in 0..50 {
        assert!(flow.next().await.is_some());
    }
    assert!(drawn.load(Ordering::SeqCst) <= limit + 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_keep_their_order_whichever_finishes_first() {
    let slow_evens = |item: usize| {
        std::thread::sleep(Duration::from_millis(if item.is_multiple_of(2) { 3 } else { 0 }));
        Ok(item)
    };
    let flow = mapped(slow_evens, counter(Arc::default()));
    let items: Vec<usize> = flow.take(40).map(|item| item.expect("no stage fails here")).collect().await;
    assert_eq!(items, (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_on_a_blocking_thread_becomes_a_fault_at_the_sink() {
    let flow =
        mapped(|item| if item == 5 { panic!("five is not supported") } else { Ok(item) }, counter(Arc::default()));
    let items: Vec<_> = flow.collect().await;
    assert_eq!(items.len(), 6, "five items, the fault, and nothing behind it");
    assert_panicked(items.last(), "map", "five is not supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_task_itself_becomes_a_fault_at_the_sink() {
    let flow: Flow<usize> = Box::pin(stream! {
        yield Ok(1);
        panic!("the task fell over");
    });
    let through = mapped(Ok, stage_from("source", |_| flow, TWO, &Meters::default()));
    let items: Vec<_> = through.collect().await;
    assert_eq!(items.len(), 2);
    assert_panicked(items.last(), "source", "the task fell over");
}

fn assert_panicked(last: Option<&Result<usize, Fault>>, stage: &str, message: &str) {
    let Some(Err(fault)) = last else { panic!("the last item must be a fault, not {last:?}") };
    assert_eq!((fault.stage(), fault.kind()), (stage, FaultKind::Internal));
    let source = std::error::Error::source(fault).expect("a fault has a source").to_string();
    assert!(source.contains(message), "{source:?} does not say {message:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_fault_ends_the_stream_and_stops_the_source() {
    let drawn = Arc::new(AtomicUsize::new(0));
    let fail_at_3 = |item| if item == 3 { Err(Fault::new("map", FaultKind::Data, "three")) } else { Ok(item) };
    let flow = mapped(fail_at_3, stage_from("count", |_| counter(drawn.clone()), TWO, &Meters::default()));
    let items: Vec<_> = flow.collect().await;
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    assert!(matches!(items.last(), Some(Err(fault)) if fault.kind() == FaultKind::Data));
    assert_source_rests(&drawn).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_output_aborts_every_stage() {
    struct Alive(Arc<AtomicBool>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
    let alive = Arc::new(AtomicBool::new(true));
    let guard = Alive(alive.clone());
    let source: Flow<usize> = Box::pin(stream! {
        let _guard = guard;
        yield Ok(1);
        std::future::pending::<()>().await;
    });
    let mut flow = mapped(Ok, stage_from("source", |_| source, TWO, &Meters::default()));
    assert!(flow.next().await.is_some());
    assert!(alive.load(Ordering::SeqCst));
    drop(flow);
    for _ in 0..200 {
        if !alive.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the source is still alive after its sink was dropped");
}

#[test]
fn a_dropped_stage_starts_no_queued_job() {
    let mut one_blocking_thread = Builder::new_multi_thread();
    let runtime = one_blocking_thread.worker_threads(1).max_blocking_threads(1).enable_time().build().unwrap();
    runtime.block_on(async {
        let (started, drawn) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (count, gate) = (started.clone(), Arc::new(Mutex::new(gate)));
        let wait_at_gate = move |item| {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = gate.lock().unwrap().recv();
            Ok(item)
        };
        let mut flow = mapped(wait_at_gate, counter(drawn.clone()));
        // The first job occupies the only thread; the second is queued behind it.
        let waiting = tokio::time::timeout(Duration::from_millis(100), flow.next()).await;
        assert!(waiting.is_err(), "the first job is still at the gate");
        assert_eq!((started.load(Ordering::SeqCst), drawn.load(Ordering::SeqCst)), (1, 2));
        drop(flow);
        assert_source_rests(&drawn).await;
        drop(release);
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert_eq!(started.load(Ordering::SeqCst), 1, "a queued job ran after its stage was dropped");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_meters_work_starvation_and_backpressure() {
    let slow: Flow<usize> = Box::pin(stream! {
        for item in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            yield Ok(item);
        }
    });
    let starved = Meters::default();
    let work = |item| {
        std::thread::sleep(Duration::from_millis(10));
        Ok(item)
    };
    let items = stage(Map(work), slow, TWO, &starved).count().await;
    let reading = starved.snapshot("map").unwrap();
    assert_eq!(items, 3);
    assert!(reading.busy >= Duration::from_millis(30), "{reading:?}");
    assert!(reading.starved >= Duration::from_millis(40), "{reading:?}");

    let pressed = Meters::default();
    let mut flow = stage(Map(Ok), counter(Arc::default()), TWO, &pressed);
    assert!(flow.next().await.is_some());
    tokio::time::sleep(Duration::from_millis(50)).await;
    // The stage's task counts the wait once it is over: take items until it has.
    for _ in 0..100 {
        assert!(flow.next().await.is_some());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let reading = pressed.snapshot("map").unwrap();
    assert!(reading.blocked >= Duration::from_millis(20), "{reading:?}");
}

async fn assert_source_rests(drawn: &AtomicUsize) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let reached = drawn.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(drawn.load(Ordering::SeqCst), reached, "the source still runs after the stream has ended");
}
