//! The operator completes documents and passes everything else on.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures::StreamExt;
use pubtag_abbreviations::{Abbreviations, Changes};
use pubtag_schemas::testing::{citation, close, deletion, reject, unit};
use pubtag_schemas::{Annotation, AnnotationSource, Packet, TaggedDocument, TaggedRecord};
use pubtag_stream::{Fault, FaultKind, Flow, Meter, Operator};

/// A document in which the model found one mention.
fn document(title: &str, found: &str) -> TaggedRecord {
    let start = title.find(found).unwrap();
    let annotation = Annotation {
        bytes: start..start + found.len(),
        label: "Disease".into(),
        score: 0.5,
        source: AnnotationSource::Model,
        concept_ids: vec![],
    };
    let annotations = vec![annotation];
    TaggedRecord::Document(TaggedDocument {
        citation: citation(title),
        annotations,
        token_count: 9,
        window_count: 1,
        model_tokens: 11,
    })
}

/// The output in short: a document's mentions, `-` for a deletion, `!` for a reject, brackets for frames.
fn short(packet: &Packet<TaggedRecord>) -> String {
    let record = |record: &TaggedRecord| match record {
        TaggedRecord::Document(document) => {
            let text = document.citation.text.as_str();
            document.annotations.iter().map(|found| &text[found.bytes.clone()]).collect::<Vec<_>>().join("+")
        }
        TaggedRecord::Cached(_) => "=".to_owned(),
        TaggedRecord::Deletion(_) => "-".to_owned(),
        TaggedRecord::Reject(_) => "!".to_owned(),
    };
    match packet {
        Packet::Open(_) => "(".to_owned(),
        Packet::Items(records) => records.iter().map(record).collect::<Vec<_>>().join(" "),
        Packet::Close(_) => ")".to_owned(),
    }
}

fn applied(packets: Vec<Result<Packet<TaggedRecord>, Fault>>) -> (Flow<Packet<TaggedRecord>>, Meter, Abbreviations) {
    let (operator, meter) = (Abbreviations::default(), Meter::new("abbreviations"));
    let input: Flow<_> = Box::pin(futures::stream::iter(packets));
    (operator.clone().apply(input, meter.clone()), meter, operator)
}

#[tokio::test]
async fn documents_are_completed_and_everything_passes_in_order() {
    let (flow, meter, operator) = applied(vec![
        Ok(Packet::Open(unit(0))),
        Ok(Packet::Items(vec![document("Wilson disease (WD), WD", "Wilson disease"), deletion()])),
        Ok(Packet::Items(vec![reject(), document("Wilson disease", "Wilson disease")])),
        Ok(Packet::Items(vec![document("west door (WD)", "WD")])),
        Ok(close(0)),
    ]);
    let found: Vec<_> = flow.map(|packet| short(&packet.unwrap())).collect().await;
    assert_eq!(found, ["(", "Wilson disease+WD+WD -", "! Wilson disease", "", ")"]);
    assert_eq!(operator.stats().changes(), Changes { added: 2, removed: 1 });
    assert_eq!(meter.snapshot().items, 5);
}

#[tokio::test]
async fn a_fault_is_the_last_item() {
    let fault = Fault::new("tag", FaultKind::Internal, std::io::Error::other("the model failed"));
    let (flow, ..) = applied(vec![Ok(Packet::Open(unit(0))), Err(fault), Ok(Packet::Items(vec![]))]);
    let found: Vec<_> = flow.map(|packet| packet.as_ref().map_or("fault".to_owned(), short)).collect().await;
    assert_eq!(found, ["(", "fault"]);
}
