//! A second judge, slow and simple: maps, sets and regular expressions, and no code of the program except
//! the walk over the records.
//!
//! The public suffixes in the golden databases have one label, so the registrable domain is the last two
//! labels.

use greytrapper::config::Rules;
use greytrapper::db::ByteOrder;
use greytrapper::db::snapshot::Snapshot;
use regex::bytes::{NoExpand, Regex};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

type Field = Vec<u8>;

const LABEL: &str = r"[A-Za-z0-9_\x80-\xff-]{1,63}";
static MAILBOX: LazyLock<Regex> = LazyLock::new(|| {
    let route = "(?:@[^:]*:)?";
    let local = r#"(?:"(?:[^"\\]|\\.)*"|[^\x00-\x20()<>\[\]:;@\\,"\x7f])+"#;
    let name = format!(r"{LABEL}(?:\.{LABEL})+");
    let literal = r"\[[!-Z^-~\x80-\xff]+\]";
    regex(&format!(r"(?s-u)^{route}({local})@(?:({name})\.?|({literal}))$"))
});
static HOST_NAME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(?-u)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})+$"));
static BRACKETS: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s-u)^<(.*)>$"));
static DETAIL: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s-u)^(.+?)\+.*$"));
static HEXADECIMAL: LazyLock<Regex> = LazyLock::new(|| regex("[0-9a-f]+"));
static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex("[0-9]+"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// Every trap as `address rule number`.
pub fn traps(snapshot: &Snapshot<'_>, now: i64, rules: &Rules) -> BTreeSet<String> {
    let mut waiting: BTreeMap<IpAddr, Vec<[Field; 3]>> = BTreeMap::new();
    let mut known: BTreeSet<IpAddr> = BTreeSet::new();
    for record in snapshot.records().map(Result::unwrap) {
        let Some((expire, _)) = numbers(&record.value, snapshot.byte_order()) else { continue };
        let fields: Vec<_> =
            record.key.splitn(4, |byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let Ok(Ok(address)) = std::str::from_utf8(&fields[0]).map(str::parse::<IpAddr>) else {
            continue;
        };
        let tuple = match &fields[..] {
            [_] => {
                known.insert(address);
                continue;
            }
            [_, _] => continue,
            [_, from, to] => [Field::new(), from.clone(), to.clone()],
            [_, helo, from, to] => [helo.clone(), from.clone(), to.clone()],
            _ => unreachable!(),
        };
        let tuples = waiting.entry(address).or_default();
        if expire > now && !tuples.contains(&tuple) {
            tuples.push(tuple);
        }
    }
    let judged = waiting.into_iter().filter(|(address, _)| !known.contains(address));
    let lines = judged
        .filter_map(|(address, tuples)| Some(format!("{address} {}", judge(&tuples, rules)?)));
    lines.collect()
}

fn numbers(value: &[u8], order: ByteOrder) -> Option<(i64, i32)> {
    let u32_at = |at: usize| {
        let raw = value[at..at + 4].try_into().unwrap();
        if order == ByteOrder::Little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) }
    };
    match value.len() {
        20 => Some((i64::from(u32_at(8) as i32), u32_at(16) as i32)),
        32 => {
            let (one, other) = (u64::from(u32_at(16)), u64::from(u32_at(20)));
            let little = order == ByteOrder::Little;
            let expire = if little { other << 32 | one } else { one << 32 | other };
            Some((expire as i64, u32_at(28) as i32))
        }
        _ => None,
    }
}

fn judge(tuples: &[[Field; 3]], rules: &Rules) -> Option<String> {
    let senders: Vec<_> = tuples.iter().map(|[_, from, to]| (sender(from), bare(to))).collect();
    if rules.sender_syntax && senders.iter().any(|(sender, _)| *sender == Sender::None) {
        return Some("syntax ".to_owned());
    }
    let sent: Vec<_> = senders
        .iter()
        .filter_map(|(sender, to)| match sender {
            Sender::Mailbox(local, domain) => Some((local, domain, to)),
            _ => None,
        })
        .collect();
    if sent.len() > rules.suspect_tuples as usize {
        let domains: BTreeSet<_> = sent.iter().map(|(_, domain, _)| registrable(domain)).collect();
        if rules.max_sender_domains.is_some_and(|max| domains.len() > max as usize) {
            return Some(format!("domains {}", domains.len()));
        }
        let forms: BTreeSet<_> =
            sent.iter().map(|(l, d, to)| (untagged(l, to), lower(d))).collect();
        let recipients: BTreeSet<_> = sent.iter().map(|(_, _, to)| lower(to)).collect();
        let ratio = forms.len() as f64 / sent.len() as f64;
        let is_meant = recipients.len() > 1 && domains.len() > 2;
        if is_meant && rules.max_sender_ratio.is_some_and(|max| ratio > max) {
            return Some(format!("senders {}/{}", forms.len(), sent.len()));
        }
    }
    let names: BTreeSet<_> = tuples.iter().filter_map(|[helo, _, _]| helo_form(helo)).collect();
    if tuples.len() > 1 && rules.max_helo_names.is_some_and(|max| names.len() > max as usize) {
        return Some(format!("helo {}", names.len()));
    }
    let is_meant = |to: &[u8]| {
        (rules.rcpt.unlisted || rules.rcpt.trap.iter().any(|trap| trap.is_match(to)))
            && !rules.rcpt.pass.is_match(to)
    };
    senders.iter().any(|(_, to)| is_meant(to)).then(|| "rcpt ".to_owned())
}

/// The form in which HELO strings are compared.
fn helo_form(helo: &Field) -> Option<Field> {
    let text = lower(helo.strip_suffix(b".").unwrap_or(helo));
    let is_name = HOST_NAME.is_match(helo) && helo.iter().any(u8::is_ascii_alphabetic);
    match is_name {
        _ if helo.is_empty() || helo.len() >= 1023 => None,
        true if greytrapper::name::is_nobodys(&text) => Some(b"nobody's".to_vec()),
        true => Some(registrable(helo)),
        false if greytrapper::name::is_local(&text) => Some(b"nobody's".to_vec()),
        false => Some(text),
    }
}

#[derive(PartialEq)]
enum Sender {
    Null,
    None,
    Mailbox(Field, Field),
}

fn bare(address: &[u8]) -> Field {
    BRACKETS.captures(address).map_or(address.to_vec(), |found| found[1].to_vec())
}

fn lower(text: &[u8]) -> Field {
    text.to_ascii_lowercase()
}

fn sender(from: &[u8]) -> Sender {
    let text = bare(from);
    if text.is_empty() {
        return Sender::Null;
    }
    let Some(found) = MAILBOX.captures(&text) else { return Sender::None };
    let domain = found.get(2).or(found.get(3)).unwrap().as_bytes();
    let is_numeric = domain.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if is_numeric || &found[1] == b"." || std::str::from_utf8(&text).is_err() {
        return Sender::None;
    }
    Sender::Mailbox(found[1].to_vec(), domain.to_vec())
}

fn registrable(domain: &[u8]) -> Field {
    let domain = lower(domain);
    if domain.starts_with(b"[") {
        return domain;
    }
    let labels: Vec<_> = domain.split(|byte| *byte == b'.').collect();
    assert!(labels.last().unwrap().len() > 2, "{domain:?} may need the public suffix list");
    labels[labels.len() - 2..].join(&b'.')
}

/// A local part without tags, by judgement's words. BATV and SRS do not occur in golden databases.
fn untagged(local: &[u8], to: &[u8]) -> Field {
    let mut local = lower(local);
    let to = String::from_utf8_lossy(to).to_lowercase();
    let may_be_verp = local.contains(&b'=') || local.contains(&b'_');
    if let Some((user, domain)) = to.rsplit_once('@').filter(|_| may_be_verp) {
        let encoded = |part: &str| regex::escape(part).replace(r"\.", r"[.*_=~-]");
        let verp = format!("{}(=|_at_){}", encoded(user), encoded(domain));
        local = regex(&verp).replace(&local, NoExpand(b"?")).into_owned();
    }
    let local = DETAIL.replace(&local, &b"$1"[..]).into_owned();
    let token = |found: &regex::bytes::Captures<'_>| match &found[0] {
        run if run.len() >= 4 && DIGITS.is_match(run) => b"#".to_vec(),
        run => DIGITS.replace_all(run, NoExpand(b"#")).into_owned(),
    };
    HEXADECIMAL.replace_all(&local, token).into_owned()
}
