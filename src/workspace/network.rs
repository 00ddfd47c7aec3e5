//! What the documents say together: the network in memory, made of the rows of [`super::facts`].
//!
//! It is loaded on first use, from its file where that reflects the last commit and else from the rows, follows each
//! commit, and goes with the workspace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, Row};

use super::facts::{self, Touched};
use super::{Workspace, meta};
use crate::error::{Error, Result};
use crate::graph::{Community, EntityRow, Exclusive, FactRow, Incidence, Kind, Network, Rows, Update, snapshot};
use crate::sqlite::array;
use crate::stamp::Stamp;

/// Other names of an entity that are told, the commonest first.
const ALIASES: usize = 20;
/// Communities that are kept.
const COMMUNITIES: usize = 200;
/// Facts and entities from which a network is kept in a file: below, the rows are as quick.
const WORTH_A_FILE: usize = 10_000;

/// What was computed of all of a network, kept until the network changes.
struct Kept<T>(Mutex<Option<(Stamp, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// What was computed before of this network, or else now. Whoever asks meanwhile waits, rather than compute the same.
    fn of(&self, workspace: &Workspace, compute: impl FnOnce(&Network) -> T) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = workspace.network(Network::stamp)?;
        if let Some((_, value)) = kept.as_ref().filter(|(of, _)| *of == stamp) {
            return Ok(value.clone());
        }
        let (stamp, value) = workspace.network(|network| (network.stamp(), Arc::new(compute(network))))?;
        *kept = Some((stamp, value.clone()));
        Ok(value)
    }
}

/// A workspace's network, where it is loaded.
#[derive(Default)]
pub(super) struct Loaded {
    network: RwLock<Option<Network>>,
    /// Held while it is being loaded.
    loading: Mutex<()>,
    communities: Kept<Vec<Community>>,
    ranks: Kept<HashMap<i64, f64>>,
}

impl Loaded {
    fn look(&self) -> RwLockReadGuard<'_, Option<Network>> {
        self.network.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Option<Network>> {
        self.network.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workspace {
    /// Looks at the network of what the documents say. Commits wait meanwhile, so it is not for long.
    pub fn network<T>(&self, look: impl FnOnce(&Network) -> T) -> Result<T> {
        if let Some(network) = self.loaded.look().as_ref() {
            return Ok(look(network));
        }
        self.load_network()?;
        self.loaded.look().as_ref().map(look).ok_or_else(|| {
            // A commit that it could not follow has just taken it away.
            Error::Unavailable("the knowledge graph is being loaded; try again".into())
        })
    }

    /// The largest communities, the largest first.
    pub fn communities(&self) -> Result<Arc<Vec<Community>>> {
        self.loaded.communities.of(self, |network| network.communities(COMMUNITIES))
    }

    /// The PageRank of each entity, by its number; they sum to 1.
    pub fn ranks(&self) -> Result<Arc<HashMap<i64, f64>>> {
        self.loaded.ranks.of(self, |network| network.page_rank().into_iter().collect())
    }

    fn load_network(&self) -> Result<()> {
        let _loading = self.loaded.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.loaded.look().is_some() {
            return Ok(());
        }
        let stamp = self.read(stamp)?;
        let kept = match snapshot::read(&self.layout.index()) {
            Ok(network) if network.stamp() == stamp => Some(network),
            Ok(_) => None,
            Err(why) => {
                tracing::debug!(workspace.id = %self.id(), %why, "the knowledge graph is made of its rows");
                None
            }
        };
        let is_kept = kept.is_some();
        let network = kept.map_or_else(|| self.read(|db| network(&*db.unchecked_transaction()?)), Ok)?;
        {
            // What was committed meanwhile is not in it.
            let _turn = self.commits.turn();
            let network = match self.read(self::stamp)? == network.stamp() {
                true => network,
                false => self.read(|db| self::network(&*db.unchecked_transaction()?))?,
            };
            *self.loaded.change() = Some(network);
        }
        // Reading is no change of the directory: no rest ends by it, and no sum is made of this file.
        if !is_kept && !self.is_read_only() && !self.is_frozen() {
            self.rest_network()?;
        }
        Ok(())
    }

    /// Writes the network's file, where it is loaded and the file is of another commit.
    pub(super) fn rest_network(&self) -> Result<()> {
        let (index, last) = (self.layout.index(), self.read(stamp)?);
        if snapshot::stamp(&index).is_ok_and(|kept| kept == last) {
            return Ok(());
        }
        match self.loaded.look().as_ref().filter(|network| network.stamp() == last) {
            Some(network) if network.facts() + network.entities() >= WORTH_A_FILE => snapshot::write(network, &index),
            // A file that is late serves nobody.
            _ => snapshot::remove(&index),
        }
    }

    /// Lets the network follow a commit, where it is loaded. What fails takes it away until it is wanted again.
    pub(super) fn follow_graph(&self, touched: &Touched) {
        let mut loaded = self.loaded.change();
        if let Some(network) = loaded.as_mut() {
            match self.db.read(|db| update(&*db.unchecked_transaction()?, touched)) {
                Ok(update) => network.apply(update),
                Err(error) => {
                    tracing::error!(workspace.id = %self.id(), %error, "the knowledge graph does not follow");
                    *loaded = None;
                }
            }
        }
    }
}

/// Raises the commit of facts.
pub(super) fn raise_stamp(db: &Connection) -> Result<()> {
    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'graph_generation'", [])?;
    db.execute("UPDATE meta SET value = random() WHERE key = 'graph_mark'", [])?;
    Ok(())
}

/// The last commit of facts.
fn stamp(db: &Connection) -> Result<Stamp> {
    let mark = db.query_row("SELECT value FROM meta WHERE key = 'graph_mark'", [], |row| row.get(0))?;
    Ok(Stamp { generation: meta(db, "graph_generation")?, mark })
}

/// All of it, from the rows.
fn network(db: &Connection) -> Result<Network> {
    let rows = Rows { entities: entities(db, None)?, facts: facts_of(db, None)?, incidences: incidences(db, None)? };
    Ok(Network::new(stamp(db)?, rows))
}

/// How what was touched stands now.
fn update(db: &Connection, touched: &Touched) -> Result<Update> {
    let numbers = |touched: &std::collections::BTreeSet<i64>| touched.iter().copied().collect::<Vec<_>>();
    let (entity_numbers, fact_numbers) = (numbers(&touched.entities), numbers(&touched.facts));
    let entities = entities(db, Some(&entity_numbers))?;
    let facts = facts_of(db, Some(&fact_numbers))?;
    let is_gone = |number: &i64, there: &std::collections::HashSet<i64>| !there.contains(number);
    let there_entities = entities.iter().map(|entity| entity.number).collect();
    let there_facts = facts.iter().map(|fact| fact.number).collect();
    let gone_chunks = numbers(&touched.chunks);
    Ok(Update {
        stamp: stamp(db)?,
        gone_entities: entity_numbers.into_iter().filter(|number| is_gone(number, &there_entities)).collect(),
        gone_facts: fact_numbers.into_iter().filter(|number| is_gone(number, &there_facts)).collect(),
        incidences: incidences(db, Some(&gone_chunks))?,
        gone_chunks,
        entities,
        facts,
    })
}

/// Runs a query about all, or about `only` these numbers of `column`.
fn query<T>(
    db: &Connection,
    (select, column, group): (&str, &str, &str),
    only: Option<&[i64]>,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let filter = only.map_or(String::new(), |_| format!("WHERE {column} IN (SELECT value FROM rarray(?1))"));
    let mut query = db.prepare_cached(&format!("{select} {filter} {group}"))?;
    let mut rows = match only {
        Some(numbers) => query.query([array(numbers.iter().copied())])?,
        None => query.query([])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// A name that some documents have for an entity.
struct Form {
    number: i64,
    id: uuid::Uuid,
    name: String,
    kind: Kind,
    is_fullest: bool,
    count: u32,
}

/// Entities, each with what most of its documents say of it.
fn entities(db: &Connection, only: Option<&[i64]>) -> Result<Vec<EntityRow>> {
    let sql = (
        "SELECT e.number, e.id, n.name, n.kind, max(n.is_fullest), sum(n.count)
         FROM entities e JOIN entity_names n ON n.entity = e.number",
        "e.number",
        "GROUP BY e.number, n.name, n.kind ORDER BY e.number",
    );
    let forms = query(db, sql, only, |row| {
        let kind: String = row.get(3)?;
        Ok(Form {
            number: row.get(0)?,
            id: super::id(row, "id")?,
            name: row.get(2)?,
            kind: Kind::from_name(&kind).ok_or_else(|| Error::Internal(format!("an entity of the kind {kind}")))?,
            is_fullest: row.get(4)?,
            count: row.get(5)?,
        })
    })?;
    Ok(forms.chunk_by(|a, b| a.number == b.number).filter_map(entity).collect())
}

/// Its name is the commonest of the fullest forms, its kind what is said most often.
fn entity(forms: &[Form]) -> Option<EntityRow> {
    let first = forms.first()?;
    let mut kinds = Kind::ALL.map(|kind| (0u64, kind));
    let mut names: Vec<(bool, u32, &str)> = Vec::new();
    for form in forms {
        kinds
            .iter_mut()
            .filter(|(_, kind)| *kind == form.kind)
            .for_each(|(votes, _)| *votes += u64::from(form.count) + 1);
        match names.iter_mut().find(|(_, _, name)| *name == form.name) {
            Some((is_fullest, count, _)) => {
                *is_fullest |= form.is_fullest;
                *count += form.count;
            }
            None => names.push((form.is_fullest, form.count, &form.name)),
        }
    }
    names.sort_by(|a, b| (b.0, b.1, b.2.len()).cmp(&(a.0, a.1, a.2.len())).then(a.2.cmp(b.2)));
    // Of kinds that are said as often, the first.
    let (_, kind) = kinds.into_iter().rev().max_by_key(|(votes, _)| *votes)?;
    let mut names = names.into_iter().map(|(_, _, name)| name.to_owned());
    Some(EntityRow {
        number: first.number,
        id: first.id,
        name: names.next()?,
        kind,
        aliases: names.take(ALIASES).collect(),
        mentions: forms.iter().map(|form| form.count).sum(),
    })
}

fn facts_of(db: &Connection, only: Option<&[i64]>) -> Result<Vec<FactRow>> {
    let sql = (
        // What is exclusive where it is said once is so wherever it is said: the names are in this order.
        "SELECT f.number, f.id, f.subject, f.object, f.predicate, max(v.exclusive), f.valid_at, f.invalid_at,
                min(v.stated_at), min(v.recorded_at), count(*)
         FROM facts f JOIN evidence v ON v.fact = f.number",
        "f.number",
        "GROUP BY f.number",
    );
    let mut predicates = std::collections::HashSet::<Arc<str>>::new();
    query(db, sql, only, |row| {
        let (predicate, exclusive): (String, String) = (row.get(4)?, row.get(5)?);
        let predicate = predicates.get(predicate.as_str()).cloned().unwrap_or_else(|| predicate.into());
        predicates.insert(predicate.clone());
        let day = |column: usize| -> Result<Option<jiff::civil::Date>> {
            let text: Option<String> = row.get(column)?;
            text.map(|text| text.parse().map_err(|e| Error::internal("a date of a fact", e))).transpose()
        };
        let recorded_at: String = row.get(9)?;
        Ok(FactRow {
            number: row.get(0)?,
            id: super::id(row, "id")?,
            subject: row.get(2)?,
            object: row.get(3)?,
            predicate,
            exclusive: Exclusive::from_name(&exclusive)
                .ok_or_else(|| Error::Internal(format!("a fact that is exclusive by {exclusive}")))?,
            valid_at: day(6)?,
            invalid_at: day(7)?,
            stated_at: day(8)?,
            recorded_at: recorded_at.parse().map_err(|e| Error::internal("a time of a fact", e))?,
            evidence: row.get(10)?,
        })
    })
}

fn incidences(db: &Connection, only: Option<&[i64]>) -> Result<Vec<Incidence>> {
    let sql = ("SELECT chunk, entity, count(*) FROM mentions", "chunk", "GROUP BY chunk, entity");
    query(db, sql, only, |row| Ok(Incidence { chunk: row.get(0)?, entity: row.get(1)?, count: row.get(2)? }))
}

/// Counts for [`super::Stats`]: entities, facts, and documents whose facts are still to be read.
pub(super) fn counts(db: &Connection) -> Result<[u64; 3]> {
    Ok([facts::count(db, "entities")?, facts::count(db, "facts")?, facts::pending(db)?])
}
