//! Which token comes next: by the temperature, and within a grammar.
//!
//! Chance begins with the same seed for every answer, so that the same question to the same model is answered in the same way.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::grammar::ROOT;
use crate::llm::speech::Failure;

/// Where a request gives none.
const TEMPERATURE: f64 = 0.7;
/// Tokens less likely than those that make up this share are never chosen.
const TOP_P: f32 = 0.95;
const SEED: u32 = 0;

/// What chooses an answer's tokens.
pub(super) struct Choice {
    grammar: Option<LlamaSampler>,
    chance: LlamaSampler,
}

impl Choice {
    /// # Errors
    /// Where llama.cpp does not take the grammar.
    pub fn new(model: &LlamaModel, grammar: Option<&str>, temperature: Option<f64>) -> Result<Self, Failure> {
        let grammar = grammar.map(|grammar| LlamaSampler::grammar(model, grammar, ROOT)).transpose();
        let grammar =
            grammar.map_err(|_| Failure::Refused("the schema of its answer or of a tool is too much".into()))?;
        let temperature = temperature.unwrap_or(TEMPERATURE);
        let chance = if temperature > 0.0 {
            let steps =
                [LlamaSampler::top_p(TOP_P, 1), LlamaSampler::temp(temperature as f32), LlamaSampler::dist(SEED)];
            LlamaSampler::chain(steps, true)
        } else {
            LlamaSampler::greedy()
        };
        Ok(Choice { grammar, chance })
    }

    /// The token that follows what the context holds.
    ///
    /// # Errors
    /// What is wrong with the model.
    pub fn next(&mut self, context: &LlamaContext<'_>) -> Result<LlamaToken, &'static str> {
        let candidates = LlamaTokenDataArray::from_iter(context.candidates_ith(-1), false);
        if candidates.data.iter().any(|candidate| candidate.logit().is_nan()) {
            return Err("computes what are no numbers: its file is damaged");
        }
        let Some(grammar) = &mut self.grammar else {
            let token = choose(&mut self.chance, candidates).ok_or("chose no token")?;
            return Ok(token);
        };
        // To hold one token against the grammar is much less work than to hold all of them, and most of them fit.
        let mut token = choose(&mut self.chance, candidates).ok_or("chose no token")?;
        if !fits(grammar, token) {
            let mut candidates = LlamaTokenDataArray::from_iter(context.candidates_ith(-1), false);
            candidates.apply_sampler(grammar);
            candidates.data.retain(|candidate| candidate.logit().is_finite());
            token = choose(&mut self.chance, candidates).ok_or("has no words for the form of the answer")?;
        }
        grammar.try_accept(token).map_err(|_| "lost the form of the answer")?;
        Ok(token)
    }
}

fn choose(chance: &mut LlamaSampler, mut candidates: LlamaTokenDataArray) -> Option<LlamaToken> {
    if candidates.data.is_empty() {
        return None;
    }
    candidates.apply_sampler(chance);
    candidates.selected_token()
}

fn fits(grammar: &mut LlamaSampler, token: LlamaToken) -> bool {
    let mut alone = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 1.0, 0.0)], false);
    alone.apply_sampler(grammar);
    alone.data.first().is_some_and(|candidate| candidate.logit().is_finite())
}
