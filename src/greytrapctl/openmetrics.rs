//! `greytrapctl show metrics`: a [`Status`] in OpenMetrics 1.0 text
//! (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>).
//!
//! Units are base units and end the name, counters end in `_total`, and `# EOF` ends the text. States of
//! name servers and phases are label values, so that a new one does not break queries.
#![forbid(unsafe_code)]

use super::time::Seconds;
use crate::control::status::{About, Fitness, NameServer, Peer, RuleState, Scan, Status, Trouble};
use crate::dns::verdict::Tally;
use crate::escape::harmless;
use std::fmt::{self, Display};

/// Shows `status`.
pub fn metrics(status: &Status) -> Metrics<'_> {
    Metrics(status)
}

/// The result of [`metrics`]: text to be displayed.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a>(&'a Status);

impl fmt::Display for Metrics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let out = &mut Writer(f);
        daemon(out, self.0)?;
        if let Some(scan) = &self.0.last_scan {
            last_scan(out, scan)?;
        }
        totals(out, self.0)?;
        rules(out, &self.0.rules)?;
        troubles(out, &self.0.troubles)?;
        name_servers(out, &self.0.name_servers)?;
        peers(out, &self.0.peers)?;
        out.0.write_str("# EOF\n")
    }
}

fn daemon(out: &mut Writer<'_, '_>, status: &Status) -> fmt::Result {
    let version = harmless(&status.version).to_string();
    out.family("build_info", Kind::Gauge, "The daemon's version; always 1.")?;
    out.sample("build_info", &[("version", &version)], 1)?;
    out.family("start_time_seconds", Kind::Gauge, "When the daemon started.")?;
    out.sample("start_time_seconds", &[], status.since)
}

fn last_scan(out: &mut Writer<'_, '_>, scan: &Scan) -> fmt::Result {
    let name = "last_scan_start_time_seconds";
    out.family(name, Kind::Gauge, "When the last good scan began.")?;
    out.sample(name, &[], scan.began)?;
    let name = "last_scan_duration_seconds";
    out.family(name, Kind::Gauge, "How long the phases of the last good scan took.")?;
    for (phase, took) in scan.took.parts() {
        out.sample(name, &[("phase", phase)], Seconds(took))?;
    }
    let name = "last_scan_lock_seconds";
    out.family(name, Kind::Gauge, "Waiting for the database's lock, and the longest hold of it.")?;
    out.sample(name, &[("state", "waited")], Seconds(scan.lock_waited))?;
    out.sample(name, &[("state", "held")], Seconds(scan.lock_held))?;
    records(out, scan)
}

fn records(out: &mut Writer<'_, '_>, scan: &Scan) -> fmt::Result {
    let counts = &scan.records;
    out.family("records", Kind::Gauge, "Records in the database; grey ones that live.")?;
    for (kind, count) in [
        ("white", counts.white),
        ("trapped", counts.trapped),
        ("grey", counts.tuples),
        ("spamtrap", counts.spamtraps),
        ("unknown", counts.unknown),
    ] {
        out.sample("records", &[("type", kind)], count)?;
    }
    out.family("waiting_hosts", Kind::Gauge, "Hosts with a live grey record.")?;
    out.sample("waiting_hosts", &[], scan.waiting)?;
    out.family("judged_hosts", Kind::Gauge, "Hosts that the rules were asked about.")?;
    out.sample("judged_hosts", &[], scan.judged)
}

fn totals(out: &mut Writer<'_, '_>, status: &Status) -> fmt::Result {
    let totals = &status.totals;
    out.family("scans", Kind::Counter, "Scans.")?;
    out.sample("scans_total", &[("result", "done")], totals.scans)?;
    out.sample("scans_total", &[("result", "failed")], totals.failed_scans)?;
    out.family("trapped_hosts", Kind::Counter, "Hosts trapped, by rule or by hand.")?;
    for (rule, count) in totals.trapped.iter() {
        out.sample("trapped_hosts_total", &[("rule", rule.name())], count)?;
    }
    out.sample("trapped_hosts_total", &[("rule", "hand")], totals.trapped_by_hand)?;
    out.family("observed_hosts", Kind::Counter, "Hosts that observed rules would have trapped.")?;
    for (rule, count) in totals.observed.iter() {
        out.sample("observed_hosts_total", &[("rule", rule.name())], count)?;
    }
    out.family("released_hosts", Kind::Counter, "Traps ended by operators or allow.")?;
    out.sample("released_hosts_total", &[], totals.released)?;
    let Tally { good, bad, unknown, not_asked } = totals.domains;
    out.family("sender_domains", Kind::Counter, "Sender domains by verdict, once a scan.")?;
    for (verdict, count) in
        [("good", good), ("bad", bad), ("unknown", unknown), ("not asked", not_asked)]
    {
        out.sample("sender_domains_total", &[("verdict", verdict)], count)?;
    }
    Ok(())
}

fn rules(out: &mut Writer<'_, '_>, rules: &[RuleState]) -> fmt::Result {
    out.family("rule_mode", Kind::Gauge, "What a rule does; always 1.")?;
    for RuleState { rule, mode, .. } in rules {
        out.sample("rule_mode", &[("rule", rule.name()), ("mode", mode.word())], 1)?;
    }
    let name = "rule_trapped_hosts";
    out.family(name, Kind::Gauge, "Hosts that a rule has trapped in 30 days.")?;
    for RuleState { rule, trapped, .. } in rules {
        out.sample(name, &[("rule", rule.name())], trapped)?;
    }
    let name = "rule_good_hosts";
    out.family(name, Kind::Gauge, "Of these, hosts that proved good, and how.")?;
    for RuleState { rule, released, passed, confirmed, .. } in rules {
        let counts = [("released", released), ("passed", passed), ("confirmed", confirmed)];
        for (proof, count) in counts {
            out.sample(name, &[("rule", rule.name()), ("proof", proof)], count)?;
        }
    }
    Ok(())
}

fn troubles(out: &mut Writer<'_, '_>, troubles: &[Trouble]) -> fmt::Result {
    out.family("troubles", Kind::Gauge, "Things that do not work at present.")?;
    for about in About::ALL {
        let count = troubles.iter().filter(|trouble| trouble.about == about).count();
        out.sample("troubles", &[("about", about.word())], count)?;
    }
    Ok(())
}

fn name_servers(out: &mut Writer<'_, '_>, servers: &[NameServer]) -> fmt::Result {
    if servers.is_empty() {
        return Ok(());
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    let each = || addresses.iter().zip(servers);
    out.family("name_server_fit", Kind::Gauge, "Whether a name server is asked.")?;
    for (address, server) in each() {
        let fit = u8::from(server.fitness == Fitness::Fit);
        out.sample("name_server_fit", &[("server", address)], fit)?;
    }
    out.family("name_server_round_trip_seconds", Kind::Gauge, "Smoothed round-trip time.")?;
    for (address, server) in each() {
        if let Some(trip) = server.round_trip {
            let labels = [("server", address.as_str())];
            out.sample("name_server_round_trip_seconds", &labels, Seconds(trip))?;
        }
    }
    out.family("name_server_answers", Kind::Counter, "Answers taken.")?;
    for (address, server) in each() {
        out.sample("name_server_answers_total", &[("server", address)], server.answers)?;
    }
    out.family("name_server_timeouts", Kind::Counter, "Waits for an answer in vain.")?;
    for (address, server) in each() {
        out.sample("name_server_timeouts_total", &[("server", address)], server.timeouts)?;
    }
    Ok(())
}

fn peers(out: &mut Writer<'_, '_>, peers: &[Peer]) -> fmt::Result {
    if peers.is_empty() {
        return Ok(());
    }
    out.family("sync_datagrams", Kind::Counter, "Datagrams for peers of spamd's sync protocol.")?;
    for peer in peers {
        let name = harmless(&peer.name).to_string();
        let sent = [("peer", name.as_str()), ("result", "sent")];
        out.sample("sync_datagrams_total", &sent, peer.sent)?;
        let failed = [("peer", name.as_str()), ("result", "failed")];
        out.sample("sync_datagrams_total", &failed, peer.failed)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Writes lines, with the program's name before every name.
struct Writer<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Writer<'_, '_> {
    fn family(&mut self, name: &str, kind: Kind, help: &str) -> fmt::Result {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        writeln!(self.0, "# TYPE greytrapper_{name} {word}")?;
        if name.ends_with("_seconds") {
            writeln!(self.0, "# UNIT greytrapper_{name} seconds")?;
        }
        writeln!(self.0, "# HELP greytrapper_{name} {help}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
        write!(self.0, "greytrapper_{name}")?;
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            // Newlines have already been removed.
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            write!(self.0, "{before}{label}=\"{text}\"")?;
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{close} {value}")
    }
}
