//! Reads the committed tables of an output. Nothing is written; runs may be working on it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, TryFutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use pubtag_schemas::{Commit, Part, split_superseded};
use pubtag_store::Store;

use crate::Error;
use crate::commits::{Access, read_commits};
use crate::mark::{created, is_output};
use crate::objects::Objects;

/// The commits of an output and their tables. Markers are trusted without checking their parts.
#[derive(Debug)]
pub struct Tables {
    objects: Objects,
    commits: Vec<Commit>,
    /// Of all commits, by path.
    parts: Vec<Part>,
}

impl Tables {
    /// Whether a place is an output.
    ///
    /// # Errors
    /// If the store fails, or it is one of a newer version.
    pub async fn exist_at(store: &Store) -> Result<bool, Error> {
        is_output(&Objects::new(store.clone())).await
    }

    /// When the output at a place was created, which tells it from any other.
    ///
    /// # Errors
    /// If the store fails, or the place is not an output.
    pub async fn created_at(store: &Store) -> Result<String, Error> {
        created(&Objects::new(store.clone())).await
    }

    /// Reads the markers of an output.
    ///
    /// # Errors
    /// If the store fails, or a marker is damaged or was written by a newer version.
    pub async fn open(store: Store) -> Result<Self, Error> {
        let objects = Objects::new(store);
        let (commits, _superseded) = split_superseded(read_commits(&objects, Access::Read).await?);
        let mut parts: Vec<Part> = commits.iter().flat_map(|commit| commit.parts.iter().cloned()).collect();
        parts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { objects, commits, parts })
    }

    /// The commits, in no particular order.
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// The rows of a table, limited to some columns, in order of the parts' names. Columns are in the table's order.
    ///
    /// *Memory*: these columns of one row group.
    ///
    /// # Errors
    /// [`Error::Unreadable`] for a part that is missing or damaged; the stream goes on with the next part.
    pub fn batches<'a>(
        &'a self,
        table: &'a str,
        columns: &'a [&'a str],
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Unpin + 'a {
        let parts = self.parts.iter().filter(move |part| part.table == table);
        futures::stream::iter(parts)
            .map(move |part| self.rows(part, Some(columns)).try_flatten_stream().boxed())
            .flatten()
    }

    /// The rows of a part; only these columns, if any are named.
    ///
    /// *Memory*: one row group.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if it is missing or damaged; the stream ends with it.
    pub fn part<'a>(
        &'a self,
        part: &'a Part,
        columns: Option<&'a [&'a str]>,
    ) -> impl Stream<Item = Result<RecordBatch, Error>> + Send + 'a {
        self.rows(part, columns).try_flatten_stream()
    }

    async fn rows(
        &self,
        part: &Part,
        columns: Option<&[&str]>,
    ) -> Result<impl Stream<Item = Result<RecordBatch, Error>> + use<>, Error> {
        let path = Path::from(part.path.as_str());
        let name = self.objects.full_name(&path);
        let unreadable = move |source| Error::Unreadable { path: name.clone(), source };
        let file = StoredFile::new(self.objects.store().clone(), path, part.bytes);
        let builder = ParquetRecordBatchStreamBuilder::new(file).await.map_err(&unreadable)?;
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let rows = builder.with_projection(mask).build().map_err(&unreadable)?;
        Ok(rows.map_err(unreadable))
    }
}

/// A Parquet file in a store, for the Parquet reader: it reads only the columns that are asked for.
#[derive(Debug)]
pub struct StoredFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    length: u64,
}

impl StoredFile {
    /// A file of this length in bytes.
    pub fn new(store: Arc<dyn ObjectStore>, path: Path, length: u64) -> Self {
        Self { store, path, length }
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(error.into())
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.store.get_range(&self.path, range).map_err(external).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let length = self.length;
        async move { ParquetMetaDataReader::new().load_and_finish(self, length).await.map(Arc::new) }.boxed()
    }
}
