//! `greytrapctl show rules` for people: what each rule does, and how often it was wrong.
#![forbid(unsafe_code)]

use crate::control::status::RuleState;
use std::fmt;

/// Shows the rules, each with its record.
pub fn rules(rules: &[RuleState]) -> Rules<'_> {
    Rules(rules)
}

/// The result of [`rules`]: lines for display.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a>(&'a [RuleState]);

impl fmt::Display for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [trapped, released, passed, confirmed] =
            ["trapped 30d", "released", "passed", "confirmed"];
        writeln!(
            f,
            "{:<12} {:<10} {trapped:>12} {released:>12} {passed:>12} {confirmed:>12}",
            "rule", "state"
        )?;
        for RuleState { rule, mode, trapped, released, passed, confirmed, .. } in self.0 {
            let (name, mode) = (rule.name(), mode.word());
            writeln!(
                f,
                "{name:<12} {mode:<10} {trapped:>12} {released:>12} {passed:>12} {confirmed:>12}"
            )?;
        }
        Ok(())
    }
}
