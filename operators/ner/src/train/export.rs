//! A model's parameters as a safetensors file, under the names that `transformers` gives them.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::NerError;
use crate::config::{DISTANCE_BIAS, EncoderConfig, ModelConfig, Shape};
use crate::host::floats;
use crate::model::{Encoder, EncoderLayer, LayerNorm, Linear, MaskedLanguage, TokenClassification};
use crate::weights::file_name;

/// Writes a token classifier's parameters: the inverse of reading them.
///
/// # Errors
/// If the file's header cannot be written, which only an absurdly large model can cause.
pub(crate) fn token_classifier<B: Backend>(
    config: &ModelConfig,
    model: &TokenClassification<B>,
) -> Result<Vec<u8>, NerError> {
    let mut found = Found::in_encoder(&model.encoder);
    found.linear(&["classifier"], &model.classifier);
    found.write(&config.encoder, config.head())
}

/// Writes a masked language model's parameters. The decoder's matrix is not among them, as in files of `transformers`: it is
/// the table of words.
///
/// # Errors
/// As [`token_classifier`].
pub(crate) fn masked_language<B: Backend>(
    config: &EncoderConfig,
    model: &MaskedLanguage<B>,
) -> Result<Vec<u8>, NerError> {
    let mut found = Found::in_encoder(&model.encoder);
    found.values.insert("cls.predictions.bias".to_owned(), floats(model.head.bias.val()));
    found.linear(&["cls.predictions.transform.dense"], &model.head.transform);
    found.norm("cls.predictions.transform.LayerNorm", &model.head.norm);
    found.write(config, config.masked_head())
}

/// Rounds the 32-bit floats of a safetensors file to 16 bits.
///
/// # Errors
/// If the bytes are not a safetensors file of 32-bit floats.
pub fn to_f16(bytes: &[u8]) -> Result<Vec<u8>, NerError> {
    let file = SafeTensors::deserialize(bytes).map_err(NerError::Export)?;
    let halves = file.tensors().into_iter().map(|(name, tensor)| {
        let (words, _) = tensor.data().as_chunks();
        let halves = words.iter().flat_map(|word| half::f16::from_f32(f32::from_le_bytes(*word)).to_le_bytes());
        (name, tensor.shape().to_vec(), halves.collect())
    });
    serialize(Dtype::F16, halves)
}

/// Writes tensors, given by name, shape and bytes, as a file.
fn serialize(dtype: Dtype, tensors: impl Iterator<Item = (String, Vec<usize>, Vec<u8>)>) -> Result<Vec<u8>, NerError> {
    let tensors: Vec<_> = tensors.collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    // `transformers` requires `format`.
    let metadata = Some([("format".to_owned(), "pt".to_owned())].into());
    views.and_then(|views| safetensors::serialize(views, metadata)).map_err(NerError::Export)
}

/// Parameters by name.
struct Found {
    values: BTreeMap<String, Vec<f32>>,
}

impl Found {
    fn in_encoder<B: Backend>(encoder: &Encoder<B>) -> Self {
        let mut found = Self { values: BTreeMap::new() };
        let embeddings = &encoder.embeddings;
        found.table("word", &embeddings.words);
        found.table("position", &embeddings.positions);
        if let Some(types) = &embeddings.token_types {
            found.table("token_type", types);
        }
        found.norm("embeddings.LayerNorm", &embeddings.norm);
        if let Some(projection) = &embeddings.projection {
            found.linear(&["embeddings_project"], projection);
        }
        if let Some(bias) = &encoder.distance_bias {
            found.values.insert(DISTANCE_BIAS.to_owned(), floats(bias.weight.val()));
        }
        for (number, layer) in encoder.layers.iter().enumerate() {
            found.layer(&format!("encoder.layer.{number}"), layer);
        }
        found
    }

    /// A file with the parameters of an encoder and its head.
    fn write(mut self, encoder: &EncoderConfig, head: Vec<Shape>) -> Result<Vec<u8>, NerError> {
        let tensors = encoder.parameters().into_iter().chain(head).map(|(name, shape)| {
            let values = self.values.remove(&name).expect("every module of the configuration was visited");
            (file_name(encoder.family, &name), shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        });
        serialize(Dtype::F32, tensors)
    }

    fn layer<B: Backend>(&mut self, name: &str, layer: &EncoderLayer<B>) {
        let within = |part: &str| format!("{name}.{part}");
        let (query, key, value) =
            (within("attention.self.query"), within("attention.self.key"), within("attention.self.value"));
        self.linear(&[&query, &key, &value], &layer.attention.query_key_value);
        self.linear(&[&within("attention.output.dense")], &layer.attention.output);
        self.norm(&within("attention.output.LayerNorm"), &layer.attention_norm);
        self.linear(&[&within("intermediate.dense")], &layer.intermediate);
        self.linear(&[&within("output.dense")], &layer.output);
        self.norm(&within("output.LayerNorm"), &layer.output_norm);
    }

    fn table<B: Backend>(&mut self, name: &str, table: &Param<Tensor<B, 2>>) {
        self.values.insert(format!("embeddings.{name}_embeddings.weight"), floats(table.val()));
    }

    fn norm<B: Backend>(&mut self, name: &str, norm: &LayerNorm<B>) {
        self.values.insert(format!("{name}.weight"), floats(norm.weight.val()));
        self.values.insert(format!("{name}.bias"), floats(norm.bias.val()));
    }

    /// Modules with the same input are side by side in one matrix `[in, out]`; files have one `[out, in]` matrix each.
    fn linear<B: Backend>(&mut self, names: &[&str], linear: &Linear<B>) {
        let weight = floats(linear.weight.val().transpose());
        let bias = floats(linear.bias.val());
        let (rows, values) = (bias.len() / names.len(), weight.len() / names.len());
        for (part, name) in names.iter().enumerate() {
            self.values.insert(format!("{name}.weight"), weight[part * values..][..values].to_vec());
            self.values.insert(format!("{name}.bias"), bias[part * rows..][..rows].to_vec());
        }
    }
}
