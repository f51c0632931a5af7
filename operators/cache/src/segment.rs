//! Reads a segment, one row group at a time.

use std::ops::Range;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use pubtag_stream::without_panic;

use crate::columns::{Entries, LOCUS};
use crate::encode::BLOCK_ENTRIES;
use crate::error::CacheError;
use crate::spec::SpecId;
use crate::store::{Cache, Listed};

/// Bytes read from the end of a segment at first: enough for most footers.
const FOOTER_BYTES: usize = 32 * 1024;
/// No row group is larger, compressed or not.
const MAX_BLOCK_BYTES: u64 = 256 * 1024 * 1024;

/// The footer of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) path: Path,
    metadata: ArrowReaderMetadata,
    /// The row groups in order.
    pub(crate) blocks: Vec<BlockRange>,
}

/// A row group: its loci and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    bytes: Range<u64>,
    entries: usize,
}

impl Segment {
    /// Reads the footer.
    ///
    /// # Errors
    /// The store fails, or the footer is damaged or of another spec.
    pub(crate) async fn open(cache: &Cache, listed: &Listed) -> Result<Self, CacheError> {
        let path = cache.path(&listed.name);
        let damaged = |problem: String| CacheError::Damaged { path: format!("{}/{path}", cache.name), problem };
        let mut failure = None;
        let reader = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_prefetch_hint(Some(FOOTER_BYTES));
        let fetch = Fetch { cache, path: &path, failure: &mut failure };
        let metadata = reader.load_and_finish(fetch, listed.bytes).await;
        if let Some(error) = failure {
            return Err(error);
        }
        let opened = || {
            let metadata = metadata.map_err(|error| error.to_string())?;
            let metadata = ArrowReaderMetadata::try_new(metadata.into(), ArrowReaderOptions::default());
            let metadata = metadata.map_err(|error| error.to_string())?;
            let blocks = blocks(&metadata, listed, &cache.id)?;
            Ok((metadata, blocks))
        };
        let (metadata, blocks) = without_panic(opened).and_then(|opened| opened).map_err(damaged)?;
        Ok(Self { path, metadata, blocks })
    }

    /// Entries in all row groups.
    pub(crate) fn entries(&self) -> u64 {
        self.blocks.iter().map(|block| block.entries as u64).sum()
    }

    /// Reads the bytes of a row group, to be decoded elsewhere.
    pub(crate) async fn read(&self, cache: &Cache, block: usize) -> Result<Block, CacheError> {
        let BlockRange { bytes, entries, .. } = self.blocks[block].clone();
        let path = format!("{}/{}", cache.name, self.path);
        let content = cache.range(&self.path, bytes.clone()).await?;
        let piece = Piece { start: bytes.start, end: bytes.end, content };
        Ok(Block { path, metadata: self.metadata.clone(), piece, block, entries })
    }
}

/// A row group that is not decoded yet.
pub(crate) struct Block {
    path: String,
    metadata: ArrowReaderMetadata,
    piece: Piece,
    block: usize,
    entries: usize,
}

impl Block {
    /// Decodes the row group. The library may panic at damaged pages.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn decode(self) -> Result<Entries, CacheError> {
        let Self { path, metadata, piece, block, entries } = self;
        let decode = || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(piece, metadata);
            let reader = builder.with_row_groups(vec![block]).with_batch_size(entries).build();
            let batch = reader.map_err(|error| error.to_string())?.next().ok_or("no entries")?;
            Entries::of(batch.map_err(|error| error.to_string())?)
        };
        without_panic(decode).and_then(|decoded| decoded).map_err(|problem| CacheError::Damaged { path, problem })
    }
}

/// The row groups of a segment, checked so that no damaged footer makes a reader allocate without bounds.
fn blocks(metadata: &ArrowReaderMetadata, listed: &Listed, spec: &SpecId) -> Result<Vec<BlockRange>, String> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let owner = pairs.into_iter().flatten().find(|pair| pair.key == "pubtag.cache_spec");
    if owner.and_then(|pair| pair.value.as_deref()) != Some(&*spec.to_string()) {
        return Err("belongs to another model or settings".to_owned());
    }
    metadata.metadata().row_groups().iter().map(|group| block(group, listed)).collect()
}

fn block(group: &RowGroupMetaData, listed: &Listed) -> Result<BlockRange, String> {
    let wrong = || "invalid row group".to_owned();
    let ranges = group.columns().iter().map(|column| column.byte_range());
    let ranges = ranges.map(|(start, length)| Some(start..start.checked_add(length)?)).collect::<Option<Vec<_>>>();
    let ranges = ranges.filter(|ranges| !ranges.is_empty()).ok_or_else(wrong)?;
    let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let entries = usize::try_from(group.num_rows()).ok().filter(|rows| (1..=BLOCK_ENTRIES).contains(rows));
    let sizes = [end.saturating_sub(start), u64::try_from(group.total_byte_size()).map_err(|_| wrong())?];
    let (first, last) = loci(group).ok_or_else(wrong)?;
    let sound = end <= listed.bytes && start < end && sizes.iter().all(|size| *size <= MAX_BLOCK_BYTES);
    match entries {
        Some(entries) if sound && first <= last => Ok(BlockRange { first, last, bytes: start..end, entries }),
        _ => Err(wrong()),
    }
}

/// The first and last locus of a row group. Parquet stores unsigned numbers as signed ones of the same bits.
fn loci(group: &RowGroupMetaData) -> Option<(u64, u64)> {
    match group.columns().get(LOCUS)?.statistics()? {
        Statistics::Int64(loci) => Some((loci.min_opt()?.cast_unsigned(), loci.max_opt()?.cast_unsigned())),
        _ => None,
    }
}

/// Reads a footer, and remembers why the store failed.
struct Fetch<'a> {
    cache: &'a Cache,
    path: &'a Path,
    failure: &'a mut Option<CacheError>,
}

impl MetadataFetch for Fetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move {
            self.cache.store.get_range(self.path, range).await.map_err(|error| {
                let external = ParquetError::General(error.to_string());
                *self.failure = Some(CacheError::store("read", &self.cache.name, self.path, error));
                external
            })
        }
        .boxed()
    }
}

/// A piece of a file, for a reader that reads nothing else.
struct Piece {
    start: u64,
    end: u64,
    content: Bytes,
}

impl Piece {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let offset = start.checked_sub(self.start).and_then(|offset| usize::try_from(offset).ok());
        let offset = offset.filter(|offset| *offset <= self.content.len());
        offset.map(|offset| self.content.slice(offset..)).ok_or_else(outside)
    }
}

fn outside() -> ParquetError {
    ParquetError::General("a page is outside of its row group".to_owned())
}

impl Length for Piece {
    fn len(&self) -> u64 {
        self.end
    }
}

impl ChunkReader for Piece {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        self.from(start).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length <= bytes.len() { Ok(bytes.slice(..length)) } else { Err(outside()) }
    }
}
