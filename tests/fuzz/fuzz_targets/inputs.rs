//! Every reader of `pubtag run`. The first byte says what the input is said to be; the rest is the file.
#![no_main]

use std::sync::{Arc, LazyLock};

use futures::StreamExt;
use libfuzzer_sys::fuzz_target;
use pubtag_pubmed::{InputFormat, ReadOptions, TextColumns, discover, read_unit};
use pubtag_schemas::{Packet, Record};
use pubtag_stream::Meter;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

// A library's panic that is caught is none: only one that comes through ends the fuzzer.
fuzz_target!(init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))), |data: &[u8]| {
    let Some((&kind, content)) = data.split_first() else { return };
    use InputFormat::{Csv, Jsonl, Lines, Nbib, Parquet, Text, Tsv, Xml};
    let formats = [None, Some(Xml), Some(Jsonl), Some(Nbib), Some(Csv), Some(Tsv), Some(Parquet), Some(Lines), Some(Text)];
    let options = ReadOptions {
        accept_partial: kind & 0x80 != 0,
        limit: (kind & 0x40 != 0).then_some(3),
        format: formats[usize::from(kind & 0x0f) % formats.len()],
        columns: TextColumns::default(),
        output: None,
    };
    let path = format!("/dev/shm/pubtag-fuzz-{}", std::process::id());
    std::fs::write(&path, content).expect("memory has room");
    let unit = discover(&[path], &options).expect("the file is there").units.remove(0);
    RUNTIME.block_on(async {
        let mut packets = read_unit(Arc::clone(&unit), options, Meter::new("fuzz"));
        let (mut seen, mut closed, mut behind) = (0, None, None);
        while let Some(packet) = packets.next().await {
            match packet.expect("no disk error") {
                Packet::Open(_) => {}
                Packet::Items(records) => {
                    for record in records {
                        let place = match &record {
                            Record::Document(citation) => &citation.place,
                            Record::Cached(document) => &document.citation.place,
                            Record::Deletion(deletion) => &deletion.place,
                            Record::Reject(reject) => &reject.place,
                        };
                        assert_eq!(u64::from(place.ordinal), seen, "records are numbered");
                        assert!(behind.is_none_or(|before| before < place.byte_offset), "records are in file order");
                        behind = Some(place.byte_offset);
                        if let Record::Document(citation) = &record {
                            let text = citation.text.as_str();
                            assert!(citation.text.sections().iter().all(|section| text.get(section.bytes.clone()).is_some()));
                        }
                        seen += 1;
                    }
                }
                Packet::Close(close) => closed = Some(close),
            }
        }
        let close = closed.expect("a unit is closed");
        assert_eq!(close.tally.records(), seen, "every record is counted once");
    });
});
