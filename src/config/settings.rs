//! What greytrapper.conf(5) can set: the settings, their defaults, and their text in its own grammar.
//!
//! Made by `check`. The text is what `greytrapper -nv` prints, and `load` reads it back as the same
//! configuration; the contents of address files are printed instead of the files' names. The strings contain
//! no newlines, since `check` has seen them.

use super::value::{duration_text, path_text, size_text, string_text};
use super::{AllowUntil, DEFAULT_SOCKET, Rules};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A checked configuration. It displays itself in the grammar of greytrapper.conf(5).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// spamd's database.
    pub database: PathBuf,
    /// Time from the start of one scan to the start of the next.
    pub scan_every: Duration,
    /// How long a trap lasts.
    pub trap_for: Duration,
    /// How long it lasts if the host was trapped before; `None`: as long.
    pub trap_again: Option<Again>,
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
    /// What is remembered, and where.
    pub memory: Memory,
    /// The share of a rule's traps in percent that may be released before it is only observed; `None`: any.
    pub suspend_at: Option<f64>,
    /// The names of rules that are only observed.
    pub observe: Vec<&'static str>,
}

impl Default for Config {
    /// The defaults in greytrapper.conf(5).
    fn default() -> Self {
        Config {
            database: "/var/db/spamd".into(),
            scan_every: Duration::from_secs(10 * 60),
            trap_for: Duration::from_secs(24 * 60 * 60),
            trap_again: None,
            trap_limit: (1000, Duration::from_secs(60)),
            engine: EngineChoice::Native,
            rules: Rules::default(),
            checker: None,
            dns: Dns::default(),
            socket: DEFAULT_SOCKET.into(),
            sync: Sync::default(),
            memory: Memory::default(),
            suspend_at: Some(1.0),
            observe: Vec::new(),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (traps, time) = self.trap_limit;
        writeln!(f, "database {}", path_text(&self.database))?;
        writeln!(f, "scan every {}", duration_text(self.scan_every))?;
        write!(f, "trap for {}", duration_text(self.trap_for))?;
        match &self.trap_again {
            Some(Again { time, most }) => {
                let (time, most) = (duration_text(*time), duration_text(*most));
                writeln!(f, ", again {time}, most {most}")?;
            }
            None => writeln!(f)?,
        }
        writeln!(f, "trap limit {traps} per {}", duration_text(time))?;
        match self.engine {
            EngineChoice::Native => {}
            EngineChoice::Libc => writeln!(f, "engine libc")?,
        }
        write!(f, "{}", self.rules)?;
        observe(f, &self.observe)?;
        match self.suspend_at {
            Some(percent) => writeln!(f, "suspend rule at {percent}%")?,
            None => writeln!(f, "suspend rule no")?,
        }
        if let Some(checker) = &self.checker {
            let timeout = duration_text(checker.timeout);
            let (program, hosts) = (path_text(&checker.program), self.rules.check_rcpt_for.word());
            write!(f, "check rcpt with {program} for {hosts} hosts timeout {timeout}")?;
            match &checker.control {
                Some(control) => writeln!(f, " control {}", string_text(control))?,
                None => writeln!(f)?,
            }
        }
        allow(f, &self.rules)?;
        writeln!(f, "socket {}", path_text(&self.socket))?;
        dns(f, &self.dns)?;
        memory(f, &self.memory)?;
        sync(f, &self.sync)
    }
}

fn allow(f: &mut fmt::Formatter<'_>, rules: &Rules) -> fmt::Result {
    if !rules.allow.is_empty() || !rules.allow_until.is_empty() {
        writeln!(f, "allow {{")?;
        for network in rules.allow.iter() {
            writeln!(f, "\t{network}")?;
        }
        for AllowUntil { day, networks, .. } in &rules.allow_until {
            for network in networks.iter() {
                writeln!(f, "\t{network} until {day}")?;
            }
        }
        writeln!(f, "}}")?;
    }
    rules.allow_helo.iter().try_for_each(|allowed| writeln!(f, "{allowed}"))
}

fn observe(f: &mut fmt::Formatter<'_>, rules: &[&str]) -> fmt::Result {
    match rules {
        [] => writeln!(f, "observe no"),
        rules => writeln!(f, "observe {{ {} }}", rules.join(", ")),
    }
}

fn memory(f: &mut fmt::Formatter<'_>, memory: &Memory) -> fmt::Result {
    writeln!(f, "memory {}", path_text(&memory.directory))?;
    writeln!(f, "memory size {}", size_text(memory.size))?;
    writeln!(f, "remember verdicts {}", duration_text(memory.verdicts))?;
    match memory.tuples {
        Some(time) => writeln!(f, "remember tuples {}", duration_text(time)),
        None => writeln!(f, "remember tuples no"),
    }
}

fn dns(f: &mut fmt::Formatter<'_>, dns: &Dns) -> fmt::Result {
    writeln!(f, "dns {{")?;
    for server in &dns.servers {
        writeln!(f, "\tnameserver {} port {}", server.address, server.port)?;
    }
    writeln!(f, "\tin flight {}", dns.in_flight)?;
    writeln!(f, "\ttimeout {}", duration_text(dns.timeout))?;
    writeln!(f, "\tattempts {}\n}}", dns.attempts)
}

fn sync(f: &mut fmt::Formatter<'_>, sync: &Sync) -> fmt::Result {
    for peer in &sync.peers {
        writeln!(f, "sync to {}", string_text(peer))?;
    }
    for (interface, ttl) in &sync.multicast {
        writeln!(f, "sync multicast on {} ttl {ttl}", string_text(interface))?;
    }
    match &sync.key {
        Some(key) => writeln!(f, "sync key {}", path_text(key)),
        None => Ok(()),
    }
}

impl Config {
    /// How long a trap lasts of a host that rules have trapped so often before in the last 30 days.
    pub fn trap_time(&self, before: u32) -> Duration {
        let (Some(Again { time, most }), Some(doublings)) =
            (&self.trap_again, before.checked_sub(1))
        else {
            return self.trap_for;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        time.saturating_mul(factor).min(*most)
    }

    /// How long a trap lasts at most that a scan sets.
    pub fn longest_trap(&self) -> Duration {
        self.trap_again.as_ref().map_or(self.trap_for, |again| again.most)
    }
}

/// `trap for …, again …, most …`: how long hosts stay that come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// The second time; each further time twice as long as the one before.
    pub time: Duration,
    /// But no longer than this.
    pub most: Duration,
}

/// `memory …` and `remember …`: what is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The directory of the file.
    pub directory: PathBuf,
    /// The largest size of the file, in bytes.
    pub size: u64,
    /// How long verdicts are remembered.
    pub verdicts: Duration,
    /// How long the tuples that they rest on are remembered; `None` means not at all.
    pub tuples: Option<Duration>,
}

impl Default for Memory {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Memory {
            directory: "/var/db/greytrapper".into(),
            size: 1 << 30,
            verdicts: day.saturating_mul(90),
            tuples: Some(day.saturating_mul(14)),
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

/// `check rcpt with`: an external program that checks recipients.
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
