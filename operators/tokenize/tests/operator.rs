//! The operator keeps order and frames with any number of threads.

use std::num::NonZeroUsize;
use std::path::Path;

use futures::StreamExt;
use pubtag_schemas::testing::{close, deletion, document as citation, unit};
use pubtag_schemas::{Packet, Record, Tokenized, TokenizedRecord};
use pubtag_stream::{Flow, Meter, Operator};
use pubtag_tokenize::{Context, Tokenize, WindowSize, WindowTokenizer};

/// The output in short: a document's id and its number of tokens, `-` for a deletion, brackets for frames.
fn short(packet: Packet<TokenizedRecord>) -> String {
    let record = |record: &TokenizedRecord| match record {
        Record::Document(Tokenized::Document(document)) => {
            let ids: usize = document.windows.iter().map(|window| window.ids.len()).sum();
            format!("{}:{}/{ids}", document.citation.doc_id.as_str(), document.token_count)
        }
        Record::Document(Tokenized::Windows(windows)) => format!("+{}", windows.len()),
        Record::Cached(_) => "=".to_owned(),
        Record::Deletion(_) => "-".to_owned(),
        Record::Reject(_) => "!".to_owned(),
    };
    match packet {
        Packet::Open(_) => "(".to_owned(),
        Packet::Items(records) => records.iter().map(record).collect::<Vec<_>>().join(" "),
        Packet::Close(_) => ")".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_frames_keep_their_order_on_any_number_of_threads() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-bert");
    let tokenizer = WindowTokenizer::open(&model, WindowSize::of_model(NonZeroUsize::new(64).unwrap())).unwrap();
    let long = "gene ".repeat(5000);
    for threads in 1..=4 {
        let packets = vec![
            Packet::Open(unit(0)),
            Packet::Items(vec![citation(&long), citation("gene cell")]),
            Packet::Items(vec![deletion(), citation("")]),
            Packet::Items(vec![citation("x")]),
            close(0),
        ];
        let input: Flow<Packet<Record>> = Box::pin(futures::stream::iter(packets.into_iter().map(Ok)));
        let operator = Tokenize::new(tokenizer.clone(), NonZeroUsize::new(threads).unwrap());
        let meter = Meter::new("tokenize");
        let output: Vec<_> = operator.apply(input, meter.clone()).map(|packet| short(packet.unwrap())).collect().await;
        let long = output[1].split(' ').nth(5000).unwrap();
        assert!(long.starts_with(":5000/"), "{long}");
        assert!(output[1].ends_with("gene cell:2/4"));
        assert_eq!((&*output[0], &output[2..]), ("(", &["- :0/0".to_owned(), "x:1/3".into(), ")".into()][..]));
        assert_eq!(meter.snapshot().items, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pieces_of_a_long_text_together_are_its_windows() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-bert");
    let whole = WindowTokenizer::open(&model, WindowSize::of_model(NonZeroUsize::new(64).unwrap())).unwrap();
    let title = "Gene cell. Of gout and so on ".repeat(20_000);
    for context in [Context::Document, Context::Words(NonZeroUsize::new(100).unwrap())] {
        let tokenizer = whole.clone().with_context(context);
        let records = vec![citation("x"), citation(&title), deletion(), citation("gene")];
        let packets = [Packet::Open(unit(0)), Packet::Items(records), close(0)].into_iter().map(Ok);
        let operator = Tokenize::new(tokenizer.clone(), NonZeroUsize::MIN);
        let output = operator.apply(Box::pin(futures::stream::iter(packets)), Meter::new("tokenize"));
        let output: Vec<_> = output.map(Result::unwrap).collect().await;
        let (mut windows, mut pieces) = (Vec::new(), 0);
        for packet in &output {
            let Packet::Items(records) = packet else { continue };
            for record in records {
                match record {
                    Record::Document(Tokenized::Windows(more)) => windows.extend(more.iter().cloned()),
                    Record::Document(Tokenized::Document(document)) if document.citation.text.title() == title => {
                        windows.extend(document.windows.iter().cloned());
                    }
                    _ => continue,
                }
                pieces += 1;
            }
            let tokens = |record: &TokenizedRecord| match record {
                Record::Document(Tokenized::Windows(windows)) => windows.iter().map(|window| window.ids.len()).sum(),
                Record::Document(Tokenized::Document(document)) => {
                    document.windows.iter().map(|window| window.ids.len()).sum()
                }
                _ => 0_usize,
            };
            assert!(records.iter().map(tokens).sum::<usize>() < 100_000);
        }
        let text = format!("{title} ");
        let expected = tokenizer.tokenize(&text, &[0, title.len(), title.len() + 1]).unwrap();
        assert_eq!(windows, expected.windows);
        assert!(pieces > 3, "{pieces}");
        assert_eq!(short(output.into_iter().rev().nth(1).unwrap()).split(' ').next_back(), Some("gene:1/3"));
    }
}
