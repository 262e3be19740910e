//! Prints a [`Config`] in its own grammar, as `greytrapper -nv` does; `load` reads it back as the same
//! configuration. The contents of address files are printed instead of the files' names.
//!
//! In: a checked configuration, whose strings contain no newlines. Called by `daemon`.

use super::value::duration_text;
use super::{Config, Dns, EngineChoice, Networks, RcptRules, Rules, Sync};
use std::fmt;
use std::path::Path;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (traps, time) = self.trap_limit;
        writeln!(f, "database {}", path(&self.database))?;
        writeln!(f, "scan every {}", duration_text(self.scan_every))?;
        writeln!(f, "trap for {}", duration_text(self.trap_for))?;
        writeln!(f, "trap limit {traps} per {}", duration_text(time))?;
        match self.engine {
            EngineChoice::Native => {}
            EngineChoice::Libc => writeln!(f, "engine libc")?,
        }
        rules(f, &self.rules)?;
        if let Some(checker) = &self.checker {
            let timeout = duration_text(checker.timeout);
            write!(f, "check rcpt with {} timeout {timeout}", path(&checker.program))?;
            match &checker.control {
                Some(control) => writeln!(f, " control {}", quoted(control))?,
                None => writeln!(f)?,
            }
        }
        allow(f, &self.rules.allow)?;
        writeln!(f, "socket {}", path(&self.socket))?;
        dns(f, &self.dns)?;
        sync(f, &self.sync)
    }
}

fn rules(f: &mut fmt::Formatter<'_>, rules: &Rules) -> fmt::Result {
    writeln!(f, "suspect tuples {}", rules.suspect_tuples)?;
    writeln!(f, "max sender domains {}", or_off(rules.max_sender_domains))?;
    writeln!(f, "max sender ratio {}", or_off(rules.max_sender_ratio))?;
    writeln!(f, "max helo domains {}", or_off(rules.max_helo_domains))?;
    writeln!(f, "check identity {}", yes_or_no(rules.identity))?;
    writeln!(f, "check sender syntax {}", yes_or_no(rules.sender_syntax))?;
    writeln!(f, "check sender dns {}", yes_or_no(rules.sender_dns))?;
    rcpt(f, &rules.rcpt)
}

fn rcpt(f: &mut fmt::Formatter<'_>, rcpt: &RcptRules) -> fmt::Result {
    for pattern in rcpt.pass.patterns() {
        writeln!(f, "pass rcpt {}", quoted(pattern))?;
    }
    for pattern in &rcpt.trap {
        writeln!(f, "trap rcpt {}", quoted(pattern.as_str()))?;
    }
    if rcpt.unlisted {
        writeln!(f, "trap rcpt unlisted")?;
    }
    Ok(())
}

fn allow(f: &mut fmt::Formatter<'_>, networks: &Networks) -> fmt::Result {
    if networks.is_empty() {
        return Ok(());
    }
    writeln!(f, "allow {{")?;
    for network in networks.iter() {
        writeln!(f, "\t{network}")?;
    }
    writeln!(f, "}}")
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
        writeln!(f, "sync to {}", quoted(peer))?;
    }
    for (interface, ttl) in &sync.multicast {
        writeln!(f, "sync multicast on {} ttl {ttl}", quoted(interface))?;
    }
    match &sync.key {
        Some(key) => writeln!(f, "sync key {}", path(key)),
        None => Ok(()),
    }
}

fn or_off<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or("off".into(), |value| value.to_string())
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A string as the lexer reads it. A backslash is doubled only where it would otherwise begin an escape, so
/// that regular expressions look the way they were written.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let needs_escape = match c {
            '"' => true,
            '\\' => matches!(rest.peek(), None | Some('"' | '\\')),
            _ => false,
        };
        if needs_escape {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
