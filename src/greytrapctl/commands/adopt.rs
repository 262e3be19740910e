//! `adopt`: makes recipients spamtraps, with the daemon or in a file; reported as `trap` does.
//!
//! On a file nothing is known of hosts that passed.
#![forbid(unsafe_code)]

use super::{ask, change};
use crate::control::protocol::{RECIPIENTS_MAX, Request};
use crate::db::Engine;
use crate::db::database::Database;
use crate::db::lock::{Creation, Wait};
use crate::escape::{escaped, escaped_path};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Adopt, Clock};
use crate::spamd::spamtrap::{self, Spamtrap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Has every recipient adopted by the daemon at `socket`. If one of them cannot be a spamtrap, nothing is
/// requested.
pub fn run(console: &mut Console<'_>, socket: &Path, adopt: &Adopt) -> Result<(), Failure> {
    let recipients = parse(&adopt.recipients)?;
    let recipients: Vec<_> = recipients.iter().map(Spamtrap::to_string).collect();
    let is_forced = adopt.is_forced;
    let request = |recipients| Request::Adopt { recipients, is_forced };
    ask::order_all(console, socket, recipients.chunks(RECIPIENTS_MAX), request)
}

/// Makes every recipient a spamtrap in a file; nothing is written unless all of them can be.
pub fn on_file(
    console: &mut Console<'_>,
    file: &Path,
    clock: Clock,
    adopt: &Adopt,
) -> Result<(), Failure> {
    let recipients = parse(&adopt.recipients)?;
    change::make_missing(file)?;
    Task::Write { database: file }.lock_in()?;
    let now = clock.now();
    let mut notice = || console.tell(format_args!("{}: waiting for the lock", escaped_path(file)));
    let mut work =
        |engine: &mut dyn Engine, recipient: &Spamtrap| spamtrap::adopt(engine, recipient, now);
    let mut database = Database::new(file, Creation::Never);
    let changes = database.in_batches(&recipients, &mut Wait::usual(&mut notice), &mut work);
    change::tell(console, file, &recipients, changes)
}

fn parse(typed: &[OsString]) -> Result<Vec<Spamtrap>, Failure> {
    let parse = |typed: &OsString| {
        let text = typed.as_bytes();
        Spamtrap::parse(text).map_err(|why| Failure::Because(format!("{}: {why}", escaped(text))))
    };
    typed.iter().map(parse).collect()
}
