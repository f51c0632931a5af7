//! A [`Liveness`] whose every call is a point.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use pubtag_parquet::{Error, Hold, Liveness};
use uuid::Uuid;

use crate::director::{change, look};
use crate::{Call, Director, Point};

/// A [`Liveness`] that asks a [`Director`] before and after each call.
#[derive(Clone, Debug)]
pub struct PointLiveness {
    inner: Arc<dyn Liveness>,
    director: Arc<dyn Director>,
}

impl PointLiveness {
    /// A liveness under a director.
    pub fn new(inner: Arc<dyn Liveness>, director: Arc<dyn Director>) -> Self {
        Self { inner, director }
    }

    fn held(&self, inner: Box<dyn Hold>, release: Call) -> Box<dyn Hold> {
        Box::new(PointHold { inner, release, director: self.director.clone() })
    }
}

impl Liveness for PointLiveness {
    fn hold(&self, run_id: Uuid) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        let inner = self.inner.clone();
        async move {
            let call = async move { inner.hold(run_id).await };
            let hold = change(&self.director, Point::on_run(Call::Hold), call).await?;
            Ok(self.held(hold, Call::Release))
        }
        .boxed()
    }

    fn exclusive(&self) -> BoxFuture<'_, Result<Box<dyn Hold>, Error>> {
        let inner = self.inner.clone();
        async move {
            let call = async move { inner.exclusive().await };
            let hold = change(&self.director, Point::on_run(Call::Lock), call).await?;
            Ok(self.held(hold, Call::Unlock))
        }
        .boxed()
    }

    fn is_alive(&self, run_id: Uuid) -> BoxFuture<'_, Result<bool, Error>> {
        look(&*self.director, Point::on_run(Call::IsAlive), self.inner.is_alive(run_id)).boxed()
    }

    fn tidy(&self) -> BoxFuture<'_, Result<(), Error>> {
        let inner = self.inner.clone();
        async move { change(&self.director, Point::on_run(Call::Tidy), async move { inner.tidy().await }).await }
            .boxed()
    }
}

#[derive(Debug)]
struct PointHold {
    inner: Box<dyn Hold>,
    release: Call,
    director: Arc<dyn Director>,
}

impl Hold for PointHold {
    fn release(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        let Self { inner, release, director } = *self;
        async move { change(&director, Point::on_run(release), inner.release()).await }.boxed()
    }
}
