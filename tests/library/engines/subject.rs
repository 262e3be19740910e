//! A database file, what must be in it, and the engines that change it.

use crate::support::golden::image;
#[cfg(libc_db)]
use greytrapper::db::libc;
use greytrapper::db::snapshot::{Snapshot, format_of};
use greytrapper::db::{ByteOrder, Engine, EngineError, Format, btree, hash};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use tempfile::TempDir;

/// Whose code writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Native,
    #[cfg(libc_db)]
    Libc,
}

impl Code {
    /// All there are here.
    pub const ALL: &[Code] = &[
        Code::Native,
        #[cfg(libc_db)]
        Code::Libc,
    ];
}

/// Keys with their values.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A database file and what must be in it.
pub struct Subject {
    pub model: Model,
    pub format: Format,
    pub page_size: u32,
    directory: TempDir,
}

impl Subject {
    /// A database without records: for a hash an empty file, for a btree an empty tree.
    pub fn empty(format: Format, page_size: u32) -> Subject {
        let image = match format {
            Format::Hash => Vec::new(),
            Format::Btree => empty_tree(page_size),
        };
        Subject::of(&image, page_size)
    }

    /// A copy of a golden file, `hash/kinds.db`.
    pub fn golden(name: &str) -> Subject {
        Subject::of(&image(name), 4096)
    }

    /// A copy of that image.
    pub fn of(image: &[u8], page_size: u32) -> Subject {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("before"), image).unwrap();
        fs::write(directory.path().join("db"), image).unwrap();
        let format = format_of(image).unwrap_or(Format::Hash);
        Subject { model: records(image), format, page_size, directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("db")
    }

    /// Opens the file with `code`, lets `work` change it and the model, closes it and compares.
    pub fn turn(&mut self, code: Code, work: impl FnOnce(&mut dyn Engine, &mut Model)) {
        self.turn_unless_refused(code, work).unwrap();
    }

    /// The same, if the engine takes such a file at all.
    pub fn turn_unless_refused(
        &mut self,
        code: Code,
        work: impl FnOnce(&mut dyn Engine, &mut Model),
    ) -> Result<(), EngineError> {
        let mut engine = open(code, &self.path(), self.page_size)?;
        work(engine.as_mut(), &mut self.model);
        engine.close().unwrap();
        self.verify();
        Ok(())
    }

    /// The file holds what the model holds, and its structure is sound.
    pub fn verify(&self) {
        let image = fs::read(self.path()).unwrap();
        let mut faults = Vec::new();
        Snapshot::new(&image).unwrap().check(&mut |damage| faults.push(damage.to_string()));
        assert!(faults.is_empty(), "{faults:#?}");
        let found = records(&image);
        let missing: Vec<_> = self.model.iter().filter(|(k, v)| found.get(*k) != Some(v)).collect();
        assert!(missing.is_empty(), "missing, or with another value: {missing:?}");
        let strange: Vec<_> = found.keys().filter(|key| !self.model.contains_key(*key)).collect();
        assert!(strange.is_empty(), "should not be there: {strange:?}");
    }
}

impl Drop for Subject {
    /// What a test failed with is kept: the file as it was, and as it is.
    fn drop(&mut self) {
        if thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}

/// The records of a whole file; none occurs twice.
pub fn records(image: &[u8]) -> Model {
    let mut model = Model::new();
    for record in Snapshot::new(image).unwrap().records() {
        let record = record.unwrap();
        let before = model.insert(record.key.to_vec(), record.value.into_owned());
        assert!(before.is_none(), "twice in the file: {:?}", record.key);
    }
    model
}

/// Opens the file at `path` with `code`.
pub fn open(code: Code, path: &Path, page_size: u32) -> Result<Box<dyn Engine>, EngineError> {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // A process that another test starts has the descriptor that was closed until it executes.
    file.lock().unwrap();
    let format = format_of(&fs::read(path).unwrap());
    Ok(match (code, format) {
        (Code::Native, None) => Box::new(hash::Writer::create(file, page_size)?),
        (Code::Native, Some(Format::Hash)) => Box::new(hash::Writer::open(file)?),
        (Code::Native, Some(Format::Btree)) => Box::new(btree::Writer::open(file)?),
        #[cfg(libc_db)]
        (Code::Libc, None) => Box::new(libc::Writer::create(path, file, page_size)?),
        #[cfg(libc_db)]
        (Code::Libc, Some(_)) => Box::new(libc::Writer::open(path, file)?),
    })
}

/// A tree without records as dbopen(3) makes it: `BTMETA` with `B_NODUPS`, then a leaf (`P_BLEAF`)
/// whose `lower` and `upper` are as far apart as they can be.
fn empty_tree(page_size: u32) -> Vec<u8> {
    let page = |words: &[[u8; 4]]| {
        let mut page = words.concat();
        page.resize(page_size as usize, 0);
        page
    };
    let word = |value| ByteOrder::NATIVE.u32_bytes(value);
    let half = |value: u32| ByteOrder::NATIVE.u16_bytes(u16::try_from(value).unwrap());
    let meta = [0x05_3162, 3, page_size, 0, 0, 0x20].map(word);
    let bounds = [half(20), half(page_size)].concat();
    let root = [word(1), word(0), word(0), word(2), bounds.try_into().unwrap()];
    [page(&meta), page(&root)].concat()
}
