//! The known bugs of the original script, one test for each: none may return.
//!
//! Those of its DNS phase (domains that run out, answers that do not come, labels that are too long,
//! AAAA and null MX) are tested with the resolver.

use super::records::{grey, judge, offline, record, traps};
use greytrapper::config::Rules;
use greytrapper::scan::{Portion, Why};
use regex::bytes::Regex;

fn senders(address: &str, from: &[&str]) -> Vec<greytrapper::db::Record<'static>> {
    let tuple = |(n, from): (usize, &&str)| grey(address, "h", from, &format!("<u{n}@ours.test>"));
    from.iter().enumerate().map(tuple).collect()
}

fn trap_rcpt(pattern: &str) -> Rules {
    let mut rules = offline();
    rules.rcpt.trap = vec![Regex::new(&format!("(?i){pattern}")).unwrap()];
    rules
}

#[test]
fn no_answer_is_no_evidence() {
    let spammer = senders(
        "192.0.2.1",
        &[
            "<a@a.example>",
            "<a@b.example>",
            "<a@c.example>",
            "<a@d.example>",
            "<a@e.example>",
            "<a@f.example>",
        ],
    );
    let rules = Rules::default();
    let report = judge(&spammer, &rules);
    let passes: Vec<_> = report.verdicts(Portion::None).map(|verdict| verdict.passes()).collect();
    assert_eq!(passes, [Some(Why::IdentityUnknown)]);
    assert_eq!(traps(&spammer, &offline()).len(), 1);
}

#[test]
fn three_domains_are_three() {
    let from = [
        "<a@a.example>",
        "<a@b.example>",
        "<a@c.example>",
        "<a@a.example>",
        "<a@b.example>",
        "<a@c.example>",
    ];
    assert_eq!(traps(&senders("192.0.2.1", &from), &offline()), [""; 0]);
    let ratio = [
        "<a@a.example>",
        "<b@a.example>",
        "<c@a.example>",
        "<d@a.example>",
        "<e@a.example>",
        "<f@a.example>",
        "<a@a.example>",
        "<b@a.example>",
    ];
    // Six of eight are 0.75, and no more.
    assert_eq!(traps(&senders("192.0.2.1", &ratio), &offline()), [""; 0]);
}

#[test]
fn an_anchored_recipient_pattern_matches() {
    let tuple = grey("192.0.2.1", "h", "<a@x.example>", "<x@unusedomain.org>");
    assert_eq!(
        traps(&[tuple], &trap_rcpt("@unusedomain\\.org$")),
        ["192.0.2.1 rcpt Mailed to trap address x@unusedomain.org"]
    );
}

#[test]
fn hosts_of_one_sender_are_trapped_each_once_and_by_their_address() {
    let both = [
        grey("192.0.2.1", "h", "<a@localhost>", "<u@ours.test>"),
        grey("192.0.2.2", "h", "<a@localhost>", "<u@ours.test>"),
        grey("192.0.2.2", "h", "<b@localhost>", "<u@ours.test>"),
        grey("192.0.2.1", "h", "<b@localhost>", "<u@ours.test>"),
    ];
    assert_eq!(
        traps(&both, &offline()),
        [
            "192.0.2.1 syntax Invalid source address a@localhost (domain without a dot)",
            "192.0.2.2 syntax Invalid source address a@localhost (domain without a dot)",
        ]
    );
}

#[test]
fn a_null_sender_beside_another_is_fine() {
    let bounces = senders("192.0.2.1", &["<a@x.example>", "<>", "", "<a@x.example>", "<>"]);
    assert_eq!(traps(&bounces, &offline()), [""; 0]);
}

#[test]
fn a_bar_in_helo_shifts_nothing() {
    let rules = trap_rcpt("@trap\\.test$");
    let good = grey("192.0.2.1", "a|<nobody>|b", "<a@x.example>", "<u@ours.test>");
    let bad = grey("192.0.2.2", "a|<a@x.example>|<u@ours.test>", "<nobody>", "<u@ours.test>");
    let recipient = grey("192.0.2.3", "a|b", "<a@x.example>", "<u@trap.test>");
    assert_eq!(
        traps(&[good, bad, recipient], &rules),
        [
            "192.0.2.2 syntax Invalid source address nobody (no @)",
            "192.0.2.3 rcpt Mailed to trap address u@trap.test",
        ]
    );
}

#[test]
fn a_host_that_is_white_is_not_trapped_over() {
    let records = [
        grey("192.0.2.1", "h", "<nobody>", "<u@ours.test>"),
        grey("192.0.2.2", "h", "<nobody>", "<u@ours.test>"),
        grey("192.0.2.3", "h", "<nobody>", "<u@ours.test>"),
        record("192.0.2.1", 1),
        record("192.0.2.2", -1),
    ];
    assert_eq!(
        traps(&records, &offline()),
        ["192.0.2.3 syntax Invalid source address nobody (no @)"]
    );
}
