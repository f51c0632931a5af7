//! Whatever the bytes of a file, a reader yields valid documents, diagnostics or an error, and never panics.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use pubtag_corpus::{CorpusWriter, Format, Item, TagOptions, WriteOptions, brat, from_reader, nemo};

const SAMPLES: &[(Format, &str)] = &[
    (Format::Inline, "1\tAn é\tThe <category=\"D\">𝛽 ill</category>.\n2\tT\t<category=\"D\">x</category>\n"),
    (Format::PubTator, "1|t|An é\n1|a|The 𝛽 ill.\n1\t10\t15\t𝛽 ill\tD\tD1|D2\n1\tCID\tD1\tD2\n\n2|t|T\n2|a|\n"),
    (
        Format::BiocXml,
        "<collection><document><id>1</id><passage><offset>0</offset><text>𝛽 ill &amp; é</text><annotation id=\"1\"><infon key=\"type\">D</infon><location offset=\"2\" length=\"3\"/><text>ill</text></annotation></passage><passage><offset>12</offset><sentence><offset>12</offset><text>So.</text></sentence></passage></document></collection>",
    ),
    (
        Format::BiocJson,
        r#"{"documents":[{"id":"1","passages":[{"offset":0,"text":"𝛽 ill é","annotations":[{"infons":{"type":"D"},"text":"𝛽 ... é","locations":[{"offset":0,"length":1},{"offset":6,"length":1}]}]},{"offset":9,"sentences":[{"offset":9,"text":"So."}]}]}]}"#,
    ),
    (Format::Iob, "# doc_id = 1\n𝛽\t0\t1\tB-D\nill\t2\t5\tI-D\n\né\t6\t7\tO\n\n-DOCSTART- O\n\na NN B-NP O\n"),
    (
        Format::Jsonl,
        "{\"id\":1,\"text\":\"𝛽 ill é\",\"entities\":[{\"start\":2,\"end\":5,\"label\":\"D\",\"mention\":\"ill\"}]}\n",
    ),
];

#[derive(Clone, Debug)]
enum Edit {
    Put(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    End(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        Just(b"99999999999999999999".to_vec()),
        Just(b"\n".to_vec()),
        Just("é".into())
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (any::<prop::sample::Index>(), bytes).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1usize..8).prop_map(|(at, length)| Edit::Remove(at, length)),
        any::<prop::sample::Index>().prop_map(Edit::End),
    ]
}

fn apply(sample: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for edit in edits.iter().filter(|_| !sample.is_empty()) {
        let length = bytes.len();
        match edit {
            _ if length == 0 => {}
            Edit::Put(at, byte) => bytes[at.index(length)] = *byte,
            Edit::Insert(at, more) => drop(bytes.splice(at.index(length)..at.index(length), more.iter().copied())),
            Edit::Remove(at, count) => drop(bytes.drain(at.index(length)..(at.index(length) + count).min(length))),
            Edit::End(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

/// Reads to the end, and writes every document in every format.
fn survive(items: impl Iterator<Item = Result<Item, pubtag_corpus::CorpusError>>) {
    let directory = tempfile::tempdir().unwrap();
    for item in items.filter_map(Result::ok) {
        if let Item::Document(spot, document) = item {
            assert!(document.is_sound(), "{document:?}");
            for &format in Format::ALL {
                let options = WriteOptions { overwrite: true, ..WriteOptions::default() };
                let mut writer =
                    CorpusWriter::create(&directory.path().join(format.as_str()), format, options).unwrap();
                writer.write(&spot, &document, &mut Vec::new()).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn damaged_files_give_diagnostics_or_errors(edits in vec(edit(), 1..6)) {
        for (format, sample) in SAMPLES {
            let bytes = apply(sample.as_bytes(), &edits);
            Format::detect(&bytes);
            survive(from_reader(bytes.as_slice(), &Arc::from("f"), *format, &TagOptions { repair: true, ..Default::default() }).unwrap());
            survive(from_reader(bytes.as_slice(), &Arc::from("f"), *format, &TagOptions::default()).unwrap());
        }
        let file: Arc<str> = "f".into();
        let labels = apply(b"O B-D I-D \nO \n", &edits);
        survive(nemo::reader("a b c \nd \n".as_bytes(), labels.as_slice(), (&file, &file), TagOptions::default()));
        let annotations = apply("T1\tD 0 1;6 7\t𝛽 ... é\nN1\tReference T1 X:1\t𝛽\n#1\tAnnotatorNotes T1\ta=b\nR1\tX Arg1:T1\n".as_bytes(), &edits);
        let items = brat::read_document("x", "𝛽 ill é".as_bytes(), annotations.as_slice(), (&file, &file));
        survive(items.into_iter().flatten().map(Ok));
    }
}
