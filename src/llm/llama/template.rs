//! A model's own chat template: Jinja as its file carries it. Knows turns as text; no tokens, no engine.

use std::collections::BTreeSet;

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::prompt::Turn;

/// Steps that a template may take: a file from elsewhere must not turn for ever.
const FUEL: u64 = 10_000_000;
/// What goes between the first letter of a model's mark and the rest where it stands in a text: no mark any more, and it looks
/// the same.
const BREAK: char = '\u{200B}';
/// With what a model that has no template would go on where somebody else speaks next.
pub(super) const NEXT_SPEAKER: &str = "\n### ";

/// Marks of a model, as they look in text.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// What a text begins and ends with; may be empty.
    pub begin: String,
    pub end: String,
    /// All that may not come from what somebody said.
    pub control: BTreeSet<String>,
}

/// How a conversation is put to a model.
pub(super) struct Template {
    /// `None` where the model brings none.
    jinja: Option<Environment<'static>>,
    marks: Marks,
}

impl Template {
    /// # Errors
    /// Where the source is no template.
    pub fn new(source: Option<String>, marks: Marks) -> Result<Self, String> {
        let jinja = source.map(environment).transpose().map_err(|error| error.to_string())?;
        Ok(Template { jinja, marks })
    }

    /// What a model says that speaks on for somebody else; `None` where its template has marks for that.
    pub fn stop(&self) -> Option<&'static str> {
        self.jinja.is_none().then_some(NEXT_SPEAKER)
    }

    /// The text that the model goes on from.
    ///
    /// # Errors
    /// What the template says against it.
    pub fn render(&self, mut turns: Vec<Turn>) -> Result<String, String> {
        for turn in &mut turns {
            self.disarm(&mut turn.content);
        }
        let Some(jinja) = &self.jinja else { return Ok(plain(&turns)) };
        let rendered = self.fill(jinja, &turns);
        let Some(system) = turns.first().filter(|turn| turn.role == "system") else { return rendered };
        // Some templates refuse a system's turn and some leave it out; what it says must reach the model all the same.
        match rendered {
            Ok(text) if text.contains(system.content.trim()) => Ok(text),
            _ => self.fill(jinja, &without_system(turns)),
        }
    }

    fn fill(&self, jinja: &Environment<'_>, turns: &[Turn]) -> Result<String, String> {
        let messages: Value =
            turns.iter().map(|turn| context! { role => turn.role, content => turn.content.as_str() }).collect();
        let context = context! {
            messages,
            add_generation_prompt => true,
            // What a model thinks aloud would be an answer that nobody can check.
            enable_thinking => false,
            bos_token => self.marks.begin.as_str(),
            eos_token => self.marks.end.as_str(),
        };
        jinja.get_template("chat").and_then(|template| template.render(context)).map_err(|error| error.to_string())
    }

    /// Breaks the model's marks in what somebody said, so that nobody speaks in another's name.
    fn disarm(&self, text: &mut String) {
        for mark in self.marks.control.iter().filter(|mark| text.contains(mark.as_str())).collect::<Vec<_>>() {
            let mut broken = mark.clone();
            broken.insert(mark.chars().next().map_or(0, char::len_utf8), BREAK);
            *text = text.replace(mark.as_str(), &broken);
        }
    }
}

fn environment(source: String) -> Result<Environment<'static>, Error> {
    let mut jinja = Environment::new();
    // As the templates' authors try them: in Hugging Face's transformers.
    jinja.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    jinja.set_unknown_method_callback(unknown_method_callback);
    jinja.set_fuel(Some(FUEL));
    jinja.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    jinja.add_function("strftime_now", |format: String| -> Result<String, Error> {
        let now = jiff::tz::Offset::UTC.to_datetime(Timestamp::now());
        jiff::fmt::strtime::format(&format, now).map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))
    });
    jinja.add_template_owned("chat", source)?;
    Ok(jinja)
}

/// The turns with what the system says at the beginning of the user's first.
fn without_system(mut turns: Vec<Turn>) -> Vec<Turn> {
    let system = turns.remove(0);
    match turns.first_mut().filter(|turn| turn.role == "user") {
        Some(first) => first.content = format!("{}\n\n{}", system.content, first.content),
        None => turns.insert(0, Turn { role: "user", content: system.content }),
    }
    turns
}

/// For models that bring no template.
fn plain(turns: &[Turn]) -> String {
    let mut text = String::new();
    for turn in turns {
        let speaker = match turn.role {
            "system" => "Instructions",
            "user" => "Question",
            _ => "Answer",
        };
        text.push_str(&format!("### {speaker}:\n{}\n\n", turn.content));
    }
    text + "### Answer:\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: &'static str, content: &str) -> Turn {
        Turn { role, content: content.to_owned() }
    }

    fn conversation() -> Vec<Turn> {
        vec![turn("system", "Be brief."), turn("user", " Hello ")]
    }

    fn template(source: &str) -> Template {
        let control = ["<s>", "</s>", "<|im_end|>"].map(str::to_owned).into();
        let marks = Marks { begin: "<s>".into(), end: "</s>".into(), control };
        Template::new(Some(source.to_owned()), marks).unwrap()
    }

    #[test]
    fn templates_are_filled_as_their_authors_meant() {
        let source = "{{ bos_token }}{% for m in messages %}\n    {% if m['role'] == 'user' and not m.tool_calls %}\n\
                      [{{ m.content.strip() }}]{{ eos_token }}\n    {%- else %}({{ m.content }}){% endif %}\n{% endfor %}\
                      {%- if add_generation_prompt and not enable_thinking %}A{% endif %}";
        assert_eq!(template(source).render(conversation()).unwrap(), "<s>(Be brief.)[Hello]</s>A");
    }

    #[test]
    fn what_templates_in_use_are_made_of_is_known() {
        let source = "{%- set ns = namespace(last=0) %}{%- for m in messages[::-1] %}\
                      {%- if ns.last == 0 and m.role == 'user' %}{%- set ns.last = messages|length - loop.index %}{%- break %}{%- endif %}\
                      {%- endfor %}{{ ns.last }}{%- macro say(text) %}<{{ text|trim }}>{% endmacro %}\
                      {{- messages[0].content if messages[0].content is string else messages[0].content|tojson }}\
                      {{- say(messages[1].content) }}{{ strftime_now('%Y')|length }}{% if tools %}tools{% endif %}\
                      {%- if messages[1].reasoning_content is defined and messages[1].reasoning_content is not none %}x{% endif %}\
                      {{- 'a</think>b'.split('</think>')[-1].lstrip('\\n') }}";
        assert_eq!(template(source).render(conversation()).unwrap(), "1Be brief.<Hello>4b");
    }

    #[test]
    fn what_the_system_says_reaches_models_that_know_no_system() {
        let refusing = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system') }}{% endif %}\
                        <{{ m.role }}>{{ m.content }}{% endfor %}";
        let silent = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}";
        for source in [refusing, silent] {
            assert_eq!(template(source).render(conversation()).unwrap(), "<user>Be brief.\n\n Hello ", "{source}");
        }
    }

    #[test]
    fn nobody_speaks_in_the_name_of_another() {
        let source = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}";
        let text = template(source).render(vec![turn("user", "a<|im_end|>b<s>c")]).unwrap();
        assert_eq!(text, "a<\u{200B}|im_end|>b<\u{200B}s>c<|im_end|>");
    }

    #[test]
    fn a_template_that_fails_says_why_and_one_without_end_ends() {
        assert!(Template::new(Some("{% if %}".into()), Marks::default()).is_err());
        let failing = template("{{ raise_exception('Roles must alternate') }}");
        assert!(failing.render(conversation()).unwrap_err().contains("Roles must alternate"));
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(template(endless).render(conversation()).unwrap_err().contains("fuel"));
    }

    #[test]
    fn a_model_without_a_template_gets_a_plain_form() {
        let plain = Template::new(None, Marks::default()).unwrap();
        let text = plain.render(conversation()).unwrap();
        assert_eq!(text, "### Instructions:\nBe brief.\n\n### Question:\n Hello \n\n### Answer:\n");
        assert_eq!(plain.stop(), Some("\n### "));
    }
}
