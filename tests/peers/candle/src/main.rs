//! Reads token ids with candle's BERT: `candle-peer MODEL WINDOWS.json BATCH` prints the seconds it took.
//!
//! `WINDOWS.json` is a list of lists of token ids, shortest first; they are read so many at a time, padded to the longest
//! of each batch. Loading is not counted. `RAYON_NUM_THREADS` sets the threads.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};
use candle_transformers::models::bert::{BertModel, Config};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, windows, batch] = arguments.as_slice() else {
        anyhow::bail!("usage: candle-peer MODEL WINDOWS.json BATCH");
    };
    let windows: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(windows)?)?;
    let batch: usize = batch.parse()?;
    let (model, classifier) = load(Path::new(model))?;
    classify(&model, &classifier, &windows[..batch.min(windows.len())])?;

    let started = Instant::now();
    let mut entities = 0;
    for part in windows.chunks(batch) {
        entities += classify(&model, &classifier, part)?;
    }
    println!("{:.3}", started.elapsed().as_secs_f64());
    eprintln!("{entities} tokens with another tag than the first");
    Ok(())
}

fn load(folder: &Path) -> Result<(BertModel, Linear)> {
    let config = std::fs::read(folder.join("config.json"))?;
    let labels = serde_json::from_slice::<serde_json::Value>(&config)?["id2label"].as_object().map(serde_json::Map::len);
    let config: Config = serde_json::from_slice(&config)?;
    let weights = std::fs::read(folder.join("model.safetensors"))?;
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
    let classifier = linear(config.hidden_size, labels.context("id2label is missing")?, weights.pp("classifier"))?;
    Ok((BertModel::load(weights, &config)?, classifier))
}

/// The number of tokens whose highest logit is not that of the first label.
fn classify(model: &BertModel, classifier: &Linear, windows: &[Vec<u32>]) -> Result<u32> {
    let length = windows.iter().map(Vec::len).max().unwrap_or(0);
    let padded = |fill: fn(u32) -> u32| {
        let row = |window: &Vec<u32>| window.iter().map(|&id| fill(id)).chain(vec![0; length - window.len()]).collect::<Vec<_>>();
        Tensor::from_vec(windows.iter().flat_map(row).collect::<Vec<_>>(), (windows.len(), length), &Device::Cpu)
    };
    let (ids, mask) = (padded(|id| id)?, padded(|_| 1)?);
    let hidden = model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
    let tags = classifier.forward(&hidden)?.argmax(D::Minus1)?;
    Ok((tags.ne(0_u32)?.to_dtype(DType::U32)? * mask)?.sum_all()?.to_scalar()?)
}
