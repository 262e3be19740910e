//! `simulate`: one scan of a file at a chosen time, a line for each host that would be trapped.
#![forbid(unsafe_code)]

use super::input;
use crate::control::console::{Console, Failure};
use crate::control::options::Simulate;

/// Judges the hosts of `simulate.file` and prints the verdicts; nothing is written.
pub fn run(console: &mut Console<'_>, simulate: &Simulate) -> Result<(), Failure> {
    let image = input::read(console, &simulate.file)?;
    let _snapshot = input::snapshot(&simulate.file, &image)?;
    let _now = simulate.clock.now();
    Err(Failure::Because("simulate: no judge in this build".to_string()))
}
