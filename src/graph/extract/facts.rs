//! The second reading: what the sentences and tables state of the names, and the whole put together.

use std::collections::{HashMap, HashSet};

use super::blocks::{Role, Unit};
use super::clause::{Clause, Draft, End, Tense};
use super::language::Language;
use super::reading::Read;
use super::referents::Referents;
use super::roster::{Form, Place};
use super::tokens::{Token, tokens};
use super::{Document, aliases, appositions, attributes, definitions, descriptions, offices, terms, validity, verbs};
use crate::graph::{Extraction, Kind, Mention, Named, Stated};

const MOST_FACTS: usize = 20_000;
const MOST_FACTS_OF_A_SENTENCE: usize = 24;

/// Words that make a sentence say what is not, may be, or is told by others.
const UNSURE: &[&str] = &[
    "if",
    "shall",
    "must",
    "whether",
    "unless",
    "suppose",
    "imagine",
    "assuming",
    "allegedly",
    "purportedly",
    "supposedly",
    "rumored",
    "rumoured",
    "rumors",
    "rumours",
    "myth",
    "hoax",
    "untrue",
    "false",
    "denied",
    "denies",
    "deny",
    "hypothetical",
    "respectively",
];
const NEGATIONS: &[&str] = &["not", "never", "neither", "nor", "cannot", "without", "no", "nobody"];
/// What follows these is what somebody says, thinks or wants.
const CLAIMS: &[&str] = &[
    "claimed",
    "claims",
    "claim",
    "claiming",
    "alleged",
    "alleges",
    "believed",
    "believes",
    "believe",
    "thinks",
    "thought",
    "hopes",
    "hoped",
    "hope",
    "expects",
    "expected",
    "plans",
    "planned",
    "wants",
    "wanted",
    "proposes",
    "proposed",
    "considers",
    "considered",
    "considering",
    "intends",
    "intended",
    "suggests",
    "suggested",
    "predicts",
    "predicted",
    "fears",
    "feared",
    "wonders",
    "speculated",
    "rumour",
    "rumor",
];

/// All that a document says, after its first reading.
pub(super) fn state(document: &Document<'_>, read: Read) -> Extraction {
    let (named, entity_of) = aliases::entities(&read.roster.forms, &read.defined);
    let by_key = named.iter().enumerate().map(|(at, named)| (named.key.clone(), at)).collect();
    let mut writer = Writer {
        document,
        forms: &read.roster.forms,
        entity_of,
        by_key,
        named,
        mentions: Vec::new(),
        facts: Vec::new(),
        seen: HashSet::new(),
    };
    let mut places = read.roster.places.as_slice();
    let topic = read.title.and_then(|form| writer.entity_of.get(form).copied());
    let topic =
        topic.filter(|topic| read.roster.places.iter().any(|place| writer.entity_of.get(place.form) == Some(topic)));
    let mut referents = Referents::of(topic.map(|at| (at, writer.kind(at))));
    for unit in &read.units {
        let here = places.partition_point(|place| place.start < unit.range.end);
        let (own, rest) = places.split_at(here);
        places = rest;
        writer.mentions.extend(own.iter().filter_map(|place| {
            Some(Mention { entity: *writer.entity_of.get(place.form)?, start: place.start, end: place.end })
        }));
        match (unit.role, read.language) {
            (Role::Sentence, Some(Language::English)) => writer.sentence(unit, own, &mut referents),
            _ => referents.forget(),
        }
    }
    if matches!(read.language, None | Some(Language::English)) {
        writer.cells(&read);
    }
    writer.finish()
}

pub(super) struct Writer<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) forms: &'a [Form],
    pub(super) entity_of: Vec<usize>,
    by_key: HashMap<String, usize>,
    named: Vec<Named>,
    mentions: Vec<Mention>,
    facts: Vec<Stated>,
    /// What is stated already by the same sentence.
    seen: HashSet<(usize, String, usize, usize)>,
}

impl Writer<'_> {
    pub(super) fn kind(&self, entity: usize) -> Kind {
        self.named.get(entity).map_or(Kind::Concept, |named| named.kind)
    }

    fn sentence(&mut self, unit: &Unit, places: &[Place], referents: &mut Referents) {
        if unit.begins {
            referents.begin();
        }
        let tokens = tokens(self.document.content, unit.range.clone());
        let mut clause = Clause { items: self.items(&tokens, places), referent: None, topic: None, drafts: Vec::new() };
        clause.referent = referents.of_opening(&clause);
        if states(&tokens) {
            definitions::read(&mut clause);
        }
        if !places.is_empty() && states(&tokens) {
            descriptions::read(&mut clause);
            verbs::read(&mut clause);
            appositions::read(&mut clause);
            offices::read(&mut clause);
            attributes::read(&mut clause);
        }
        referents.follow(&clause);
        let mut drafts = std::mem::take(&mut clause.drafts);
        drafts.sort_by_key(|draft| (draft.from, draft.to));
        drafts.truncate(MOST_FACTS_OF_A_SENTENCE);
        let (mut said, doubt) = (Vec::new(), doubt(&clause));
        for draft in drafts.into_iter().filter(|draft| doubt.is_none_or(|at| draft.to <= at || draft.from == at)) {
            self.draft(&clause, draft, unit, &mut said);
        }
        said.sort_by_key(|mention: &Mention| mention.start);
        self.mentions.extend(said);
    }

    fn draft(&mut self, clause: &Clause, draft: Draft, unit: &Unit, said: &mut Vec<Mention>) {
        let (valid_at, mut invalid_at) = validity::of(clause, &draft);
        if draft.ends {
            // Without a day, it is told when it was written; and where that is not known either, it says nothing.
            invalid_at = invalid_at.or(self.document.date);
            if invalid_at.is_none() {
                return;
            }
        }
        let mut end = |end: &End| match end {
            End::Entity(entity) => Some(*entity),
            End::Term(words) => {
                let (first, last) = clause.items.get(words.start).zip(clause.items.get(words.end.checked_sub(1)?))?;
                self.term(first.start, last.end, said)
            }
        };
        let Some((subject, object)) = end(&draft.object).and_then(|object| Some((end(&draft.subject)?, object))) else {
            return;
        };
        let is_new =
            subject != object && self.seen.insert((subject, draft.predicate.clone(), object, unit.range.start));
        if is_new && self.facts.len() < MOST_FACTS {
            let Draft { predicate, exclusive, .. } = draft;
            let (start, end) = (unit.range.start, unit.range.end);
            let stated_at = self.document.date.filter(|_| matches!(draft.tense, Tense::Present | Tense::Aside));
            self.facts.push(Stated {
                subject,
                object,
                predicate,
                exclusive,
                valid_at,
                invalid_at,
                stated_at,
                start,
                end,
            });
        }
    }

    /// A concept that a fact names; none where another's words overlap.
    fn term(&mut self, start: usize, end: usize, said: &mut Vec<Mention>) -> Option<usize> {
        let name = self.document.content.get(start..end)?;
        let key = terms::key(&tokens(self.document.content, start..end));
        if key.is_empty() {
            return None;
        }
        let entity = self.by_key.get(&key).copied().unwrap_or(self.named.len());
        match said.iter().find(|mention| mention.start < end && start < mention.end) {
            Some(mention) if (mention.entity, mention.start, mention.end) == (entity, start, end) => {
                return Some(entity);
            }
            Some(_) => return None,
            None => said.push(Mention { entity, start, end }),
        }
        if entity == self.named.len() {
            self.by_key.insert(key.clone(), entity);
            self.named.push(Named { key, kind: Kind::Concept, name: name.to_owned(), aliases: Vec::new() });
        }
        Some(entity)
    }

    fn cells(&mut self, read: &Read) {
        for cell in &read.cells {
            let (Some(subject), Some(object)) =
                (self.entity_of.get(cell.subject).copied(), self.entity_of.get(cell.object).copied())
            else {
                continue;
            };
            let is_new =
                subject != object && self.seen.insert((subject, cell.predicate.clone(), object, cell.row.start));
            if is_new && self.facts.len() < MOST_FACTS {
                self.facts.push(Stated {
                    subject,
                    object,
                    predicate: cell.predicate.clone(),
                    exclusive: cell.exclusive,
                    valid_at: cell.valid_at,
                    invalid_at: None,
                    stated_at: self.document.date,
                    start: cell.row.start,
                    end: cell.row.end,
                });
            }
        }
    }

    /// What is left without the title, where nothing names it.
    fn finish(mut self) -> Extraction {
        self.mentions.sort_by_key(|mention| mention.start);
        self.facts.sort_by_key(|fact| fact.start);
        let mut told = vec![false; self.named.len()];
        let of_facts = self.facts.iter().flat_map(|fact| [fact.subject, fact.object]);
        for entity in self.mentions.iter().map(|mention| mention.entity).chain(of_facts) {
            told.get_mut(entity).into_iter().for_each(|told| *told = true);
        }
        let mut place = 0;
        let places: Vec<usize> = told
            .iter()
            .map(|told| {
                let at = place;
                place += usize::from(*told);
                at
            })
            .collect();
        let at = |entity: usize| places.get(entity).copied().unwrap_or(entity);
        let mut told = told.into_iter();
        self.named.retain(|_| told.next().unwrap_or(false));
        self.mentions.iter_mut().for_each(|mention| mention.entity = at(mention.entity));
        self.facts.iter_mut().for_each(|fact| (fact.subject, fact.object) = (at(fact.subject), at(fact.object)));
        Extraction { entities: self.named, mentions: self.mentions, facts: self.facts }
    }
}

/// Whether a sentence states what it says: no question, no supposition.
fn states(tokens: &[Token]) -> bool {
    let asks = tokens.iter().rev().take(3).any(|token| token.is_mark('?'));
    !asks && !tokens.iter().any(|token| UNSURE.contains(&token.word.as_str()))
}

/// The first word that denies what follows it, or defines a word by it.
fn doubt(clause: &Clause) -> Option<usize> {
    (0..clause.items.len()).find(|at| {
        NEGATIONS.contains(&clause.word(*at))
            || CLAIMS.contains(&clause.word(*at))
            || clause.word(*at) == "means"
            || clause.word(*at).ends_with("n't")
            || clause.word(*at).ends_with("n’t")
    })
}
