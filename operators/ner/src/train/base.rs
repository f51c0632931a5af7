//! Gives a pretrained encoder the head that is to be trained.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use crate::NerError;
use crate::random::normal;

/// Files of the tokenizer, copied if they exist.
const TOKENIZER_FILES: [&str; 4] = ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];

/// Heads, of which at most one is kept.
const HEADS: [&str; 6] =
    ["pooler.", "cls.", "lm_head.", "classifier.", "discriminator_predictions.", "generator_predictions."];

/// BERT's head for masked language modelling, and the part of it that is the table of words again.
const MASKED_HEAD: &str = "cls.predictions.";
const DECODER: &str = "cls.predictions.decoder.";

/// Writes a token classifier for these labels (`O` first) in Hugging Face layout: the encoder of `base` and a new head,
/// drawn from a normal distribution with the checkpoint's `initializer_range`.
///
/// # Errors
/// If a file of the base cannot be read or parsed, or the output cannot be written.
pub fn with_head(base: &Path, labels: &[String], seed: u64, output: &Path) -> Result<(), NerError> {
    let mut base = Base::read(base)?;
    let width = base.width(&base.file()?)?;
    let head = vec![
        NewTensor::random("classifier.weight", vec![labels.len(), width], base.deviation(), seed),
        NewTensor::filled("classifier.bias", labels.len(), 0.0),
    ];
    let weights = base.weights(&head, None)?;
    base.describe_classifier(labels);
    base.write(&weights, output)
}

/// Writes a masked language model in Hugging Face layout: the encoder of `base` and its head, or else a new one, drawn as in
/// [`with_head`]. Returns whether the head is new.
///
/// # Errors
/// As [`with_head`]; also if the base is not BERT, or its head does not share the table of words.
pub fn with_masked_head(base: &Path, seed: u64, output: &Path) -> Result<bool, NerError> {
    let mut base = Base::read(base)?;
    base.check_tied_bert()?;
    let file = base.file()?;
    let is_new = !file.names().iter().any(|name| name.starts_with(MASKED_HEAD));
    let head = if is_new { base.new_masked_head(&file, seed)? } else { Vec::new() };
    let weights = base.weights(&head, Some(MASKED_HEAD))?;
    base.describe_language_model();
    base.write(&weights, output)?;
    Ok(is_new)
}

/// A pretrained model.
struct Base {
    directory: PathBuf,
    config: Map<String, Value>,
    bytes: Vec<u8>,
}

/// A tensor of a new head.
struct NewTensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Base {
    fn read(directory: &Path) -> Result<Self, NerError> {
        let path = directory.join("config.json");
        let config = serde_json::from_slice(&read(&path)?).map_err(|source| NerError::ConfigSyntax { path, source })?;
        let bytes = read(&directory.join("model.safetensors"))?;
        Ok(Self { directory: directory.to_owned(), config, bytes })
    }

    fn path(&self) -> PathBuf {
        self.directory.join("model.safetensors")
    }

    fn file(&self) -> Result<SafeTensors<'_>, NerError> {
        SafeTensors::deserialize(&self.bytes).map_err(|source| NerError::Safetensors { path: self.path(), source })
    }

    fn family(&self) -> &str {
        self.config.get("model_type").and_then(Value::as_str).unwrap_or("bert")
    }

    /// The standard deviation of new parameters.
    fn deviation(&self) -> f64 {
        self.config.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02)
    }

    /// The width of the encoder's layers.
    fn width(&self, file: &SafeTensors<'_>) -> Result<usize, NerError> {
        let width = ["hidden_size", "dim"].iter().find_map(|key| self.config.get(*key)).and_then(Value::as_u64);
        let width = usize::try_from(width.unwrap_or(0)).unwrap_or(0);
        // An untrusted size must not allocate more than the file justifies.
        if file.iter().any(|(_, tensor)| tensor.shape().last() == Some(&width)) {
            return Ok(width);
        }
        Err(NerError::Tensors { path: self.path(), problems: format!("no tensor has width {width}") })
    }

    fn check_tied_bert(&self) -> Result<(), NerError> {
        let path = self.directory.join("config.json");
        if self.family() != "bert" {
            return Err(NerError::Pretraining { path, found: self.family().to_owned() });
        }
        match self.config.get("tie_word_embeddings") {
            Some(Value::Bool(false)) => Err(NerError::ConfigValue {
                path,
                field: "tie_word_embeddings",
                value: "false".to_owned(),
                expected: "pretraining supports only a head that shares the word embeddings".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn new_masked_head(&self, file: &SafeTensors<'_>, seed: u64) -> Result<Vec<NewTensor>, NerError> {
        let width = self.width(file)?;
        let words = file.iter().find(|(name, _)| name.ends_with("embeddings.word_embeddings.weight"));
        let Some(&[vocabulary, _]) = words.as_ref().map(|(_, table)| table.shape()) else {
            return Err(NerError::Tensors { path: self.path(), problems: "there are no word embeddings".to_owned() });
        };
        let name = |part: &str| format!("{MASKED_HEAD}{part}");
        Ok(vec![
            NewTensor::random(&name("transform.dense.weight"), vec![width, width], self.deviation(), seed),
            NewTensor::filled(&name("transform.dense.bias"), width, 0.0),
            NewTensor::filled(&name("transform.LayerNorm.weight"), width, 1.0),
            NewTensor::filled(&name("transform.LayerNorm.bias"), width, 0.0),
            NewTensor::filled(&name("bias"), vocabulary, 0.0),
        ])
    }

    /// The encoder's tensors under the names of a model with a head, the head that is kept, and a new head.
    fn weights(&self, new: &[NewTensor], kept: Option<&str>) -> Result<Vec<u8>, NerError> {
        let file = self.file()?;
        let mut tensors = Vec::new();
        for NewTensor { name, shape, bytes } in new {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(NerError::Export)?;
            tensors.push((name.clone(), view));
        }
        let prefix = format!("{}.", self.family());
        for (name, tensor) in file.tensors() {
            let bare = name.strip_prefix(&prefix).unwrap_or(&name);
            if !HEADS.iter().any(|head| bare.starts_with(head)) {
                tensors.push((format!("{prefix}{bare}"), tensor));
            } else if kept.is_some_and(|head| bare.starts_with(head)) && !bare.starts_with(DECODER) {
                tensors.push((bare.to_owned(), tensor));
            }
        }
        // `transformers` requires `format`.
        let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
        safetensors::serialize(tensors, metadata).map_err(NerError::Export)
    }

    fn describe_classifier(&mut self, labels: &[String]) {
        let architecture = match self.family() {
            "distilbert" => "DistilBertForTokenClassification",
            "electra" => "ElectraForTokenClassification",
            "roberta" => "RobertaForTokenClassification",
            "mpnet" => "MPNetForTokenClassification",
            _ => "BertForTokenClassification",
        };
        self.describe(architecture);
        let by_id = labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label)));
        self.config.insert("id2label".into(), by_id.collect());
        let by_label = labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id)));
        self.config.insert("label2id".into(), by_label.collect());
    }

    fn describe_language_model(&mut self) {
        self.describe("BertForMaskedLM");
        // What only a classifier has.
        for key in ["id2label", "label2id", "pubtag"] {
            self.config.remove(key);
        }
    }

    fn describe(&mut self, architecture: &str) {
        self.config.insert("architectures".into(), json!([architecture]));
        self.config.insert("torch_dtype".into(), json!("float32"));
        self.config.remove("_name_or_path");
    }

    /// Writes the model with these weights and the tokenizer.
    fn write(&self, weights: &[u8], output: &Path) -> Result<(), NerError> {
        fs::create_dir_all(output).map_err(|source| NerError::Write { path: output.to_owned(), source })?;
        let text = serde_json::to_vec_pretty(&self.config).expect("JSON that was read can be written");
        write(&output.join("config.json"), &text)?;
        write(&output.join("model.safetensors"), weights)?;
        for name in TOKENIZER_FILES.iter().filter(|name| self.directory.join(name).is_file()) {
            write(&output.join(name), &read(&self.directory.join(name))?)?;
        }
        Ok(())
    }
}

impl NewTensor {
    fn random(name: &str, shape: Vec<usize>, deviation: f64, seed: u64) -> Self {
        let values = normal(shape.iter().product(), deviation, seed);
        Self::new(name, shape, &values)
    }

    fn filled(name: &str, length: usize, value: f32) -> Self {
        Self::new(name, vec![length], &vec![value; length])
    }

    fn new(name: &str, shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.to_owned(), shape, bytes }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, NerError> {
    fs::read(path).map_err(|source| NerError::Read { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), NerError> {
    fs::write(path, bytes).map_err(|source| NerError::Write { path: path.to_owned(), source })
}
