//! What does not work at present, for `show`, `report` and the metrics: everything that an operator would have
//! to find in the log otherwise.
#![forbid(unsafe_code)]

use super::Engine;
use crate::control::status::{About, Fitness, Mode, RuleState, Trouble};
use crate::plural::counted_here;

impl Engine {
    /// See the module; `rules` are the states of the rules.
    pub(super) fn troubles(&self, rules: &[RuleState]) -> Vec<Trouble> {
        let memory = &self.memory;
        let mut troubles = Vec::new();
        let mut add = |about, text: String| troubles.push(Trouble { about, text });
        if let Some(failure) = memory.scan_failure() {
            add(About::Scan, format!("scan failed: {failure}"));
        }
        if let Some(failure) = &memory.reload_failure {
            add(About::Reload, format!("reload failed: {failure}"));
        }
        if let Some(failure) = memory.dns_failure() {
            add(About::Dns, format!("DNS: {failure}"));
        }
        for server in &memory.name_servers {
            if let Fitness::Unfit(why) = &server.fitness {
                add(About::Dns, format!("DNS: {} not in use: {why}", server.address));
            }
        }
        for doubt in &memory.doubts {
            let about = if doubt.starts_with("DNS") { About::Dns } else { About::Recipients };
            add(about, doubt.clone());
        }
        if let Some(failure) = self.ledger.failure() {
            add(About::Memory, format!("memory: {failure}"));
        }
        for RuleState { rule, .. } in rules.iter().filter(|state| state.mode == Mode::Suspended) {
            add(About::Rule, format!("rule {rule} is suspended: it was wrong too often"));
        }
        if memory.over_limit > 0 {
            let hosts = counted_here(memory.over_limit, "host");
            add(About::Limit, format!("trap limit reached, {hosts} not trapped"));
        }
        troubles
    }
}
