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

/// Approximate tokens per packet, and per piece of a long document.
const PIECE_TOKENS: usize = 32 * 1024;

/// Tokenizes citations into windows, several packets at a time on blocking threads.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use futures::StreamExt;
/// use pubtag_schemas::{Packet, testing};
/// use pubtag_stream::{Meter, Operator};
/// use pubtag_tokenize::{Tokenize, WindowSize, WindowTokenizer};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert");
/// let size = WindowSize::of_model(NonZeroUsize::new(64).expect("64 is not 0"));
/// let tokenizer = WindowTokenizer::open(model, size)?;
/// let citations = Packet::Items(vec![testing::document("Gene cell")]);
/// let input = Box::pin(futures::stream::iter([Ok(Packet::Open(testing::unit(0))), Ok(citations), Ok(testing::close(0))]));
///
/// let operator = Tokenize::new(tokenizer, NonZeroUsize::MIN);
/// let output: Vec<_> = operator.apply(input, Meter::new("tokenize")).collect().await;
/// assert_eq!(output.len(), 3);
/// # Ok(())
/// # }
/// ```
///
/// - *Ordering*: records, the frames of their units and the windows of a document keep their order.
/// - *Memory*: the tokenizer, and one packet per thread with about 100,000 tokens each. A long text is tokenized and passed
///   on in pieces, so only the text itself grows with its length.
/// - *Cancellation*: dropping the output drops the input; packets in progress are tokenized to the end and dropped.
/// - *Rejects*: rejects, deletions and cached documents pass through. A text on which the tokenizer fails is a fault.
#[derive(Debug)]
pub struct Tokenize {
    tokenizer: WindowTokenizer,
    threads: NonZeroUsize,
}

impl Tokenize {
    /// Makes an operator that tokenizes up to `threads` packets at a time.
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

/// Records of a packet that are not tokenized yet.
struct Work {
    tokenizer: WindowTokenizer,
    records: IntoIter<Record>,
    open: Option<Open>,
}

/// A citation that is partly tokenized.
struct Open {
    citation: Box<Citation>,
    borders: Vec<usize>,
    reading: Reading,
}

impl Work {
    fn new(tokenizer: WindowTokenizer, records: Vec<Record>) -> Self {
        Self { tokenizer, records: records.into_iter(), open: None }
    }

    /// The next packet, and the remaining work.
    async fn go_on(mut self, meter: &Meter) -> Result<(Packet<TokenizedRecord>, Option<Self>), Fault> {
        let step = spawn_blocking(meter, move || self.step().map(|records| (records, self)));
        let (records, rest) = step.await?.map_err(|error| Fault::new(NAME, error.kind(), error))?;
        let more = rest.open.is_some() || rest.records.len() > 0;
        Ok((Packet::Items(records), more.then_some(rest)))
    }

    /// Tokenizes records until there are enough for a packet.
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
                Some(Record::Cached(document)) => records.push(Record::Cached(document)),
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

    /// The windows of the next piece, and whether it is the last. Depends only on the text, not on other records.
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
