//! The grammar of greytrapper.conf(5): one function a statement, found by sorted tables of keywords.
//!
//! Called by `parse` when a line's first word is known; reads the rest of the statement from the cursor,
//! but not the end of its line. Adding a keyword means a row in a table here and a place in the manual.

use super::diagnostic::{Fault, Spanned};
use super::lexer::Token;
use super::parse::{Line, Parser};
use super::problem::Problem;
use super::statement::{DnsOption, Statement};
use super::{EngineChoice, Network, value};
use std::time::Duration;

/// Every statement by its first word.
pub(super) const STATEMENTS: &[(&str, Rule)] = &[
    ("allow", allow),
    ("check", |p| p.cursor.choose(CHECK)?(p)),
    ("database", |p| Ok(Line::Statement(Statement::Database(p.cursor.string(A_PATH)?)))),
    ("dns", |p| Ok(Line::Statement(Statement::Dns(p.block(dns_option)?)))),
    ("engine", |p| Ok(Line::Statement(Statement::Engine(p.cursor.choose(ENGINE)?)))),
    ("include", |p| Ok(Line::Include(p.path(A_PATH)?))),
    ("max", |p| p.cursor.choose(MAX)?(p)),
    ("pass", pass),
    ("scan", scan),
    ("socket", |p| Ok(Line::Statement(Statement::Socket(p.cursor.string(A_PATH)?)))),
    ("suspect", suspect),
    ("sync", |p| p.cursor.choose(SYNC)?(p)),
    ("trap", |p| p.cursor.choose(TRAP)?(p)),
];

const CHECK: &[(&str, Rule)] = &[
    ("identity", check_identity),
    ("rcpt", check_rcpt),
    ("sender", |p| p.cursor.choose(CHECK_SENDER)?(p)),
];

const CHECK_SENDER: &[(&str, Rule)] = &[("dns", check_sender_dns), ("syntax", check_sender_syntax)];

const MAX: &[(&str, Rule)] =
    &[("helo", max_helo_domains), ("sender", |p| p.cursor.choose(MAX_SENDER)?(p))];

const MAX_SENDER: &[(&str, Rule)] = &[("domains", max_sender_domains), ("ratio", max_sender_ratio)];

const SYNC: &[(&str, Rule)] = &[("key", sync_key), ("multicast", sync_multicast), ("to", sync_to)];

const TRAP: &[(&str, Rule)] = &[("for", trap_for), ("limit", trap_limit), ("rcpt", trap_rcpt)];

const DNS: &[(&str, fn(&mut Parser<'_, '_>) -> Result<DnsOption, Fault>)] =
    &[("attempts", attempts), ("in", in_flight), ("nameserver", nameserver), ("timeout", timeout)];

const ENGINE: &[(&str, EngineChoice)] =
    &[("libc", EngineChoice::Libc), ("native", EngineChoice::Native)];

const YES_OR_NO: &[(&str, bool)] = &[("no", false), ("yes", true)];

const A_PATH: &str = "a path";
const A_PATTERN: &str = "a regular expression in quotes";

/// Reads what follows the keywords of a statement.
type Rule = fn(&mut Parser<'_, '_>) -> Result<Line, Fault>;

fn allow(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    if p.cursor.take_keyword("file")? {
        return Ok(Line::Statement(Statement::AllowFile(p.path(A_PATH)?)));
    }
    let networks = match p.cursor.peek()?.value {
        Token::Open => p.block(network)?,
        _ => vec![network(p)?],
    };
    Ok(Line::Statement(Statement::Allow(networks)))
}

fn network(p: &mut Parser<'_, '_>) -> Result<Network, Fault> {
    let word = p.cursor.value("an address or a network", |word| Some(word.to_string()))?;
    let fault = |problem| Fault::new(word.at, problem);
    let written = value::network(&word.value).map_err(fault)?;
    if written.has_host_bits {
        let meant = written.network.to_string();
        return Err(fault(Problem::HostBits { network: word.value, meant }));
    }
    Ok(written.network)
}

fn check_identity(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::CheckIdentity(p.cursor.choose(YES_OR_NO)?)))
}

fn check_sender_dns(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::CheckSenderDns(p.cursor.choose(YES_OR_NO)?)))
}

fn check_sender_syntax(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::CheckSenderSyntax(p.cursor.choose(YES_OR_NO)?)))
}

fn check_rcpt(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("with")?;
    let program = p.cursor.string(A_PATH)?;
    let timeout = if p.cursor.take_keyword("timeout")? { Some(duration(p)?) } else { None };
    Ok(Line::Statement(Statement::CheckRcpt { program, timeout }))
}

fn max_helo_domains(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("domains")?;
    Ok(Line::Statement(Statement::MaxHeloDomains(number_or_off(p)?)))
}

fn max_sender_domains(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::MaxSenderDomains(number_or_off(p)?)))
}

fn max_sender_ratio(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    let ratio = match p.cursor.take_keyword("off")? {
        true => None,
        false => Some(p.cursor.value("a ratio such as 0.75 or off", value::ratio)?),
    };
    Ok(Line::Statement(Statement::MaxSenderRatio(ratio)))
}

fn pass(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("rcpt")?;
    Ok(Line::Statement(Statement::PassRcpt(p.cursor.string(A_PATTERN)?)))
}

fn scan(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("every")?;
    Ok(Line::Statement(Statement::ScanEvery(duration(p)?)))
}

fn suspect(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("tuples")?;
    Ok(Line::Statement(Statement::SuspectTuples(number(p)?)))
}

fn sync_key(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::SyncKey(p.cursor.string(A_PATH)?)))
}

fn sync_multicast(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    p.cursor.expect("on")?;
    let interface = p.cursor.string("an interface")?;
    let ttl = if p.cursor.take_keyword("ttl")? { Some(number(p)?) } else { None };
    Ok(Line::Statement(Statement::SyncMulticast { interface, ttl }))
}

fn sync_to(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::SyncTo(p.cursor.string("a host")?)))
}

fn trap_for(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    Ok(Line::Statement(Statement::TrapFor(duration(p)?)))
}

fn trap_limit(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    let traps = number(p)?;
    p.cursor.expect("per")?;
    Ok(Line::Statement(Statement::TrapLimit(traps, duration(p)?)))
}

fn trap_rcpt(p: &mut Parser<'_, '_>) -> Result<Line, Fault> {
    // A macro is a pattern, whatever its text.
    let is_unlisted = p.cursor.peek_raw()?.value == Token::Word("unlisted".into());
    if is_unlisted {
        p.cursor.skip();
        return Ok(Line::Statement(Statement::TrapRcptUnlisted));
    }
    let pattern = p.cursor.string("unlisted or a regular expression in quotes")?;
    Ok(Line::Statement(Statement::TrapRcpt(pattern)))
}

fn dns_option(p: &mut Parser<'_, '_>) -> Result<Spanned<DnsOption>, Fault> {
    let at = p.cursor.peek()?.at;
    let value = p.cursor.choose(DNS)?(p)?;
    Ok(Spanned { value, at })
}

fn attempts(p: &mut Parser<'_, '_>) -> Result<DnsOption, Fault> {
    Ok(DnsOption::Attempts(number(p)?))
}

fn in_flight(p: &mut Parser<'_, '_>) -> Result<DnsOption, Fault> {
    p.cursor.expect("flight")?;
    Ok(DnsOption::InFlight(number(p)?))
}

fn nameserver(p: &mut Parser<'_, '_>) -> Result<DnsOption, Fault> {
    let address = p.cursor.value("an address", |word| word.parse().ok())?.value;
    let port = if p.cursor.take_keyword("port")? { Some(number(p)?) } else { None };
    Ok(DnsOption::NameServer(address, port))
}

fn timeout(p: &mut Parser<'_, '_>) -> Result<DnsOption, Fault> {
    Ok(DnsOption::Timeout(duration(p)?))
}

fn number(p: &mut Parser<'_, '_>) -> Result<Spanned<u64>, Fault> {
    p.cursor.value("a number", value::number)
}

fn number_or_off(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<u64>>, Fault> {
    if p.cursor.take_keyword("off")? {
        return Ok(None);
    }
    p.cursor.value("a number or off", value::number).map(Some)
}

fn duration(p: &mut Parser<'_, '_>) -> Result<Spanned<Duration>, Fault> {
    p.cursor.value("a duration such as 10m", value::duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
        table.iter().map(|&(word, _)| word).collect()
    }

    fn tables() -> Vec<Vec<&'static str>> {
        vec![
            words(STATEMENTS),
            words(CHECK),
            words(CHECK_SENDER),
            words(MAX),
            words(MAX_SENDER),
            words(SYNC),
            words(TRAP),
            words(DNS),
            words(ENGINE),
            words(YES_OR_NO),
        ]
    }

    #[test]
    fn tables_are_sorted_as_the_search_needs_them() {
        for table in tables() {
            assert!(table.is_sorted(), "{table:?}");
        }
    }

    #[test]
    fn every_keyword_has_its_place_in_the_manual() {
        let manual = include_str!("../../man/greytrapper.conf.5");
        for word in tables().concat() {
            let marked = manual
                .lines()
                .filter(|line| line.starts_with('.'))
                .any(|line| line.split([' ', '"', '|']).any(|part| part == word));
            assert!(marked, "{word}");
        }
    }

    #[test]
    fn no_option_of_a_block_is_taken_for_a_statement() {
        let statements = words(STATEMENTS);
        assert!(words(DNS).iter().all(|option| !statements.contains(option)));
    }
}
