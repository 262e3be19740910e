//! What values may be: the ranges and forms that greytrapper.conf(5) states.
//!
//! Called by `check` with values as written. A value out of bounds is refused with the bounds named.

use super::diagnostic::{Fault, Spanned};
use super::problem::Problem;
use super::value::{duration_text, is_interface, is_sync_host, size_text};
use std::path::PathBuf;
use std::time::Duration;

/// The bounds of a number, or of a duration in seconds, and what has these bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    what: &'static str,
    least: u64,
    most: u64,
}

/// The longest path of a socket: sun_path of OpenBSD's <sys/un.h> holds 104 bytes with its NUL.
const SOCKET_BYTES: usize = 103;

pub(super) const fn range(what: &'static str, least: u64, most: u64) -> Range {
    Range { what, least, most }
}

impl Range {
    /// A number within the range.
    pub(super) fn number<T: TryFrom<u64>>(&self, written: Spanned<u64>) -> Result<T, Fault> {
        self.admit(written.value)
            .and_then(|n| T::try_from(n).ok())
            .ok_or_else(|| self.fault(written, |n| n.to_string()))
    }

    /// A duration within the range.
    pub(super) fn duration(&self, written: Spanned<Duration>) -> Result<Duration, Fault> {
        self.admit(written.value.as_secs())
            .map(Duration::from_secs)
            .ok_or_else(|| self.fault(written, |n| duration_text(Duration::from_secs(n))))
    }

    /// A size in bytes within the range.
    pub(super) fn size(&self, written: Spanned<u64>) -> Result<u64, Fault> {
        self.admit(written.value).ok_or_else(|| self.fault(written, size_text))
    }

    fn admit(&self, value: u64) -> Option<u64> {
        (self.least..=self.most).contains(&value).then_some(value)
    }

    fn fault<T>(&self, written: Spanned<T>, text: fn(u64) -> String) -> Fault {
        let (least, most) = (text(self.least), text(self.most));
        Fault::new(written.at, Problem::OutOfRange { what: self.what, least, most })
    }
}

/// A ratio of parts to the whole.
pub(super) fn ratio(written: Spanned<f64>) -> Result<f64, Fault> {
    if (0.0..=1.0).contains(&written.value) {
        return Ok(written.value);
    }
    let (what, least, most) = ("max sender ratio", "0".into(), "1".into());
    Err(Fault::new(written.at, Problem::OutOfRange { what, least, most }))
}

/// A share of the traps of a rule.
pub(super) fn percentage(written: Spanned<f64>) -> Result<f64, Fault> {
    if (0.0..=100.0).contains(&written.value) {
        return Ok(written.value);
    }
    let (what, least, most) = ("suspend rule at", "0%".into(), "100%".into());
    Err(Fault::new(written.at, Problem::OutOfRange { what, least, most }))
}

/// A path that means the same in whatever directory it is used.
pub(super) fn absolute(what: &'static str, written: Spanned<String>) -> Result<PathBuf, Fault> {
    if written.value.starts_with('/') {
        return Ok(written.value.into());
    }
    Err(Fault::new(written.at, Problem::NotAbsolute { what, path: written.value }))
}

/// A path to which a socket can be bound.
pub(super) fn socket(written: Spanned<String>) -> Result<PathBuf, Fault> {
    if written.value.len() > SOCKET_BYTES {
        return Err(Fault::new(written.at, Problem::SocketTooLong { limit: SOCKET_BYTES }));
    }
    absolute("socket", written)
}

/// A host that spamd's sync can reach.
pub(super) fn sync_host(written: Spanned<String>) -> Result<String, Fault> {
    if is_sync_host(&written.value) {
        return Ok(written.value);
    }
    Err(Fault::new(written.at, Problem::NoHostName(written.value)))
}

/// The name of an interface, which need not exist yet.
pub(super) fn interface(written: Spanned<String>) -> Result<String, Fault> {
    if is_interface(&written.value) {
        return Ok(written.value);
    }
    Err(Fault::new(written.at, Problem::NoInterface(written.value)))
}
