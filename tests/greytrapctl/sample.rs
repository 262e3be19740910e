//! A daemon's state as it might be on a Tuesday.

use greytrapper::control::protocol::Verbosity;
use greytrapper::control::status::{
    About, ByRule, Configured, Failure, Fitness, Micros, Mode, NameServer, Peer, Phase, RuleState,
    Scan, Status, Took, Totals, Trouble,
};
use greytrapper::dns::verdict::Tally;
use greytrapper::scan::{Counts, Rule};
use std::net::IpAddr;

/// 2026-11-24T03:46:10Z.
pub const NOW: i64 = 1_795_491_970;

pub fn scan() -> Scan {
    Scan {
        began: NOW - 348,
        took: Took {
            read: Micros(61_203),
            judge: Micros(212_480),
            dns: Micros(1_390_022),
            checker: Micros(0),
            write: Micros(742),
        },
        lock_waited: Micros(0),
        lock_held: Micros(59_871),
        records: Counts {
            white: 20_311,
            trapped: 1892,
            greys: 5741,
            tuples: 9210,
            no_address: 0,
            spamtraps: 12,
            unknown: 1,
        },
        waiting: 5603,
        judged: 5588,
        trapped: by_rule(&[(Rule::Syntax, 1), (Rule::Domains, 2), (Rule::Dns, 9)]),
        domains: Tally { good: 3122, bad: 40, unknown: 17, not_asked: 3 },
    }
}

pub fn by_rule(counts: &[(Rule, u64)]) -> ByRule {
    let mut by_rule = ByRule::default();
    counts.iter().for_each(|(rule, count)| by_rule.add(*rule, *count));
    by_rule
}

/// The checker is off, and one rule was wrong too often.
pub fn rules() -> Vec<RuleState> {
    let state = |rule: Rule| RuleState {
        rule,
        mode: match rule {
            Rule::Checker => Mode::Off,
            Rule::Senders => Mode::Suspended,
            Rule::Dns => Mode::Observed,
            _ => Mode::On,
        },
        trapped: 0,
        released: 0,
        passed: 0,
        confirmed: 0,
        wrong: Vec::new(),
    };
    let mut rules: Vec<_> = Rule::ALL.into_iter().map(state).collect();
    for rule in rules.iter_mut().filter(|state| state.rule == Rule::Senders) {
        (rule.trapped, rule.released, rule.passed, rule.confirmed) = (250, 2, 1, 1);
        rule.wrong = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n])).into();
    }
    rules
}

pub fn status() -> Status {
    let server = |address: &str, fitness, round_trip, answers, timeouts| NameServer {
        address: address.parse().unwrap(),
        fitness,
        round_trip,
        answers,
        timeouts,
    };
    let peer = |name: &str, sent, failed| Peer { name: name.into(), sent, failed };
    Status {
        version: "0.1.0".into(),
        now: NOW,
        since: NOW - 274_371,
        up: Micros(274_371_000_000),
        log: Verbosity::Brief,
        phase: Phase::Idle,
        next_scan: Some(Micros(252_100_000)),
        last_scan: Some(scan()),
        last_failure: Some(Failure {
            time: NOW - 7869,
            text: "/var/db/spamd: locked for more than 30 s".into(),
        }),
        troubles: vec![
            Trouble { about: About::Scan, text: "scan failed: locked".into() },
            Trouble { about: About::Rule, text: format!("{}\u{1b}", "x".repeat(90)) },
        ],
        today: Totals { scans: 22, trapped: by_rule(&[(Rule::Dns, 31)]), ..Totals::default() },
        totals: Totals {
            scans: 456,
            failed_scans: 1,
            trapped: by_rule(&[
                (Rule::Syntax, 120),
                (Rule::Domains, 61),
                (Rule::Senders, 4),
                (Rule::Helo, 310),
                (Rule::Rcpt, 18),
                (Rule::Dns, 2402),
            ]),
            observed: by_rule(&[]),
            trapped_by_hand: 3,
            released: 2,
            domains: Tally { good: 220_010, bad: 2911, unknown: 804, not_asked: 96 },
        },
        name_servers: vec![
            server("127.0.0.1:53", Fitness::Fit, Some(Micros(312)), 221_833, 61),
            server("[2001:db8::53]:53", Fitness::Unfit("no answer".into()), None, 0, 4),
        ],
        peers: vec![peer("mx2.example.org", 2915, 0), peer("em0 (224.0.1.240)", 2915, 1)],
        rules: rules(),
        config: Configured {
            database: "/var/db/spamd".into(),
            scan_every: Micros(600_000_000),
            trap_for: Micros(86_400_000_000),
        },
    }
}
