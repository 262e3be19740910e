//! The beginning and the end of a trap: the one record that spamd(8) knows a trapped host by.
//!
//! What is written is what `spamdb -t -a ADDRESS` writes (`dbupdate()` in usr.sbin/spamdb/spamdb.c):
//!
//! | found under the address | written |
//! |---|---|
//! | nothing | first = now, pass = 0, expire = now + for, bcount = 1, pcount = −1 |
//! | TRAPPED | expire = now + for; the rest stays, in the current layout |
//! | WHITE | nothing, unless told so: expire = now + for, pcount = −1, the rest stays |
//! | SPAMTRAP, or a value that spamd does not know | nothing, ever |
//!
//! The last two rows are stricter than spamdb, which asks nobody and deletes what it does not know. The
//! host's GREY tuples are left alone: spamd drops them itself.
//!
//! Callers hold the lock through the [`Engine`], so what is found here is what is true now.
#![forbid(unsafe_code)]

use super::record::{PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};
use super::{Address, Gdata};
use crate::db::{Engine, EngineError};

/// How long spamd(8) traps a host, in seconds (`TRAPEXP` in libexec/spamd/grey.h).
pub const TRAP_SECONDS: i64 = 24 * 60 * 60;

/// What a trap may be written over, besides another trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// A WHITE record: somebody insists.
    White,
}

/// What [`trap`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trapped {
    /// The host is trapped now.
    New,
    /// It was trapped before; that trap ends later now, or earlier.
    Renewed,
    /// It was whitelisted.
    WasWhite,
    /// Nothing was written because of what the address holds.
    Refused(Holds),
}

/// What [`release`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The trap has ended.
    Removed,
    /// There was no record of that address.
    NotThere,
    /// There was one, but no trap: it stays.
    Refused(Holds),
}

/// What the record of an address is, if not a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The host may pass.
    White,
    /// An address of a spam trap that looks like one of a host.
    Spamtrap,
    /// A value that is none of spamd's.
    Foreign,
}

/// Traps the host at `address` for `seconds` from `now` (seconds since 1970) on.
pub fn trap(
    engine: &mut dyn Engine,
    address: &Address,
    now: i64,
    seconds: i64,
    over: Over,
) -> Result<Trapped, EngineError> {
    let expire = now.saturating_add(seconds);
    let (trapped, before) = match find(engine, address)? {
        Found::Nothing => (Trapped::New, Gdata { first: now, bcount: 1, ..Gdata::default() }),
        Found::Trap(data) => (Trapped::Renewed, data),
        Found::Other(Holds::White, data) if over == Over::White => (Trapped::WasWhite, data),
        Found::Other(holds, _) => return Ok(Trapped::Refused(holds)),
    };
    let data = Gdata { expire, pcount: PCOUNT_TRAPPED, ..before };
    engine.put(address.key(), &data.encode(engine.byte_order()))?;
    Ok(trapped)
}

/// Ends the trap of the host at `address`.
pub fn release(engine: &mut dyn Engine, address: &Address) -> Result<Released, EngineError> {
    match find(engine, address)? {
        Found::Nothing => Ok(Released::NotThere),
        Found::Other(holds, _) => Ok(Released::Refused(holds)),
        Found::Trap(_) => {
            engine.delete(address.key())?;
            Ok(Released::Removed)
        }
    }
}

enum Found {
    Nothing,
    Trap(Gdata),
    Other(Holds, Gdata),
}

fn find(engine: &mut dyn Engine, address: &Address) -> Result<Found, EngineError> {
    let Some(value) = engine.get(address.key())? else { return Ok(Found::Nothing) };
    Ok(match Gdata::decode(&value, engine.byte_order()) {
        Err(_) => Found::Other(Holds::Foreign, Gdata::default()),
        Ok(data) => match data.pcount {
            PCOUNT_TRAPPED => Found::Trap(data),
            PCOUNT_SPAMTRAP => Found::Other(Holds::Spamtrap, data),
            _ => Found::Other(Holds::White, data),
        },
    })
}
