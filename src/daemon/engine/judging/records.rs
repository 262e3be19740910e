//! What can be read in the records alone: traps and spamtraps.
#![forbid(unsafe_code)]

use super::Found;
use crate::control::protocol::Trap;
use crate::db::snapshot::Trusted;
use crate::db::{ByteOrder, Damage};
use crate::spamd::{Entry, TrapRecord};

/// All hosts in a trap.
pub(super) fn traps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        let trapped = TrapRecord::decode(&record.key, &record.value, order);
        let Some(TrapRecord { address, first, expire }) = trapped else { continue };
        found.trapped.push(Trap { address, first, expire, verdict: None, secret: None });
    }
    Ok(found)
}

/// All spamtraps.
pub(super) fn spamtraps(records: &mut Trusted<'_, '_>, order: ByteOrder) -> Result<Found, Damage> {
    let mut found = Found::default();
    for record in records {
        let record = record?;
        if let Ok((Entry::Spamtrap(key), _)) = Entry::decode(&record.key, &record.value, order) {
            found.spamtraps.insert(key.to_vec());
        }
    }
    Ok(found)
}
