//! `trap` and `release` on a file: the same writes that the daemon makes.
#![forbid(unsafe_code)]

use crate::control::console::{Console, Failure};
use crate::control::options::Change;
use crate::spamd::Address;
use std::os::unix::ffi::OsStrExt;

/// Traps or releases every address of `change`; nothing is written if one of them is no address.
pub fn run(_: &mut Console<'_>, change: &Change) -> Result<(), Failure> {
    let _addresses = change
        .addresses
        .iter()
        .map(|typed| Address::parse(typed.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|invalid| Failure::Because(invalid.to_string()))?;
    Err(Failure::Because("no writer in this build".to_string()))
}
