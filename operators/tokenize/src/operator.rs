//! The operator that tokenizes.

use std::num::NonZeroUsize;
use std::vec::IntoIter;

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Citation, Packet, Record, TokenWindow, Tokenized, TokenizedDocument, TokenizedRecord};
use pubtag_stream::{Fault, Flow, Meter, Operator, spawn_blocking};

use crate::reading::Reading;
use crate::{TokenizeError, WindowTokenizer};

/// The stage's name in reports and errors.
const NAME: &str = "tokenize";

/// What the model reads of a document is handed on in pieces of about so many tokens, and so is a packet.
const PIECE_TOKENS: usize = 32 * 1024;

/// Tokenizes citations into windows, several packets at a time on blocking threads.
///
/// - *Ordering*: records keep their order, and so do the frames of their units; the windows of a document keep theirs.
/// - *Memory*: as many packets as threads, for each of them about 100,000 tokens, and the tokenizer. A long text is
///   tokenized and handed on in pieces: beside the text itself, its length does not matter.
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
        let Self { tokenizer, threads } = self;
        let of_packet = meter.clone();
        let begin = move |packet: Result<Packet<Record>, Fault>| {
            let (tokenizer, meter) = (tokenizer.clone(), of_packet.clone());
            async move {
                match packet? {
                    Packet::Open(unit) => Ok((Packet::Open(unit), None)),
                    Packet::Close(close) => Ok((Packet::Close(close), None)),
                    Packet::Items(records) => {
                        meter.add_items(records.len());
                        Work::new(tokenizer, records).go_on(&meter).await
                    }
                }
            }
        };
        let mut begun = input.map(begin).buffered(threads.get());
        Box::pin(try_stream! {
            while let Some(first) = begun.next().await {
                let (packet, mut rest) = first?;
                yield packet;
                while let Some(work) = rest {
                    let (packet, more) = work.go_on(&meter).await?;
                    yield packet;
                    rest = more;
                }
            }
        })
    }
}

/// Records of a packet that are still to be tokenized.
struct Work {
    tokenizer: WindowTokenizer,
    records: IntoIter<Record>,
    open: Option<Open>,
}

/// A citation that has been read in part.
struct Open {
    citation: Box<Citation>,
    borders: Vec<usize>,
    reading: Reading,
}

impl Work {
    fn new(tokenizer: WindowTokenizer, records: Vec<Record>) -> Self {
        Self { tokenizer, records: records.into_iter(), open: None }
    }

    /// The next packet, and what is left for further ones.
    async fn go_on(mut self, meter: &Meter) -> Result<(Packet<TokenizedRecord>, Option<Self>), Fault> {
        let step = spawn_blocking(meter, move || self.step().map(|records| (records, self)));
        let (records, rest) = step.await?.map_err(|error| Fault::new(NAME, error.kind(), error))?;
        let more = rest.open.is_some() || rest.records.len() > 0;
        Ok((Packet::Items(records), more.then_some(rest)))
    }

    /// Tokenizes records until they are enough for a packet.
    fn step(&mut self) -> Result<Vec<TokenizedRecord>, TokenizeError> {
        let (mut records, mut tokens) = (Vec::with_capacity(self.records.len()), 0);
        while tokens < PIECE_TOKENS {
            if let Some(mut open) = self.open.take() {
                let (windows, ended) = open.step(&self.tokenizer)?;
                tokens += token_count(&windows);
                if ended {
                    records.push(open.ended(windows));
                } else {
                    records.push(Record::Document(Tokenized::Windows(windows)));
                    self.open = Some(open);
                }
                continue;
            }
            match self.records.next() {
                Some(Record::Document(citation)) => self.open = Some(Open::new(citation)?),
                Some(Record::Deletion(deletion)) => records.push(Record::Deletion(deletion)),
                Some(Record::Reject(reject)) => records.push(Record::Reject(reject)),
                None => break,
            }
        }
        Ok(records)
    }
}

impl Open {
    fn new(citation: Box<Citation>) -> Result<Self, TokenizeError> {
        let (borders, reading) = (citation.text.borders(), Reading::of(citation.text.as_str())?);
        Ok(Self { citation, borders, reading })
    }

    /// The windows of the next piece, and whether it is the last: by the text alone, so that neighbours in the packet
    /// change nothing.
    fn step(&mut self, tokenizer: &WindowTokenizer) -> Result<(Vec<TokenWindow>, bool), TokenizeError> {
        let (mut windows, mut tokens) = (Vec::new(), 0);
        while tokens < PIECE_TOKENS {
            let counted = windows.len();
            if !self.reading.step(&tokenizer.encoder, self.citation.text.as_str(), &self.borders, &mut windows)? {
                return Ok((windows, true));
            }
            tokens += token_count(&windows[counted..]);
        }
        Ok((windows, false))
    }

    fn ended(self, windows: Vec<TokenWindow>) -> TokenizedRecord {
        let token_count = self.reading.token_count();
        let document = TokenizedDocument { citation: self.citation, windows, token_count };
        Record::Document(Tokenized::Document(document))
    }
}

fn token_count(windows: &[TokenWindow]) -> usize {
    windows.iter().map(|window| window.ids.len()).sum()
}
