//! `trap` and `release` with the daemon, reported in the same way as on a file.
//!
//! A network stands for the hosts in it that wait; `release -a` and `-r` for the hosts that the daemon has
//! trapped, as far as it remembers: both are asked for first.
#![forbid(unsafe_code)]

use super::change;
use super::history::{self, since};
use crate::control::client::Answer;
use crate::control::protocol::{ADDRESSES_MAX, Changed, Reply, Request};
use crate::escape::harmless;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::options::{Action, Order, Ours};
use crate::memory::{Deed, Query};
use crate::spamd::Address;
use crate::spamd::trap::{Outcome, Over, Refusal};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// What is not worth a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// Everything is told.
    No,
    /// A host that is in no trap any more.
    AboutTheFree,
}

/// Has every host trapped or released, as many at a time as fit into a request. If one of them is not an
/// address, nothing is requested.
pub fn change(console: &mut Console<'_>, socket: &Path, order: &Order) -> Result<(), Failure> {
    let Order { action, hosts, time, because } = order;
    let addresses = match action {
        Action::Trap(_) => with_networks(socket, hosts)?,
        Action::Release => change::parse(hosts)?.iter().map(Address::to_string).collect(),
    };
    let because = because.as_ref().map(|text| text.to_string_lossy().into_owned());
    let request = |addresses| match action {
        Action::Trap(over) => {
            let (over_white, because) = (*over == Over::White, because.clone());
            Request::Trap { addresses, over_white, time: *time, because }
        }
        Action::Release => Request::Release { addresses, time: *time },
    };
    order_all(console, socket, addresses.chunks(ADDRESSES_MAX), request)
}

/// `release -a` and `release -r`: ends the traps that the daemon has set and that still stand.
pub fn release_ours(console: &mut Console<'_>, socket: &Path, ours: &Ours) -> Result<(), Failure> {
    let rule = ours.rule.as_deref().map(history::rule_name).transpose()?;
    let query = Query { since: since(ours.since), ..Query::default() };
    // The last word on each host: by whom it was trapped.
    let mut standing: BTreeMap<IpAddr, bool> = BTreeMap::new();
    let now = since(Some(Duration::ZERO));
    history::ask(socket, query, |record| {
        if let (Some(address), Some(_)) = (record.address, record.deed.is_trap()) {
            let is_rules = rule.is_none() || record.rule == rule;
            let is_live = record.until.is_none_or(|until| until > now);
            let is_ours = record.deed == Deed::Trapped && is_rules && is_live;
            standing.insert(address, is_ours);
        }
        Ok(())
    })?;
    let ours_standing = standing.into_iter().filter(|(_, is_ours)| *is_ours);
    let addresses: Vec<_> = ours_standing.map(|(address, _)| address.to_string()).collect();
    let request = |addresses| Request::Release { addresses, time: ours.time };
    order_parts(console, socket, addresses.chunks(ADDRESSES_MAX), request, Silence::AboutTheFree)
}

/// The addresses as typed, and for each network the hosts in it that wait.
fn with_networks(socket: &Path, typed: &[OsString]) -> Result<Vec<String>, Failure> {
    let (networks, hosts): (Vec<_>, Vec<_>) =
        typed.iter().cloned().partition(|typed| typed.as_bytes().contains(&b'/'));
    let mut addresses: Vec<_> = change::parse(&hosts)?.iter().map(Address::to_string).collect();
    if networks.is_empty() {
        return Ok(addresses);
    }
    let ranges = history::ranges(&networks)?;
    let mut answer = Answer::to(&Request::ShowHosts, socket)?;
    while let Some(reply) = answer.part()? {
        let Reply::Host(host) = reply else { return Err(answer.unexpected().into()) };
        let ip = host.address.ip();
        let is_in = |(first, last): &(IpAddr, IpAddr)| {
            ip.is_ipv4() == first.is_ipv4() && (*first..=*last).contains(&ip)
        };
        if ranges.iter().any(is_in) {
            addresses.push(host.address.to_string());
        }
    }
    Ok(addresses)
}

/// Has all addresses changed, some with each request.
pub(super) fn order_all<'a>(
    console: &mut Console<'_>,
    socket: &Path,
    parts: impl Iterator<Item = &'a [String]>,
    request: impl Fn(Vec<String>) -> Request,
) -> Result<(), Failure> {
    order_parts(console, socket, parts, request, Silence::No)
}

fn order_parts<'a>(
    console: &mut Console<'_>,
    socket: &Path,
    parts: impl Iterator<Item = &'a [String]>,
    request: impl Fn(Vec<String>) -> Request,
    silence: Silence,
) -> Result<(), Failure> {
    let mut all_done = true;
    for addresses in parts {
        let (request, count) = (request(addresses.to_vec()), addresses.len());
        all_done &= order_some(console, socket, &request, (count, silence))?;
    }
    if all_done { Ok(()) } else { Err(Failure::Told) }
}

fn order_some(
    console: &mut Console<'_>,
    socket: &Path,
    request: &Request,
    (wanted, silence): (usize, Silence),
) -> Result<bool, Failure> {
    let mut answer = Answer::to(request, socket)?;
    let (mut count, mut all_done) = (0, true);
    while let Some(reply) = answer.part()? {
        let Reply::Changed(Changed { address, outcome }) = reply else {
            return Err(answer.unexpected().into());
        };
        count += 1;
        let is_free = outcome == Outcome::Refused(Refusal::NotTrapped);
        if is_free && silence == Silence::AboutTheFree {
            continue;
        }
        all_done &= outcome.is_done();
        change::report(console, None, &harmless(&address).to_string(), outcome)?;
    }
    if count == wanted { Ok(all_done) } else { Err(answer.unexpected().into()) }
}
