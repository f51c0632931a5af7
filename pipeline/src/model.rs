//! The model of a run, which a worker keeps from one run to the next.

use pubtag_ner::{Checkpoint, Tag, TagConfig};
use pubtag_tokenize::WindowTokenizer;

use crate::bundled::named_or_bundled;
use crate::config::TaggerConfig;
use crate::device;
use crate::exit::Failure;
use crate::runtime::off_thread;
use crate::tokenizer;

/// A model, as far as it is loaded. All runs that share one must have the same settings of model and device.
#[derive(Debug, Default)]
pub(crate) struct Model {
    checkpoint: Option<Checkpoint>,
    engine: Option<Engine>,
}

/// A model that is ready to tag.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) tokenizer: WindowTokenizer,
    pub(crate) tag: Tag,
    /// Where it runs, and how.
    pub(crate) config: TagConfig,
}

impl Model {
    /// The files of the model; opened the first time.
    ///
    /// # Errors
    /// They are missing or not valid.
    pub(crate) async fn checkpoint(&mut self, config: &TaggerConfig) -> Result<Checkpoint, Failure> {
        if let Some(checkpoint) = &self.checkpoint {
            return Ok(checkpoint.clone());
        }
        let model = config.model.clone();
        let opened = off_thread(move || Ok(Checkpoint::open(named_or_bundled(model)?)?)).await?;
        Ok(self.checkpoint.insert(opened).clone())
    }

    /// The model on its device, with counters of its own; loaded the first time.
    ///
    /// # Errors
    /// The device cannot be used, or the model cannot be loaded.
    pub(crate) async fn engine(&mut self, config: &TaggerConfig) -> Result<Engine, Failure> {
        if let Some(engine) = &self.engine {
            return Ok(engine.again());
        }
        let (config, checkpoint) = (config.clone(), self.checkpoint(config).await?);
        let start = move || {
            device::use_threads(config.device.threads)?;
            Engine::start(&config, &checkpoint)
        };
        let started = off_thread(start).await?;
        Ok(self.engine.insert(started).again())
    }
}

impl Engine {
    /// Loads a model, with the arithmetic on the threads of the caller's pool.
    ///
    /// # Errors
    /// The device cannot be used, or the model cannot be loaded.
    pub(crate) fn start(config: &TaggerConfig, checkpoint: &Checkpoint) -> Result<Self, Failure> {
        let tokenizer = tokenizer::open(checkpoint)?.with_context(config.context(checkpoint));
        let (tag_config, tag) = device::start(&config.device, checkpoint, config.aggregation, config.decode)?;
        Ok(Self { tokenizer, tag, config: tag_config })
    }

    /// The same model for another stream.
    fn again(&self) -> Self {
        Self { tokenizer: self.tokenizer.clone(), tag: self.tag.again(), config: self.config.clone() }
    }
}
