//! Decides what happens at a point.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Point;

/// The fate of a call.
#[derive(Debug)]
pub enum Verdict {
    /// It succeeds.
    Proceed,
    /// It fails and has no effect.
    Fail(io::Error),
    /// It takes effect, but reports a failure.
    FailAfter(io::Error),
    /// It reports a failure and takes effect later: once [`Director::landing`] returns.
    FailAndLand(io::Error),
    /// It takes effect, and the process dies before the answer arrives.
    DieAfter,
}

/// Decides what happens at each point. A future may be slow or never complete: the caller is then stuck, like a process
/// that died.
#[async_trait]
pub trait Director: fmt::Debug + Send + Sync + 'static {
    /// Called before each call.
    async fn before(&self, point: Point) -> Verdict;

    /// Completes when a call that reported a failure takes effect.
    async fn landing(&self);

    /// Ends the process; does not return.
    async fn die(&self);
}

/// Makes a call in place: if the caller is dropped, it never happened.
pub(crate) async fn look<T, E: From<Failed>>(
    director: &dyn Director,
    point: Point,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match director.before(point).await {
        Verdict::Proceed => call.await,
        Verdict::Fail(error) | Verdict::FailAfter(error) | Verdict::FailAndLand(error) => {
            Err(Failed { point, error }.into())
        }
        Verdict::DieAfter => {
            director.die().await;
            call.await
        }
    }
}

/// Makes a call on a separate task: it continues if the caller is dropped.
pub(crate) async fn change<T, E>(
    director: &Arc<dyn Director>,
    point: Point,
    call: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Failed> + Send + 'static,
{
    let director = director.clone();
    let task = tokio::spawn(async move {
        let failed = |error| E::from(Failed { point, error });
        match director.before(point).await {
            Verdict::Proceed => call.await,
            Verdict::Fail(error) => Err(failed(error)),
            Verdict::FailAfter(error) => call.await.and(Err(failed(error))),
            Verdict::FailAndLand(error) => {
                tokio::spawn(async move {
                    director.landing().await;
                    call.await.map(drop)
                });
                Err(failed(error))
            }
            Verdict::DieAfter => {
                let result = call.await;
                director.die().await;
                result
            }
        }
    });
    task.await.unwrap_or_else(|error| Err(Failed { point, error: error.into() }.into()))
}

/// A failure injected by the director.
#[derive(Debug)]
pub(crate) struct Failed {
    point: Point,
    error: io::Error,
}

impl From<Failed> for object_store::Error {
    fn from(Failed { error, .. }: Failed) -> Self {
        Self::Generic { store: "crash-points", source: error.into() }
    }
}

impl From<Failed> for pubtag_parquet::Error {
    fn from(Failed { point, error }: Failed) -> Self {
        Self::Lock { path: point.to_string(), source: error }
    }
}
