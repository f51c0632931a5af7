//! Who decides what happens at a point.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Point;

/// What becomes of a call.
#[derive(Debug)]
pub enum Verdict {
    /// It is made.
    Proceed,
    /// It fails and has no effect.
    Fail(io::Error),
    /// It takes effect, but is said to have failed.
    FailAfter(io::Error),
    /// It is said to have failed, and takes effect later: once [`Director::landing`] returns.
    FailAndLand(io::Error),
    /// It takes effect, and the process dies before it hears of it.
    DieAfter,
}

/// Decides what happens at each point. Its futures may take their time or never end: the caller is then stuck, as a
/// process that died is.
#[async_trait]
pub trait Director: fmt::Debug + Send + Sync + 'static {
    /// Asked before a call is made.
    async fn before(&self, point: Point) -> Verdict;

    /// Ends when a call that was said to have failed takes effect.
    async fn landing(&self);

    /// Ends the process; does not return.
    async fn die(&self);
}

/// Makes a call in place: if the caller is dropped, it was never made.
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

/// Makes a call on a task of its own: it goes on if the caller is dropped.
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

/// A call that the director made fail.
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
