//! The report in text: 80 columns for a mail.
#![forbid(unsafe_code)]

use super::{NewRecipient, Released, Report};
use crate::control::status::RuleState;
use crate::date::{Date, Day};
use crate::escape::harmless;
use std::collections::BTreeMap;
use std::fmt;

/// Columns of a line.
pub const WIDTH: usize = 80;
/// Releases, and recipients, that are listed one by one.
const LISTED: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        writeln!(f, "greytrapper since {}\n", Date(self.begin))?;
        table(f, "trapped", &self.trapped_by_rule)?;
        total(f, "trapped by hand", self.trapped_by_hand)?;
        table(f, "observed only", &self.observed_by_rule)?;
        table(f, "spared", &self.spared_by_reason)?;
        table(f, "whitelisted after their trap", &self.passed_by_rule)?;
        table(f, "confirmed by DNS after their trap", &self.confirmed_by_rule)?;
        total(f, "released", self.released.len() as u64)?;
        for Released { address, rule, reason } in self.released.iter().take(LISTED) {
            let rule = rule.as_deref().unwrap_or("-");
            line(f, &format!("  {address}  {rule}  {}", harmless(reason)))?;
        }
        more(f, self.released.len())?;
        total(f, "in allow now", self.allowed_hosts)?;
        recipients(f, &self.new_recipients)?;
        records(f, &self.rules)?;
        for trouble in &self.troubles {
            line(f, &harmless(&trouble.text).to_string())?;
        }
        match &self.last_failure {
            Some(failure) => line(f, &format!("last failure: {}", harmless(&failure.text))),
            None => Ok(()),
        }
    }
}

/// What was not listed, if anything.
fn more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count.saturating_sub(LISTED) {
        0 => Ok(()),
        unlisted => line(f, &format!("  and {unlisted} more")),
    }
}

/// Recipients that could be spamtraps, each with its first day.
fn recipients(f: &mut fmt::Formatter<'_>, recipients: &[NewRecipient]) -> fmt::Result {
    total(f, "new recipients worth a spamtrap", recipients.len() as u64)?;
    for NewRecipient { recipient, first, .. } in recipients.iter().take(LISTED) {
        line(f, &format!("  {}  {}", harmless(recipient), Day::of(*first)))?;
    }
    more(f, recipients.len())
}

/// The rules that were wrong in the last 30 days.
fn records(f: &mut fmt::Formatter<'_>, rules: &[RuleState]) -> fmt::Result {
    for RuleState { rule, mode, trapped, released, passed, confirmed, .. } in rules {
        let counts = format!("{released} released, {passed} whitelisted, {confirmed} confirmed");
        let name = format!("rule {rule} ({})", mode.word());
        line(f, &format!("{name}: of {trapped} hosts in 30 days {counts}"))?;
    }
    Ok(())
}

fn table(f: &mut fmt::Formatter<'_>, name: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    total(f, name, counts.values().fold(0, |sum: u64, count| sum.saturating_add(*count)))?;
    for (name, count) in counts {
        let name: String = harmless(name).to_string().chars().take(WIDTH - 12).collect();
        writeln!(f, "  {name:<width$} {count:>8}", width = WIDTH - 12)?;
    }
    Ok(())
}

fn total(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "{name:<width$} {count:>8}", width = WIDTH - 10)
}

/// A line that is not longer than a terminal's.
fn line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{}", text.chars().take(WIDTH).collect::<String>())
}
