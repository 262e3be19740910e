//! The hosts in the trap: of a database, or of the daemon with who or what has trapped them.
//!
//! What the daemon no longer has a reason for in its last traps is asked of its memory, if that makes a
//! difference.
#![forbid(unsafe_code)]

use crate::control::client::Answer;
use crate::control::protocol::{Reply, Request, Secret};
use crate::export::{Cause, Listed};
use crate::greytrapctl::commands::{history, input};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::options::{Export, Whose};
use crate::memory::{Deed, Query, Record};
use crate::plural::counted;
use crate::scan::{Rule, Verdict};
use crate::spamd::TrapRecord;
use std::path::Path;

/// The traps in a database.
pub fn from_file(console: &mut Console<'_>, file: &Path) -> Result<Vec<Listed>, Failure> {
    let image = input::read(console, file)?;
    let snapshot = input::snapshot(file, &image)?;
    let order = snapshot.byte_order();
    let read = snapshot.read(|records| {
        let mut traps = Vec::new();
        for record in records {
            let record = record?;
            let trapped = TrapRecord::decode(&record.key, &record.value, order);
            let Some(TrapRecord { address, first, expire }) = trapped else { continue };
            let cause = Cause::Unknown;
            traps.push(Listed { address, since: first, until: expire, cause });
        }
        Ok(traps)
    });
    read.map_err(|damage| input::error(file, damage))
}

/// The traps in the daemon's database, without those of which others are not told.
pub fn from_daemon(
    console: &mut Console<'_>,
    socket: &Path,
    export: &Export,
) -> Result<Vec<Listed>, Failure> {
    let (mut traps, mut secrets) = (Vec::new(), Vec::new());
    let mut answer = Answer::to(&Request::ShowTraps, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Trap(trap) = reply else { return Err(answer.unexpected().into()) };
        match trap.secret {
            Some(secret) => secrets.push(secret),
            None => {
                let (address, since, until) = (trap.address, trap.first, trap.expire);
                traps.push(Listed { address, since, until, cause: cause(trap.verdict.as_ref()) });
            }
        }
    }
    if console.verbose {
        tell(console, &secrets);
    }
    traps.sort_unstable_by_key(|trap| trap.address);
    let is_ours = export.whose == Whose::Ours;
    let needs_causes = is_ours || !export.rules.is_empty() || export.form.has_causes();
    if needs_causes && let Err(Failure::Because(why)) = recall(socket, &mut traps) {
        console.tell(format_args!("not all reasons are known: {why}"));
    }
    if is_ours {
        traps.retain(|trap| trap.cause != Cause::Unknown);
    }
    Ok(traps)
}

/// Says of how many hosts others are not told, and why.
fn tell(console: &mut Console<'_>, secrets: &[Secret]) {
    for (secret, why) in [
        (Secret::Held, "released"),
        (Secret::Allowed, "in allow"),
        (Secret::Vouched, "for which a sender's domain vouched"),
    ] {
        let count = secrets.iter().filter(|other| **other == secret).count();
        if count > 0 {
            let hosts = counted(count as u64, "host");
            console.tell(format_args!("{hosts} left out, {why}"));
        }
    }
}

fn cause(verdict: Option<&Verdict>) -> Cause {
    match verdict {
        Some(verdict) => verdict.rule.map_or(Cause::Hand, Cause::Rule),
        None => Cause::Unknown,
    }
}

/// Finds causes in the daemon's memory; the traps are in order of their addresses.
fn recall(socket: &Path, traps: &mut [Listed]) -> Result<(), Failure> {
    let unknown = traps.iter().filter(|trap| trap.cause == Cause::Unknown);
    let Some(since) = unknown.map(|trap| trap.since).min() else { return Ok(()) };
    let deeds = vec![Deed::Trapped, Deed::TrappedByHand];
    history::ask(socket, Query { since, deeds, is_brief: true, ..Query::default() }, |record| {
        note(traps, &record);
        Ok(())
    })
}

/// Notes the cause of a trap in its host, unless the trap is not the one that stands.
fn note(traps: &mut [Listed], record: &Record) {
    let Some(address) = record.address else { return };
    let Ok(place) = traps.binary_search_by_key(&address, |trap| trap.address) else { return };
    let Some(trap) = traps.get_mut(place) else { return };
    trap.cause = match (record.deed, record.rule.as_deref().and_then(Rule::named)) {
        (Deed::TrappedByHand, _) => Cause::Hand,
        (Deed::Trapped, Some(rule)) => Cause::Rule(rule),
        _ => trap.cause,
    };
}
