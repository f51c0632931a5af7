//! A store whose every call is a point.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::Mutex;

use crate::director::{change, look};
use crate::{Call, Director, Point};

/// A store that asks a [`Director`] before and after each call.
#[derive(Clone, Debug)]
pub struct PointStore {
    inner: Arc<dyn ObjectStore>,
    director: Arc<dyn Director>,
    compares: bool,
}

impl PointStore {
    /// A store under a director.
    pub fn new(inner: Arc<dyn ObjectStore>, director: Arc<dyn Director>) -> Self {
        Self { inner, director, compares: true }
    }

    /// The same store without [`PutMode::Update`], which file systems do not support.
    #[must_use]
    pub fn like_a_disk(self) -> Self {
        Self { compares: false, ..self }
    }
}

impl fmt::Display for PointStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with crash points", self.inner)
    }
}

#[async_trait]
impl ObjectStore for PointStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let call = match &opts.mode {
            PutMode::Update(_) if !self.compares => {
                let (operation, implementer) = ("`put_opts` with mode `PutMode::Update`".into(), self.to_string());
                return Err(object_store::Error::NotImplemented { operation, implementer });
            }
            PutMode::Update(_) | PutMode::Overwrite if location.as_ref().ends_with(".json") => Call::Replace,
            _ => Call::Put,
        };
        let (inner, path) = (self.inner.clone(), location.clone());
        let put = async move { inner.put_opts(&path, payload, opts).await };
        change(&self.director, Point::on(call, location), put).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let (inner, path) = (self.inner.clone(), location.clone());
        let call = async move { inner.put_multipart_opts(&path, opts).await };
        let upload = change(&self.director, Point::on(Call::PutMultipart, location), call).await?;
        let (inner, director) = (Arc::new(Mutex::new(upload)), self.director.clone());
        Ok(Box::new(PointUpload { inner, director, path: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { Call::Head } else { Call::Get };
        look(&*self.director, Point::on(call, location), self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path: Path| {
            let (inner, director) = (store.inner.clone(), store.director.clone());
            async move {
                let point = Point::on(Call::Delete, &path);
                change(&director, point, async move {
                    inner.delete(&path).await?;
                    Ok(path)
                })
                .await
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let point = Point::on(Call::List, &prefix.clone().unwrap_or_default());
        let listed = async move {
            let call = store.inner.list(prefix.as_ref()).try_collect::<Vec<_>>();
            look(&*store.director, point, call).await
        };
        stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let point = Point::on(Call::List, &prefix.cloned().unwrap_or_default());
        look(&*self.director, point, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (inner, source, target) = (self.inner.clone(), from.clone(), to.clone());
        let call = async move { inner.copy_opts(&source, &target, options).await };
        change(&self.director, Point::on(Call::Copy, to), call).await
    }
}

#[derive(Debug)]
struct PointUpload {
    inner: Arc<Mutex<Box<dyn MultipartUpload>>>,
    director: Arc<dyn Director>,
    path: Path,
}

#[async_trait]
impl MultipartUpload for PointUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (inner, director) = (self.inner.clone(), self.director.clone());
        let point = Point::on(Call::PutPart, &self.path);
        async move {
            let call = async move {
                let part = inner.lock().await.put_part(data);
                part.await
            };
            change(&director, point, call).await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let inner = self.inner.clone();
        let call = async move { inner.lock().await.complete().await };
        change(&self.director, Point::on(Call::Complete, &self.path), call).await
    }

    async fn abort(&mut self) -> Result<()> {
        let inner = self.inner.clone();
        let call = async move { inner.lock().await.abort().await };
        change(&self.director, Point::on(Call::AbortUpload, &self.path), call).await
    }
}
