//! Sorts rows by key in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use pubtag_schemas::snapshot::snapshot_schema;

use crate::Error;
use crate::key::{Entry, Key};
use crate::rows::{Row, entries, gather};

/// Rows of a block: what is read at once of each run when they are merged.
const BLOCK_ROWS: usize = 256;
/// Fast; text shrinks to a third.
const ZSTD_LEVEL: i32 = 1;

/// A row with what it is a state of.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) row: Row,
}

/// Takes rows in any order and gives them in order of their keys.
///
/// # Memory
/// The budget twice while rows are sorted; then one block of each run. A run is a temporary file of one budget's rows.
pub(crate) struct Sorter {
    scratch: PathBuf,
    budget: usize,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: Vec<(Key, u32, u32)>,
    bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    pub(crate) fn new(scratch: PathBuf, budget: usize) -> Self {
        let input = Field::new("input", arrow::datatypes::DataType::Int32, false);
        let fields = snapshot_schema().fields().iter().cloned().chain([Arc::new(input)]).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new(fields));
        Self { scratch, budget, schema, batches: Vec::new(), rows: Vec::new(), bytes: 0, runs: Vec::new() }
    }

    /// Adds rows of an input.
    pub(crate) fn push(&mut self, batch: &RecordBatch, input: i32) -> Result<(), Error> {
        let inputs = Arc::new(Int32Array::from_value(input, batch.num_rows()));
        let columns = batch.columns().iter().cloned().chain([inputs as _]).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        let number = u32::try_from(self.batches.len()).expect("a budget holds fewer batches");
        let keys = entries(&batch, |_| input).into_iter().map(|entry| entry.key);
        self.rows.extend((0..).zip(keys).map(|(row, key)| (key, number, row)));
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        if self.bytes >= self.budget { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let scratch = self.scratch.clone();
        let failed = |source| Error::Scratch { path: scratch.display().to_string(), source };
        let mut file = BufWriter::new(tempfile::tempfile_in(&self.scratch).map_err(failed)?);
        for block in self.take_sorted() {
            write_block(&mut file, &block?).map_err(failed)?;
        }
        let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        self.runs.push(file);
        Ok(())
    }

    /// The rows so far, in order, in blocks.
    fn take_sorted(&mut self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable();
        let batches: Vec<_> = std::mem::take(&mut self.batches).into_iter().map(Arc::new).collect();
        self.bytes = 0;
        let order: Vec<(u32, u32)> = rows.into_iter().map(|(_, batch, row)| (batch, row)).collect();
        let mut start = 0;
        std::iter::from_fn(move || {
            let block = order.get(start..order.len().min(start + BLOCK_ROWS)).filter(|block| !block.is_empty())?;
            start += block.len();
            let row =
                |&(batch, index): &(u32, u32)| Row { batch: batches[batch as usize].clone(), index: index as usize };
            Some(gather(&block.iter().map(row).collect::<Vec<_>>()))
        })
    }

    /// All rows in order.
    pub(crate) fn finish(mut self) -> Result<Sorted, Error> {
        let path = self.scratch.display().to_string();
        let files = std::mem::take(&mut self.runs).into_iter().map(|file| Run::Spilled(BufReader::new(file)));
        let rest: Vec<_> = self.take_sorted().collect::<Result<_, _>>()?;
        let mut sorted = Sorted { path, cursors: BinaryHeap::new(), runs: Vec::new() };
        for run in files.chain([Run::InMemory(rest.into_iter())]) {
            sorted.runs.push(run);
            sorted.advance(sorted.runs.len() - 1)?;
        }
        Ok(sorted)
    }
}

/// Rows in order of their keys.
pub(crate) struct Sorted {
    path: String,
    runs: Vec<Run>,
    cursors: BinaryHeap<Reverse<Cursor>>,
}

enum Run {
    Spilled(BufReader<File>),
    InMemory(std::vec::IntoIter<RecordBatch>),
}

/// The next rows of a run, at least one. The next entry is the last of the list.
struct Cursor {
    run: usize,
    batch: Arc<RecordBatch>,
    entries: Vec<Entry>,
}

impl Sorted {
    /// The key of the next row.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.cursors.peek().map(|cursor| cursor.0.key())
    }

    /// The next row.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, Error> {
        let Some(mut next) = self.cursors.peek_mut() else { return Ok(None) };
        let cursor = &mut next.0;
        let entry = cursor.entries.pop().expect("a cursor has a row");
        let index = cursor.batch.num_rows() - 1 - cursor.entries.len();
        let row = Row { batch: cursor.batch.clone(), index };
        if cursor.entries.is_empty() {
            let run = cursor.run;
            PeekMut::pop(next);
            self.advance(run)?;
        }
        Ok(Some(Found { entry, row }))
    }

    /// Reads the next block of a run.
    fn advance(&mut self, run: usize) -> Result<(), Error> {
        let batch = match &mut self.runs[run] {
            Run::InMemory(blocks) => blocks.next(),
            Run::Spilled(file) => {
                read_block(file).map_err(|source| Error::Scratch { path: self.path.clone(), source })?
            }
        };
        let Some(batch) = batch else { return Ok(()) };
        let inputs = batch.column_by_name("input").expect("the sorter adds it").as_primitive::<Int32Type>().clone();
        let mut entries = entries(&batch, |row| inputs.value(row));
        entries.reverse();
        // Rows leave with the columns of a snapshot.
        let columns: Vec<usize> = (0..batch.num_columns() - 1).collect();
        let batch = RecordBatch::try_new(snapshot_schema(), batch.project(&columns)?.columns().to_vec())?;
        self.cursors.push(Reverse(Cursor { run, batch: Arc::new(batch), entries }));
        Ok(())
    }
}

impl Cursor {
    fn key(&self) -> &Key {
        &self.entries.last().expect("a cursor has a row").key
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.key(), self.run).cmp(&(other.key(), other.run))
    }
}

/// A block is its length in bytes and an Arrow IPC stream, compressed.
fn write_block(file: &mut impl Write, batch: &RecordBatch) -> io::Result<()> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(io::Error::other)?;
    writer.write(batch).map_err(io::Error::other)?;
    let bytes = zstd::bulk::compress(&writer.into_inner().map_err(io::Error::other)?, ZSTD_LEVEL)?;
    file.write_all(&(bytes.len() as u64).to_le_bytes())?;
    file.write_all(&bytes)
}

fn read_block(file: &mut impl Read) -> io::Result<Option<RecordBatch>> {
    let mut length = [0; 8];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    let block = zstd::decode_all(&*bytes)?;
    let mut reader = StreamReader::try_new(&*block, None).map_err(io::Error::other)?;
    reader.next().transpose().map_err(io::Error::other)
}
