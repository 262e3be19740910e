//! `trap` and `release` with the daemon, reported in the same way as on a file.
#![forbid(unsafe_code)]

use super::change;
use crate::control::client::Answer;
use crate::control::protocol::{ADDRESSES_MAX, Changed, Reply, Request};
use crate::escape::harmless;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::options::Action;
use crate::spamd::trap::Over;
use std::ffi::OsString;
use std::path::Path;

/// Has every address trapped or released, as many at a time as fit into a request. If one of them is not an
/// address, nothing is requested.
pub fn change(
    console: &mut Console<'_>,
    socket: &Path,
    action: Action,
    typed: &[OsString],
) -> Result<(), Failure> {
    let addresses: Vec<String> =
        change::parse(typed)?.iter().map(|address| address.to_string()).collect();
    let mut all_done = true;
    for addresses in addresses.chunks(ADDRESSES_MAX) {
        all_done &= change_some(console, socket, action, addresses)?;
    }
    if all_done { Ok(()) } else { Err(Failure::Told) }
}

fn change_some(
    console: &mut Console<'_>,
    socket: &Path,
    action: Action,
    addresses: &[String],
) -> Result<bool, Failure> {
    let mut answer = Answer::to(&request(action, addresses.to_vec()), socket)?;
    let (mut count, mut all_done) = (0, true);
    while let Some(reply) = answer.part()? {
        let Reply::Changed(Changed { address, outcome }) = reply else {
            return Err(answer.unexpected().into());
        };
        count += 1;
        all_done &= outcome.is_done();
        change::report(console, None, &harmless(&address).to_string(), outcome)?;
    }
    if count == addresses.len() { Ok(all_done) } else { Err(answer.unexpected().into()) }
}

fn request(action: Action, addresses: Vec<String>) -> Request {
    match action {
        Action::Trap(over) => Request::Trap { addresses, over_white: over == Over::White },
        Action::Release => Request::Release { addresses },
    }
}
