//! A safe interface to dbopen(3). In: paths and byte slices. Out: owned bytes and `io::Error`s.
//!
//! This is the only file of the database code with `unsafe`; its callers are [`super::Writer`] and
//! [`super::walk`]. build.rs generates the declarations from <db.h>. The library trusts the file: it
//! follows any numbers it finds, even out of bounds. So the caller must have checked the whole structure
//! under the lock, and must keep the lock ([`super`] explains how); this file relies on that and cannot
//! verify it.

use crate::db::Format;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;

/// The declarations of <db.h>, with the few constants of <fcntl.h> and <errno.h> that are needed.
#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)]
mod sys {
    include!(concat!(env!("OUT_DIR"), "/db.rs"));
}

/// `EFTYPE` of errno(2): the file has another type.
pub const EFTYPE: i32 = sys::EFTYPE.cast_signed();

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `O_RDONLY`.
    Read,
    /// `O_RDWR`.
    Write,
}

/// Where `seq` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `R_FIRST`.
    First,
    /// `R_NEXT`.
    Next,
}

/// A `DB *`, open until it is closed or dropped.
///
/// Not `Send`: it is not documented that different threads may call the library.
#[derive(Debug)]
pub struct Handle {
    /// Invariant: it came from dbopen() and has not been passed to its `close`.
    db: NonNull<sys::DB>,
}

/// What `del`, `get`, `put` and `seq` return, besides errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// `RET_SUCCESS`.
    Done,
    /// `RET_SPECIAL`: there is no such key, or no further record.
    Special,
}

impl Handle {
    /// Opens the existing file at `path`, without a lock; an empty file that becomes a hash gets pages of
    /// `page_size` bytes.
    ///
    /// # Errors
    ///
    /// Those of dbopen(3): [`EFTYPE`] if the file does not have this format, or an error of open(2).
    pub fn open(path: &CStr, format: Format, page_size: u32, access: Access) -> io::Result<Handle> {
        // Zeros select the defaults, as in spamd; `bsize` matters only for an empty file.
        let info = sys::HASHINFO {
            bsize: page_size,
            ffactor: 0,
            nelem: 0,
            cachesize: 0,
            hash: None,
            lorder: 0,
        };
        let (kind, info): (_, *const c_void) = match format {
            Format::Hash => (sys::DB_HASH, (&raw const info).cast()),
            Format::Btree => (sys::DB_BTREE, ptr::null()),
        };
        let flags = match access {
            Access::Read => sys::O_RDONLY,
            Access::Write => sys::O_RDWR,
        };
        // SAFETY: `path` ends in a NUL; `info` is null or points to the structure that this `kind`
        // reads, which lives until the end of this function: the library copies what it wants to keep.
        let db = unsafe { sys::dbopen(path.as_ptr(), flags.cast_signed(), 0, kind, info) };
        let db = NonNull::new(db).ok_or_else(io::Error::last_os_error)?;
        Ok(Handle { db })
    }

    /// The descriptor of the open file.
    pub fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        // SAFETY: the invariant of `db`; `fd` only reads.
        let number = unsafe { (self.methods().fd.ok_or(NO_METHOD)?)(self.db.as_ptr()) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the library keeps this descriptor open until it gets `db` back, which takes or drops
        // `self`, and the result borrows `self`.
        Ok(unsafe { BorrowedFd::borrow_raw(number) })
    }

    /// A copy of the value of `key`.
    pub fn get(&mut self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let key = dbt(key);
        let mut value = sys::DBT { data: ptr::null_mut(), size: 0 };
        let get = self.methods().get.ok_or(NO_METHOD)?;
        // SAFETY: the invariant of `db`; both DBTs live throughout the call, and the library only reads
        // the bytes of the key.
        let code = unsafe { get(self.db.as_ptr(), &raw const key, &raw mut value, 0) };
        if outcome(code)? == Outcome::Special {
            return Ok(None);
        }
        // SAFETY: after success `value` names bytes in the library's buffers, which no call has changed
        // since: `self` is borrowed mutably, and they are copied before that ends.
        Ok(Some(unsafe { copied(&value) }))
    }

    /// Copies of the first record, or of the one after the last one returned; `None` at the end.
    pub fn seq(&mut self, step: Step) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let mut key = sys::DBT { data: ptr::null_mut(), size: 0 };
        let mut value = sys::DBT { data: ptr::null_mut(), size: 0 };
        let flag = match step {
            Step::First => sys::R_FIRST,
            Step::Next => sys::R_NEXT,
        };
        let seq = self.methods().seq.ok_or(NO_METHOD)?;
        // SAFETY: the invariant of `db`; both DBTs live throughout the call, and with these flags the
        // library does not read what they hold.
        let code = unsafe { seq(self.db.as_ptr(), &raw mut key, &raw mut value, flag) };
        if outcome(code)? == Outcome::Special {
            return Ok(None);
        }
        // SAFETY: after success both name bytes in the library's buffers, which no call has changed
        // since: `self` is borrowed mutably, and they are copied before that ends.
        Ok(Some(unsafe { (copied(&key), copied(&value)) }))
    }

    /// Enters `key` with `value`, replacing any value it has.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let (mut key, value) = (dbt(key), dbt(value));
        let put = self.methods().put.ok_or(NO_METHOD)?;
        // SAFETY: the invariant of `db`; both DBTs live throughout the call. Without flags the library
        // changes neither them nor the bytes they name, and copies those that it keeps.
        let code = unsafe { put(self.db.as_ptr(), &raw mut key, &raw const value, 0) };
        outcome(code).map(drop)
    }

    /// Removes `key`; false if it was not there.
    pub fn delete(&mut self, key: &[u8]) -> io::Result<bool> {
        let key = dbt(key);
        let del = self.methods().del.ok_or(NO_METHOD)?;
        // SAFETY: the invariant of `db`; the DBT lives throughout the call, and the library only reads
        // the bytes of the key.
        let code = unsafe { del(self.db.as_ptr(), &raw const key, 0) };
        Ok(outcome(code)? == Outcome::Done)
    }

    /// Writes everything that is still in memory.
    pub fn sync(&mut self) -> io::Result<()> {
        let sync = self.methods().sync.ok_or(NO_METHOD)?;
        // SAFETY: the invariant of `db`.
        outcome(unsafe { sync(self.db.as_ptr(), 0) }).map(drop)
    }

    /// Writes everything that is still in memory and closes the file, even if writing fails.
    pub fn close(self) -> io::Result<()> {
        let handle = ManuallyDrop::new(self);
        // SAFETY: the invariant of `db`; `handle` was moved here and is not dropped.
        unsafe { release(handle.db) }
    }

    /// Leaves the file open, and as it is, until the process exits: closing might write.
    pub fn abandon(self) {
        mem::forget(self);
    }

    /// The library's functions for this file.
    fn methods(&self) -> sys::DB {
        // SAFETY: by the invariant of `db` it points to a DB that the library has filled in. A copy is
        // made, since the library may change it during any call.
        unsafe { *self.db.as_ptr() }
    }
}

impl Drop for Handle {
    /// Closes without reporting errors; [`Handle::close`] reports them.
    fn drop(&mut self) {
        // SAFETY: the invariant of `db`; nobody sees `self` after this.
        let _unreported = unsafe { release(self.db) };
    }
}

/// Returns a `DB *` to the library.
///
/// # Safety
///
/// `db` came from dbopen(), has not been released, and is not used again.
unsafe fn release(db: NonNull<sys::DB>) -> io::Result<()> {
    // SAFETY: the contract of this function.
    let close = unsafe { db.as_ref() }.close.ok_or(NO_METHOD)?;
    // SAFETY: the contract of this function.
    outcome(unsafe { close(db.as_ptr()) }).map(drop)
}

/// The error for a `DB` without one of its functions; dbopen(3) sets all of them.
const NO_METHOD: io::ErrorKind = io::ErrorKind::Unsupported;

/// `bytes` in the form that the library needs. The pointer is valid for reading as long as the slice is.
fn dbt(bytes: &[u8]) -> sys::DBT {
    sys::DBT { data: bytes.as_ptr().cast_mut().cast(), size: bytes.len() }
}

/// Copies the bytes of a `DBT`.
///
/// # Safety
///
/// `size` bytes can be read at its address, unless the size is zero or the address is null.
unsafe fn copied(dbt: &sys::DBT) -> Vec<u8> {
    if dbt.size == 0 || dbt.data.is_null() {
        // An empty one may have no address.
        return Vec::new();
    }
    // SAFETY: the contract of this function.
    unsafe { slice::from_raw_parts(dbt.data.cast::<u8>(), dbt.size) }.to_vec()
}

/// The return value of one of the library's functions: -1 with errno(2) set, 0, or 1.
fn outcome(code: c_int) -> io::Result<Outcome> {
    match code {
        0 => Ok(Outcome::Done),
        1.. => Ok(Outcome::Special),
        _ => Err(io::Error::last_os_error()),
    }
}
