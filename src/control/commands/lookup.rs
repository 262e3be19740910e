//! `lookup`: what the resolver thinks of sender domains, a line each in the order of the answers.
#![forbid(unsafe_code)]

use crate::control::console::{Console, Failure};
use crate::control::options::Lookup;

/// Asks DNS about `lookup.domains`, or about the lines of standard input.
pub fn run(_: &mut Console<'_>, _: &Lookup) -> Result<(), Failure> {
    Err(Failure::Because("lookup: no resolver in this build".to_string()))
}
