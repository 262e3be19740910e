//! `spf`: what SPF says about a host and a sender (RFC 7208), and how it comes to that.
#![forbid(unsafe_code)]

use super::conf;
use crate::dns::Promise;
use crate::dns::exemption::Claim;
use crate::dns::failure::Failure::Unproven;
use crate::dns::resolver::{Finding, Found, Resolver};
use crate::dns::spf::{Explain, Problem, Report, SpfResult};
use crate::errno::reason;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::options::{Format, Spf};
use crate::spamd::Address;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Evaluates the policy of the sender's domain.
pub fn run(console: &mut Console<'_>, spf: &Spf) -> Result<(), Failure> {
    let config = conf::load(console, spf.conf.as_deref())?;
    let address = Address::parse(spf.address.as_bytes());
    let address = address.map_err(|error| Failure::Because(error.to_string()))?;
    let claim = Claim::new(address.ip(), spf.helo.as_bytes(), spf.sender.as_bytes());
    let mut resolver = Resolver::new(&config.dns).map_err(|error| failure(&error))?;
    let only_dns_port = resolver.promise() == Promise::Dns;
    Task::Lookup { only_dns_port }.lock_in()?;
    resolver.check_host(0, &claim, Explain::Yes);
    let report = wait(&mut resolver)?;
    if console.verbose {
        let notices = resolver.take_notices();
        notices.iter().for_each(|notice| console.tell(format_args!("DNS: {notice}")));
    }
    print(console, &json::Spf::new(&report))
}

/// What was found out, as far as it is believed.
fn wait(resolver: &mut Resolver) -> Result<Report, Failure> {
    loop {
        if let Some(Finding { found: Found::Spf(report), denial, .. }) = resolver.next_finding() {
            let is_believed = report.result == SpfResult::Pass || resolver.proof().believes(denial);
            return Ok(if is_believed { *report } else { doubted(*report) });
        }
        resolver.turn(None, |_| {}).map_err(|error| failure(&error))?;
    }
}

/// A result that rests on the denial of a name server that has not shown that it can find something.
fn doubted(report: Report) -> Report {
    let (result, problem) = (SpfResult::TempError, Some(Problem::Dns(Unproven)));
    Report { result, problem, matched: None, explanation: None, ..report }
}

fn print(console: &mut Console<'_>, spf: &json::Spf) -> Result<(), Failure> {
    if console.format == Format::Json {
        return console.json(spf);
    }
    for (word, value) in spf.lines() {
        console.line(format_args!("{word}\t{value}"))?;
    }
    Ok(())
}

fn failure(error: &io::Error) -> Failure {
    Failure::Because(format!("DNS: {}", reason(error)))
}
