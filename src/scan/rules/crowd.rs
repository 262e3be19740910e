//! Rule `crowd`: an anonymous host that calls itself as hosts in several other networks did within a day, in
//! the name of several sender domains.
//!
//! It is off unless the configuration has it on: names that programs say if their own was not configured
//! bring good hosts together too. Source: measured in real mail.

use super::{Case, Finding, Identity, Opinion, Stage, Subject};
use crate::config::{Config, Rules};
use crate::escape::escaped;
use crate::evidence::DAY;
use crate::scan::given::{Field, Given};
use crate::spamd::Tuple;

/// A HELO string that is used in several networks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Crowd {
    tuple: u32,
    networks: u8,
    domains: u8,
}

/// The least number of networks, and of sender domains.
const MANY: usize = 3;

impl Finding for Crowd {
    const NAME: &'static str = "crowd";
    const STAGE: Stage = Stage::Host;
    const IDENTITY: Identity = Identity::Ignored;

    fn is_on(config: &Config) -> bool {
        is_on(&config.rules)
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        is_on(subject.rules)
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let Some(evidence) = case.evidence.filter(|_| is_on(case.subject.rules)) else {
            return Opinion::Nothing;
        };
        case.one_letter(case.anonymity, |tuple, sent| {
            let seen = evidence.helo(sent.helo, DAY);
            let [networks, domains] =
                [seen.networks, seen.domains].map(|count| u8::try_from(count).unwrap_or(u8::MAX));
            let is_crowd = seen.networks >= MANY && seen.domains >= MANY;
            is_crowd.then_some(Crowd { tuple, networks, domains })
        })
    }

    fn reason(&self, subject: &Subject<'_>) -> String {
        let helo = escaped(subject.tuple(self.tuple).helo);
        let Crowd { networks, domains, .. } = self;
        format!("Crowd: HELO {helo} from {networks} networks with {domains} sender domains")
    }

    fn seen(&self, subject: &Subject<'_>) -> Vec<Given> {
        let helo = subject.tuple(self.tuple).helo.to_vec();
        vec![Given::Seen(Field::Helo, helo, self.networks, self.domains)]
    }

    fn tuples<'w>(&self, subject: &Subject<'w>) -> Vec<Tuple<'w>> {
        vec![subject.tuple(self.tuple)]
    }
}

fn is_on(rules: &Rules) -> bool {
    rules.crowd && rules.identity
}

#[cfg(test)]
mod tests {
    use crate::config::Rules;
    use crate::scan::testing::{grey, letter_rules, letters};

    #[test]
    fn three_networks_and_three_sender_domains_make_a_crowd() {
        let found = "Crowd: HELO no.x.example from 3 networks with 3 sender domains";
        let nothing = "- nothing against it".to_owned();
        let rules = Rules { stranger: false, ..letter_rules() };
        for (others, from, wanted, what) in [
            (
                [("10.3.0.1", "<a@a.example>"), ("10.4.0.1", "<a@b.example>")],
                "<a@c.example>",
                format!("crowd {found}"),
                "a crowd",
            ),
            (
                [("10.3.0.1", "<a@a.example>"), ("10.4.0.1", "<a@b.example>")],
                "<a@vouches.example>",
                format!("- sender's domain vouches for it: {found}"),
                "exempt",
            ),
            (
                [("10.3.0.1", "<a@a.example>"), ("10.4.0.1", "<a@b.example>")],
                "<a@www.b.example>",
                nothing.clone(),
                "two domains",
            ),
            (
                [("10.3.0.1", "<a@a.example>"), ("10.4.0.1", "<>")],
                "<a@c.example>",
                nothing.clone(),
                "a null sender",
            ),
            (
                [("10.3.0.1", "<a@a.example>"), ("10.3.9.1", "<a@b.example>")],
                "<a@c.example>",
                nothing.clone(),
                "two networks",
            ),
            (
                [("10.3.0.1", "<a@a.example>"), ("10.1.0.1", "<a@b.example>")],
                "<a@c.example>",
                nothing.clone(),
                "one has a name of its own",
            ),
        ] {
            let mut records = vec![grey("10.0.0.1", "no.x.example", from, "<u@ours.test>")];
            let others = others.into_iter();
            records.extend(others.map(|(address, from)| {
                grey(address, "NO.x.example.", from, "<u@ours.test>")
            }));
            let judged = letters(&records, &rules).remove(0);
            assert_eq!(judged, format!("10.0.0.1 {wanted}"), "{what}");
            let off = Rules { crowd: false, ..rules.clone() };
            assert_eq!(letters(&records, &off)[0], format!("10.0.0.1 {nothing}"), "off");
        }
    }
}
