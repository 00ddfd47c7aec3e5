//! The providers that the operator configured, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::anthropic::Anthropic;
#[cfg(feature = "llama")]
use super::llama::Llama;
use super::model::ChatModel;
use super::openai::OpenAi;
use super::speech::Tokens;
use crate::config::{self, Price, ProviderKind};
#[cfg(not(feature = "llama"))]
use crate::error::Error;
use crate::error::Result;

/// A provider that is ready to be asked.
pub struct Provider {
    pub model: ChatModel,
    /// The models that agents may use, the first where they name none; empty is any.
    pub models: Vec<String>,
    /// How long it may be silent once it has begun to answer.
    pub silence: Duration,
    prices: BTreeMap<String, Price>,
    /// Models that were found to take no tools.
    toolless: Mutex<BTreeSet<String>>,
}

/// All providers, by their names.
#[derive(Default)]
pub struct Providers(BTreeMap<String, Arc<Provider>>);

impl Provider {
    /// `directory` is where models lie that run in this process.
    #[cfg_attr(not(feature = "llama"), expect(unused_variables, reason = "no model runs in this process"))]
    fn new(config: &config::Provider, directory: &Path) -> Result<Self> {
        let (base_url, key) = (config.base_url(), config.key()?);
        let timeout = Duration::from_secs(config.timeout_seconds);
        let model = match config.kind {
            ProviderKind::OpenAi => ChatModel::OpenAi(OpenAi::new(base_url, key.as_deref(), timeout)?),
            ProviderKind::Anthropic => ChatModel::Anthropic(Anthropic::new(base_url, key.as_deref(), timeout)?),
            #[cfg(feature = "llama")]
            ProviderKind::Llama => ChatModel::Llama(Llama::new(directory, config)?),
            #[cfg(not(feature = "llama"))]
            ProviderKind::Llama => return Err(Error::invalid("kind", "this build runs no models itself")),
        };
        let models = match config.kind {
            #[cfg(feature = "llama")]
            ProviderKind::Llama => Llama::models(directory, config),
            _ => config.models.clone(),
        };
        let silence = Duration::from_secs(config.silence_seconds);
        let prices = config.prices.clone();
        Ok(Provider { model, models, silence, prices, toolless: Mutex::default() })
    }

    /// Whether this model has not been found to take no tools.
    pub fn takes_tools(&self, model: &str) -> bool {
        !self.toolless.lock().unwrap_or_else(PoisonError::into_inner).contains(model)
    }

    /// Remembers that this model takes no tools.
    pub fn note_toolless(&self, model: &str) {
        self.toolless.lock().unwrap_or_else(PoisonError::into_inner).insert(model.to_owned());
    }

    /// What these tokens of `model` cost, in the currency of the configuration; `None` where it gives no price.
    pub fn cost(&self, model: &str, tokens: Tokens) -> Option<f64> {
        let price = self.prices.get(model)?;
        Some((tokens.prompt as f64 * price.prompt + tokens.completion as f64 * price.completion) / 1e6)
    }
}

impl Providers {
    /// `directory` is where models lie that run in this process.
    ///
    /// # Errors
    /// Where a key cannot be read, or an address or key is none.
    pub fn new(config: &BTreeMap<String, config::Provider>, directory: &Path) -> Result<Self> {
        let ready = |(name, provider): (&String, _)| Ok((name.clone(), Arc::new(Provider::new(provider, directory)?)));
        config.iter().map(ready).collect::<Result<_>>().map(Providers)
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.get(name)
    }

    /// Names and providers, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Provider)> {
        self.0.iter().map(|(name, provider)| (name.as_str(), provider.as_ref()))
    }
}
