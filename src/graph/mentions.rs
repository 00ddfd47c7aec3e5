//! Which chunks name which entities, from both sides.
//!
//! Chunks have places here, and entities those of their nodes: dense, so that a walk over them counts in plain vectors.

use rustc_hash::FxHashMap;

/// How often entities and chunks meet.
#[derive(Debug, Default)]
pub struct Mentions {
    places: FxHashMap<i64, u32>,
    chunks: Vec<Chunk>,
    /// Places of chunks that are gone.
    free: Vec<u32>,
    /// For each node, its chunks by ascending place.
    entities: Vec<Vec<Tie>>,
}

#[derive(Debug, Default)]
struct Chunk {
    number: i64,
    /// By ascending node.
    entities: Vec<Tie>,
}

/// One who is met, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    pub place: u32,
    pub count: u32,
}

impl Mentions {
    /// Lets chunk and node meet `count` times, which may be none.
    pub fn set(&mut self, chunk: i64, node: u32, count: u32) {
        let known = self.places.get(&chunk).copied();
        let Some(place) = known.or_else(|| (count > 0).then(|| self.place(chunk))) else { return };
        if self.entities.len() <= node as usize {
            self.entities.resize_with(node as usize + 1, Vec::new);
        }
        let Some(of_chunk) = self.chunks.get_mut(place as usize) else { return };
        put(&mut of_chunk.entities, node, count);
        let is_empty = of_chunk.entities.is_empty();
        if let Some(of_entity) = self.entities.get_mut(node as usize) {
            put(of_entity, place, count);
        }
        if is_empty {
            self.remove_chunk(chunk);
        }
    }

    fn place(&mut self, number: i64) -> u32 {
        let chunk = Chunk { number, entities: Vec::new() };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.chunks.push(Chunk::default());
                self.chunks.len() as u32 - 1
            }
        };
        if let Some(free) = self.chunks.get_mut(place as usize) {
            *free = chunk;
        }
        self.places.insert(number, place);
        place
    }

    pub fn remove_chunk(&mut self, number: i64) {
        let Some(place) = self.places.remove(&number) else { return };
        let chunk = self.chunks.get_mut(place as usize).map(std::mem::take).unwrap_or_default();
        for tie in chunk.entities {
            if let Some(ties) = self.entities.get_mut(tie.place as usize) {
                put(ties, place, 0);
            }
        }
        self.free.push(place);
    }

    pub fn remove_entity(&mut self, node: u32) {
        let ties = self.entities.get_mut(node as usize).map(std::mem::take).unwrap_or_default();
        for tie in ties {
            let Some(chunk) = self.chunks.get_mut(tie.place as usize) else { continue };
            put(&mut chunk.entities, node, 0);
            let (number, is_empty) = (chunk.number, chunk.entities.is_empty());
            if is_empty {
                self.remove_chunk(number);
            }
        }
    }

    /// The chunks that name the node.
    pub fn of_entity(&self, node: u32) -> &[Tie] {
        self.entities.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// The nodes that the chunk at `place` names.
    pub fn of_chunk(&self, place: u32) -> &[Tie] {
        self.chunks.get(place as usize).map_or(&[], |chunk| chunk.entities.as_slice())
    }

    pub fn place_of(&self, chunk: i64) -> Option<u32> {
        self.places.get(&chunk).copied()
    }

    pub fn number_of(&self, place: u32) -> Option<i64> {
        self.chunks.get(place as usize).map(|chunk| chunk.number)
    }

    /// Chunks that name something.
    pub fn chunks(&self) -> usize {
        self.places.len()
    }

    /// One more than the greatest place.
    pub fn bound(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let ties = |ties: &Vec<Tie>| size_of::<Vec<Tie>>() + ties.capacity() * size_of::<Tie>();
        let chunks: usize = self.chunks.iter().map(|chunk| ties(&chunk.entities) + size_of::<i64>()).sum();
        chunks + self.entities.iter().map(ties).sum::<usize>() + self.places.capacity() * 17 + self.free.capacity() * 4
    }
}

/// Sets how often `place` is among `ties`.
fn put(ties: &mut Vec<Tie>, place: u32, count: u32) {
    // Most come in order.
    if count > 0 && ties.last().is_none_or(|last| last.place < place) {
        return ties.push(Tie { place, count });
    }
    match ties.binary_search_by_key(&place, |tie| tie.place) {
        Ok(at) if count == 0 => {
            ties.remove(at);
        }
        Ok(at) => ties.get_mut(at).into_iter().for_each(|tie| tie.count = count),
        Err(at) if count > 0 => ties.insert(at, Tie { place, count }),
        Err(_) => {}
    }
}
