//! Hosts that are exempt by name, `allow helo`: their names are asked about, and those hosts are spared whose
//! name DNS confirms. Without a definite answer they are spared this time.
//!
//! In: hosts that wait, and hosts that the daemon has trapped, each with those HELO names that an exception
//! covers. Out: what the answers mean for each. Strangers choose the names.
#![forbid(unsafe_code)]

use crate::config::{Rules, Written};
use crate::inquiry::Questions;
use crate::scan::answers::{Answers, Confirmation};
use crate::scan::identity::{Question, lower_name};
use crate::scan::{Report, Verdict, What, Why};
use std::collections::HashMap;
use std::net::IpAddr;

/// See the module.
#[derive(Debug, Default)]
pub struct Exempt {
    waiting: HashMap<IpAddr, Vec<String>>,
    trapped: HashMap<IpAddr, Vec<String>>,
}

impl Exempt {
    /// The hosts that wait and have such a name, and those among these `trapped` hosts.
    pub fn of(report: &Report<'_>, trapped: Vec<Question>, rules: &Rules) -> Exempt {
        if !rules.has_allowed_names() {
            return Exempt::default();
        }
        let waiting = report.questions_about(|name| rules.allowing_name(name).is_some());
        let by_host = |questions: Vec<Question>| {
            let names = |Question { address, names }| (address, names);
            questions.into_iter().map(names).collect()
        };
        Exempt { waiting: by_host(waiting), trapped: by_host(trapped) }
    }

    /// Adds the questions about the names to those of a scan.
    pub fn ask(&self, questions: &mut Questions) {
        let places = questions.hosts.iter().enumerate();
        let places: HashMap<_, _> = places.map(|(place, host)| (host.address, place)).collect();
        for (address, names) in self.waiting.iter().chain(&self.trapped) {
            let known = places.get(address).and_then(|place| questions.hosts.get_mut(*place));
            match known {
                Some(question) => {
                    let asked = &mut question.names;
                    let others = names.iter().filter(|name| !asked.contains(name));
                    let others: Vec<_> = others.cloned().collect();
                    asked.extend(others);
                }
                None => questions.hosts.push(Question { address: *address, names: names.clone() }),
            }
        }
    }

    /// Whether an exception covers a name of this host, so that no answer is never taken for a denial.
    pub fn covers(&self, address: IpAddr) -> bool {
        self.waiting.contains_key(&address)
    }

    /// Whether a host that is to be trapped is spared; `None` if no exception covers it, or if DNS denies
    /// that its name is its own.
    pub fn spares(&self, address: IpAddr, answers: Option<&dyn Answers>) -> Option<Why> {
        let names = self.waiting.get(&address)?;
        match answers.map_or(Confirmation::Unknown, |answers| best(answers, address, names)) {
            Confirmation::Confirmed => Some(Why::AllowedName),
            Confirmation::Unknown => Some(Why::AllowedNameUnknown),
            Confirmation::NotConfirmed => None,
        }
    }

    /// The same verdict, or that the host is spared, with the exception.
    pub fn apply(&self, verdict: Verdict, answers: &dyn Answers, rules: &Rules) -> Verdict {
        let address = verdict.address.ip();
        let trap = verdict.what == What::Trap;
        let Some(why) = trap.then(|| self.spares(address, Some(answers))).flatten() else {
            return verdict;
        };
        let mut verdict = verdict.passing(why);
        verdict.evidence.statements.extend(self.statement(address, rules));
        verdict
    }

    fn statement(&self, address: IpAddr, rules: &Rules) -> Option<Written> {
        self.waiting.get(&address)?.iter().find_map(|name| rules.allowing_name(name))
    }

    /// The trapped hosts whose names DNS confirms.
    pub fn freed(&self, answers: &dyn Answers) -> Vec<IpAddr> {
        let is_confirmed = |(address, names): &(&IpAddr, &Vec<String>)| {
            best(answers, **address, names) == Confirmation::Confirmed
        };
        self.trapped.iter().filter(is_confirmed).map(|(address, _)| *address).collect()
    }
}

/// What is found about one of the names is enough.
fn best(answers: &dyn Answers, address: IpAddr, names: &[String]) -> Confirmation {
    let found: Vec<_> = names.iter().map(|name| answers.helo(address, name)).collect();
    [Confirmation::Confirmed, Confirmation::Unknown]
        .into_iter()
        .find(|wanted| found.contains(wanted))
        .unwrap_or(Confirmation::NotConfirmed)
}

/// Which HELO names of a host that was trapped an exception covers; `None` if there are none.
pub fn question(verdict: &Verdict, rules: &Rules) -> Option<Question> {
    let address = verdict.address.ip();
    let names = verdict.evidence.tuples().filter_map(|tuple| lower_name(tuple.helo, address));
    let mut names: Vec<_> = names.filter(|name| rules.allowing_name(name).is_some()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then_some(Question { address, names })
}
