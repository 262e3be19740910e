//! The grammar of greytrapper.conf(5): one rule for each statement, found in sorted tables of keywords.
//!
//! `parse` calls a rule when it has read the first word of a line. The rule reads the rest of the statement
//! from the cursor, but not the end of the line.

use super::diagnostic::{Fault, Spanned};
use super::lexer::Token;
use super::parse::Parser;
use super::problem::{Problem, quoted};
use super::rules::{Hosts, NAMES};
use super::statement::{Dated, DnsOption, Statement};
use super::{DnsList, EngineChoice, HeloName, Meaning, Network, value};
use crate::date::Day;
use std::time::Duration;

/// Every statement by its first word.
pub(super) const STATEMENTS: &[(&str, Rule<Statement>)] = &[
    ("allow", allow),
    ("ask", ask_list),
    ("check", |p| p.cursor.choose(CHECK)?(p)),
    ("database", |p| Ok(Statement::Database(p.cursor.string(A_PATH)?))),
    ("dns", |p| Ok(Statement::Dns(p.block(dns_option)?))),
    ("engine", |p| Ok(Statement::Engine(p.cursor.choose(ENGINE)?))),
    ("hear", |p| {
        p.cursor.expect("file")?;
        let path = p.cursor.string(A_PATH)?;
        p.cursor.expect("as")?;
        p.cursor.expect("sign")?;
        Ok(Statement::HearFile(path))
    }),
    ("include", |p| Ok(Statement::Include(p.path(A_PATH)?))),
    ("learn", |p| {
        p.cursor.expect("recipients")?;
        Ok(Statement::LearnRecipients(p.cursor.choose(YES_OR_NO)?))
    }),
    ("max", |p| p.cursor.choose(MAX)?(p)),
    ("memory", memory),
    ("observe", observe),
    ("pass", |p| {
        p.cursor.expect("rcpt")?;
        Ok(Statement::PassRcpt(p.cursor.string("a regular expression in quotes")?))
    }),
    ("remember", |p| p.cursor.choose(REMEMBER)?(p)),
    ("scan", |p| {
        p.cursor.expect("every")?;
        Ok(Statement::ScanEvery(duration(p)?))
    }),
    ("socket", |p| Ok(Statement::Socket(p.cursor.string(A_PATH)?))),
    ("suspect", |p| {
        p.cursor.expect("tuples")?;
        Ok(Statement::SuspectTuples(number(p)?))
    }),
    ("suspend", |p| {
        p.cursor.expect("rule")?;
        Ok(Statement::SuspendRule(suspend_at(p)?))
    }),
    ("sync", |p| p.cursor.choose(SYNC)?(p)),
    ("trap", |p| p.cursor.choose(TRAP)?(p)),
];

const CHECK: &[(&str, Rule<Statement>)] = &[
    ("crowd", |p| Ok(Statement::CheckCrowd(p.cursor.choose(YES_OR_NO)?))),
    ("helo", |p| p.cursor.choose(CHECK_HELO)?(p)),
    ("identity", |p| Ok(Statement::CheckIdentity(p.cursor.choose(YES_OR_NO)?))),
    ("rcpt", check_rcpt),
    ("sender", |p| p.cursor.choose(CHECK_SENDER)?(p)),
    ("stranger", |p| Ok(Statement::CheckStranger(p.cursor.choose(YES_OR_NO)?))),
];

const CHECK_HELO: &[(&str, Rule<Statement>)] = &[
    ("address", |p| Ok(Statement::CheckHeloAddress(p.cursor.choose(YES_OR_NO)?))),
    ("dynamic", |p| Ok(Statement::CheckHeloDynamic(p.cursor.choose(YES_OR_NO)?))),
];

const CHECK_SENDER: &[(&str, Rule<Statement>)] = &[
    ("dns", |p| Ok(Statement::CheckSenderDns(p.cursor.choose(YES_OR_NO)?))),
    ("syntax", |p| Ok(Statement::CheckSenderSyntax(p.cursor.choose(YES_OR_NO)?))),
];

const MAX: &[(&str, Rule<Statement>)] = &[
    ("helo", |p| {
        p.cursor.expect("names")?;
        Ok(Statement::MaxHeloNames(number_or_off(p)?))
    }),
    ("sender", |p| p.cursor.choose(MAX_SENDER)?(p)),
];

const MAX_SENDER: &[(&str, Rule<Statement>)] = &[
    ("domains", |p| Ok(Statement::MaxSenderDomains(number_or_off(p)?))),
    ("ratio", |p| Ok(Statement::MaxSenderRatio(ratio_or_off(p)?))),
];

const REMEMBER: &[(&str, Rule<Statement>)] = &[
    ("tuples", |p| Ok(Statement::RememberTuples(duration_or_no(p)?))),
    ("verdicts", |p| Ok(Statement::RememberVerdicts(duration(p)?))),
];

const SYNC: &[(&str, Rule<Statement>)] = &[
    ("key", |p| Ok(Statement::SyncKey(p.cursor.string(A_PATH)?))),
    ("multicast", sync_multicast),
    ("to", |p| Ok(Statement::SyncTo(p.cursor.string("a host")?))),
];

const TRAP: &[(&str, Rule<Statement>)] =
    &[("for", trap_for), ("limit", trap_limit), ("rcpt", trap_rcpt)];

const DNS: &[(&str, Rule<DnsOption>)] = &[
    ("attempts", |p| Ok(DnsOption::Attempts(number(p)?))),
    ("in", |p| {
        p.cursor.expect("flight")?;
        Ok(DnsOption::InFlight(number(p)?))
    }),
    ("nameserver", nameserver),
    ("timeout", |p| Ok(DnsOption::Timeout(duration(p)?))),
];

const ENGINE: &[(&str, EngineChoice)] =
    &[("libc", EngineChoice::Libc), ("native", EngineChoice::Native)];

const MEANING: &[(&str, Meaning)] = &[("sign", Meaning::Sign), ("spare", Meaning::Spare)];

const HOSTS: &[(&str, Hosts)] = &[("all", Hosts::All), ("suspect", Hosts::Suspect)];

const YES_OR_NO: &[(&str, bool)] = &[("no", false), ("yes", true)];

const A_PATH: &str = "a path";

/// What reads the rest of a statement, or of an option.
type Rule<T> = fn(&mut Parser<'_, '_>) -> Result<T, Fault>;

fn allow(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    if p.cursor.take_keyword("file")? {
        let what = p.path(A_PATH)?;
        return Ok(Statement::AllowFile(Dated { what, until: until(p)? }));
    }
    if p.cursor.take_keyword("helo")? {
        return Ok(Statement::AllowHelo(entries(p, helo_name)?));
    }
    Ok(Statement::Allow(entries(p, network)?))
}

/// One entry, or several; a day behind all of them is that of each that has none of its own.
fn entries<T>(
    p: &mut Parser<'_, '_>,
    item: fn(&mut Parser<'_, '_>) -> Result<Dated<T>, Fault>,
) -> Result<Vec<Dated<T>>, Fault> {
    if p.cursor.peek()?.value != Token::Open {
        return Ok(vec![item(p)?]);
    }
    let mut entries = p.block(item)?;
    if let Some(day) = until(p)? {
        entries.iter_mut().for_each(|entry| {
            entry.until.get_or_insert(day);
        });
    }
    Ok(entries)
}

fn until(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<Day>>, Fault> {
    if !p.cursor.take_keyword("until")? {
        return Ok(None);
    }
    p.cursor.value("a day such as 2027-01-31", Day::parse).map(Some)
}

fn helo_name(p: &mut Parser<'_, '_>) -> Result<Dated<Spanned<HeloName>>, Fault> {
    let what = "a HELO name such as \"mx.example.net\" or \"*.example.net\"";
    let Spanned { value, at } = p.cursor.string(what)?;
    let name = HeloName::parse(&value).ok_or_else(|| {
        let (what, found) = (what.into(), quoted(&value));
        Fault::new(at, Problem::Expected { what, found, nearest: None })
    })?;
    Ok(Dated { what: Spanned { value: name, at }, until: until(p)? })
}

fn network(p: &mut Parser<'_, '_>) -> Result<Dated<Spanned<Network>>, Fault> {
    let word = p.cursor.value("an address or a network", |word| Some(word.to_string()))?;
    let fault = |problem| Fault::new(word.at, problem);
    let written = value::network(&word.value).map_err(fault)?;
    if written.has_host_bits {
        let meant = written.network.to_string();
        return Err(fault(Problem::HostBits { network: word.value, meant }));
    }
    let what = Spanned { value: written.network, at: word.at };
    Ok(Dated { what, until: until(p)? })
}

fn ask_list(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    p.cursor.expect("list")?;
    let what = "the zone of a DNS list such as \"list.example.net\"";
    let Spanned { value, at } = p.cursor.string(what)?;
    let zone = DnsList::zone(&value).ok_or_else(|| {
        let (what, found) = (what.into(), quoted(&value));
        Fault::new(at, Problem::Expected { what, found, nearest: None })
    })?;
    let (opened, faults) = (p.cursor.peek()?.clone(), p.fault_count());
    let answers = match opened.value {
        Token::Open => p.block(list_answer)?,
        _ => Vec::new(),
    };
    // Those that are faulty were left out.
    if opened.value == Token::Open && answers.is_empty() && p.fault_count() == faults {
        return Err(Fault::new(opened.at, Problem::NoAnswers));
    }
    p.cursor.expect("as")?;
    let meaning = p.cursor.choose(MEANING)?;
    Ok(Statement::AskList { zone, answers, meaning })
}

/// An answer of a DNS list, or a network of them.
fn list_answer(p: &mut Parser<'_, '_>) -> Result<Network, Fault> {
    let Spanned { value: Network { address, prefix }, at } = network(p)?.what;
    let is_within = prefix >= 8 && address.is_ipv4() && address.is_loopback();
    let network = Network { address, prefix };
    match is_within {
        true => Ok(network),
        false => Err(Fault::new(at, Problem::NoListAnswer(network.to_string()))),
    }
}

fn check_rcpt(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    p.cursor.expect("with")?;
    let program = p.cursor.string(A_PATH)?;
    let hosts = if p.cursor.take_keyword("for")? { hosts(p)? } else { Hosts::All };
    let timeout = if p.cursor.take_keyword("timeout")? { Some(duration(p)?) } else { None };
    let is_controlled = p.cursor.take_keyword("control")?;
    let control = if is_controlled { Some(p.cursor.string("an address")?) } else { None };
    Ok(Statement::CheckRcpt { program, hosts, timeout, control })
}

fn hosts(p: &mut Parser<'_, '_>) -> Result<Hosts, Fault> {
    let hosts = p.cursor.choose(HOSTS)?;
    p.cursor.expect("hosts")?;
    Ok(hosts)
}

fn memory(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    // A path is a string: a macro is not expanded here.
    if p.cursor.peek_raw()?.value == Token::Word("size".into()) {
        p.cursor.skip();
        return Ok(Statement::MemorySize(p.cursor.value("a size such as 1G", value::size)?));
    }
    Ok(Statement::Memory(p.cursor.string("\"size\" or a path")?))
}

fn observe(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    if !p.cursor.take(&Token::Open)? {
        return Ok(Statement::Observe(p.cursor.choose(YES_OR_NO)?));
    }
    // Not as other blocks: the name of a rule may be that of a statement too.
    let mut names = Vec::new();
    while !p.cursor.take(&Token::Close)? {
        match p.cursor.peek()?.value {
            Token::Newline | Token::Comma => p.cursor.skip(),
            _ => names.push(rule_name(p)?),
        }
    }
    Ok(Statement::ObserveRules(names))
}

fn rule_name(p: &mut Parser<'_, '_>) -> Result<&'static str, Fault> {
    let known = |word: &str| NAMES.into_iter().find(|name| *name == word);
    Ok(p.cursor.value("the name of a rule", known)?.value)
}

fn suspend_at(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<f64>>, Fault> {
    if p.cursor.take_keyword("no")? {
        return Ok(None);
    }
    p.cursor.expect("at")?;
    p.cursor.value("a percentage such as 1%", value::percentage).map(Some)
}

fn sync_multicast(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    p.cursor.expect("on")?;
    let interface = p.cursor.string("an interface")?;
    let ttl = if p.cursor.take_keyword("ttl")? { Some(number(p)?) } else { None };
    Ok(Statement::SyncMulticast { interface, ttl })
}

fn trap_for(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    let time = duration(p)?;
    if p.cursor.take(&Token::Comma)? {
        p.cursor.expect("again")?;
    } else if !p.cursor.take_keyword("again")? {
        return Ok(Statement::TrapFor { time, again: None });
    }
    let again = duration(p)?;
    p.cursor.take(&Token::Comma)?;
    p.cursor.expect("most")?;
    Ok(Statement::TrapFor { time, again: Some((again, duration(p)?)) })
}

fn trap_limit(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    let traps = number(p)?;
    p.cursor.expect("per")?;
    Ok(Statement::TrapLimit(traps, duration(p)?))
}

fn trap_rcpt(p: &mut Parser<'_, '_>) -> Result<Statement, Fault> {
    // A macro is not expanded here: it stands for a pattern, whatever its text is.
    if p.cursor.peek_raw()?.value == Token::Word("unlisted".into()) {
        p.cursor.skip();
        return Ok(Statement::TrapRcptUnlisted);
    }
    let what = "\"unlisted\" or a regular expression in quotes";
    Ok(Statement::TrapRcpt(p.cursor.string(what)?))
}

fn dns_option(p: &mut Parser<'_, '_>) -> Result<Spanned<DnsOption>, Fault> {
    let at = p.cursor.peek()?.at;
    let value = p.cursor.choose(DNS)?(p)?;
    Ok(Spanned { value, at })
}

fn nameserver(p: &mut Parser<'_, '_>) -> Result<DnsOption, Fault> {
    let what = "an address (its port is written \"port N\")";
    let address = p.cursor.value(what, |word| word.parse().ok())?.value;
    let port = if p.cursor.take_keyword("port")? { Some(number(p)?) } else { None };
    Ok(DnsOption::NameServer(address, port))
}

fn number(p: &mut Parser<'_, '_>) -> Result<Spanned<u64>, Fault> {
    p.cursor.value("a number", value::number)
}

fn number_or_off(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<u64>>, Fault> {
    if p.cursor.take_keyword("off")? {
        return Ok(None);
    }
    p.cursor.value("a number or \"off\"", value::number).map(Some)
}

fn ratio_or_off(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<f64>>, Fault> {
    if p.cursor.take_keyword("off")? {
        return Ok(None);
    }
    p.cursor.value("a ratio such as 0.75 or \"off\"", value::ratio).map(Some)
}

fn duration(p: &mut Parser<'_, '_>) -> Result<Spanned<Duration>, Fault> {
    p.cursor.value("a duration such as 10m", value::duration)
}

fn duration_or_no(p: &mut Parser<'_, '_>) -> Result<Option<Spanned<Duration>>, Fault> {
    if p.cursor.take_keyword("no")? {
        return Ok(None);
    }
    p.cursor.value("a duration such as 14d or \"no\"", value::duration).map(Some)
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
            words(CHECK_HELO),
            words(CHECK_SENDER),
            words(MAX),
            words(MAX_SENDER),
            words(REMEMBER),
            words(SYNC),
            words(TRAP),
            words(DNS),
            words(ENGINE),
            words(MEANING),
            words(HOSTS),
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
    fn no_option_of_a_block_is_taken_for_a_statement() {
        let statements = words(STATEMENTS);
        assert!(words(DNS).iter().all(|option| !statements.contains(option)));
    }
}
