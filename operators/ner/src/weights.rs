//! Parameters out of a safetensors file: one table of names, and nothing missing, left over or of another shape.
//!
//! The model asks for parameters by BERT's names without the model's prefix (`encoder.layer.0.output.dense.weight`).
//! RoBERTa and ELECTRA use the same names; [`DISTILBERT`] lists what DistilBERT calls otherwise. Files from before 2019
//! call a LayerNorm's parameters `gamma` and `beta`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::NerError;
use crate::config::{Family, ModelConfig};

/// BERT's and DistilBERT's names of the modules of one layer.
const DISTILBERT: [(&str, &str); 8] = [
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

/// Tensors that a file may hold and a token classifier does not need.
const IGNORABLE: [&str; 4] =
    ["pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids", "embeddings.token_type_ids"];

/// Every parameter of a model, in 32-bit floats on the host, each to be taken once.
#[derive(Debug)]
pub(crate) struct Weights {
    parameters: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// Reads the parameters of the model that a configuration describes; `path` is where the bytes come from.
    ///
    /// # Errors
    /// If their tensors differ from the model's in any way; the error names every difference.
    pub(crate) fn parse(bytes: &[u8], path: &Path, config: &ModelConfig) -> Result<Self, NerError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| NerError::Safetensors { path: path.to_owned(), source })?;
        let mut reader = Reader { found: by_modern_name(&file), problems: Vec::new() };
        let parameters = reader.fill(config);
        reader.finish(config.family, path)?;
        Ok(Self { parameters })
    }

    /// Takes a parameter by its name.
    pub(crate) fn take(&mut self, name: &str) -> Vec<f32> {
        self.parameters.remove(name).expect("`parameters` lists every name that the model asks for, each once")
    }
}

/// Compares what a file holds with what a model needs.
struct Reader<'a> {
    found: BTreeMap<String, TensorView<'a>>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn fill(&mut self, config: &ModelConfig) -> BTreeMap<String, Vec<f32>> {
        let needed = parameters(config).into_iter();
        needed.filter_map(|(name, shape)| Some((self.values(config.family, &name, &shape)?, name))).map(swap).collect()
    }

    fn values(&mut self, family: Family, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let file_name = file_name(family, name);
        let Some(tensor) = self.found.remove(&file_name) else {
            self.problems.push(format!("{file_name} is missing"));
            return None;
        };
        if tensor.shape() != shape {
            self.problems.push(format!("{file_name} has the shape {:?} instead of {shape:?}", tensor.shape()));
            return None;
        }
        let values = floats(&tensor);
        if values.is_none() {
            self.problems.push(format!("{file_name} is of type {}, not F32, F16 or BF16", tensor.dtype()));
        }
        values
    }

    fn finish(mut self, family: Family, path: &Path) -> Result<(), NerError> {
        let ignorable: BTreeSet<String> = IGNORABLE.iter().map(|name| file_name(family, name)).collect();
        let unknown = self.found.keys().filter(|name| !ignorable.contains(*name));
        self.problems.extend(unknown.map(|name| format!("{name} is not part of the model")));
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(NerError::Tensors { path: PathBuf::from(path), problems: summary(&self.problems) })
    }
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}

/// The first differences in full, the others as a number: a wrong prefix makes hundreds.
fn summary(problems: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = problems.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Name and shape of every parameter. Matrices are `[out, in]`, as PyTorch stores them.
pub(crate) fn parameters(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let &ModelConfig { hidden_size: hidden, embedding_size: embedding, intermediate_size: intermediate, .. } = config;
    let mut all = Vec::new();
    let mut table =
        |name: &str, rows| all.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, embedding]));
    table("word", config.vocab_size);
    table("position", config.positions);
    if config.token_types > 0 {
        table("token_type", config.token_types);
    }
    let mut norm = |module: String, width| {
        all.push((format!("{module}.weight"), vec![width]));
        all.push((format!("{module}.bias"), vec![width]));
    };
    norm("embeddings.LayerNorm".to_owned(), embedding);
    for layer in 0..config.layers {
        norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"), hidden);
        norm(format!("encoder.layer.{layer}.output.LayerNorm"), hidden);
    }
    let mut linear = |module: String, input, output| {
        all.push((format!("{module}.weight"), vec![output, input]));
        all.push((format!("{module}.bias"), vec![output]));
    };
    if embedding != hidden {
        linear("embeddings_project".to_owned(), embedding, hidden);
    }
    for layer in 0..config.layers {
        for module in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"] {
            linear(format!("encoder.layer.{layer}.{module}"), hidden, hidden);
        }
        linear(format!("encoder.layer.{layer}.intermediate.dense"), hidden, intermediate);
        linear(format!("encoder.layer.{layer}.output.dense"), intermediate, hidden);
    }
    linear("classifier".to_owned(), hidden, config.labels.count());
    all
}

/// What a family's files call a parameter.
pub(crate) fn file_name(family: Family, name: &str) -> String {
    let prefix = match family {
        _ if name.starts_with("classifier.") => return name.to_owned(),
        Family::Bert => "bert",
        Family::Roberta => "roberta",
        Family::Electra => "electra",
        Family::DistilBert => return format!("distilbert.{}", distilbert_name(name)),
    };
    format!("{prefix}.{name}")
}

fn distilbert_name(name: &str) -> String {
    let renamed = || {
        let (layer, parameter) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
        let (module, kind) = parameter.rsplit_once('.')?;
        let (_, theirs) = DISTILBERT.iter().find(|(ours, _)| *ours == module)?;
        Some(format!("transformer.layer.{layer}.{theirs}.{kind}"))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

fn by_modern_name<'a>(file: &SafeTensors<'a>) -> BTreeMap<String, TensorView<'a>> {
    let modern = |name: String| match name.rsplit_once("LayerNorm.") {
        Some((module, "gamma")) => format!("{module}LayerNorm.weight"),
        Some((module, "beta")) => format!("{module}LayerNorm.bias"),
        _ => name,
    };
    file.tensors().into_iter().map(|(name, tensor)| (modern(name), tensor)).collect()
}

/// The values in 32-bit floats; none if the type is not one that weights are stored in.
fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = tensor.data();
    let (words, _) = data.as_chunks::<4>();
    let (halves, _) = data.as_chunks::<2>();
    match tensor.dtype() {
        Dtype::F32 => Some(words.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => Some(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        Dtype::BF16 => Some(halves.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_calls_the_parameters_by_its_own_names() {
        let name = "encoder.layer.3.output.LayerNorm.bias";
        assert_eq!(file_name(Family::Electra, name), "electra.encoder.layer.3.output.LayerNorm.bias");
        assert_eq!(file_name(Family::DistilBert, name), "distilbert.transformer.layer.3.output_layer_norm.bias");
        let embedding = "embeddings.word_embeddings.weight";
        assert_eq!(file_name(Family::DistilBert, embedding), "distilbert.embeddings.word_embeddings.weight");
        assert_eq!(file_name(Family::Roberta, "classifier.bias"), "classifier.bias");
    }

    #[test]
    fn a_long_list_of_differences_is_cut_and_counted() {
        let problems: Vec<_> = (0..20).map(|i| format!("t{i} is missing")).collect();
        let text = summary(&problems);
        assert!(text.ends_with("t11 is missing; and 8 more"), "{text}");
    }
}
