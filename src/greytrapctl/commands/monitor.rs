//! `monitor`: a line for everything that happens in the daemon, as it happens. Hosts that pass are told
//! of with `-v` only.
#![forbid(unsafe_code)]

use super::history::{self, Evidence, since};
use crate::control::client::Answer;
use crate::control::protocol::{Event, Reply, Request, What};
use crate::control::status::Scan;
use crate::date::Date;
use crate::escape::harmless;
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::json;
use crate::greytrapctl::options::Format;
use crate::greytrapctl::time::Short;
use crate::memory::{Deed, Query};
use crate::scan::Rule;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Follows the daemon, over its reloads, until it ends, which is a failure, or nobody reads any more.
///
/// Before that it tells what is remembered of so long before, if that is given.
pub fn run(
    console: &mut Console<'_>,
    socket: &Path,
    past: Option<Duration>,
) -> Result<(), Failure> {
    let mut answer = Answer::to(&Request::Monitor, socket)?;
    if let Some(past) = past {
        tell_past(console, socket, past)?;
        console.flush()?;
    }
    while let Some(reply) = answer.part()? {
        let Reply::Event(event) = reply else { return Err(answer.unexpected().into()) };
        if console.verbose || !is_pass(&event) {
            match console.format {
                Format::Text => console.line(format_args!("{}", Line(&event)))?,
                Format::Json => console.json(&json::Event::from(&event))?,
            }
        }
        if answer.must_wait() {
            console.flush()?;
        }
    }
    Ok(())
}

/// What happened before now; what happens from now on is an event.
fn tell_past(console: &mut Console<'_>, socket: &Path, past: Duration) -> Result<(), Failure> {
    let now = since(Some(Duration::ZERO));
    let query = Query { since: since(Some(past)), ..Query::default() };
    history::ask(socket, query, |record| {
        let is_wanted = record.deed != Deed::Spared || console.verbose;
        if record.time < now && is_wanted {
            history::print(console, &record.into(), Evidence::Omitted)?;
        }
        Ok(())
    })
}

fn is_pass(event: &Event) -> bool {
    matches!(&event.what, What::Verdict(verdict) if verdict.passes().is_some())
}

/// An event as fields with tabs between them: time, what, and what belongs to it.
struct Line<'a>(&'a Event);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t", Date(self.0.time))?;
        match &self.0.what {
            What::ScanStarted => f.write_str("scan\tstarted"),
            What::ScanDone(scan) => done(f, scan),
            What::Verdict(verdict) => {
                let rule = verdict.trapping_rule().map_or("pass", Rule::name);
                write!(f, "verdict\t{}\t{rule}\t{}", verdict.address, harmless(&verdict.reason))
            }
            What::Observed(verdict) => {
                let rule = verdict.rule.map_or("-", Rule::name);
                write!(f, "observed\t{}\t{rule}\t{}", verdict.address, harmless(&verdict.reason))
            }
            What::Trapped(verdict) => {
                let rule = verdict.rule.map_or("hand", Rule::name);
                write!(f, "trapped\t{}\t{rule}\t{}", verdict.address, harmless(&verdict.reason))
            }
            What::Released { address, reason } => {
                write!(f, "released\t{address}\t{}", harmless(reason))
            }
            What::Notice(text) => write!(f, "notice\t{}", harmless(text)),
            What::Failure(text) => write!(f, "failure\t{}", harmless(text)),
        }
    }
}

fn done(f: &mut fmt::Formatter<'_>, scan: &Scan) -> fmt::Result {
    let (judged, trapped) = (scan.judged, scan.trapped.total());
    let took = Short(scan.took.total());
    write!(f, "scan\tdone\t{judged} judged, {trapped} trapped, {took}")
}
