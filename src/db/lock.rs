//! Opening a database with its lock, and reading it in one pass.
//!
//! Every program of spamd takes flock(2) for as long as it has the file open, and keeps it open only
//! for as long as it must: so do we. [`read_image`] shares the lock for the time of the read(2)s alone
//! (memory is prepared before, decoding comes after); [`open_exclusive`] is for writers, who close
//! the file after a batch. A lock that somebody keeps is waited for, but not for ever: [`Wait`].
//!
//! The file is never truncated, renamed or replaced: others wait on its inode.
#![forbid(unsafe_code)]

use super::{Error, ErrorKind};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Permissions of a database that we create, as spamd does (`greyscan`'s start in grey.c).
const MODE: u32 = 0o644;
/// Room for what the file may grow while we wait for its lock.
const SLACK: usize = 256 * 1024;
/// The first pause between two attempts to lock, and the longest; each is twice the one before.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(25));

/// How long to wait for a lock, and whom to tell meanwhile.
pub struct Wait<'a> {
    patience: Duration,
    notice_after: Duration,
    notice: &'a mut dyn FnMut(),
}

impl<'a> Wait<'a> {
    /// Waits 30 s at most and calls `notice` once after 1 s: spamd holds the lock for well under a
    /// second, whoever needs longer is stuck.
    pub fn usual(notice: &'a mut dyn FnMut()) -> Self {
        Wait::new(Duration::from_secs(30), Duration::from_secs(1), notice)
    }

    /// Waits as long as `patience` and calls `notice` once when it has waited `notice_after`.
    pub fn new(patience: Duration, notice_after: Duration, notice: &'a mut dyn FnMut()) -> Self {
        Wait { patience, notice_after, notice }
    }

    /// Calls `attempt` until it has the lock; how long that took.
    fn until(
        &mut self,
        attempt: impl Fn() -> Result<(), TryLockError>,
    ) -> Result<Duration, ErrorKind> {
        let start = Instant::now();
        let (mut pause, longest) = PAUSES;
        let mut noticed = false;
        loop {
            match attempt() {
                Ok(()) => return Ok(start.elapsed()),
                Err(TryLockError::Error(error)) => return Err(ErrorKind::Io(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            let waited = start.elapsed();
            if waited >= self.patience {
                return Err(ErrorKind::Locked);
            }
            if waited >= self.notice_after && !noticed {
                noticed = true;
                (self.notice)();
            }
            thread::sleep(pause.min(self.patience.saturating_sub(waited)));
            pause = longest.min(pause.saturating_mul(2));
        }
    }
}

/// A file's bytes at one moment.
#[derive(Debug)]
pub struct Image {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// How long the lock was waited for.
    pub waited: Duration,
    /// How long the lock was held.
    pub held: Duration,
}

/// Reads the whole file at `path` under a shared lock.
///
/// The memory is there, page by page, before the lock is taken: under it nothing happens but the
/// copying, since page faults on fresh memory would cost more than the read itself.
pub fn read_image(path: &Path, wait: &mut Wait<'_>) -> Result<Image, Error> {
    read(path, wait).map_err(|kind| Error { path: path.to_path_buf(), kind })
}

fn read(path: &Path, wait: &mut Wait<'_>) -> Result<Image, ErrorKind> {
    let file = open(path, OpenOptions::new().read(true))?;
    let mut bytes = prepared(&file)?;
    let waited = wait.until(|| file.try_lock_shared())?;
    let locked = Instant::now();
    let outcome = fill(&file, &mut bytes);
    drop(file);
    let held = locked.elapsed();
    outcome.map(|()| Image { bytes, waited, held })
}

/// What to do about a database that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Fail,
    /// Create it, empty, mode 0644.
    Create,
}

/// Opens the file at `path` for reading and writing, with its lock; closing it gives the lock back.
pub fn open_exclusive(path: &Path, missing: Missing, wait: &mut Wait<'_>) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE).create(missing == Missing::Create);
    let locked = open(path, &options).and_then(|file| {
        wait.until(|| file.try_lock())?;
        Ok(file)
    });
    locked.map_err(|kind| Error { path: path.to_path_buf(), kind })
}

/// The whole of a file whose lock the caller holds.
pub fn image_of(file: &File) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    fill(file, &mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file. Anything else is refused before it is opened, since opening a fifo waits for
/// its other end and opening a device may do anything, and once more afterwards.
fn open(path: &Path, options: &OpenOptions) -> Result<File, ErrorKind> {
    match fs::metadata(path) {
        Ok(metadata) => regular(&metadata)?,
        // Whoever may create it will; the others meet the same error again.
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

/// Memory for the file, each page of it written to once.
fn prepared(file: &File) -> Result<Vec<u8>, ErrorKind> {
    let length = length(file)?;
    let mut bytes = Vec::new();
    reserve(&mut bytes, length.saturating_add(SLACK))?;
    bytes.resize(length.saturating_add(SLACK), 0);
    Ok(bytes)
}

/// Makes `bytes` the contents of `file`, as long as it is now.
fn fill(file: &File, bytes: &mut Vec<u8>) -> Result<(), ErrorKind> {
    let length = length(file)?;
    reserve(bytes, length.saturating_sub(bytes.len()))?;
    bytes.resize(length, 0);
    file.read_exact_at(bytes, 0).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ErrorKind::Shrank,
        _ => ErrorKind::Io(error),
    })
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), ErrorKind> {
    bytes.try_reserve_exact(more).map_err(|_| ErrorKind::Io(io::ErrorKind::OutOfMemory.into()))
}

fn length(file: &File) -> Result<usize, ErrorKind> {
    let length = file.metadata().map_err(ErrorKind::Io)?.len();
    length.try_into().map_err(|_| ErrorKind::Io(io::ErrorKind::FileTooLarge.into()))
}
