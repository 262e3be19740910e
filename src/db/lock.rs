//! Opens a database with its lock, and reads it in one pass.
//!
//! All programs of spamd hold the flock(2) lock while they have the file open, and keep it open only as
//! long as necessary; so do we. [`read_image`] shares the lock only for the read(2) calls (memory is
//! prepared before, decoding comes after); [`open_exclusive`] is for writers, which close the file after a
//! batch. We wait for a lock, but not for ever: [`Wait`].
//!
//! The file is never truncated, renamed or replaced: others wait on its inode.
#![forbid(unsafe_code)]

use super::memory::{Memory, PIECE};
use super::wait::Hold;
use super::{Error, ErrorKind};
use crate::threads::each;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::DerefMut;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

pub use super::wait::Wait;

/// The permissions of a database that we create, as spamd does (the beginning of `greyscan` in grey.c).
const MODE: u32 = 0o644;
/// How much the file may grow while we wait for its lock.
const SLACK: usize = 256 * 1024;
/// How often a file may be replaced before we give up.
pub const ATTEMPTS: u32 = 3;
/// The error after that.
pub const REPLACED: ErrorKind = ErrorKind::Refused("repeatedly replaced by another program");
/// The bytes of a file at one moment.
#[derive(Debug)]
pub struct Image {
    /// The whole file.
    pub bytes: Memory,
    /// Which file it was.
    pub file: FileId,
    /// The time spent waiting for the lock.
    pub waited: Duration,
    /// The time that the lock was held.
    pub held: Duration,
}

/// Reads the whole file at `path` under a shared lock.
///
/// Every page of the memory is faulted in before the lock is taken, so that only the copying happens under
/// the lock: page faults on fresh memory would take longer than the read itself.
pub fn read_image(path: &Path, wait: &mut Wait<'_>) -> Result<Image, Error> {
    read(path, wait).map_err(|kind| Error { path: path.to_path_buf(), kind })
}

/// Memory for the bytes of a file, whose length can be set.
pub trait Room: DerefMut<Target = [u8]> {
    /// Sets its length, with all pages faulted in; its contents are lost if it must grow.
    fn set_length(&mut self, length: usize) -> Result<(), ErrorKind>;
}

impl Room for Memory {
    fn set_length(&mut self, length: usize) -> Result<(), ErrorKind> {
        Memory::set_length(self, length)
    }
}

/// The result of a read, without the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Which file it was.
    pub file: FileId,
    /// A value that changes whenever the file is written: device, inode, length, and time of change in
    /// seconds and nanoseconds.
    pub version: [u64; 5],
    /// How long the lock was waited for.
    pub waited: Duration,
    /// How long the lock was held.
    pub held: Duration,
}

/// Reads the whole file at `path` under a shared lock into `room`, like [`read_image`].
pub fn read_into(path: &Path, room: &mut impl Room, wait: &mut Wait<'_>) -> Result<Pass, Error> {
    let opened = open(path, OpenOptions::new().read(true));
    let passed = opened.and_then(|file| {
        prepare(&file, room)?;
        pass(file, room, wait)
    });
    passed.map_err(|kind| Error { path: path.to_path_buf(), kind })
}

fn read(path: &Path, wait: &mut Wait<'_>) -> Result<Image, ErrorKind> {
    let file = open(path, OpenOptions::new().read(true))?;
    let mut bytes = Memory::prepared(0)?;
    prepare(&file, &mut bytes)?;
    let Pass { file, waited, held, .. } = pass(file, &mut bytes, wait)?;
    Ok(Image { bytes, file, waited, held })
}

/// Makes room for a file, and for what may be added to it before it is read.
fn prepare(file: &File, room: &mut impl Room) -> Result<(), ErrorKind> {
    let length = length(file)?;
    let prepared = room.set_length(length.saturating_add(SLACK));
    prepared.map_err(|kind| kind.of_file(length as u64))
}

/// Waits for the lock, reads, and releases the lock.
fn pass(file: File, room: &mut impl Room, wait: &mut Wait<'_>) -> Result<Pass, ErrorKind> {
    let waited = wait.lock(&file, Hold::Shared)?;
    let locked = Instant::now();
    let outcome = fill(&file, room);
    let metadata = file.metadata().map_err(ErrorKind::Io)?;
    drop(file);
    let held = locked.elapsed();
    outcome?;
    let file = FileId::from(&metadata);
    let time = [metadata.mtime(), metadata.mtime_nsec()].map(i64::cast_unsigned);
    let version = [file.device, file.inode, metadata.len(), time[0], time[1]];
    Ok(Pass { file, version, waited, held })
}

/// The identity of a file on this machine, independent of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The identity of an open file.
    pub fn of(file: &File) -> io::Result<FileId> {
        file.metadata().map(|metadata| FileId::from(&metadata))
    }

    /// The identity of the file that is at `path` now.
    pub fn at(path: &Path) -> io::Result<FileId> {
        fs::metadata(path).map(|metadata| FileId::from(&metadata))
    }
}

impl From<&fs::Metadata> for FileId {
    fn from(metadata: &fs::Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether a missing database is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// A file that is missing is an error.
    Never,
    /// It is created empty, with mode 0644.
    IfMissing,
}

/// Opens and locks the file at `path` for reading and writing; closing it releases the lock.
pub fn open_exclusive(path: &Path, creation: Creation, wait: &mut Wait<'_>) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE).create(creation == Creation::IfMissing);
    open_locked(path, &options, wait, Hold::Exclusive)
}

/// Creates an empty database at `path` with mode 0644, owned by `owner`, a user and a group, if given.
/// Returns false and does nothing if the file exists.
pub fn create(path: &Path, owner: Option<(u32, u32)>) -> Result<bool, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE).create_new(true);
    let made = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => Err(error),
        Ok(file) => owner.map_or(Ok(()), |(user, group)| {
            // A file that its owner cannot write would be worse than none.
            fchown(&file, Some(user), Some(group)).inspect_err(|_| drop(fs::remove_file(path)))
        }),
    };
    let error = |error| Error { path: path.to_path_buf(), kind: ErrorKind::Io(error) };
    made.map(|()| true).map_err(error)
}

/// Opens the file at `path` for reading with a shared lock; closing it releases the lock.
pub fn open_shared(path: &Path, wait: &mut Wait<'_>) -> Result<File, Error> {
    open_locked(path, OpenOptions::new().read(true), wait, Hold::Shared)
}

/// Opens and locks a file. If it was replaced while we waited for the lock, the new file is opened instead:
/// a trap in a file without a name would be lost.
fn open_locked(
    path: &Path,
    options: &OpenOptions,
    wait: &mut Wait<'_>,
    hold: Hold,
) -> Result<File, Error> {
    let mut attempt = || {
        let file = open(path, options)?;
        wait.lock(&file, hold)?;
        Ok(is_at(path, &file).map_err(ErrorKind::Io)?.then_some(file))
    };
    let outcome = (0..ATTEMPTS).find_map(|_| attempt().transpose()).unwrap_or(Err(REPLACED));
    outcome.map_err(|kind| Error { path: path.to_path_buf(), kind })
}

/// Whether the path leads to this file, if it leads anywhere.
fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    match FileId::at(path) {
        Ok(there) => Ok(there == FileId::of(file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The contents of a file that the caller has locked.
pub fn image_of(file: &File) -> Result<Memory, ErrorKind> {
    let mut bytes = Memory::prepared(0)?;
    fill(file, &mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file. Anything else is refused, both before it is opened, since opening a fifo waits for
/// its other end and opening a device may do anything, and again after that.
fn open(path: &Path, options: &OpenOptions) -> Result<File, ErrorKind> {
    match fs::metadata(path) {
        Ok(metadata) => regular(&metadata)?,
        // It is created if possible; otherwise open(2) fails with the same error.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ErrorKind::Io(error)),
    }
    let file = options.open(path).map_err(ErrorKind::Io)?;
    regular(&file.metadata().map_err(ErrorKind::Io)?)?;
    Ok(file)
}

fn regular(metadata: &fs::Metadata) -> Result<(), ErrorKind> {
    let kind = metadata.file_type();
    Err(ErrorKind::NotAFile(if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "is a directory"
    } else if kind.is_fifo() {
        "is a fifo"
    } else if kind.is_socket() {
        "is a socket"
    } else {
        "is a device"
    }))
}

/// Reads the contents of `file` into `bytes`, with its current length.
fn fill(file: &File, bytes: &mut impl Room) -> Result<(), ErrorKind> {
    let length = length(file)?;
    bytes.set_length(length).map_err(|kind| kind.of_file(length as u64))?;
    read_exactly(file, bytes)
}

fn read_exactly(file: &File, bytes: &mut [u8]) -> Result<(), ErrorKind> {
    let pieces = bytes.chunks_mut(PIECE).enumerate();
    let read = |(number, piece): (usize, &mut [u8])| {
        file.read_exact_at(piece, number.saturating_mul(PIECE) as u64)
    };
    let outcome: io::Result<()> = each(pieces, read).into_iter().collect();
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ErrorKind::Shrank,
        _ => ErrorKind::Io(error),
    })
}

fn length(file: &File) -> Result<usize, ErrorKind> {
    let length = file.metadata().map_err(ErrorKind::Io)?.len();
    length.try_into().map_err(|_| ErrorKind::Io(io::ErrorKind::FileTooLarge.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::fs::read;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;
    use tempfile::TempDir;

    fn place(contents: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spamd");
        fs::write(&path, contents).unwrap();
        (dir, path)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn image(path: &Path) -> Result<Image, Error> {
        read_image(path, &mut Wait::new(millis(50), millis(10), &mut || ()))
    }

    fn exclusive(path: &Path, creation: Creation) -> Result<File, Error> {
        open_exclusive(path, creation, &mut Wait::new(millis(50), millis(10), &mut || ()))
    }

    #[test]
    fn the_image_is_the_file() {
        for length in [0, 1, 4096, SLACK + 1] {
            let contents: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let (_dir, path) = place(&contents);
            assert_eq!(*image(&path).unwrap().bytes, contents);
        }
    }

    #[test]
    fn readers_share_the_lock_and_give_it_back() {
        let (_dir, path) = place(b"x");
        let other = File::open(&path).unwrap();
        other.lock_shared().unwrap();
        let image = image(&path).unwrap();
        assert!(image.held < millis(50));
        other.unlock().unwrap();
        other.try_lock().unwrap();
    }

    #[test]
    fn a_lock_that_is_kept_is_waited_for_told_and_given_up() {
        let (_dir, path) = place(b"x");
        let other = File::open(&path).unwrap();
        other.lock().unwrap();
        let told = Cell::new(0);
        let mut notice = || told.set(told.get() + 1);
        let mut wait = Wait::new(millis(60), millis(5), &mut notice);
        let start = Instant::now();
        let error = read_image(&path, &mut wait).unwrap_err();
        assert!(start.elapsed() >= millis(60));
        assert_eq!(error.to_string(), format!("{}: locked by another process", path.display()));
        let error = open_exclusive(&path, Creation::Never, &mut wait).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Locked));
        assert_eq!(told.get(), 2, "once a wait");
    }

    #[test]
    fn a_lock_that_is_given_back_in_time_is_taken() {
        let (_dir, path) = place(b"before");
        let writer = exclusive(&path, Creation::Never).unwrap();
        let (tell, told) = mpsc::channel();
        let other = thread::spawn({
            let path = path.clone();
            move || {
                let mut notice = || tell.send(()).unwrap();
                read_image(&path, &mut Wait::new(Duration::MAX, millis(1), &mut notice))
            }
        });
        // The reader is waiting: it must see what is written now, although the file is longer than before.
        told.recv().unwrap();
        let after = vec![b'y'; SLACK + 100];
        writer.write_all_at(&after, 0).unwrap();
        drop(writer);
        let image = other.join().unwrap().unwrap();
        assert_eq!(*image.bytes, after);
        assert!(image.waited >= millis(1));
    }

    /// What a writer finds if `change` was made while it waited for the lock.
    fn found_after(creation: Creation, change: impl FnOnce(&Path)) -> Result<Vec<u8>, ErrorKind> {
        let (_dir, path) = place(b"before");
        let holder = exclusive(&path, Creation::Never).unwrap();
        let (tell, told) = mpsc::channel();
        let waiting = path.clone();
        let writer = thread::spawn(move || {
            let mut notice = || tell.send(()).unwrap();
            let mut wait = Wait::new(Duration::MAX, millis(1), &mut notice);
            let file = open_exclusive(&waiting, creation, &mut wait).map_err(|error| error.kind)?;
            image_of(&file).map(|image| image.to_vec())
        });
        told.recv().unwrap();
        change(&path);
        drop(holder);
        writer.join().unwrap()
    }

    #[test]
    fn a_file_that_takes_the_place_of_the_one_waited_for_is_opened_instead() {
        let found = found_after(Creation::Never, |path| {
            let successor = path.with_extension("new");
            fs::write(&successor, b"after").unwrap();
            fs::rename(&successor, path).unwrap();
        });
        assert_eq!(found.unwrap(), b"after");
    }

    #[test]
    fn a_file_that_goes_while_it_is_waited_for_is_missing_or_made_anew() {
        let remove = |path: &Path| fs::remove_file(path).unwrap();
        let gone = found_after(Creation::Never, remove).unwrap_err();
        assert_eq!(gone.to_string(), "No such file or directory");
        assert_eq!(found_after(Creation::IfMissing, remove).unwrap(), b"");
    }

    #[test]
    fn a_file_that_ends_early_shrank() {
        let (_dir, path) = place(b"12345");
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut bytes = vec![0; 6];
        let outcome = read_exactly(&file, &mut bytes);
        assert!(matches!(outcome, Err(ErrorKind::Shrank)), "{outcome:?}");
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let (dir, path) = place(b"");
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let rows = [
            (dir.path().to_path_buf(), "is a directory"),
            (fifo, "is a fifo"),
            (socket, "is a socket"),
            (PathBuf::from("/dev/null"), "is a device"),
            (dir.path().join("missing"), "No such file or directory"),
            (path.join("x"), "Not a directory"),
        ];
        for (path, what) in rows {
            let expected = format!("{}: {what}", path.display());
            assert_eq!(image(&path).unwrap_err().to_string(), expected);
            let error = exclusive(&path, Creation::Never).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(image(&link).is_ok());
    }

    #[test]
    fn a_missing_file_is_created_only_on_demand_and_never_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spamd");
        assert!(exclusive(&path, Creation::Never).is_err());
        assert!(!path.exists());
        drop(exclusive(&path, Creation::IfMissing).unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !MODE, 0);
        assert_eq!(mode & 0o600, 0o600);
        fs::write(&path, b"kept").unwrap();
        drop(exclusive(&path, Creation::IfMissing).unwrap());
        assert_eq!(read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_writer_keeps_everyone_out_until_it_closes() {
        let (_dir, path) = place(b"x");
        let writer = exclusive(&path, Creation::Never).unwrap();
        assert!(matches!(image(&path).unwrap_err().kind, ErrorKind::Locked));
        assert!(matches!(exclusive(&path, Creation::Never).unwrap_err().kind, ErrorKind::Locked));
        drop(writer);
        assert!(image(&path).is_ok());
    }
}
