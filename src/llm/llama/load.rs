//! A model's file, loaded: the model, and how it is spoken to. Knows no request.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::Settings;
use super::template::{Marks, Template};
use crate::llm::speech::Failure;

/// Tokens of a prompt that are computed at once: between two such batches it is seen that nobody waits any more.
pub(super) const BATCH: usize = 256;
/// With what a file of this format begins.
const MAGIC: [u8; 4] = *b"GGUF";
/// Kinds of models that understand text and write none.
const MUTE: [&str; 3] = ["bert", "t5", "clip"];

/// A model in memory, and its template.
pub(super) struct Loaded {
    pub name: String,
    pub model: LlamaModel,
    pub template: Template,
}

impl Loaded {
    /// Loads `NAME.gguf` in `directory`, mapped into memory. Goes on while `wanted`.
    ///
    /// # Errors
    /// Where there is no such file, or it holds nothing that can be run here.
    pub fn open(directory: &Path, name: &str, wanted: impl Fn() -> bool + 'static) -> Result<Self, Failure> {
        let unavailable = |why: &str| Failure::Unavailable(format!("the model {name} {why}"));
        let path = directory.join(format!("{name}.gguf"));
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if !is_name || !path.is_file() {
            return Err(unavailable("is not in the folder of models"));
        }
        able().map_err(|lacks| unavailable(&format!("cannot run here: this processor has no {lacks}")))?;
        match begins_with_magic(&path) {
            Ok(true) => {}
            Ok(false) => return Err(unavailable("is no file of the format GGUF")),
            Err(_) => return Err(unavailable("cannot be read")),
        }
        let params = LlamaModelParams::default().with_progress_callback(move |_| wanted());
        let model = LlamaModel::load_from_file(backend()?, &path, &params).map_err(|error| {
            tracing::warn!(%error, model = name, "a model could not be loaded");
            unavailable("cannot be loaded: its file is damaged, or of a kind that this version does not know")
        })?;
        let architecture = model.meta_val_str("general.architecture").unwrap_or_default();
        if MUTE.iter().any(|mute| architecture.contains(mute)) {
            return Err(unavailable("writes no text"));
        }
        let source = model.meta_val_str("tokenizer.chat_template").ok();
        let template = Template::new(source, marks(&model)).map_err(|error| {
            tracing::warn!(error, model = name, "a model's chat template cannot be read");
            unavailable("has a chat template that cannot be read")
        })?;
        Ok(Loaded { name: name.to_owned(), model, template })
    }

    /// Room for a conversation.
    ///
    /// # Errors
    /// Where there is not enough memory.
    pub fn context(&self, settings: &Settings) -> Result<(LlamaContext<'_>, usize), Failure> {
        let tokens = settings.context_tokens.min(self.model.n_ctx_train().max(1));
        let (threads, batch) = (i32::from(settings.threads), u32::try_from(BATCH).unwrap_or(u32::MAX));
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(tokens))
            .with_n_batch(batch)
            .with_n_ubatch(batch)
            .with_n_seq_max(1)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        let context = self.model.new_context(backend()?, params).map_err(|error| {
            tracing::warn!(%error, model = self.name, tokens, "a model got no context");
            let name = &self.name;
            Failure::Unavailable(format!("the model {name} has no memory here for a context of {tokens} tokens"))
        })?;
        // What is given is rounded up.
        let room = context.n_ctx().min(tokens);
        Ok((context, usize::try_from(room).unwrap_or(usize::MAX)))
    }
}

fn begins_with_magic(path: &Path) -> std::io::Result<bool> {
    use std::io::Read;
    let mut begin = Vec::new();
    std::fs::File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == MAGIC)
}

/// What of the processor llama.cpp was built for, and this one lacks.
fn able() -> Result<(), &'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let has = [
            ("AVX2", std::is_x86_feature_detected!("avx2")),
            ("FMA", std::is_x86_feature_detected!("fma")),
            ("F16C", std::is_x86_feature_detected!("f16c")),
            ("BMI2", std::is_x86_feature_detected!("bmi2")),
        ];
        if let Some((lacks, _)) = has.iter().find(|(_, has)| !has) {
            return Err(lacks);
        }
    }
    Ok(())
}

/// llama.cpp's own state, once for the process and to its end.
fn backend() -> Result<&'static LlamaBackend, Failure> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().ok()
    });
    backend.as_ref().ok_or_else(|| Failure::Unavailable("llama.cpp could not be started".into()))
}

/// How the model's marks look in text.
fn marks(model: &LlamaModel) -> Marks {
    let vocabulary = model.vocab();
    let text = |token: LlamaToken| {
        let text = vocabulary.text(token).filter(|_| token.0 >= 0)?;
        text.to_str().ok().map(str::to_owned)
    };
    // A mark of one character is none that a text could do without.
    let is_mark = |text: &String| text.chars().nth(1).is_some();
    let control = vocabulary.tokens().filter(|token| vocabulary.is_control(*token)).filter_map(text).filter(is_mark);
    // Some models mark turns and calls with tokens of their makers' own, which are read in texts just as well.
    let is_own = |token: &LlamaToken| vocabulary.attr(*token).contains(LlamaTokenAttr::UserDefined);
    let own = vocabulary.tokens().filter(is_own).filter_map(text).filter(is_mark).filter(|text| is_bracketed(text));
    Marks {
        begin: text(vocabulary.bos()).unwrap_or_default(),
        end: text(vocabulary.eos()).unwrap_or_default(),
        control: control.chain(own).collect(),
    }
}

/// Whether a text looks as marks do: `<…>` or `[…]`.
fn is_bracketed(text: &str) -> bool {
    (text.starts_with('<') && text.ends_with('>')) || (text.starts_with('[') && text.ends_with(']'))
}
