//! greytrapper.conf(5): text in, a checked [`Config`] out, or every fault of it as
//! `file:line: message`.
//!
//! The steps are: `input` (files) → `lexer` (text to tokens with places) → `cursor` (macros) → `parse` and
//! `grammar` (tokens to typed statements) → `check` (statements to a [`Config`], values within `bounds`),
//! and `print` for the way back. `problem` lists what can be wrong, and words it.
//!
//! The daemon and greytrapctl(8) call [`load`]. The content of the text is trusted, since only root can
//! write it, but its form is not: no input causes a panic or unbounded work.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod bounds;
mod check;
mod cursor;
mod diagnostic;
mod grammar;
mod input;
mod keyword;
mod lexer;
mod macros;
pub mod network;
mod parse;
mod pattern;
mod print;
mod problem;
pub mod rules;
mod source;
mod statement;
mod table;
mod value;

pub use diagnostic::{Diagnostic, Severity};
pub use macros::{Define, NotADefine};
pub use network::{Network, Networks};
pub use rules::{RcptRules, Rules};
pub use source::{Disk, Guarded, Source};
pub(crate) use value::duration_text;

/// The default configuration file, beside spamd.conf(5).
pub const DEFAULT_FILE: &str = "/etc/mail/greytrapper.conf";

/// The default control socket.
pub const DEFAULT_SOCKET: &str = "/var/run/greytrapper.sock";

/// A usable configuration with its warnings.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, in the order of the text.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the configuration in `file`, or in [`DEFAULT_FILE`], which may be missing: every value has a
/// default. `defines` override macros of the same name in the text.
///
/// # Errors
/// All faults in the text, errors and warnings, in the order of files and lines.
pub fn load(
    file: Option<&Path>,
    defines: &[Define],
    source: &dyn Source,
) -> Result<Loaded, Vec<Diagnostic>> {
    let mut input = input::Input::new(source);
    let text = match input.open_first(file.unwrap_or(Path::new(DEFAULT_FILE))) {
        Ok(text) => text,
        Err(e) if file.is_none() && e.kind() == io::ErrorKind::NotFound => [].into(),
        Err(e) => {
            let problem = problem::Problem::CannotRead { reason: input::reason(&e) };
            input.error(diagnostic::Fault::new(diagnostic::At::whole(0), problem));
            return Err(input.into_diagnostics());
        }
    };
    let mut macros = macros::Macros::new(defines);
    let statements = parse::parse(0, &text, &mut macros, &mut input);
    let config = check::check(statements, &mut input);
    if input.has_errors() {
        return Err(input.into_diagnostics());
    }
    Ok(Loaded { config, warnings: input.into_diagnostics() })
}

/// Reads a configuration from `text`, as a [`Config`] displays itself, without opening any file.
///
/// # Errors
/// The first fault in the text.
pub fn from_text(text: &str) -> Result<Config, String> {
    let path = Path::new("configuration");
    match load(Some(path), &[], &source::Given(text)) {
        Ok(loaded) => Ok(loaded.config),
        Err(faults) => Err(faults.first().map(ToString::to_string).unwrap_or_default()),
    }
}

/// A checked configuration. It displays itself in the grammar of greytrapper.conf(5).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// spamd's database.
    pub database: PathBuf,
    /// Time from the start of one scan to the start of the next.
    pub scan_every: Duration,
    /// How long a trap lasts.
    pub trap_for: Duration,
    /// The maximum number of traps, and the time in which they may be set.
    pub trap_limit: (u32, Duration),
    /// Which code writes the database.
    pub engine: EngineChoice,
    /// What is judged, and how strictly.
    pub rules: Rules,
    /// The program that checks recipients, if any.
    pub checker: Option<Checker>,
    /// Where and how DNS is asked.
    pub dns: Dns,
    /// The control socket.
    pub socket: PathBuf,
    /// The other MXes to which traps are sent.
    pub sync: Sync,
}

impl Default for Config {
    /// The defaults in greytrapper.conf(5).
    fn default() -> Self {
        Config {
            database: "/var/db/spamd".into(),
            scan_every: Duration::from_secs(10 * 60),
            trap_for: Duration::from_secs(24 * 60 * 60),
            trap_limit: (1000, Duration::from_secs(60)),
            engine: EngineChoice::Native,
            rules: Rules::default(),
            checker: None,
            dns: Dns::default(),
            socket: DEFAULT_SOCKET.into(),
            sync: Sync::default(),
        }
    }
}

/// Which code writes the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// Ours, the default.
    Native,
    /// dbopen(3).
    Libc,
}

/// `check rcpt with`: an external program that checks each recipient of suspect hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checker {
    /// Its absolute path.
    pub program: PathBuf,
    /// How long it may take for one address.
    pub timeout: Duration,
    /// An address that the program must know to be believed. If there is none, it must know the postmaster
    /// or another recipient in the domain of a recipient.
    pub control: Option<String>,
}

impl Checker {
    /// The default time limit.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// `dns { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The name servers; empty means those of resolv.conf(5).
    pub servers: Vec<NameServer>,
    /// The maximum number of unanswered questions.
    pub in_flight: u32,
    /// How long to wait for the first answer before asking again.
    pub timeout: Duration,
    /// The maximum number of times that a question is asked.
    pub attempts: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Dns { servers: Vec::new(), in_flight: 50, timeout: Duration::from_secs(5), attempts: 4 }
    }
}

/// One name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port, 53 by default.
    pub port: u16,
}

impl NameServer {
    /// The port of DNS (RFC 1035 section 4.2).
    pub const PORT: u16 = 53;
}

/// `sync …`: where each trap is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sync {
    /// Hosts for unicast, as written: names are resolved when the daemon starts.
    pub peers: Vec<String>,
    /// Interfaces for multicast, each with its ttl.
    pub multicast: Vec<(String, u8)>,
    /// The key file; `None` means spamd's own, which may be missing.
    pub key: Option<PathBuf>,
}

impl Sync {
    /// The default ttl of multicast messages, the same as spamd's (SPAM_SYNC_MCASTTTL in sync.h).
    pub const TTL: u8 = 1;
}
