//! Operations on a database, done on an engine and on a map, with the same results.

use super::subject::Model;
use greytrapper::db::Engine;

/// What may be done.
#[derive(Debug)]
pub enum Operation {
    Get(Vec<u8>),
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

impl Operation {
    /// Does it to both.
    pub fn apply(self, engine: &mut dyn Engine, model: &mut Model) {
        match self {
            Operation::Get(key) => get(engine, model, &key),
            Operation::Put(key, value) => put(engine, model, &key, &value),
            Operation::Delete(key) => delete(engine, model, &key),
        }
    }
}

pub fn get(engine: &mut dyn Engine, model: &Model, key: &[u8]) {
    let found = engine.get(key).unwrap();
    assert!(found.as_ref() == model.get(key), "get {}: {found:?}", key.escape_ascii());
}

pub fn put(engine: &mut dyn Engine, model: &mut Model, key: &[u8], value: &[u8]) {
    engine.put(key, value).unwrap();
    model.insert(key.to_vec(), value.to_vec());
    get(engine, model, key);
}

pub fn delete(engine: &mut dyn Engine, model: &mut Model, key: &[u8]) {
    let was_there = engine.delete(key).unwrap();
    assert_eq!(was_there, model.remove(key).is_some(), "delete {}", key.escape_ascii());
    get(engine, model, key);
}
