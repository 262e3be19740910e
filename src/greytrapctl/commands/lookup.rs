//! `lookup`: looks up sender domains, and prints a line for each in the order of the answers.
//!
//! Domains come from the command line or, one per line, from the standard input; only those that are being
//! looked up are in memory. Text that is not a domain is reported as such and not looked up.
#![forbid(unsafe_code)]

use super::conf;
use crate::dns::failure::Failure::Unproven;
use crate::dns::proof::{Denial, Proof};
use crate::dns::resolver::{Finding, Found, Resolver};
use crate::dns::verdict::DomainVerdict;
use crate::dns::{self, Promise};
use crate::errno::reason;
use crate::escape::escaped;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::lines::Lines;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Format, Lookup};
use crate::greytrapctl::progress::Progress;
use crate::plural::counted;
use mio::{Token, Waker};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a line may stay in the buffer while others are being made.
const HELD: Duration = Duration::from_millis(50);
/// The number of domains that are asked for before answers are handled again.
const AT_ONCE: usize = 256;
/// Denials that wait for their name server to prove itself.
const MOST_DOUBTFUL: usize = 10_000;
/// The token for the standard input.
const INPUT: Token = Token(0);

/// Asks DNS about `lookup.domains`, or about the lines of standard input.
pub fn run(console: &mut Console<'_>, lookup: &Lookup) -> Result<(), Failure> {
    let config = conf::load(console, lookup.conf.as_deref())?;
    let mut resolver = Resolver::new(&config.dns).map_err(|error| failure("DNS", &error))?;
    let only_dns_port = resolver.promise() == Promise::Dns;
    Task::Lookup { only_dns_port }.lock_in()?;
    let mut domains = Domains::new(&lookup.domains, &resolver)?;
    let mut printer = Printer::new();
    let outcome = answer(console, &mut resolver, &mut domains, &mut printer);
    printer.progress.clear(console);
    outcome
}

/// Asks about all domains, and prints the answers as they come.
fn answer(
    console: &mut Console<'_>,
    resolver: &mut Resolver,
    domains: &mut Domains<'_>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let (mut asked, mut tickets, mut doubtful) = (HashMap::new(), 0.., Vec::new());
    loop {
        let mut given = 0;
        while given < AT_ONCE && resolver.room() > 0 {
            let Some(domain) = domains.next()? else { break };
            let Some(ticket) = tickets.next() else { break };
            resolver.lookup(ticket, &domain);
            asked.insert(ticket, domain);
            given += 1;
        }
        while let Some(Finding { ticket, found, denial }) = resolver.next_finding() {
            if let (Some(domain), Found::Domain(verdict)) = (asked.remove(&ticket), found) {
                doubtful.push(Answer { domain, verdict, denial });
            }
        }
        let is_over = asked.is_empty() && domains.is_over();
        let is_last_word = is_over || doubtful.len() > MOST_DOUBTFUL;
        let proof = resolver.proof();
        for answer in std::mem::take(&mut doubtful) {
            if answer.is_definite(&proof) || is_last_word {
                printer.print(console, &answer.domain, &answer.verdict(&proof))?;
            } else {
                doubtful.push(answer);
            }
        }
        if is_over {
            return Ok(());
        }
        let wait = match given {
            AT_ONCE => Some(Duration::ZERO),
            _ => printer.patience().or(domains.patience()),
        };
        resolver.turn(wait, |_| {}).map_err(|error| failure("DNS", &error))?;
        printer.flush_in_time(console)?;
        tell_notices(console, resolver);
    }
}

/// An answer that may have to wait until its name server has found some other domain.
struct Answer {
    domain: Vec<u8>,
    verdict: DomainVerdict,
    denial: Denial,
}

impl Answer {
    fn is_definite(&self, proof: &Proof) -> bool {
        !matches!(self.verdict, DomainVerdict::Bad(_)) || proof.believes(self.denial)
    }

    /// What is left of the verdict.
    fn verdict(&self, proof: &Proof) -> DomainVerdict {
        match self.is_definite(proof) {
            true => self.verdict,
            false => DomainVerdict::Unknown(Unproven),
        }
    }
}

/// The source of the domains.
enum Domains<'o> {
    Typed(slice::Iter<'o, OsString>),
    /// The waker lives here too: closing it would take back what it has told the poller. Not every
    /// system has one (OpenBSD's kqueue lacks EVFILT_USER); then input is looked after now and then.
    Input(Lines, Option<Arc<Waker>>),
}

impl<'o> Domains<'o> {
    fn new(typed: &'o [OsString], resolver: &Resolver) -> Result<Domains<'o>, Failure> {
        if !typed.is_empty() {
            return Ok(Domains::Typed(typed.iter()));
        }
        let waker = Waker::new(resolver.registry(), INPUT).ok().map(Arc::new);
        let ours = waker.clone();
        let lines = Lines::read(io::stdin(), move || {
            // Without waking, which fails for want of memory only, an answer or two comes late.
            drop(ours.as_ref().map(|waker| waker.wake()));
        });
        lines
            .map(|lines| Domains::Input(lines, waker))
            .map_err(|error| failure("standard input", &error))
    }

    /// The next one, if it is there already. Blanks around it do not count, nor do empty lines.
    fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let lines = match self {
            Domains::Typed(domains) => return Ok(domains.next().map(|d| d.as_bytes().to_vec())),
            Domains::Input(lines, _) => lines,
        };
        while let Some(line) = lines.next().map_err(|error| failure("standard input", &error))? {
            let domain = line.trim_ascii();
            if !domain.is_empty() {
                return Ok(Some(domain.to_vec()));
            }
        }
        Ok(None)
    }

    fn is_over(&self) -> bool {
        match self {
            Domains::Typed(domains) => domains.len() == 0,
            Domains::Input(lines, _) => lines.is_over(),
        }
    }

    /// How long to sleep at most although nothing is due.
    fn patience(&self) -> Option<Duration> {
        match self {
            Domains::Input(_, None) => Some(HELD),
            _ => None,
        }
    }
}

/// Buffered lines of output.
struct Printer {
    printed: u64,
    /// When the buffer must be flushed, if there is something in it.
    due: Option<Instant>,
    progress: Progress,
}

impl Printer {
    fn new() -> Printer {
        Printer { printed: 0, due: None, progress: Progress::beside_output() }
    }

    fn print(
        &mut self,
        console: &mut Console<'_>,
        domain: &[u8],
        verdict: &DomainVerdict,
    ) -> Result<(), Failure> {
        self.printed += 1;
        self.due.get_or_insert_with(|| Instant::now() + HELD);
        match console.format {
            Format::Json => console.json(&json::Lookup::new(domain, verdict)),
            Format::Text => console.put(|buffer| {
                let (domain, word) = (escaped(domain), verdict.word());
                // Writing into memory does not fail.
                let _ = writeln!(buffer, "{domain}\t{word}\t{}", json::Why(verdict));
            }),
        }
    }

    /// How long nothing need be done here.
    fn patience(&self) -> Option<Duration> {
        let due = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        due.into_iter().chain(self.progress.patience()).min()
    }

    fn flush_in_time(&mut self, console: &mut Console<'_>) -> Result<(), Failure> {
        self.progress.show(console, format_args!("{}", counted(self.printed, "domain")));
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            console.flush()?;
        }
        Ok(())
    }
}

/// Reports changes in the state of name servers, if requested.
fn tell_notices(console: &mut Console<'_>, resolver: &mut Resolver) {
    let notices: Vec<dns::Notice> = resolver.take_notices();
    if console.verbose {
        notices.iter().for_each(|notice| console.tell(format_args!("DNS: {notice}")));
    }
}

fn failure(what: &str, error: &io::Error) -> Failure {
    Failure::Because(format!("{what}: {}", reason(error)))
}
