//! The second engine: dbopen(3), the code with which spamd itself writes its database.
//!
//! In: a path and its locked file. Out: a [`Writer`]. [`compare`] compares libc's walk with ours. This is
//! built where libc has dbopen(3), or where build.rs was given a directory with OpenBSD's (`cfg(libc_db)`).
//!
//! dbopen(3) opens a path, not a descriptor, so the file is open twice: our descriptor holds the lock, the
//! library uses its own, and we check that both are the same file. [`super::lock`] has already waited for
//! the lock, with a time limit, so O_EXLOCK, which would wait for our lock, is not needed.
//!
//! The library decides when it writes; most writes happen when the file is closed. A kill meanwhile has the
//! same effect as a kill of spamd; only the native engine orders its writes.
//!
//! On a full disk it loses records, so `room` looks beforehand whether there is room for what a put may need.
//!
//! Some sound files are not suitable for it, and are refused when they are opened:
//!
//! * pages of 65536 bytes, in both formats: the end of the free space overflows its 16 bits
//!   (`PAGE_INIT()` in lib/libc/db/hash/hash_page.c, `nroot()` in lib/libc/db/btree/bt_open.c);
//! * a hash with another byte order: `__put_page()` in hash_page.c swaps a page in place, so that close
//!   swaps again what sync has written;
//! * a btree with a key too long for a page: `__bt_put()` in bt_put.c files it by its {page number, size},
//!   and from then on a search misses it and its neighbours. For the same reason such a key is not entered.
//!
//! **The library does not validate the file**: if it is damaged, it loops or accesses memory out of bounds.
//! The caller who opens a [`Writer`] must hold the lock and have checked the whole structure
//! ([`Snapshot::check`](super::snapshot::Snapshot::check)).

// All unsafe code for the database is in this file; lib.rs has the list of such files.
#[allow(unsafe_code)]
mod handle;
mod room;
mod walk;

use super::bytes::ByteOrder;
use super::file::PageFile;
use super::lock::{self, FileId};
use super::snapshot::{Snapshot, format_of};
use super::{Engine, EngineError, ErrorKind, Fault, Format, btree};
use handle::{Access, EFTYPE, Handle};
use room::Room;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub use walk::compare;

/// Two pages of the largest size, enough to recognize a header of either format.
const HEAD: usize = 2 * 65536;
/// The library's offsets have 16 bits.
const UNWRITABLE_PAGE: u32 = 65536;
const REPLACED: &str = "replaced by another program while it was opened";
/// The longest pair that is written. In some places the library has lengths of 16 or 31 bits; spamd's
/// longest pair has 4.1 kB.
const LONGEST_PAIR: usize = u16::MAX as usize;

/// A database opened by dbopen(3).
#[derive(Debug)]
pub struct Writer {
    shape: Shape,
    room: Room,
    // Fields are dropped in this order: the library closes the file before the lock is released.
    handle: Handle,
    lock: File,
}

impl Writer {
    /// Opens the database at `path`, which `lock` holds open and locked, and which has been checked.
    ///
    /// # Errors
    ///
    /// `path` now leads to another file, or the file is sound but not suitable for dbopen(3).
    pub fn open(path: &Path, lock: File) -> Result<Writer, EngineError> {
        let shape = Shape::of(&lock)?;
        shape.refuse_what_is_not_for_it(&lock)?;
        let handle = shape.writable(path, &lock)?;
        Ok(Writer { shape, room: Room::of(&lock, shape)?, handle, lock })
    }

    /// Makes a hash in the empty file at `path`, which `lock` holds open and locked, with pages of
    /// `page_size` bytes, a power of two.
    ///
    /// # Errors
    ///
    /// `path` now leads to another file, the pages are too large for dbopen(3), or the disk is full.
    pub fn create(path: &Path, lock: File, page_size: u32) -> Result<Writer, EngineError> {
        let shape = Shape { format: Format::Hash, order: ByteOrder::NATIVE, page_size };
        Room::for_a_new_hash(&lock, shape)?;
        let mut handle = shape.writable(path, &lock)?;
        handle.sync().map_err(torn)?;
        Ok(Writer { shape, room: Room::of(&lock, shape)?, handle, lock })
    }

    /// Makes sure that there is room for a put.
    fn make_room(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        match self.room.count(&self.lock, key, value) {
            Err(_) if !self.room.is_fresh() => {}
            counted => return Ok(counted?),
        }
        // What earlier puts need is taken from the disk, so that it need not be counted any more.
        self.handle.sync().map_err(torn)?;
        self.room = Room::of(&self.lock, self.shape)?;
        Ok(self.room.count(&self.lock, key, value)?)
    }
}

impl Engine for Writer {
    fn byte_order(&self) -> ByteOrder {
        self.shape.order
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.handle.get(key).map_err(refusal)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let pair = key.len().saturating_add(value.len());
        if pair > LONGEST_PAIR || key.len() > self.shape.longest_key() {
            return refuse("key or value is too big");
        }
        // The end of such a pair cannot be recognized in a hash (`__big_insert()` in hash_bigkey.c).
        if value.is_empty() && key.len() > self.shape.page_size as usize / 2 {
            return refuse("key is too large for a page and has no data");
        }
        self.make_room(key, value)?;
        self.handle.put(key, value).map_err(torn)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
        self.handle.delete(key).map_err(torn)
    }

    fn close(self: Box<Self>) -> Result<(), EngineError> {
        let Writer { mut handle, lock, .. } = *self;
        let synced = handle.sync();
        let closed = handle.close();
        drop(lock);
        synced.and(closed).map_err(torn)
    }

    fn give_up(self: Box<Self>) -> Result<bool, EngineError> {
        self.close().map(|()| true)
    }
}

/// What the header says about the pages.
#[derive(Clone, Copy, Debug)]
struct Shape {
    format: Format,
    order: ByteOrder,
    /// In bytes.
    page_size: u32,
}

impl Shape {
    fn of(file: &File) -> Result<Shape, EngineError> {
        let mut head = vec![0; HEAD.min(usize::try_from(file.length()?).unwrap_or(HEAD))];
        file.read_at(&mut head, 0)?;
        let snapshot = Snapshot::new(&head)?;
        let format = format_of(&head).ok_or(Fault::NotADatabase.on(0))?;
        let page_size = snapshot.page_size().ok_or(Fault::TooShort.on(0))?;
        Ok(Shape { format, order: snapshot.byte_order(), page_size })
    }

    /// The same for writing, if it can write such pages.
    fn writable(self, path: &Path, lock: &File) -> Result<Handle, EngineError> {
        if self.page_size == UNWRITABLE_PAGE {
            return refuse("dbopen(3) cannot write pages of 65536 bytes");
        }
        self.open(path, lock, Access::Write)
    }

    /// Opens the file at `path` with dbopen(3), if it is the locked one.
    fn open(self, path: &Path, lock: &File, access: Access) -> Result<Handle, EngineError> {
        let ours = FileId::of(lock)?;
        let terminated = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)?;
        // dbopen(3) would trust the header of another file, which has not been checked.
        if FileId::at(path)? != ours {
            return refuse(REPLACED);
        }
        let handle =
            Handle::open(&terminated, self.format, self.page_size, access).map_err(refusal)?;
        let theirs = File::from(handle.descriptor()?.try_clone_to_owned()?);
        if FileId::of(&theirs)? != ours {
            // It was replaced between the two checks. Closing it might write its header.
            handle.abandon();
            return refuse(REPLACED);
        }
        Ok(handle)
    }

    fn refuse_what_is_not_for_it(self, file: &File) -> Result<(), EngineError> {
        match self.format {
            Format::Hash if self.order != ByteOrder::NATIVE => {
                refuse("dbopen(3) cannot write a hash of the other byte order")
            }
            Format::Btree if has_big_keys(file)? => {
                refuse("dbopen(3) does not find all keys of this btree")
            }
            _ => Ok(()),
        }
    }

    /// The longest key in a btree that stays on its page whatever its value is.
    fn longest_key(self) -> usize {
        match self.format {
            Format::Hash => LONGEST_PAIR,
            Format::Btree => btree::longest_key(self.page_size as usize),
        }
    }
}

fn has_big_keys(file: &File) -> Result<bool, EngineError> {
    let image = lock::image_of(file).map_err(|kind| match kind {
        ErrorKind::Io(error) => EngineError::Io(error),
        _ => EngineError::Refused("file shrank while it was read"),
    })?;
    Ok(btree::Tree::new(&image)?.has_big_keys())
}

fn refuse<T>(why: &'static str) -> Result<T, EngineError> {
    Err(EngineError::Refused(why))
}

/// Only the BSDs have a text for EFTYPE, and that explains little.
fn refusal(error: io::Error) -> EngineError {
    if error.raw_os_error() == Some(EFTYPE) {
        EngineError::Refused("dbopen(3) does not recognize the file")
    } else {
        EngineError::Io(error)
    }
}

/// The failure of a call that writes: pages that the library could not write are lost.
fn torn(error: io::Error) -> EngineError {
    match refusal(error) {
        EngineError::Io(error) => EngineError::Torn(error),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;
    use tempfile::TempDir;

    const KEY: &[u8] = b"192.0.2.1";
    const VALUE: &[u8] = &[7; 32];

    /// A directory with a copy of a golden file, or an empty one if there is no such file.
    struct Copied(TempDir);

    impl Copied {
        fn of(golden: &str) -> Copied {
            let directory = tempfile::tempdir().unwrap();
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(golden);
            fs::write(directory.path().join("db"), fs::read(source).unwrap_or_default()).unwrap();
            Copied(directory)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("db")
        }

        fn locked(&self) -> File {
            let file = File::options().read(true).write(true).open(self.path()).unwrap();
            file.try_lock().unwrap();
            file
        }

        fn writer(&self) -> Writer {
            Writer::open(&self.path(), self.locked()).unwrap()
        }

        /// The pages of a tree, or those of a hash for which the file has blocks.
        fn pages(&self, format: Format, page_size: u32) -> u64 {
            let file = fs::metadata(self.path()).unwrap();
            let bytes = if format == Format::Hash { file.blocks() * 512 } else { file.len() };
            bytes.div_ceil(page_size.into())
        }

        fn value_of(&self, key: &[u8]) -> Option<Vec<u8>> {
            let image = fs::read(self.path()).unwrap();
            let snapshot = Snapshot::new(&image).unwrap();
            let record = snapshot.records().map(Result::unwrap).find(|record| record.key == key);
            record.map(|record| record.value.into_owned())
        }
    }

    fn message<T: std::fmt::Debug>(result: Result<T, EngineError>) -> String {
        result.unwrap_err().to_string()
    }

    /// An empty tree as a big-endian machine makes it: `BTMETA` with pages of 512 bytes and `B_NODUPS`,
    /// then a leaf (`P_BLEAF`) with `lower` and `upper` as far apart as they can be.
    fn big_endian_tree() -> Vec<u8> {
        let meta = [0x05_3162, 3, 512, 0, 0, 0x20_u32];
        let root = [1, 0, 0, 2, 20 << 16 | 512];
        let page = |words: &[u32]| {
            let mut page: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            page.resize(512, 0);
            page
        };
        [page(&meta), page(&root)].concat()
    }

    #[test]
    fn the_other_format_is_refused_in_words() {
        for (golden, format) in [("hash/kinds.db", Format::Btree), ("btree/kinds.db", Format::Hash)]
        {
            let copy = Copied::of(golden);
            let shape = Shape { format, order: ByteOrder::NATIVE, page_size: 4096 };
            let opened = shape.writable(&copy.path(), &copy.locked());
            assert_eq!(message(opened), "dbopen(3) does not recognize the file");
        }
    }

    #[test]
    fn a_file_put_in_the_place_of_the_locked_one_is_refused_and_left_alone() {
        let copy = Copied::of("hash/kinds.db");
        let lock = copy.locked();
        let other = Copied::of("hash/one-grey.db");
        // A header that libc would not write.
        let mut bytes = fs::read(other.path()).unwrap();
        bytes[7] = 1;
        fs::write(other.path(), &bytes).unwrap();
        fs::rename(other.path(), copy.path()).unwrap();
        let opened = Writer::open(&copy.path(), lock);
        assert_eq!(message(opened), "replaced by another program while it was opened");
        assert!(fs::read(copy.path()).unwrap() == bytes, "the new file was written");
    }

    #[test]
    fn a_file_that_is_gone_is_told_in_the_systems_words() {
        let copy = Copied::of("hash/kinds.db");
        let lock = copy.locked();
        fs::remove_file(copy.path()).unwrap();
        let EngineError::Io(error) = Writer::open(&copy.path(), lock).unwrap_err() else {
            panic!("not an error of the system");
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_path_with_a_nul_is_refused() {
        let copy = Copied::of("hash/kinds.db");
        let opened = Writer::open(Path::new("nul\0byte"), copy.locked());
        assert!(message(opened).contains("nul byte"));
    }

    #[test]
    fn pages_of_65536_bytes_are_refused() {
        let copy = Copied::of("btree/one-white.db");
        let mut meta = fs::read(copy.path()).unwrap();
        meta[8..12].copy_from_slice(&65536_u32.to_le_bytes());
        meta.resize(3 * 65536, 0);
        fs::write(copy.path(), &meta).unwrap();
        let opened = Writer::open(&copy.path(), copy.locked());
        assert_eq!(message(opened), "dbopen(3) cannot write pages of 65536 bytes");

        let copy = Copied::of("hash/one-white.db");
        let mut header = fs::read(copy.path()).unwrap();
        header[12..20].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 16]);
        header.resize(4 * 65536, 0);
        fs::write(copy.path(), &header).unwrap();
        let opened = Writer::open(&copy.path(), copy.locked());
        assert_eq!(message(opened), "dbopen(3) cannot write pages of 65536 bytes");
    }

    #[test]
    fn no_database_is_made_with_pages_of_65536_bytes() {
        let copy = Copied::of("no such file");
        let made = Writer::create(&copy.path(), copy.locked(), 65536);
        assert_eq!(message(made), "dbopen(3) cannot write pages of 65536 bytes");
        assert_eq!(fs::read(copy.path()).unwrap(), b"");
    }

    #[test]
    fn pairs_longer_than_any_of_spamds_are_refused() {
        let copy = Copied::of("hash/kinds.db");
        let mut writer = copy.writer();
        writer.put(&[b'k'; 535], &[1; 65000]).unwrap();
        assert_eq!(writer.get(&[b'k'; 535]).unwrap().as_deref(), Some(&[1; 65000][..]));
        assert_eq!(message(writer.put(&[b'k'; 536], &[1; 65000])), "key or value is too big");
    }

    #[test]
    fn a_key_of_many_pages_needs_a_value() {
        let copy = Copied::of("hash/page512.db");
        let mut writer = copy.writer();
        writer.put(&[b'k'; 256], b"").unwrap();
        writer.put(&[b'k'; 257], b"v").unwrap();
        let put = writer.put(&[b'k'; 257], b"");
        assert_eq!(message(put), "key is too large for a page and has no data");
    }

    /// The reference made this file, but does not find `12.106.9.234\n…` in it, a record of 103 bytes.
    #[test]
    fn a_btree_with_keys_longer_than_a_page_takes_is_refused() {
        let copy = Copied::of("damaged/hash/is-btree.db");
        let opened = Writer::open(&copy.path(), copy.locked());
        assert_eq!(message(opened), "dbopen(3) does not find all keys of this btree");
    }

    #[test]
    fn a_btree_gets_no_key_longer_than_a_page_takes() {
        let copy = Copied::of("btree/page512.db");
        // (512 - 20) / 2 - 22
        copy.writer().put(&[b'k'; 224], &[1; 5000]).unwrap();
        assert_eq!(message(copy.writer().put(&[b'k'; 225], VALUE)), "key or value is too big");
        assert_eq!(copy.value_of(&[b'k'; 224]).as_deref(), Some(&[1; 5000][..]));
    }

    #[test]
    fn the_lock_is_held_until_the_end() {
        let copy = Copied::of("hash/kinds.db");
        let other = File::open(copy.path()).unwrap();
        let writer = copy.writer();
        assert!(other.try_lock_shared().is_err());
        Box::new(writer).close().unwrap();
        other.try_lock_shared().unwrap();
        other.unlock().unwrap();
        let writer = copy.writer();
        assert!(other.try_lock_shared().is_err());
        drop(writer);
        other.try_lock_shared().unwrap();
    }

    #[test]
    fn what_was_put_is_in_the_file_when_it_is_closed_and_when_it_is_dropped() {
        for golden in ["hash/kinds.db", "btree/kinds.db"] {
            let copy = Copied::of(golden);
            let mut writer = copy.writer();
            writer.put(KEY, VALUE).unwrap();
            Box::new(writer).close().unwrap();
            assert_eq!(copy.value_of(KEY).as_deref(), Some(VALUE), "{golden}");
            let mut writer = copy.writer();
            assert!(writer.delete(KEY).unwrap());
            drop(writer);
            assert_eq!(copy.value_of(KEY), None, "{golden}");
        }
    }

    /// Somebody else has taken the room meanwhile.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_when_closing() {
        let mut writer = Copied::of("hash/kinds.db").writer();
        writer.handle = Handle::open(c"/dev/full", Format::Hash, 4096, Access::Write).unwrap();
        let closed = Box::new(writer).close().unwrap_err();
        let expected = "No space left on device; the file may be damaged now, greytrapctl check -r may repair it";
        assert_eq!(closed.to_string(), expected);
        assert_eq!(ErrorKind::from(closed).to_string(), expected);
    }

    /// Keys of one hash value: h · 33 + byte is the same for `bC` and `ad`.
    fn colliding(number: usize) -> Vec<u8> {
        (0..12).flat_map(|bit| if number >> bit & 1 == 0 { *b"bC" } else { *b"ad" }).collect()
    }

    /// The blocks that the library needs, against those that were counted: after each put, and for many.
    #[test]
    fn no_put_needs_more_than_was_counted() {
        for (format, page_size, at_once) in [
            (Format::Hash, 4096, 1),
            (Format::Hash, 4096, 20),
            (Format::Hash, 16384, 1),
            (Format::Btree, 512, 1),
            (Format::Btree, 512, 20),
        ] {
            let copy = Copied::of("no such file");
            let mut writer = match format {
                Format::Hash => Writer::create(&copy.path(), copy.locked(), page_size).unwrap(),
                Format::Btree => {
                    fs::write(copy.path(), big_endian_tree()).unwrap();
                    copy.writer()
                }
            };
            let mut before = copy.pages(format, page_size);
            for number in 0..1500 {
                let key = match number % 3 {
                    0 => colliding(number),
                    _ => format!("10.0.{}.{}", number / 256, number % 256).into_bytes(),
                };
                writer.put(&key, &vec![7; [32, 150, 300][number % 3]]).unwrap();
                if number % at_once == 0 {
                    writer.handle.sync().unwrap();
                    let (now, counted) = (copy.pages(format, page_size), writer.room.owed);
                    assert!(now - before <= counted, "{format:?}, put {number}: {counted}");
                    before = now;
                    writer.room = Room::of(&writer.lock, writer.shape).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_limit_for_files_is_told_before_anything_is_written() {
        if std::env::var_os("GREYTRAPPER_TEST_LIMITED").is_none() {
            let test = "db::libc::tests::a_limit_for_files_is_told_before_anything_is_written";
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            alone.args(["--exact", test]).env("GREYTRAPPER_TEST_LIMITED", "");
            let ran = alone.output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
            return;
        }
        for golden in ["hash/kinds.db", "btree/kinds.db"] {
            let copy = Copied::of(golden);
            let before = fs::read(copy.path()).unwrap();
            let mut writer = copy.writer();
            let (limit, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
            setrlimit(Resource::RLIMIT_FSIZE, before.len() as u64, most).unwrap();
            assert_eq!(message(writer.put(KEY, VALUE)), "File too large", "{golden}");
            setrlimit(Resource::RLIMIT_FSIZE, limit, most).unwrap();
            drop(writer);
            assert!(fs::read(copy.path()).unwrap() == before, "{golden}");
        }
    }

    #[test]
    fn a_fresh_file_becomes_a_hash_of_that_page_size() {
        let copy = Copied::of("no such file");
        let mut writer = Writer::create(&copy.path(), copy.locked(), 16384).unwrap();
        writer.put(KEY, VALUE).unwrap();
        Box::new(writer).close().unwrap();
        let shape = Shape::of(&File::open(copy.path()).unwrap()).unwrap();
        assert_eq!((shape.format, shape.page_size), (Format::Hash, 16384));
        assert_eq!(copy.value_of(KEY).as_deref(), Some(VALUE));
    }

    #[test]
    fn a_hash_of_the_other_byte_order_is_refused() {
        let copy = Copied::of("hash/big-endian.db");
        let opened = Writer::open(&copy.path(), copy.locked());
        assert_eq!(message(opened), "dbopen(3) cannot write a hash of the other byte order");
        assert_eq!(Copied::of("hash/kinds.db").writer().byte_order(), ByteOrder::Little);
    }

    #[test]
    fn a_btree_of_the_other_byte_order_stays_one() {
        let copy = Copied::of("no such file");
        fs::write(copy.path(), big_endian_tree()).unwrap();
        let mut writer = copy.writer();
        assert_eq!(writer.byte_order(), ByteOrder::Big);
        writer.put(KEY, VALUE).unwrap();
        Box::new(writer).close().unwrap();
        assert!(fs::read(copy.path()).unwrap().starts_with(b"\0\x05\x31\x62"));
        assert_eq!(copy.value_of(KEY).as_deref(), Some(VALUE));
    }

    #[test]
    fn a_handle_stays_in_its_thread() {
        trait UnlessSend<A> {
            const HOLDS: bool = true;
        }
        impl<T> UnlessSend<()> for T {}
        struct IsSend;
        impl<T: Send> UnlessSend<IsSend> for T {}
        // Ambiguous, and so not valid, if a handle could be sent.
        const { assert!(<Handle as UnlessSend<_>>::HOLDS) };
    }
}
