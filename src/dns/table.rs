//! A table whose keys are never reused.
//!
//! The multiplexer and the resolver keep outstanding work in such tables. A key finds nothing after its
//! entry is gone, so a late answer or timer cannot affect a later entry.
#![forbid(unsafe_code)]

/// The slot of an entry, and a number that distinguishes it from earlier ones there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// The slot in the table, which is reused after the entry is gone.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// Entries in reused slots.
#[derive(Debug)]
pub struct Table<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    /// An empty table.
    pub fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Entries in use.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Inserts `entry`; returns its key.
    pub fn insert(&mut self, entry: T) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let (generation, place) = &mut self.slots[slot as usize];
        *place = Some(entry);
        Key { slot, generation: *generation }
    }

    /// The entry, unless it has gone.
    pub fn get(&self, key: Key) -> Option<&T> {
        let (generation, entry) = self.slots.get(key.slot())?;
        entry.as_ref().filter(|_| *generation == key.generation)
    }

    /// The entry, unless it has gone.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, entry) = self.slots.get_mut(key.slot())?;
        entry.as_mut().filter(|_| *generation == key.generation)
    }

    /// Removes the entry.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let (generation, entry) = self.slots.get_mut(key.slot())?;
        if *generation != key.generation {
            return None;
        }
        let taken = entry.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.slot);
        Some(taken)
    }

    /// The key of the entry that is now in a slot.
    pub fn at(&self, slot: usize) -> Option<Key> {
        let (generation, entry) = self.slots.get(slot)?;
        entry.as_ref()?;
        Some(Key { slot: u32::try_from(slot).ok()?, generation: *generation })
    }

    /// The keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        (0..self.slots.len()).filter_map(|slot| self.at(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_own_entry_only() {
        let mut table = Table::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(second.slot(), first.slot());
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!((table.get(second), table.len()), (Some(&"second"), 1));
        assert_eq!(table.keys().collect::<Vec<_>>(), [second]);
        assert_eq!((table.at(0), table.at(1)), (Some(second), None));
    }
}
