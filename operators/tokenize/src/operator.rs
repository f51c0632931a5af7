//! The operator that tokenizes.

use std::num::NonZeroUsize;

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Packet, Record, TokenizedDocument, TokenizedRecord};
use pubtag_stream::{Fault, Flow, Meter, Operator, spawn_blocking};

use crate::{TokenizeError, WindowTokenizer, Windows};

/// The stage's name in reports and errors.
const NAME: &str = "tokenize";

/// Tokenizes citations into windows, several packets at a time on blocking threads.
///
/// - *Ordering*: records keep their order, and so do the frames of their units.
/// - *Memory*: as many packets as threads, and the tokenizer.
/// - *Cancellation*: dropping the output drops the input; packets at hand are tokenized to their end and dropped.
/// - *Rejects*: rejects and deletions pass through. A text that the tokenizer refuses is a fault.
#[derive(Debug)]
pub struct Tokenize {
    tokenizer: WindowTokenizer,
    threads: NonZeroUsize,
}

impl Tokenize {
    /// An operator that tokenizes this many packets at a time.
    pub fn new(tokenizer: WindowTokenizer, threads: NonZeroUsize) -> Self {
        Self { tokenizer, threads }
    }
}

impl Operator<Packet<Record>> for Tokenize {
    type Output = Packet<TokenizedRecord>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn apply(self, input: Flow<Packet<Record>>, meter: Meter) -> Flow<Self::Output> {
        let work = move |packet: Result<Packet<Record>, Fault>| {
            let (tokenizer, meter) = (self.tokenizer.clone(), meter.clone());
            async move {
                match packet? {
                    Packet::Open(unit) => Ok(Packet::Open(unit)),
                    Packet::Close(close) => Ok(Packet::Close(close)),
                    Packet::Items(records) => {
                        meter.add_items(records.len());
                        let tokenized = spawn_blocking(&meter, move || tokenize_all(&tokenizer, records)).await?;
                        tokenized.map(Packet::Items).map_err(|error| Fault::new(NAME, error.kind(), error))
                    }
                }
            }
        };
        let mut tokenized = input.map(work).buffered(self.threads.get());
        Box::pin(try_stream! {
            while let Some(packet) = tokenized.next().await {
                yield packet?;
            }
        })
    }
}

fn tokenize_all(tokenizer: &WindowTokenizer, records: Vec<Record>) -> Result<Vec<TokenizedRecord>, TokenizeError> {
    let tokenize = |record| match record {
        Record::Citation(citation) => {
            let Windows { windows, token_count } = tokenizer.tokenize(citation.text.as_str())?;
            Ok(TokenizedRecord::Document(TokenizedDocument { citation, windows, token_count }))
        }
        Record::Deletion(deletion) => Ok(TokenizedRecord::Deletion(deletion)),
        Record::Reject(reject) => Ok(TokenizedRecord::Reject(reject)),
    };
    records.into_iter().map(tokenize).collect()
}
