//! `config.json` of a Hugging Face checkpoint.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use pubtag_schemas::ModelFiles;
use serde::Deserialize;

use super::{Activation, DISTANCE_BUCKETS, EncoderConfig, Family, ModelConfig};
use crate::{LabelSet, NerError};

/// `config.json` as written, with BERT's and DistilBERT's field names.
#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    id2label: BTreeMap<usize, String>,
    vocab_size: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    embedding_size: Option<usize>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: Option<usize>,
    pad_token_id: Option<usize>,
    layer_norm_eps: Option<f64>,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    position_embedding_type: Option<String>,
    relative_attention_num_buckets: Option<usize>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(alias = "dropout")]
    hidden_dropout_prob: Option<f64>,
    #[serde(alias = "attention_dropout")]
    attention_probs_dropout_prob: Option<f64>,
    classifier_dropout: Option<f64>,
    #[serde(default)]
    pubtag: RawPubtag,
}

/// What `pubtag train` adds.
#[derive(Default, Deserialize)]
struct RawPubtag {
    context_words: Option<NonZeroUsize>,
}

impl ModelConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// If it cannot be read, the architecture is not supported, the labels are not IOB2, or a value is out of range.
    pub fn read(files: &ModelFiles, name: &str) -> Result<Self, NerError> {
        let path = files.path(name);
        let bytes = files.read(name).map_err(|source| NerError::Read { path: path.clone(), source })?;
        Self::parse(&bytes, &path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, NerError> {
        let syntax = |source| NerError::ConfigSyntax { path: path.to_owned(), source };
        // The architecture first: an unsupported model lacks other fields, and its name explains more than they do.
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(syntax)?;
        let family = family(&value, path)?;
        let raw: RawConfig = serde_json::from_value(value).map_err(syntax)?;
        Checker { raw, path: path.to_owned() }.model(family)
    }
}

impl EncoderConfig {
    /// Reads and checks the encoder of a `config.json`, whatever its head is.
    ///
    /// # Errors
    /// If it cannot be read, or a value is out of range.
    pub(crate) fn read(path: &Path, family: Family) -> Result<Self, NerError> {
        let bytes = std::fs::read(path).map_err(|source| NerError::Read { path: path.to_owned(), source })?;
        let raw = serde_json::from_slice(&bytes)
            .map_err(|source| NerError::ConfigSyntax { path: path.to_owned(), source })?;
        Checker { raw, path: path.to_owned() }.encoder(family)
    }
}

/// The family, by architecture or else by model type.
fn family(value: &serde_json::Value, path: &Path) -> Result<Family, NerError> {
    let architecture = value["architectures"][0].as_str();
    let model_type = value["model_type"].as_str();
    let found = match (architecture, model_type) {
        (Some("BertForTokenClassification"), _) | (None, Some("bert")) => return Ok(Family::Bert),
        (Some("RobertaForTokenClassification"), _) | (None, Some("roberta")) => return Ok(Family::Roberta),
        (Some("ElectraForTokenClassification"), _) | (None, Some("electra")) => return Ok(Family::Electra),
        (Some("DistilBertForTokenClassification"), _) | (None, Some("distilbert")) => return Ok(Family::DistilBert),
        (Some("MPNetForTokenClassification"), _) | (None, Some("mpnet")) => return Ok(Family::Mpnet),
        (Some(architecture), _) => architecture,
        (None, Some(model_type)) => model_type,
        (None, None) => "(none)",
    };
    Err(NerError::Architecture { path: path.to_owned(), found: found.to_owned() })
}

struct Checker {
    raw: RawConfig,
    path: PathBuf,
}

impl Checker {
    fn model(&self, family: Family) -> Result<ModelConfig, NerError> {
        let encoder = self.encoder(family)?;
        Ok(ModelConfig {
            labels: self.labels()?,
            classifier_dropout: self.raw.classifier_dropout.unwrap_or(encoder.hidden_dropout),
            context_words: self.raw.pubtag.context_words,
            encoder,
        })
    }

    fn encoder(&self, family: Family) -> Result<EncoderConfig, NerError> {
        let raw = &self.raw;
        self.check_ranges()?;
        Ok(EncoderConfig {
            family,
            vocab_size: raw.vocab_size,
            embedding_size: raw.embedding_size.filter(|_| family == Family::Electra).unwrap_or(raw.hidden_size),
            hidden_size: raw.hidden_size,
            layers: raw.num_hidden_layers,
            heads: raw.num_attention_heads,
            intermediate_size: raw.intermediate_size,
            positions: raw.max_position_embeddings,
            first_position: self.first_position(family)?,
            token_types: match family {
                Family::DistilBert | Family::Mpnet => 0,
                Family::Bert | Family::Roberta | Family::Electra => raw.type_vocab_size.unwrap_or(2),
            },
            distance_buckets: if family == Family::Mpnet { self.distance_buckets()? } else { 0 },
            layer_norm_eps: raw.layer_norm_eps.unwrap_or(1e-12),
            activation: self.activation()?,
            hidden_dropout: raw.hidden_dropout_prob.unwrap_or(0.1),
            attention_dropout: raw.attention_probs_dropout_prob.unwrap_or(0.1),
        })
    }

    fn check_ranges(&self) -> Result<(), NerError> {
        let raw = &self.raw;
        for (field, value) in [
            ("vocab_size", raw.vocab_size),
            ("hidden_size", raw.hidden_size),
            ("num_hidden_layers", raw.num_hidden_layers),
            ("num_attention_heads", raw.num_attention_heads),
            ("intermediate_size", raw.intermediate_size),
            ("max_position_embeddings", raw.max_position_embeddings),
            ("embedding_size", raw.embedding_size.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(self.bad(field, value, "must be positive"));
            }
        }
        if !raw.hidden_size.is_multiple_of(raw.num_attention_heads) {
            let expected = format!("must be a multiple of num_attention_heads, {}", raw.num_attention_heads);
            return Err(self.bad("hidden_size", raw.hidden_size, expected));
        }
        for (field, value) in [
            ("hidden_dropout_prob", raw.hidden_dropout_prob),
            ("attention_probs_dropout_prob", raw.attention_probs_dropout_prob),
            ("classifier_dropout", raw.classifier_dropout),
        ] {
            if let Some(value) = value.filter(|value| !(0.0..1.0).contains(value)) {
                return Err(self.bad(field, value, "must be at least 0 and below 1"));
            }
        }
        if let Some(other) = raw.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(self.bad("position_embedding_type", other, "only absolute positions are supported"));
        }
        if raw.is_decoder {
            return Err(self.bad("is_decoder", true, "only encoders are supported"));
        }
        Ok(())
    }

    fn labels(&self) -> Result<LabelSet, NerError> {
        let id2label = &self.raw.id2label;
        LabelSet::from_id2label(id2label).map_err(|problem| {
            let labels = id2label.values().cloned().collect::<Vec<_>>().join(", ");
            NerError::Labels { path: self.path.clone(), labels, problem }
        })
    }

    /// `transformers` always divides distances into 32 buckets.
    fn distance_buckets(&self) -> Result<usize, NerError> {
        match self.raw.relative_attention_num_buckets.unwrap_or(DISTANCE_BUCKETS) {
            DISTANCE_BUCKETS => Ok(DISTANCE_BUCKETS),
            other => Err(self.bad("relative_attention_num_buckets", other, "only 32 is supported")),
        }
    }

    /// RoBERTa counts positions from `pad_token_id + 1` (fairseq's convention, kept by `transformers`), and MPNet as if its
    /// padding token were always 1.
    fn first_position(&self, family: Family) -> Result<usize, NerError> {
        let padding = match family {
            Family::Roberta => self.raw.pad_token_id.unwrap_or(1),
            Family::Mpnet => 1,
            Family::Bert | Family::Electra | Family::DistilBert => return Ok(0),
        };
        let first = padding.saturating_add(1);
        if first >= self.raw.max_position_embeddings {
            let expected = format!("positions start at {first}");
            return Err(self.bad("max_position_embeddings", self.raw.max_position_embeddings, expected));
        }
        Ok(first)
    }

    fn activation(&self) -> Result<Activation, NerError> {
        match self.raw.hidden_act.as_deref().unwrap_or("gelu") {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            other => Err(self.bad("hidden_act", other, "must be gelu, gelu_new, gelu_pytorch_tanh, relu or silu")),
        }
    }

    fn bad(&self, field: &'static str, value: impl ToString, expected: impl Into<String>) -> NerError {
        NerError::ConfigValue { path: self.path.clone(), field, value: value.to_string(), expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bert() -> Value {
        json!({
            "architectures": ["BertForTokenClassification"], "model_type": "bert",
            "id2label": {"0": "O", "1": "B-Disease", "2": "I-Disease"},
            "vocab_size": 100, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
            "intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 0
        })
    }

    fn with(changes: Value) -> Result<ModelConfig, NerError> {
        let mut config = bert();
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        ModelConfig::parse(config.to_string().as_bytes(), Path::new("config.json"))
    }

    #[test]
    fn values_come_from_the_file_with_the_defaults_of_transformers() {
        let config = with(json!({"layer_norm_eps": 1e-5, "hidden_act": "relu"})).unwrap().encoder;
        assert_eq!((config.layer_norm_eps, config.activation), (1e-5, Activation::Relu));
        let config = with(json!({})).unwrap().encoder;
        assert_eq!((config.layer_norm_eps, config.activation), (1e-12, Activation::Gelu));
        assert_eq!((config.token_types, config.max_tokens().get()), (2, 64));
    }

    #[test]
    fn the_context_length_of_training_is_read_and_other_pubtag_fields_are_ignored() {
        let context =
            |pubtag| with(json!({"pubtag": pubtag})).map(|config| config.context_words.map(NonZeroUsize::get));
        assert_eq!(context(json!({"context_words": 80, "version": 3})).unwrap(), Some(80));
        assert_eq!(context(json!({})).unwrap(), None);
        assert_eq!(with(json!({})).unwrap().context_words, None);
        let error = context(json!({"context_words": 0})).unwrap_err();
        assert!(matches!(&error, NerError::ConfigSyntax { .. }), "{error}");
    }

    #[test]
    fn roberta_has_no_positions_up_to_its_padding_token() {
        let roberta = json!({"architectures": ["RobertaForTokenClassification"], "pad_token_id": 1});
        assert_eq!(with(roberta).unwrap().encoder.max_tokens().get(), 62);
    }

    #[test]
    fn an_unsupported_architecture_is_named() {
        for (changes, name) in [
            (json!({"architectures": ["T5ForTokenClassification"]}), "T5ForTokenClassification"),
            (json!({"architectures": ["BertForMaskedLM"]}), "BertForMaskedLM"),
            (json!({"architectures": null, "model_type": "deberta-v2"}), "deberta-v2"),
        ] {
            let error = with(changes).unwrap_err();
            assert!(matches!(&error, NerError::Architecture { found, .. } if found == name), "{error}");
        }
    }

    #[test]
    fn labels_that_are_not_iob2_are_named_with_a_hint() {
        let error = with(json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})).unwrap_err().to_string();
        assert!(error.contains("[LABEL_0, LABEL_1] are not IOB2"), "{error}");
        assert!(error.contains("id2label must consist of O, B-<type> and I-<type>"), "{error}");
    }

    #[test]
    fn unsupported_values_are_named() {
        for (changes, field) in [
            (json!({"hidden_act": "mish"}), "hidden_act"),
            (json!({"num_attention_heads": 5}), "hidden_size"),
            (json!({"num_hidden_layers": 0}), "num_hidden_layers"),
            (json!({"position_embedding_type": "relative_key"}), "position_embedding_type"),
            (json!({"hidden_dropout_prob": 1.5}), "hidden_dropout_prob"),
            (
                json!({"architectures": ["MPNetForTokenClassification"], "relative_attention_num_buckets": 30}),
                "relative_attention_num_buckets",
            ),
            (
                json!({"architectures": ["RobertaForTokenClassification"], "pad_token_id": 64}),
                "max_position_embeddings",
            ),
        ] {
            let error = with(changes).unwrap_err();
            assert!(matches!(&error, NerError::ConfigValue { field: found, .. } if *found == field), "{error}");
        }
    }
}
