//! Adds an untrained token-classification head to a pretrained encoder.

use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use crate::NerError;
use crate::random::normal;

/// Files of the tokenizer, copied if they exist.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];

/// Heads of other tasks, which are dropped.
const OTHER_HEADS: [&str; 6] =
    ["pooler.", "cls.", "lm_head.", "classifier.", "discriminator_predictions.", "generator_predictions."];

/// Writes a token classifier for these labels (`O` first) in Hugging Face layout: the encoder of `base` and a new head,
/// drawn from a normal distribution with the checkpoint's `initializer_range`.
///
/// # Errors
/// If a file of the base cannot be read or parsed, or the output cannot be written.
pub fn with_head(base: &Path, labels: &[String], seed: u64, output: &Path) -> Result<(), NerError> {
    fs::create_dir_all(output).map_err(|source| NerError::Write { path: output.to_owned(), source })?;
    let mut config = read_config(&base.join("config.json"))?;
    let weights = headed_weights(&base.join("model.safetensors"), &config, labels.len(), seed)?;
    describe_head(&mut config, labels);
    let text = serde_json::to_vec_pretty(&Value::Object(config)).expect("JSON that was read can be written");
    write(&output.join("config.json"), &text)?;
    write(&output.join("model.safetensors"), &weights)?;
    for name in TOKENIZER_FILES.iter().filter(|name| base.join(name).is_file()) {
        write(&output.join(name), &read(&base.join(name))?)?;
    }
    Ok(())
}

fn describe_head(config: &mut Map<String, Value>, labels: &[String]) {
    let architecture = match config.get("model_type").and_then(Value::as_str) {
        Some("distilbert") => "DistilBertForTokenClassification",
        Some("electra") => "ElectraForTokenClassification",
        Some("roberta") => "RobertaForTokenClassification",
        _ => "BertForTokenClassification",
    };
    config.insert("architectures".into(), json!([architecture]));
    config.insert(
        "id2label".into(),
        labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect(),
    );
    config.insert("label2id".into(), labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect());
    config.insert("torch_dtype".into(), json!("float32"));
    config.remove("_name_or_path");
}

/// The encoder's tensors under the names of a token classifier, and a new head.
fn headed_weights(path: &Path, config: &Map<String, Value>, labels: usize, seed: u64) -> Result<Vec<u8>, NerError> {
    let bytes = read(path)?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|source| NerError::Safetensors { path: path.to_owned(), source })?;
    let prefix = format!("{}.", config.get("model_type").and_then(Value::as_str).unwrap_or("bert"));
    let hidden = ["hidden_size", "dim"].iter().find_map(|key| config.get(*key)).and_then(Value::as_u64);
    let hidden = usize::try_from(hidden.unwrap_or(0)).unwrap_or(0);
    // An untrusted size must not allocate more than the file justifies.
    if !file.iter().any(|(_, tensor)| tensor.shape().last() == Some(&hidden)) {
        let problems = format!("no tensor has width {hidden}");
        return Err(NerError::Tensors { path: path.to_owned(), problems });
    }
    let deviation = config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02);

    let weight = le_bytes(&normal(labels * hidden, deviation, seed));
    let bias = le_bytes(&vec![0.0; labels]);
    let export = |error| NerError::Export(error);
    let mut tensors = vec![
        ("classifier.weight".to_owned(), TensorView::new(Dtype::F32, vec![labels, hidden], &weight).map_err(export)?),
        ("classifier.bias".to_owned(), TensorView::new(Dtype::F32, vec![labels], &bias).map_err(export)?),
    ];
    for (name, tensor) in file.tensors() {
        let bare = name.strip_prefix(&prefix).unwrap_or(&name);
        if !OTHER_HEADS.iter().any(|head| bare.starts_with(head)) {
            tensors.push((format!("{prefix}{bare}"), tensor));
        }
    }
    safetensors::serialize(tensors, Some([("format".to_owned(), "pt".to_owned())].into())).map_err(export)
}

fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn read_config(path: &Path) -> Result<Map<String, Value>, NerError> {
    serde_json::from_slice(&read(path)?).map_err(|source| NerError::ConfigSyntax { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, NerError> {
    fs::read(path).map_err(|source| NerError::Read { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), NerError> {
    fs::write(path, bytes).map_err(|source| NerError::Write { path: path.to_owned(), source })
}
