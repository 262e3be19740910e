//! Changes a database file in place, with our code or with the system's dbopen(3).
//!
//! In: a path. Out: an [`Engine`] that holds the lock ([`Database::open`]); or a list of changes is made in
//! batches, each of which holds the lock for a moment ([`Database::in_batches`]). The magic number decides
//! the format; an empty file becomes a hash, as with spamd's dbopen.
//!
//! # A damaged file is never written
//!
//! * A file of up to `SMALL` bytes is read and checked completely under the same lock as the writes.
//! * A larger file is read under a shared lock and checked completely after that lock is released, so that
//!   nobody waits for the check. This is done before the first of several batches, if another program has
//!   changed the file since the last check. Between batches, the whole file is checked again only if it was
//!   replaced or became shorter.
//! * In any case our writers check each page that they use before they write.
//!
//! So damage that exists when the first lock is taken stops everything; damage that another program does
//! later stops us if we come to that page.
//!
//! The state that a program leaves when it is killed or the disk is full is not damage
//! ([`Snapshot::condition`]): it is repaired under the lock of the first batch.
//!
//! # Whose code writes
//!
//! Ours, unless [`EngineChoice`] selects dbopen(3): only our code makes a batch a transaction
//! (`transaction`), and writes sound files that dbopen(3) cannot handle (`db::libc` has the list). The
//! state that a killed writer left is always repaired by our code.
#![forbid(unsafe_code)]

use super::file::PageFile;
use super::lock::{self, Creation, FileId, Wait};
use super::snapshot::{Condition, Snapshot, format_of};
use super::{Damage, Engine, EngineError, Error, ErrorKind, Fault, Format, btree, hash};
use crate::config::EngineChoice;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::slice;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Files of up to this many bytes are read and checked under the lock of every batch, which takes a few
/// milliseconds.
const SMALL: u64 = 4 << 20;
/// A batch takes no more changes after this time; writing it takes about as long again.
const BATCH: Duration = Duration::from_millis(8);
/// The pause between two batches, so that others who wait for the lock get it.
const PAUSE: Duration = Duration::from_millis(1);

/// A database to change.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    creation: Creation,
    choice: EngineChoice,
    sound: Option<SoundFile>,
    /// The only file that may be changed.
    only: Option<FileId>,
    /// Files of up to this many bytes are checked under the lock.
    small: u64,
}

/// A file that was found sound, its length then, and the time of the last change by us or before the check.
#[derive(Clone, Copy, Debug)]
struct SoundFile {
    file: FileId,
    length: u64,
    changed: SystemTime,
    structure: Structure,
}

/// Whether others may have changed a file since it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// They must not have, before the first of several batches.
    Unchanged,
    /// They may have, in the short time since the last check or the last batch.
    Looked,
}

/// The result of a check, other than damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Structure {
    Whole,
    /// A writer was killed, or the disk was full; our code will repair it.
    Leftover,
}

/// A database open for one batch.
pub struct Batch {
    /// Its writer; closing or dropping it releases the lock.
    pub engine: Box<dyn Engine>,
    /// When the lock was taken.
    pub since: Instant,
    /// The same open file: it shares the lock, until it is dropped.
    file: File,
}

/// What a list of changes cost other programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The number of times that the lock was taken.
    pub batches: u32,
    /// The longest time that it was held.
    pub longest: Duration,
}

/// The result of a list of changes.
#[derive(Debug)]
pub struct Changes<T> {
    /// The results for the items whose changes are in the file.
    pub done: Vec<T>,
    /// What the changes cost other programs.
    pub cost: Cost,
    /// Why the other items were not changed.
    pub failure: Option<Error>,
}

impl<T> Changes<T> {
    /// The results for all items, or the failure.
    pub fn whole(self) -> Result<(Vec<T>, Cost), Error> {
        self.failure.map_or(Ok((self.done, self.cost)), Err)
    }
}

impl Database {
    /// The database at `path`; the file is not accessed yet.
    pub fn new(path: &Path, creation: Creation) -> Database {
        let path = path.to_path_buf();
        Database {
            path,
            creation,
            choice: EngineChoice::Native,
            sound: None,
            only: None,
            small: SMALL,
        }
    }

    /// The same database, written by the chosen code.
    pub fn written_by(self, choice: EngineChoice) -> Database {
        Database { choice, ..self }
    }

    /// From now on, changes only this file, and no other that may have replaced it; with `None`, any file.
    pub fn bind(&mut self, only: Option<FileId>) {
        self.only = only;
    }

    /// Calls `work` for each of `items`, in as many batches as necessary, until the first error.
    ///
    /// The changes of a batch that fails are not in the file, except those that dbopen(3) has made before the
    /// failure.
    pub fn in_batches<I, T>(
        &mut self,
        items: &[I],
        wait: &mut Wait<'_>,
        work: &mut dyn FnMut(&mut dyn Engine, &I) -> Result<T, EngineError>,
    ) -> Changes<T> {
        let mut changes = Changes { done: Vec::new(), cost: Cost::default(), failure: None };
        let mut trust = Trust::Unchanged;
        let mut items = items.iter();
        while !items.as_slice().is_empty() && changes.failure.is_none() {
            if changes.cost.batches > 0 {
                thread::sleep(PAUSE);
            }
            match self.batch(&mut items, trust, wait, work) {
                Ok((done, held, failure)) => {
                    changes.done.extend(done);
                    changes.cost.batches = changes.cost.batches.saturating_add(1);
                    changes.cost.longest = changes.cost.longest.max(held);
                    changes.failure = failure;
                }
                Err(error) => changes.failure = Some(error),
            }
            trust = Trust::Looked;
        }
        changes
    }

    /// Makes one batch; returns the results, how long the lock was held, and what ended it early.
    fn batch<I, T>(
        &mut self,
        items: &mut slice::Iter<'_, I>,
        trust: Trust,
        wait: &mut Wait<'_>,
        work: &mut dyn FnMut(&mut dyn Engine, &I) -> Result<T, EngineError>,
    ) -> Result<(Vec<T>, Duration, Option<Error>), Error> {
        let Batch { mut engine, since, file } = self.open_trusting(trust, wait)?;
        let opened = Instant::now();
        let (mut done, mut failure) = (Vec::new(), None);
        for item in items {
            match work(engine.as_mut(), item) {
                Ok(result) => done.push(result),
                Err(error) => {
                    failure = Some(self.error(error.into()));
                    break;
                }
            }
            if opened.elapsed() >= BATCH {
                break;
            }
        }
        let is_written = match failure {
            None => engine.close().map(|()| true),
            Some(_) => engine.give_up(),
        };
        if is_written.map_err(|error| self.error(error.into()))? {
            self.note_change(&file);
        } else if let Some(failure) = failure {
            return Err(failure);
        }
        drop(file);
        Ok((done, since.elapsed(), failure))
    }

    /// Opens it for writing and locks it, if it is sound.
    pub fn open(&mut self, wait: &mut Wait<'_>) -> Result<Batch, Error> {
        self.open_trusting(Trust::Unchanged, wait)
    }

    fn open_trusting(&mut self, mut trust: Trust, wait: &mut Wait<'_>) -> Result<Batch, Error> {
        for _ in 0..lock::ATTEMPTS {
            let file = lock::open_exclusive(&self.path, self.creation, wait)?;
            let since = Instant::now();
            self.is_bound_to(&file).map_err(|kind| self.error(kind))?;
            let copy = file.try_clone().map_err(|error| self.error(ErrorKind::Io(error)))?;
            match self.admit(copy, trust).map_err(|kind| self.error(kind))? {
                Some(engine) => return Ok(Batch { engine, since, file }),
                // The lock is free again: check the file now.
                None => drop(file),
            }
            self.look(wait)?;
            trust = Trust::Looked;
        }
        Err(self.error(lock::REPLACED))
    }

    /// Remembers the time of our change to the file, which is still locked.
    fn note_change(&mut self, file: &File) {
        let changed = file.metadata().and_then(|metadata| metadata.modified());
        match (&mut self.sound, changed) {
            (Some(sound), Ok(changed)) => sound.changed = changed,
            _ => self.sound = None,
        }
    }

    fn is_bound_to(&self, file: &File) -> Result<(), ErrorKind> {
        match self.only {
            Some(only) if FileId::of(file).map_err(ErrorKind::Io)? != only => {
                Err(ErrorKind::Refused("replaced by another program since it was read"))
            }
            _ => Ok(()),
        }
    }

    /// The writer of a locked file; `None` if the file must be checked first.
    fn admit(&mut self, file: File, trust: Trust) -> Result<Option<Box<dyn Engine>>, ErrorKind> {
        let length = file.length().map_err(ErrorKind::Io)?;
        if length == 0 {
            return fresh(file).map(Some);
        }
        let structure = if length <= self.small {
            let image = lock::image_of(&file)?;
            if hash::is_begun(&image) {
                // It never had any records, and dbopen(3) would refuse it, or loop.
                file.set_len(0).map_err(ErrorKind::Io)?;
                return fresh(file).map(Some);
            }
            check(&image)?
        } else if let Some(sound) = self.known_sound(&file, length, trust).map_err(ErrorKind::Io)? {
            // It will have been repaired when it is opened again.
            mem::replace(&mut sound.structure, Structure::Whole)
        } else {
            return Ok(None);
        };
        let writer = self.writer(file, structure);
        if writer.is_err() {
            self.sound = None;
        }
        writer.map(Some)
    }

    fn known_sound(
        &mut self,
        file: &File,
        length: u64,
        trust: Trust,
    ) -> io::Result<Option<&mut SoundFile>> {
        let (id, changed) = (FileId::of(file)?, file.metadata()?.modified()?);
        Ok(self.sound.as_mut().filter(|sound| {
            let unchanged = sound.changed == changed || trust == Trust::Looked;
            sound.file == id && sound.length <= length && unchanged
        }))
    }

    fn writer(&self, file: File, structure: Structure) -> Result<Box<dyn Engine>, ErrorKind> {
        match self.choice {
            _ if structure == Structure::Leftover => restored(file),
            EngineChoice::Libc => Ok(libc(&self.path, file)?),
            EngineChoice::Native => native(file),
        }
    }

    /// Checks the whole structure without holding the lock.
    fn look(&mut self, wait: &mut Wait<'_>) -> Result<(), Error> {
        // Taken before the check: a change made meanwhile causes another check.
        let changed = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(|error| self.error(ErrorKind::Io(error)))?;
        let image = lock::read_image(&self.path, wait)?;
        let structure = check(&image.bytes).map_err(|kind| self.error(kind))?;
        let length = image.bytes.len() as u64;
        self.sound = Some(SoundFile { file: image.file, length, changed, structure });
        Ok(())
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { path: self.path.clone(), kind }
    }
}

/// Whether dbopen(3) is available.
pub const fn has_libc() -> bool {
    cfg!(libc_db)
}

/// dbopen(3), where available.
#[cfg(libc_db)]
fn libc(path: &Path, file: File) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(super::libc::Writer::open(path, file)?))
}

/// dbopen(3), which is not available.
#[cfg(not(libc_db))]
fn libc(_: &Path, _: File) -> Result<Box<dyn Engine>, EngineError> {
    Err(EngineError::Refused("dbopen(3) is not available: only the native engine can write"))
}

/// Our writer, for the format that the magic number names.
fn native(file: File) -> Result<Box<dyn Engine>, ErrorKind> {
    let mut head = [0; 512];
    PageFile::read_at(&file, &mut head, 0).map_err(ErrorKind::Io)?;
    match format_of(&head) {
        Some(Format::Hash) => Ok(Box::new(hash::Writer::open(file)?)),
        Some(Format::Btree) => Ok(Box::new(btree::Writer::open(file)?)),
        None => Err(ErrorKind::NotADatabase),
    }
}

/// Our writer, for a file that was left unfinished: it is repaired first.
fn restored(file: File) -> Result<Box<dyn Engine>, ErrorKind> {
    let image = lock::image_of(&file)?;
    let mut faults = Vec::new();
    let snapshot = Snapshot::new(&image)?;
    snapshot.check(&mut |damage| faults.push(damage));
    // Our writer repairs its own leftovers before the next change.
    if faults.iter().all(|damage| *damage == Fault::CutShort.on(0)) {
        return native(file);
    }
    match format_of(&image) {
        Some(Format::Hash) => Ok(Box::new(hash::Writer::restore(file, &image)?)),
        Some(Format::Btree) => Ok(Box::new(btree::Writer::restore(file, &image)?)),
        None => Err(ErrorKind::NotADatabase),
    }
}

/// Whether the file may be written; the error is the first fault.
fn check(image: &[u8]) -> Result<Structure, ErrorKind> {
    let mut first: Option<Damage> = None;
    let condition = Snapshot::new(image)?.condition(&mut |damage| _ = first.get_or_insert(damage));
    match (condition, first) {
        (Condition::Leftover, _) => Ok(Structure::Leftover),
        (Condition::Damaged, Some(damage)) => Err(damage.into()),
        _ => Ok(Structure::Whole),
    }
}

/// The writer of an empty file: the hash is the same whoever writes it first.
fn fresh(file: File) -> Result<Box<dyn Engine>, ErrorKind> {
    let page_size = fresh_page_size(&file).map_err(ErrorKind::Io)?;
    Ok(Box::new(hash::Writer::create(file, page_size)?))
}

/// The page size of a new database: the file system's block size, as with dbopen(3) (`init_hash()` in
/// lib/libc/db/hash/hash.c), but within the bounds that its hash code can handle, since offsets in a page
/// of 65536 bytes overflow 16 bits.
fn fresh_page_size(file: &File) -> std::io::Result<u32> {
    let wanted = file.metadata()?.blksize().clamp(512, 32768);
    // A power of two, since the format stores its logarithm.
    Ok(1 << wanted.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::FileExt;
    use tempfile::TempDir;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    const VALUE: [u8; 32] = [7; 32];
    /// The choice that uses our writer least.
    const LAST: EngineChoice =
        if cfg!(libc_db) { EngineChoice::Libc } else { EngineChoice::Native };

    /// A copy of a golden database.
    fn copy(name: &str) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spamd");
        fs::write(&path, fs::read(format!("{ROOT}/{name}.db")).unwrap()).unwrap();
        (dir, path)
    }

    /// Puts a key for each number, and returns the cost.
    fn put(database: &mut Database, keys: &[u32]) -> Result<Cost, Error> {
        let mut notice = || ();
        let mut wait = Wait::new(Duration::from_millis(50), Duration::MAX, &mut notice);
        let changes = database.in_batches(keys, &mut wait, &mut |engine, key| {
            engine.put(key.to_string().as_bytes(), &VALUE)
        });
        changes.whole().map(|(_, cost)| cost)
    }

    /// How many of the keys are in the file with their value.
    fn held(path: &Path, keys: &[u32]) -> usize {
        let image = fs::read(path).unwrap();
        let snapshot = Snapshot::new(&image).unwrap();
        snapshot.check(&mut |damage| panic!("{damage}"));
        let records = snapshot.records().map(Result::unwrap);
        let ours = |key: &[u8]| keys.iter().any(|ours| ours.to_string().as_bytes() == key);
        records.filter(|record| *record.value == VALUE && ours(&record.key)).count()
    }

    #[test]
    fn the_magic_number_chooses_the_writer() {
        for name in ["hash/kinds", "btree/kinds", "hash/big-endian", "btree/openbsd16k"] {
            let (_dir, path) = copy(name);
            let before = fs::read(&path).unwrap();
            put(&mut Database::new(&path, Creation::Never), &[1, 2, 3]).unwrap();
            assert_eq!(held(&path, &[1, 2, 3]), 3, "{name}");
            let after = fs::read(&path).unwrap();
            assert_eq!(format_of(&after), format_of(&before), "{name}");
        }
    }

    /// For each golden file: whether dbopen(3), our code or neither writes it.
    #[test]
    #[cfg(libc_db)]
    fn dbopen_writes_what_is_for_it() {
        for (name, refusal) in [
            ("hash/kinds", None),
            ("btree/kinds", None),
            ("hash/big-endian", Some("dbopen(3) cannot write a hash of the other byte order")),
            ("damaged/hash/is-btree", Some("dbopen(3) does not find all keys of this btree")),
        ] {
            let (_dir, path) = copy(name);
            let mut database = Database::new(&path, Creation::Never).written_by(EngineChoice::Libc);
            let written = put(&mut database, &[1]).map(drop);
            let text = written.map_err(|error| error.kind.to_string());
            assert_eq!(text, refusal.map_or(Ok(()), |why| Err(why.to_owned())), "{name}");
            assert_eq!(held(&path, &[1]), usize::from(refusal.is_none()), "{name}");
            put(&mut Database::new(&path, Creation::Never), &[1]).unwrap();
            assert_eq!(held(&path, &[1]), 1, "{name}");
        }
    }

    #[test]
    #[cfg(not(libc_db))]
    fn without_dbopen_there_is_no_libc_engine() {
        let (_dir, path) = copy("hash/kinds");
        let mut database = Database::new(&path, Creation::Never).written_by(EngineChoice::Libc);
        assert_eq!(
            put(&mut database, &[1]).unwrap_err().kind.to_string(),
            "dbopen(3) is not available: only the native engine can write"
        );
    }

    #[test]
    fn an_empty_file_becomes_a_hash_with_pages_of_the_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spamd");
        assert!(put(&mut Database::new(&path, Creation::Never), &[1]).is_err());
        put(&mut Database::new(&path, Creation::IfMissing), &[1]).unwrap();
        let image = fs::read(&path).unwrap();
        assert_eq!(format_of(&image), Some(Format::Hash));
        // HASHHDR.bsize of hash.h, big-endian in every file.
        let wanted = fs::metadata(&path).unwrap().blksize().clamp(512, 32768);
        assert_eq!(image[12..16], u32::try_from(wanted).unwrap().to_be_bytes());
        assert_eq!(held(&path, &[1]), 1);
    }

    #[test]
    fn damage_is_found_under_the_lock_and_before_it() {
        for name in ["damaged/hash/ovfl-self", "damaged/btree/child-loop", "damaged/hash/version3"]
        {
            for small in [0, SMALL] {
                let (_dir, path) = copy(name);
                let before = fs::read(&path).unwrap();
                let mut database = Database::new(&path, Creation::Never);
                database.small = small;
                let error = put(&mut database, &[1]).unwrap_err();
                assert!(matches!(error.kind, ErrorKind::Damaged(_)), "{name}: {error}");
                assert!(fs::read(&path).unwrap() == before, "{name}");
            }
        }
    }

    /// Otherwise no writer could follow one that was killed.
    #[test]
    fn a_file_whose_last_writer_was_killed_is_written() {
        for (small, choice) in [(0, EngineChoice::Native), (0, LAST), (SMALL, LAST)] {
            let (_dir, path) = copy("btree/kinds");
            // The mark of the btree writer, after the fields of the meta page.
            let file = File::options().write(true).open(&path).unwrap();
            FileExt::write_all_at(&file, &0x6d65_6e64_u32.to_le_bytes(), 24).unwrap();
            let image = fs::read(&path).unwrap();
            let mut told = Vec::new();
            Snapshot::new(&image).unwrap().check(&mut |damage| told.push(damage.fault));
            assert_eq!(told, [Fault::CutShort]);

            let mut database = Database::new(&path, Creation::Never).written_by(choice);
            database.small = small;
            put(&mut database, &[1]).unwrap();
            assert_eq!(held(&path, &[1]), 1);
            put(&mut database, &[2]).unwrap();
            assert_eq!(held(&path, &[1, 2]), 2);
        }
    }

    #[test]
    fn a_large_file_is_looked_at_once_and_again_when_it_is_another() {
        let (dir, path) = copy("hash/kinds");
        let mut database = Database::new(&path, Creation::Never);
        database.small = 0;
        put(&mut database, &[1]).unwrap();
        let looked_at = database.sound.unwrap();
        put(&mut database, &[2]).unwrap();
        assert_eq!(database.sound.unwrap().file, looked_at.file);

        let other = dir.path().join("other");
        fs::copy(format!("{ROOT}/damaged/hash/ovfl-self.db"), &other).unwrap();
        fs::rename(&other, &path).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(put(&mut database, &[3]).unwrap_err().kind, ErrorKind::Damaged(_)));
        assert!(fs::read(&path).unwrap() == before);
    }

    /// A scan finds it damaged; the writer knows only from the time of the change.
    #[test]
    fn a_large_file_that_was_damaged_after_the_first_look_is_not_written() {
        let (_dir, path) = copy("hash/multi");
        let mut database = Database::new(&path, Creation::Never);
        database.small = 0;
        put(&mut database, &[1]).unwrap();
        thread::sleep(Duration::from_millis(20));
        let file = File::options().write(true).open(&path).unwrap();
        FileExt::write_all_at(&file, &[0xff; 4096], 2 * 4096).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(put(&mut database, &[2]).unwrap_err().kind, ErrorKind::Damaged(_)));
        assert!(fs::read(&path).unwrap() == before);
    }

    /// One check is enough as long as nobody else writes.
    #[test]
    fn our_own_changes_do_not_make_a_large_file_be_looked_at_again() {
        let (_dir, path) = copy("hash/multi");
        let mut database = Database::new(&path, Creation::Never);
        database.small = 0;
        for key in 0..3 {
            put(&mut database, &[key]).unwrap();
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            assert_eq!(database.sound.unwrap().changed, changed);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The file that was judged is not the one that would be written.
    #[test]
    fn a_file_that_took_the_place_of_the_one_read_is_not_written() {
        let (dir, path) = copy("hash/kinds");
        let mut database = Database::new(&path, Creation::Never);
        database.bind(Some(FileId::at(&path).unwrap()));
        put(&mut database, &[1]).unwrap();
        let other = dir.path().join("other");
        fs::copy(format!("{ROOT}/hash/multi.db"), &other).unwrap();
        fs::rename(&other, &path).unwrap();
        let before = fs::read(&path).unwrap();
        let error = put(&mut database, &[2]).unwrap_err();
        assert_eq!(error.kind.to_string(), "replaced by another program since it was read");
        assert!(fs::read(&path).unwrap() == before);
        database.bind(None);
        put(&mut database, &[2]).unwrap();
    }

    /// The first write was interrupted: dbopen(3) would refuse the file, or loop while holding the lock.
    #[test]
    fn a_database_that_was_only_begun_is_made_anew() {
        let whole = fs::read(format!("{ROOT}/hash/empty.db")).unwrap();
        for begun in [vec![0; 8192], whole[..8192].to_vec(), whole[..whole.len() - 1].to_vec()] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("spamd");
            fs::write(&path, begun).unwrap();
            put(&mut Database::new(&path, Creation::Never), &[1]).unwrap();
            assert_eq!(held(&path, &[1]), 1);
        }
    }

    #[test]
    fn a_file_that_became_shorter_is_looked_at_again() {
        let (_dir, path) = copy("hash/multi");
        let mut database = Database::new(&path, Creation::Never);
        database.small = 0;
        put(&mut database, &[1]).unwrap();
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(put(&mut database, &[2]).unwrap_err().kind, ErrorKind::Damaged(_)));
        assert!(fs::read(&path).unwrap() == before);
    }

    #[test]
    fn others_get_the_lock_between_batches() {
        let (_dir, path) = copy("hash/kinds");
        let keys: Vec<u32> = (0..40).collect();
        let mut notice = || ();
        let mut wait = Wait::usual(&mut notice);
        let other = File::open(&path).unwrap();
        let mut taken = 0;
        let cost = Database::new(&path, Creation::Never)
            .in_batches(&keys, &mut wait, &mut |engine, key| {
                assert!(other.try_lock().is_err(), "the lock is ours");
                thread::sleep(BATCH / 4);
                taken += 1;
                engine.put(key.to_string().as_bytes(), &VALUE)
            })
            .cost;
        assert_eq!(taken, 40);
        assert!(cost.batches >= 2, "{cost:?}");
        other.try_lock().unwrap();
        assert_eq!(held(&path, &keys), 40);
    }

    #[test]
    fn an_error_ends_the_work_and_gives_the_lock_back() {
        let (_dir, path) = copy("hash/kinds");
        let mut notice = || ();
        let mut seen = 0;
        let error = Database::new(&path, Creation::Never)
            .in_batches(&[1, 2, 3], &mut Wait::usual(&mut notice), &mut |_, key| {
                seen += 1;
                if *key == 2 { Err(EngineError::Refused("no")) } else { Ok(()) }
            })
            .whole()
            .unwrap_err();
        assert_eq!((seen, error.to_string()), (2, format!("{}: no", path.display())));
        File::open(&path).unwrap().try_lock().unwrap();
    }

    /// dbopen(3) cannot take back what it was given.
    #[test]
    fn what_is_in_the_file_when_a_change_fails_is_told() {
        for choice in [EngineChoice::Native, LAST] {
            let (_dir, path) = copy("hash/kinds");
            let mut notice = || ();
            let changes = Database::new(&path, Creation::Never).written_by(choice).in_batches(
                &[1, 2, 3],
                &mut Wait::usual(&mut notice),
                &mut |engine, key| {
                    if *key == 3 {
                        return Err(EngineError::Refused("no"));
                    }
                    engine.put(key.to_string().as_bytes(), &VALUE).map(|()| *key)
                },
            );
            let done: &[u32] = if choice == EngineChoice::Native { &[] } else { &[1, 2] };
            assert_eq!(changes.done, done);
            assert_eq!(changes.failure.unwrap().kind.to_string(), "no");
            assert_eq!(held(&path, &[1, 2, 3]), done.len());
        }
    }

    #[test]
    fn a_lock_that_another_keeps_is_an_error_and_nothing_is_written() {
        let (_dir, path) = copy("hash/kinds");
        let before = fs::read(&path).unwrap();
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        let error = put(&mut Database::new(&path, Creation::Never), &[1]).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Locked));
        assert!(fs::read(&path).unwrap() == before);
    }

    #[test]
    fn nothing_to_do_does_not_even_open_the_file() {
        let path = Path::new("/nonexistent");
        let cost = put(&mut Database::new(path, Creation::Never), &[]).unwrap();
        assert_eq!(cost, Cost::default());
    }
}
