//! What the records say about one host, for `explain`: its state, its trap, and the times of its tuples.
//!
//! In: the records of an image, and the verdict on the host. Out: both as [`Explained`]. A host without live
//! tuples has not been judged; its verdict is made here too.
#![forbid(unsafe_code)]

use super::judging::Work;
use crate::control::protocol::{Explained, Span, Standing};
use crate::db::snapshot::{Snapshot, Trusted};
use crate::db::{ByteOrder, Damage};
use crate::scan::{Evidence, State, Verdict, What, Why};
use crate::spamd::{Address, Entry};
use std::net::IpAddr;

/// Everything about one host. If it is still in a trap that this daemon has set, the verdict is that of the
/// trap.
pub fn explained(
    snapshot: &Snapshot<'_>,
    address: IpAddr,
    verdict: Option<Verdict>,
    work: &Work,
) -> Result<Option<Explained>, Damage> {
    let order = snapshot.byte_order();
    let standing = |verdict: Option<&Verdict>| {
        let keys = verdict.map_or(&[][..], |verdict| verdict.evidence.keys());
        snapshot.read(|records| standing(records, order, address, keys))
    };
    if let Some(trapped) = &work.trapped {
        let standing = standing(Some(&trapped.verdict))?;
        if standing.state == State::Trapped {
            let mut explained = Explained { standing, ..trapped.clone() };
            let answers = &mut explained.verdict.evidence.answers;
            if let Some(verdict) = verdict.filter(|_| answers.is_empty()) {
                // The host was trapped without these answers; they are asked for only to be shown.
                *answers = verdict.evidence.answers;
            }
            return Ok(Some(explained));
        }
    }
    let standing = standing(verdict.as_ref())?;
    let verdict = verdict.or_else(|| without_tuples(address, standing.state));
    Ok(verdict.map(|verdict| Explained { judged: work.now, verdict, standing }))
}

/// The records of this host, and the times of the tuples with these keys.
fn standing(
    records: &mut Trusted<'_, '_>,
    order: ByteOrder,
    address: IpAddr,
    keys: &[Vec<u8>],
) -> Result<Standing, Damage> {
    let mut standing = Standing { times: vec![None; keys.len()], ..Standing::default() };
    for record in records {
        let record = record?;
        if !is_of(&record.key, address) {
            continue;
        }
        let Ok((entry, data)) = Entry::decode(&record.key, &record.value, order) else { continue };
        let span = Span { first: data.first, expire: data.expire };
        match entry {
            Entry::Grey(_) => {
                let place = keys.iter().position(|key| **key == *record.key);
                if let Some(time) = place.and_then(|place| standing.times.get_mut(place)) {
                    *time = Some(span);
                }
            }
            Entry::White(_) => standing.state = State::White,
            Entry::Trapped(_) => {
                standing.trap = Some(span);
                if standing.state != State::White {
                    standing.state = State::Trapped;
                }
            }
            Entry::Spamtrap(_) => {}
        }
    }
    Ok(standing)
}

/// Whether a record is about this host.
pub fn is_of(key: &[u8], address: IpAddr) -> bool {
    let host = key.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Address::parse(host).is_ok_and(|host| host.ip() == address)
}

/// The verdict on a host without live tuples; `None` if it has no record that could spare it.
fn without_tuples(address: IpAddr, state: State) -> Option<Verdict> {
    let why = match state {
        State::Trapped => Why::Trapped,
        State::White => Why::Whitelisted,
        State::Waiting => return None,
    };
    let (what, reason) = (What::Pass(why), why.text().into());
    let evidence = Evidence::default();
    Some(Verdict { address: address.into(), what, rule: None, reason, evidence })
}
