//! Opening models: invalid directories are errors with a hint.

use std::error::Error;
use std::path::Path;

use crate::common::{copy_of, fixture};
use pubtag_ner::{Checkpoint, ClassifierSetup, Device, MicroBatch, NerError, Tag, TagConfig, classifier};
use pubtag_stream::FaultKind;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Opens and loads a model; returns the error, which is always one of configuration here.
fn error_of(directory: &Path) -> NerError {
    let opened =
        Checkpoint::open(directory).and_then(|checkpoint| Tag::start(&checkpoint, &TagConfig::on(Device::Cpu)));
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Configuration, "{error}");
    error
}

fn edit(directory: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

/// Renames something in the header of the weights to something of the same length.
fn edit_weights(directory: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let path = directory.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
    bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_complete_checkpoint_opens() {
    let checkpoint = Checkpoint::open(fixture("tiny-bert")).unwrap();
    assert_eq!((checkpoint.name().as_str(), checkpoint.max_tokens().get()), ("tiny-bert", 64));
    assert_eq!(checkpoint.labels().entity_types(), ["Disease"]);
    assert!(Tag::start(&checkpoint, &TagConfig::on(Device::Cpu)).is_ok());
}

#[test]
fn the_fingerprint_depends_on_the_files_and_not_on_their_location() {
    let (copy, other) = (copy_of("tiny-bert"), copy_of("tiny-bert"));
    let print = |directory: &Path| Checkpoint::open(directory).unwrap().fingerprint().to_owned();
    assert_eq!(print(copy.path()), print(other.path()));
    // vocab.txt is not read beside a tokenizer.json; tokenizer.json is.
    edit(copy.path(), "vocab.txt", |text| text + "more\n");
    assert_eq!(print(copy.path()), print(other.path()));
    edit(copy.path(), "tokenizer.json", |text| text + "\n");
    assert_ne!(print(copy.path()), print(other.path()));
}

#[test]
fn a_directory_without_a_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = error_of(folder.path()).to_string();
    assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("config.json is missing"), "{text}");
}

#[test]
fn missing_weights_and_missing_tokenizers_have_different_errors() {
    let copy = copy_of("tiny-bert");
    std::fs::remove_file(copy.path().join("tokenizer.json")).unwrap();
    assert!(Checkpoint::open(copy.path()).is_ok(), "vocab.txt still exists");
    std::fs::remove_file(copy.path().join("vocab.txt")).unwrap();
    let text = error_of(copy.path()).to_string();
    assert!(text.contains("the tokenizer (tokenizer.json or vocab.txt) is missing"), "{text}");
    std::fs::remove_file(copy.path().join("model.safetensors")).unwrap();
    assert!(error_of(copy.path()).to_string().contains("model.safetensors is missing"));
}

#[test]
fn the_error_for_pickled_weights_has_a_command_that_converts_them() {
    let copy = copy_of("tiny-bert");
    std::fs::rename(copy.path().join("model.safetensors"), copy.path().join("pytorch_model.bin")).unwrap();
    let text = error_of(copy.path()).to_string();
    assert!(text.contains("pytorch_model.bin") && text.contains("save_file("), "{text}");
}

#[test]
fn an_unsupported_architecture_is_named() {
    let copy = copy_of("tiny-bert");
    edit(copy.path(), "config.json", |text| text.replace("BertForTokenClassification", "MambaForTokenClassification"));
    assert!(error_of(copy.path()).to_string().contains("MambaForTokenClassification"));
}

#[test]
fn a_broken_configuration_is_named_with_the_cause() {
    let copy = copy_of("tiny-bert");
    edit(copy.path(), "config.json", |text| text.replace("\"hidden_size\"", "\"hidden_sighs\""));
    let error = error_of(copy.path());
    assert!(error.to_string().contains("config.json"), "{error}");
    assert!(error.source().unwrap().to_string().contains("hidden_size"));
}

#[test]
fn a_missing_tensor_and_an_unknown_one_are_both_named() {
    let copy = copy_of("tiny-bert");
    edit_weights(copy.path(), "classifier.bias", "classifier.bios");
    let text = error_of(copy.path()).to_string();
    assert!(text.contains("classifier.bias is missing; classifier.bios is not part of the model"), "{text}");
}

#[test]
fn a_tensor_with_the_wrong_shape_is_named_with_both_shapes() {
    let copy = copy_of("tiny-bert");
    edit(copy.path(), "config.json", |text| text.replace("\"intermediate_size\": 64", "\"intermediate_size\": 65"));
    let text = error_of(copy.path()).to_string();
    assert!(text.contains("layer.0.intermediate.dense.weight has shape [64, 32], expected [65, 32]"), "{text}");
}

/// Adds tensors of zeros with shape [2] to the weights.
fn add_tensors(directory: &Path, names: &[&str], dtype: Dtype) {
    let path = directory.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let mut tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let zeros = vec![0; 2 * dtype.bitsize() / 8];
    tensors.extend(names.iter().map(|name| ((*name).to_owned(), TensorView::new(dtype, vec![2], &zeros).unwrap())));
    let file = safetensors::serialize(tensors, None).unwrap();
    std::fs::write(&path, file).unwrap();
}

#[test]
fn only_tensors_that_a_token_classifier_does_not_use_are_ignored() {
    let copy = copy_of("tiny-bert");
    let ignorable = ["bert.embeddings.position_ids", "bert.pooler.dense.bias"];
    add_tensors(copy.path(), &ignorable, Dtype::I64);
    assert!(Tag::start(&Checkpoint::open(copy.path()).unwrap(), &TagConfig::on(Device::Cpu)).is_ok());
    add_tensors(copy.path(), &["bert.encoder.layer.2.output.dense.bias"], Dtype::F32);
    let text = error_of(copy.path()).to_string();
    assert!(text.ends_with("config.json: bert.encoder.layer.2.output.dense.bias is not part of the model"), "{text}");
}

#[test]
fn the_old_names_of_a_layer_norm_are_read() {
    let copy = copy_of("tiny-bert");
    edit_weights(copy.path(), "bert.embeddings.LayerNorm.bias\"", "bert.embeddings.LayerNorm.beta\"");
    assert!(Tag::start(&Checkpoint::open(copy.path()).unwrap(), &TagConfig::on(Device::Cpu)).is_ok());
}

#[test]
fn damaged_weights_are_named() {
    let copy = copy_of("tiny-bert");
    let path = copy.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() - 7], &bytes[..100], b"not safetensors at all", b""] {
        std::fs::write(&path, damaged).unwrap();
        let error = error_of(copy.path());
        assert!(matches!(&error, NerError::Safetensors { path: named, .. } if *named == path), "{error}");
    }
}

/// Sets a value of the configuration.
fn set(directory: &Path, key: &str, value: &str) {
    edit(directory, "config.json", |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config[key] = serde_json::from_str(value).unwrap();
        config.to_string()
    });
}

/// Adds a tokenizer, without which the configuration is not read.
fn with_tokenizer(copy: tempfile::TempDir) -> tempfile::TempDir {
    let donor = copy_of("tiny-bert");
    std::fs::copy(donor.path().join("tokenizer.json"), copy.path().join("tokenizer.json")).unwrap();
    copy
}

#[test]
fn sizes_in_the_configuration_are_limited_by_the_weights() {
    const FIELDS: [&str; 7] = [
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
    ];
    for model in ["tiny-bert", "tiny-roberta"] {
        for field in FIELDS {
            for value in ["0", "2000000000", "1099511627776", "1152921504606846976", "18446744073709551615"] {
                let copy = with_tokenizer(copy_of(model));
                set(copy.path(), field, value);
                let text = error_of(copy.path()).to_string();
                assert!(text.contains("config.json"), "{field} = {value}: {text}");
            }
        }
    }
    let copy = with_tokenizer(copy_of("tiny-roberta"));
    set(copy.path(), "pad_token_id", "18446744073709551615");
    assert!(error_of(copy.path()).to_string().contains("max_position_embeddings"));
}

#[test]
fn a_huge_tokenizer_file_is_rejected_unread() {
    let copy = copy_of("tiny-bert");
    let tokenizer = std::fs::File::options().write(true).open(copy.path().join("tokenizer.json")).unwrap();
    tokenizer.set_len(1 << 40).unwrap();
    let error = error_of(copy.path());
    assert!(matches!(&error, NerError::Read { path, .. } if path.ends_with("tokenizer.json")), "{error}");
}

#[test]
fn the_loaded_files_are_the_hashed_ones() {
    let copy = copy_of("tiny-bert");
    let path = |name: &str| copy.path().join(name);
    let load =
        |checkpoint: &Checkpoint| classifier(checkpoint, Device::Cpu, ClassifierSetup::on(Device::Cpu)).unwrap()();
    let mut batch = MicroBatch::default();
    batch.push(&[2, 9, 17, 3]);
    let expected = load(&Checkpoint::open(copy.path()).unwrap()).unwrap().classify(&batch).unwrap();

    let checkpoint = Checkpoint::open(copy.path()).unwrap();
    let tokenizer = std::fs::read(path("tokenizer.json")).unwrap();
    let mut weights = std::fs::read(path("model.safetensors")).unwrap();
    let half = weights.len() / 2;
    weights[half..].fill(0);
    std::fs::write(path("model.safetensors"), weights).unwrap();
    std::fs::write(path("tokenizer.json"), "something else").unwrap();
    std::fs::write(path("config.json"), "something else").unwrap();

    assert_eq!(load(&checkpoint).unwrap().classify(&batch).unwrap(), expected);
    assert_eq!(*checkpoint.files().read("tokenizer.json").unwrap(), tokenizer);
    // The second time, the file is read again and has changed.
    let error = load(&checkpoint).err().unwrap();
    assert!(matches!(&error, NerError::Changed { .. }) && error.kind() == FaultKind::Transient, "{error}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn cuda_in_a_build_without_it_is_rejected_at_the_start() {
    let checkpoint = Checkpoint::open(fixture("tiny-bert")).unwrap();
    let error = Tag::start(&checkpoint, &TagConfig::on(Device::Cuda(0))).unwrap_err();
    assert_eq!(error.kind(), FaultKind::Configuration);
    assert!(error.to_string().starts_with("cannot use device cuda:0: "), "{error}");
}
