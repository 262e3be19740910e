//! Sets and removes a trap: the one record by which spamd(8) knows a trapped host.
//!
//! What is written is what `spamdb -t -a ADDRESS` writes (`dbupdate()` in usr.sbin/spamdb/spamdb.c):
//!
//! | found under the address | written |
//! |---|---|
//! | nothing | first = now, pass = 0, expire = now + for, bcount = 1, pcount = −1 |
//! | TRAPPED | expire = now + for; the rest stays, in the current layout |
//! | WHITE | nothing, unless forced: expire = now + for, pcount = −1, the rest stays |
//! | SPAMTRAP, or a value that spamd does not know | nothing, ever |
//!
//! Records under another spelling of the address count too, since people may type an address into spamdb(8)
//! in another form than spamd writes it. The trap is written under the spelling that spamd looks up.
//!
//! The last two rows are stricter than spamdb, which overwrites WHITE records without asking and deletes
//! values it does not know. The host's GREY tuples are left alone: spamd removes them itself.
//!
//! Callers hold the lock through the [`Engine`], so what is found here is current.
#![forbid(unsafe_code)]

use super::record::{PCOUNT_SPAMTRAP, PCOUNT_TRAPPED};
use super::{Address, Gdata};
use crate::db::{Engine, EngineError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long spamd(8) traps a host, in seconds (`TRAPEXP` in libexec/spamd/grey.h).
pub const TRAP_SECONDS: i64 = 24 * 60 * 60;

/// What a trap may overwrite; later variants include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// Another trap, which gets a new expiry time.
    Trap,
    /// A WHITE record too: the operator insists.
    White,
}

/// What became of an address that was to be trapped, released or adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The host is trapped now.
    Trapped,
    /// It was already trapped; the trap has a new expiry time.
    Renewed,
    /// It is trapped now, and was whitelisted.
    WasWhite,
    /// Its trap has ended.
    Released,
    /// The same, and it has the WHITE record again that the trap had replaced.
    WhiteAgain,
    /// The recipient is a spamtrap now.
    Adopted,
    /// It was one already.
    IsSpamtrap,
    /// Nothing was changed.
    Refused(Refusal),
}

impl Outcome {
    /// Whether the host is now in the state that was asked for.
    pub fn is_done(self) -> bool {
        !matches!(self, Outcome::Refused(_))
    }

    /// Whether this change has ended a trap.
    pub fn is_released(self) -> bool {
        matches!(self, Outcome::Released | Outcome::WhiteAgain)
    }

    /// Whether this change has set or renewed a trap.
    pub fn is_trapped(self) -> bool {
        matches!(self, Outcome::Trapped | Outcome::Renewed | Outcome::WasWhite)
    }
}

/// What was done, in the past tense.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Trapped => "trapped",
            Outcome::Renewed => "trapped again",
            Outcome::WasWhite => "trapped, no longer whitelisted",
            Outcome::Released => "released",
            Outcome::WhiteAgain => "released, whitelisted again",
            Outcome::Adopted => "made a spamtrap",
            Outcome::IsSpamtrap => "already a spamtrap",
            Outcome::Refused(refusal) => return refusal.fmt(f),
        })
    }
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The text is not an address.
    NotAnAddress,
    /// `allow` exempts it.
    Allowed,
    /// It is the machine's own address.
    Own,
    /// `trap limit` has been reached.
    Limit,
    /// The host is whitelisted.
    White,
    /// It is already trapped.
    Trapped,
    /// It is not trapped.
    NotTrapped,
    /// The record is a spamtrap whose address looks like that of a host.
    Spamtrap,
    /// The record has a value that spamd does not know.
    Foreign,
    /// The text is not the address of a recipient.
    NotARecipient,
    /// Everybody may write to this recipient.
    Reserved,
    /// A host that passed wrote to this recipient.
    Passed,
    /// `pass rcpt` matches this recipient.
    PassRcpt,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotAnAddress => "not an address",
            Refusal::Allowed => "in allow",
            Refusal::Own => "an address of this machine, not trapped (-f traps it)",
            Refusal::Limit => "trap limit reached",
            Refusal::White => "whitelisted, not trapped",
            Refusal::Trapped => "already trapped",
            Refusal::NotTrapped => "not trapped",
            Refusal::Spamtrap => "a spamtrap address",
            Refusal::Foreign => "has a value that spamd did not write",
            Refusal::NotARecipient => "not the address of a recipient",
            Refusal::Reserved => "must take mail from everybody, no spamtrap",
            Refusal::Passed => "a host that passed wrote to it, no spamtrap (-f makes it one)",
            Refusal::PassRcpt => "in pass rcpt, no spamtrap (-f makes it one)",
        })
    }
}

/// Traps the host at `address` for `seconds` from `now` (seconds since 1970).
pub fn trap(
    engine: &mut dyn Engine,
    address: &Address,
    now: i64,
    seconds: i64,
    over: Over,
) -> Result<Outcome, EngineError> {
    let expire = now.saturating_add(seconds);
    if over < Over::White && is_white_elsewhere(engine, address, over)? {
        return Ok(Outcome::Refused(Refusal::White));
    }
    // A scan has the address as spamd wrote it.
    let address = &if over == Over::Nothing { address.clone() } else { address.canonical() };
    let (outcome, before) = match find(engine, address)? {
        Found::Nothing => (Outcome::Trapped, Gdata { first: now, bcount: 1, ..Gdata::default() }),
        Found::Trap(_) if over < Over::Trap => return Ok(Outcome::Refused(Refusal::Trapped)),
        Found::Trap(data) => (Outcome::Renewed, data),
        Found::Other(Refusal::White, data) if over >= Over::White => (Outcome::WasWhite, data),
        Found::Other(refusal, _) => return Ok(Outcome::Refused(refusal)),
    };
    let data = Gdata { expire, pcount: PCOUNT_TRAPPED, ..before };
    engine.put(address.key(), &data.encode(engine.byte_order()))?;
    Ok(outcome)
}

/// Whether the host is whitelisted under another spelling of its address. Scans have seen all records and
/// do not need this.
fn is_white_elsewhere(
    engine: &mut dyn Engine,
    address: &Address,
    over: Over,
) -> Result<bool, EngineError> {
    if over == Over::Nothing {
        return Ok(false);
    }
    for other in address.spellings() {
        if matches!(find(engine, &other)?, Found::Other(Refusal::White, _)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the trap of the host at `address`, whatever its spelling.
pub fn release(engine: &mut dyn Engine, address: &Address) -> Result<Outcome, EngineError> {
    let mut outcome = Outcome::Refused(Refusal::NotTrapped);
    for address in address.spellings() {
        match find(engine, &address)? {
            Found::Trap(_) => {
                engine.delete(address.key())?;
                outcome = Outcome::Released;
            }
            Found::Other(refusal, _) if !outcome.is_done() => outcome = Outcome::Refused(refusal),
            Found::Other(..) | Found::Nothing => {}
        }
    }
    Ok(outcome)
}

/// The WHITE record of the host at `address`, which a trap over it would replace.
pub fn white(engine: &mut dyn Engine, address: &Address) -> Result<Option<Gdata>, EngineError> {
    Ok(match find(engine, &address.canonical())? {
        Found::Other(Refusal::White, data) => Some(data),
        _ => None,
    })
}

/// Removes the trap of the host at `address`, and puts the WHITE record back that this trap had replaced,
/// unless that has expired by `now`. A trap that was made otherwise has not the record's times.
pub fn give_back(
    engine: &mut dyn Engine,
    address: &Address,
    white: &Gdata,
    now: i64,
) -> Result<Outcome, EngineError> {
    let address = address.canonical();
    let is_over_it = match find(engine, &address)? {
        Found::Trap(trap) => (trap.first, trap.pass) == (white.first, white.pass),
        _ => false,
    };
    let outcome = release(engine, &address)?;
    if outcome != Outcome::Released || !is_over_it || white.expire <= now {
        return Ok(outcome);
    }
    engine.put(address.key(), &white.encode(engine.byte_order()))?;
    Ok(Outcome::WhiteAgain)
}

/// The record under an address.
enum Found {
    Nothing,
    Trap(Gdata),
    /// Not a trap, and why it must stay.
    Other(Refusal, Gdata),
}

fn find(engine: &mut dyn Engine, address: &Address) -> Result<Found, EngineError> {
    let Some(value) = engine.get(address.key())? else { return Ok(Found::Nothing) };
    Ok(match Gdata::decode(&value, engine.byte_order()) {
        Err(_) => Found::Other(Refusal::Foreign, Gdata::default()),
        Ok(data) => match data.pcount {
            PCOUNT_TRAPPED => Found::Trap(data),
            PCOUNT_SPAMTRAP => Found::Other(Refusal::Spamtrap, data),
            _ => Found::Other(Refusal::White, data),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ByteOrder;
    use std::collections::BTreeMap;

    const NOW: i64 = 1_795_420_010;

    /// A database in memory, of a big-endian machine.
    #[derive(Default)]
    struct Memory {
        records: BTreeMap<Vec<u8>, Vec<u8>>,
        writes: u32,
    }

    impl Engine for Memory {
        fn byte_order(&self) -> ByteOrder {
            ByteOrder::Big
        }
        fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
            Ok(self.records.get(key).cloned())
        }
        fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
            self.writes += 1;
            self.records.insert(key.to_vec(), value.to_vec());
            Ok(())
        }
        fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
            self.writes += 1;
            Ok(self.records.remove(key).is_some())
        }
        fn close(self: Box<Self>) -> Result<(), EngineError> {
            Ok(())
        }
    }

    impl Memory {
        fn with(value: &[u8]) -> Memory {
            let records = BTreeMap::from([(b"192.0.2.1".to_vec(), value.to_vec())]);
            Memory { records, writes: 0 }
        }

        fn data(&self) -> Gdata {
            let value = &self.records[&b"192.0.2.1"[..]];
            assert_eq!(value.len(), Gdata::SIZE);
            Gdata::decode(value, ByteOrder::Big).unwrap()
        }

        fn trap(&mut self, over: Over) -> Outcome {
            trap(self, &address(), NOW, TRAP_SECONDS, over).unwrap()
        }
    }

    fn address() -> Address {
        Address::parse(b"192.0.2.1").unwrap()
    }

    fn record(pcount: i32) -> Gdata {
        Gdata { first: 11, pass: 12, expire: 13, bcount: 14, pcount }
    }

    #[test]
    fn a_new_trap_is_spamdbs() {
        let mut memory = Memory::default();
        assert_eq!(memory.trap(Over::Trap), Outcome::Trapped);
        let expire = NOW + 86_400;
        assert_eq!(memory.data(), Gdata { first: NOW, pass: 0, expire, bcount: 1, pcount: -1 });
        assert_eq!(memory.records.len(), 1);
    }

    #[test]
    fn a_white_record_is_given_back_as_it_was() {
        let data = Gdata { expire: NOW + 9, ..record(3) };
        let with = |data: &Gdata| Memory::with(&data.encode(ByteOrder::Big));
        let back = |memory: &mut Memory, data: &Gdata, now| {
            give_back(memory, &address(), data, now).unwrap()
        };
        let mut memory = with(&data);
        assert_eq!(white(&mut memory, &address()).unwrap(), Some(data));
        assert_eq!(memory.trap(Over::White), Outcome::WasWhite);
        assert_eq!(white(&mut memory, &address()).unwrap(), None);
        assert_eq!(back(&mut memory, &data, NOW), Outcome::WhiteAgain);
        assert_eq!(memory.data(), data);
        // It is white by other means already.
        assert_eq!(back(&mut memory, &data, NOW), Outcome::Refused(Refusal::White));
        // It would have expired.
        memory.trap(Over::White);
        assert_eq!(back(&mut memory, &data, NOW + 9), Outcome::Released);
        assert!(memory.records.is_empty());
        // The trap is another one.
        memory.trap(Over::White);
        assert_eq!(back(&mut memory, &data, NOW), Outcome::Released);
        assert!(memory.records.is_empty());
    }

    #[test]
    fn an_old_trap_only_gets_a_new_end() {
        let mut memory = Memory::with(&record(-1).encode(ByteOrder::Big));
        assert_eq!(memory.trap(Over::Trap), Outcome::Renewed);
        assert_eq!(memory.data(), Gdata { expire: NOW + 86_400, ..record(-1) });
    }

    #[test]
    fn a_value_of_2013_comes_out_in_the_current_layout() {
        let old = [11, 12, 13, 14, -1].map(|number| ByteOrder::Big.i32_bytes(number)).concat();
        let mut memory = Memory::with(&old);
        assert_eq!(memory.trap(Over::Trap), Outcome::Renewed);
        assert_eq!(memory.data(), Gdata { expire: NOW + 86_400, ..record(-1) });
    }

    #[test]
    fn a_white_host_is_trapped_only_by_force() {
        for pcount in [0, 53, -3] {
            let mut memory = Memory::with(&record(pcount).encode(ByteOrder::Big));
            assert_eq!(memory.trap(Over::Trap), Outcome::Refused(Refusal::White));
            assert_eq!((memory.data(), memory.writes), (record(pcount), 0));
            assert_eq!(memory.trap(Over::White), Outcome::WasWhite);
            assert_eq!(memory.data(), Gdata { expire: NOW + 86_400, ..record(-1) });
        }
    }

    #[test]
    fn nothing_is_written_over_spam_traps_and_foreign_values() {
        let spamtrap = record(-2).encode(ByteOrder::Big);
        for (value, refusal) in [(&spamtrap[..], Refusal::Spamtrap), (b"?", Refusal::Foreign)] {
            let mut memory = Memory::with(value);
            for over in [Over::Nothing, Over::Trap, Over::White] {
                assert_eq!(memory.trap(over), Outcome::Refused(refusal));
            }
            assert_eq!(release(&mut memory, &address()).unwrap(), Outcome::Refused(refusal));
            assert_eq!(memory.writes, 0);
            assert_eq!(memory.records[&b"192.0.2.1"[..]], value);
        }
    }

    #[test]
    fn only_traps_are_released() {
        let mut memory = Memory::with(&record(-1).encode(ByteOrder::Big));
        assert_eq!(release(&mut memory, &address()).unwrap(), Outcome::Released);
        assert_eq!(
            release(&mut memory, &address()).unwrap(),
            Outcome::Refused(Refusal::NotTrapped)
        );
        assert_eq!(memory.records.len(), 0);
        let mut memory = Memory::with(&record(0).encode(ByteOrder::Big));
        let refused = Outcome::Refused(Refusal::White);
        assert_eq!(release(&mut memory, &address()).unwrap(), refused);
        assert_eq!((memory.records.len(), memory.writes), (1, 0));
    }

    /// An address was typed into spamdb(8) in another spelling.
    #[test]
    fn a_record_in_another_spelling_is_the_hosts_too() {
        let parse = |text: &str| Address::parse(text.as_bytes()).unwrap();
        let with = |text: &str, pcount| {
            let value = record(pcount).encode(ByteOrder::Big).to_vec();
            Memory { records: BTreeMap::from([(text.as_bytes().to_vec(), value)]), writes: 0 }
        };
        let mut memory = with("192.0.2.6", 1);
        let mapped = parse("::ffff:192.0.2.6");
        let trapped = trap(&mut memory, &mapped, NOW, TRAP_SECONDS, Over::Trap).unwrap();
        assert_eq!((trapped, memory.writes), (Outcome::Refused(Refusal::White), 0));
        let mut memory = with("2001:DB8::0:7", 1);
        let trapped =
            trap(&mut memory, &parse("2001:db8::7"), NOW, TRAP_SECONDS, Over::Trap).unwrap();
        assert_eq!((trapped, memory.writes), (Outcome::Refused(Refusal::White), 0));
        let mut memory = with("2001:DB8::7", -1);
        assert_eq!(release(&mut memory, &parse("2001:db8::7")).unwrap(), Outcome::Released);
        assert!(memory.records.is_empty());
        // The record is written under the spelling that spamd looks up.
        let trapped =
            trap(&mut memory, &parse("2001:DB8:0::7"), NOW, TRAP_SECONDS, Over::Trap).unwrap();
        assert_eq!(trapped, Outcome::Trapped);
        assert!(memory.records.contains_key(&b"2001:db8::7"[..]) && memory.records.len() == 1);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let mut memory = Memory::default();
        trap(&mut memory, &address(), i64::MAX, TRAP_SECONDS, Over::Trap).unwrap();
        assert_eq!(memory.data().expire, i64::MAX);
    }
}
