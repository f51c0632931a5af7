use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use pubtag_schemas::Tokenized;
use pubtag_schemas::testing::{close, deletion, unit};
use pubtag_stream::{FaultKind, Meters, stage};

use super::*;
use crate::testing::document;
use crate::{MicroBatch, Padding, TokenClassifier};

/// Gives `B-Disease` to every token with id 3, and reports the size of each micro-batch. Panics at id 99.
struct Threes {
    read: std::sync::mpsc::Sender<usize>,
}

impl TokenClassifier for Threes {
    fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
        assert!(!batch.ids().contains(&99), "99 cannot be classified");
        let sent = self.read.send(batch.token_count());
        assert!(sent.is_ok(), "the test is over");
        let values = batch.ids().iter().flat_map(|&id| if id == 3 { [0.0, 5.0] } else { [5.0, 0.0] }).collect();
        Ok(Logits { labels: 2, values, padding: Padding { tokens: 1, places: 2 } })
    }
}

fn tag(token_budget: usize) -> (Tag, Receiver<usize>) {
    let (read, sizes) = channel();
    let labels = [(0, "O".to_owned()), (1, "B-Disease".to_owned())].into();
    let factory: ClassifierFactory = Box::new(move || Ok(Box::new(Threes { read })));
    let token_budget = NonZeroUsize::new(token_budget).unwrap();
    let mut config = TagConfig::on(Device::Cpu);
    config.setup.token_budget = token_budget;
    (Tag::with_classifiers(LabelSet::from_id2label(&labels).unwrap(), vec![vec![factory]], &config).unwrap(), sizes)
}

/// A unit with these records, one per packet.
fn packets(index: usize, records: Vec<TokenizedRecord>) -> Vec<Packet<TokenizedRecord>> {
    let items = records.into_iter().map(|record| Packet::Items(vec![record]));
    std::iter::once(Packet::Open(unit(index))).chain(items).chain([close(index)]).collect()
}

fn flow(packets: Vec<Packet<TokenizedRecord>>) -> Flow<Packet<TokenizedRecord>> {
    Box::pin(futures::stream::iter(packets.into_iter().map(Ok)))
}

/// The output in short: `(unit` and `)unit` for frames, `-` for a deletion, a document's number of annotations.
fn short(packet: &Packet<TaggedRecord>) -> String {
    let record = |record: &TaggedRecord| match record {
        TaggedRecord::Document(document) => document.annotations.len().to_string(),
        TaggedRecord::Cached(_) => "=".to_owned(),
        TaggedRecord::Deletion(_) => "-".to_owned(),
        TaggedRecord::Reject(_) => "!".to_owned(),
    };
    match packet {
        Packet::Open(unit) => format!("({}", unit.index),
        Packet::Items(records) => records.iter().map(record).collect::<Vec<_>>().join(" "),
        Packet::Close(close) => format!("){}", close.unit.index),
    }
}

async fn run(tag: Tag, packets: Vec<Packet<TokenizedRecord>>) -> Vec<String> {
    let output = tag.apply(flow(packets), Meter::new(NAME));
    output.map(|packet| short(&packet.unwrap())).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_frames_keep_their_order() {
    let (tag, _sizes) = tag(16);
    let first = packets(0, vec![document(&[10]), deletion(), document(&[4]), document(&[3]), document(&[])]);
    let second = packets(1, vec![deletion()]);
    // Of the ids 0, 1, 2, …, 6, 0, … every seventh is a 3.
    let expected = ["(0", "1 - 1", "0 0", ")0", "(1", "-", ")1"];
    assert_eq!(run(tag, [first, second].concat()).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn micro_batches_fill_the_budget_and_never_cross_a_unit() {
    let (tag, sizes) = tag(16);
    let stats = tag.stats();
    let units = [
        packets(0, vec![document(&[8]), document(&[8]), document(&[2])]),
        packets(1, vec![document(&[2]), document(&[12, 12])]),
    ];
    run(tag, units.concat()).await;
    assert_eq!(sizes.iter().collect::<Vec<_>>(), [16, 2, 2, 12, 12]);
    assert_eq!((stats.micro_batches(), stats.sequences(), stats.tokens(), stats.padding()), (5, 6, 44, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_pieces_is_tagged_as_the_whole_document_is() {
    let document_of = || crate::testing::document_of(&[9, 3, 9, 9]);
    let (whole, _sizes) = tag(16);
    let expected =
        packets(0, vec![document(&[2]), Record::Document(Tokenized::Document(document_of())), document(&[5])]);
    let (in_pieces, _sizes) = tag(16);
    let mut last = document_of();
    let mut windows = std::mem::take(&mut last.windows).into_iter();
    let pieces = [windows.by_ref().take(2).collect(), windows.by_ref().take(1).collect()];
    last.windows = windows.collect();
    let [first, second] = pieces.map(|windows| Record::Document(Tokenized::Windows(windows)));
    let given =
        packets(0, vec![document(&[2]), first, second, Record::Document(Tokenized::Document(last)), document(&[5])]);
    let expected = run(whole, expected).await;
    assert!(expected[2].parse::<u32>().unwrap() > 2, "{expected:?}");
    assert_eq!(run(in_pieces, given).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_records_in_other_packets_give_the_same_micro_batches() {
    let records = || (1..20).map(|length| document(&[length])).collect::<Vec<_>>();
    let (one_by_one, sizes) = tag(32);
    run(one_by_one, packets(0, records())).await;
    let (at_once, sizes_at_once) = tag(32);
    run(at_once, vec![Packet::Open(unit(0)), Packet::Items(records()), close(0)]).await;
    assert_eq!(sizes.iter().collect::<Vec<_>>(), sizes_at_once.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_model_is_a_fault_with_its_message_and_ends_the_stream() {
    let (tag, _sizes) = tag(8);
    let mut bad = document(&[2]);
    if let Record::Document(Tokenized::Document(document)) = &mut bad {
        document.windows[0].ids[0] = 99;
    }
    let input = flow(packets(0, vec![document(&[8]), bad, document(&[8])]));
    let capacity = NonZeroUsize::new(2).unwrap();
    let output: Vec<_> = stage(tag, input, capacity, &Meters::default()).collect().await;
    let fault = output.last().unwrap().as_ref().unwrap_err();
    assert_eq!((fault.stage(), fault.kind()), (NAME, FaultKind::Internal));
    let cause = std::error::Error::source(fault).unwrap().to_string();
    assert_eq!(cause, "the model panicked: 99 cannot be classified");
    assert!(output[..output.len() - 1].iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_output_ends_the_models_thread() {
    let (tag, sizes) = tag(8);
    let endless = futures::stream::repeat_with(|| Ok(Packet::Items(vec![document(&[8])])));
    let mut output = tag.apply(Box::pin(endless), Meter::new(NAME));
    assert!(output.next().await.is_some());
    drop(output);
    let sizes = Mutex::new(sizes);
    // The channel closes once the classifier is dropped; until then a few micro-batches may still come.
    let ended = tokio::task::spawn_blocking(move || sizes.lock().unwrap().iter().count());
    assert!(ended.await.unwrap() < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_stops_the_model() {
    let (tag, sizes) = tag(8);
    let endless = futures::stream::repeat_with(|| Ok(Packet::Items(vec![document(&[8])])));
    let output = stage(tag, Box::pin(endless), NonZeroUsize::MIN, &Meters::default());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(output);
    let sizes = Mutex::new(sizes);
    let read = tokio::task::spawn_blocking(move || sizes.lock().unwrap().iter().count()).await.unwrap();
    assert!(read < 12, "{read} micro-batches were computed for nobody");
}
