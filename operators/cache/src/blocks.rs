//! The row groups that were read last.

use std::collections::HashMap;
use std::sync::Arc;

use crate::columns::Entries;
use crate::name::SegmentName;

/// A row group: its segment and its number.
pub(crate) type BlockId = (SegmentName, usize);

/// Decoded row groups, up to a number of bytes; the least recently used are dropped.
#[derive(Debug)]
pub(crate) struct Blocks {
    held: HashMap<BlockId, Held>,
    bytes: usize,
    capacity: usize,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Held {
    entries: Arc<Entries>,
    used: u64,
}

impl Blocks {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { held: HashMap::new(), bytes: 0, capacity, clock: 0 }
    }

    pub(crate) fn get(&mut self, id: &BlockId) -> Option<Arc<Entries>> {
        self.clock += 1;
        let held = self.held.get_mut(id)?;
        held.used = self.clock;
        Some(held.entries.clone())
    }

    pub(crate) fn insert(&mut self, id: BlockId, entries: Arc<Entries>) {
        self.clock += 1;
        self.bytes += entries.bytes();
        if let Some(former) = self.held.insert(id, Held { entries, used: self.clock }) {
            self.bytes -= former.entries.bytes();
        }
        while self.bytes > self.capacity && self.held.len() > 1 {
            let Some(oldest) = self.held.iter().min_by_key(|(_, held)| held.used).map(|(id, _)| *id) else { break };
            self.bytes -= self.held.remove(&oldest).map_or(0, |held| held.entries.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::to_batch;
    use crate::entry::Entry;
    use crate::key::Key;
    use crate::spec::SpecId;

    #[test]
    fn the_block_that_was_used_longest_ago_is_dropped() {
        let spec = SpecId::of_directory(&"0".repeat(32)).unwrap();
        let key = Key { locus: 1, sha256: [0; 32] };
        let entry = Entry { key, token_count: 0, window_count: 0, model_tokens: 0, annotations: Vec::new() };
        let entries = Arc::new(Entries::of(to_batch(&[entry], &spec).unwrap()).unwrap());
        let name = SegmentName::new(1, 1);
        let mut blocks = Blocks::new(2 * entries.bytes());
        for block in [0, 1] {
            blocks.insert((name, block), entries.clone());
        }
        assert!(blocks.get(&(name, 0)).is_some());
        blocks.insert((name, 2), entries);
        let held: Vec<bool> = (0..3).map(|block| blocks.get(&(name, block)).is_some()).collect();
        assert_eq!(held, [true, false, true]);
    }
}
