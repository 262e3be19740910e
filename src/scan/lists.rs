//! What DNS lists (RFC 5782) mean for a host: the questions, and whether it counts as listed.
//!
//! A list that is a sign is asked about anonymous hosts that `stranger` would trap with one more sign; a list
//! that spares, about hosts that are about to be trapped by a rule from `domains` to `crowd`. A list that is
//! put aside says nothing.

use super::answers::{Answers, Confirmation, Listed};
use crate::config::{DnsList, Meaning, Rules};
use crate::dns::listing::Listing;
use std::net::IpAddr;

/// Whether a host is in a list; confirmed if it is.
pub(super) fn standing(list: &DnsList, listed: &Listed) -> Confirmation {
    match listed {
        Listed::Answers(answers) if answers.iter().any(|answer| list.counts(*answer)) => {
            Confirmation::Confirmed
        }
        Listed::Answers(_) | Listed::Nothing | Listed::Aside => Confirmation::NotConfirmed,
        Listed::Unknown => Confirmation::Unknown,
    }
}

/// Whether a host is in any of the lists with this meaning, and the number of the first of these. Not in any
/// if there are none.
pub(super) fn found(
    rules: &Rules,
    answers: &dyn Answers,
    address: IpAddr,
    meaning: Meaning,
) -> (Confirmation, u8) {
    let mut all = Confirmation::NotConfirmed;
    for (number, list) in (0u8..).zip(&rules.lists).filter(|(_, list)| list.meaning == meaning) {
        let listed = answers.listed(address, &list.zone).unwrap_or(Listed::Unknown);
        match standing(list, &listed) {
            Confirmation::Confirmed => return (Confirmation::Confirmed, number),
            Confirmation::Unknown => all = Confirmation::Unknown,
            Confirmation::NotConfirmed => {}
        }
    }
    (all, 0)
}

/// The questions about a host.
pub(super) fn listings(
    rules: &Rules,
    address: IpAddr,
    meaning: Meaning,
) -> impl Iterator<Item = Listing> {
    let lists = rules.lists.iter().filter(move |list| list.meaning == meaning);
    lists.map(move |list| Listing { address, zone: list.zone.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Oracle, SIX_DOMAINS, SIX_SENDERS, grey, host, letter_rules, letters, lines, scan,
    };
    use super::*;
    use crate::config::{Network, Networks};

    /// Lists with answers that count, or all.
    fn lists(names: &[(&str, &str, Meaning)]) -> Vec<DnsList> {
        let list = |(zone, answer, meaning): &(&str, &str, Meaning)| DnsList {
            zone: format!("{zone}.example"),
            answers: Networks::new(Network::parse(answer).into_iter().collect()),
            meaning: *meaning,
        };
        names.iter().map(list).collect()
    }

    fn rules(names: &[(&str, &str, Meaning)]) -> Rules {
        Rules { lists: lists(names), crowd: false, ..letter_rules() }
    }

    fn one(address: &str, helo: &str, from: &str, names: &[(&str, &str, Meaning)]) -> String {
        let records = [grey(address, helo, from, "<u@ours.test>")];
        let found = letters(&records, &rules(names)).remove(0);
        found.split_once(' ').unwrap().1.to_owned()
    }

    use Meaning::{Sign, Spare};

    #[test]
    fn a_list_is_one_sign_in_the_field_helo() {
        let nothing = "- nothing against it";
        let trapped = "stranger Stranger: listed by two.example, sender in the recipient's domain";
        let (helo, ours) = ("no.x.example", "<a@ours.test>");
        for (address, helo, from, names, wanted) in [
            ("10.0.0.1", helo, ours, &[("two", "", Sign)][..], trapped),
            ("2001:db8::1", helo, ours, &[("two", "", Sign)], trapped),
            ("10.0.0.1", "[10.9.9.9].", ours, &[("two", "127.0.0.2", Sign)], trapped),
            ("10.0.0.1", helo, ours, &[("none", "", Sign), ("two", "", Sign)], trapped),
            ("10.0.0.1", helo, ours, &[("dunno", "", Sign), ("two", "", Sign)], trapped),
            ("10.0.0.1", helo, ours, &[("nine", "127.0.0.2", Sign)], nothing),
            ("10.0.0.1", helo, ours, &[("none", "", Sign)], nothing),
            ("10.0.0.1", helo, ours, &[("aside", "", Sign)], nothing),
            ("10.0.0.1", helo, ours, &[("two", "", Spare)], nothing),
            ("10.0.0.1", helo, ours, &[("dunno", "", Sign)], "- list not known"),
            ("10.0.0.1", helo, ours, &[("unasked", "", Sign)], "- list not known"),
            // The list alone, with another sign in the same field, and about hosts that are known.
            ("10.0.0.1", helo, "<a@x.example>", &[("two", "", Sign)], nothing),
            ("10.0.0.1", helo, "<>", &[("two", "", Sign), ("nine", "", Sign)], nothing),
            ("10.0.0.1", "friend", "<a@x.example>", &[("two", "", Sign)], nothing),
            ("10.0.0.1", "yes.x.example", ours, &[("two", "", Sign)], nothing),
            ("10.1.0.1", helo, ours, &[("two", "", Sign)], nothing),
            (
                "10.2.0.1",
                helo,
                ours,
                &[("two", "", Sign)],
                "- identity not known: Stranger: listed by two.example, \
                    sender in the recipient's domain",
            ),
            (
                "10.0.0.1",
                "no.x.example",
                "<a@fail.example>",
                &[("two", "", Sign)],
                "stranger Stranger: listed by two.example, SPF fail",
            ),
            ("10.0.0.1", helo, "<a@temp.example>", &[("dunno", "", Sign)], "- list not known"),
            ("10.0.0.1", helo, "<a@temp.example>", &[("two", "", Sign)], "- exemption not known"),
            // What was a sign before is named first.
            (
                "10.0.0.1",
                "friend",
                ours,
                &[("two", "", Sign)],
                "stranger Stranger: one-label HELO, sender in the recipient's domain",
            ),
        ] {
            assert_eq!(
                one(address, helo, from, names),
                wanted,
                "{address} {helo} {from} {names:?}"
            );
        }
    }

    #[test]
    fn a_list_spares_from_the_rules_from_domains_to_crowd() {
        let mut records = host("10.0.0.1", "no.x.example", &SIX_DOMAINS);
        records.extend(host("10.0.0.2", "no.x.example", &SIX_SENDERS));
        records.push(grey("10.0.0.3", "no.one.example", "<>", "<u@ours.test>"));
        records.push(grey("10.0.0.3", "no.two.example", "<>", "<u@ours.test>"));
        records.push(grey("10.0.0.4", "10.0.0.4", "<a@x.example>", "<u@ours.test>"));
        records.push(grey("10.0.0.5", "10-0-0-5.dsl.example", "<a@x.example>", "<u@ours.test>"));
        records.push(grey("10.0.0.6", "friend", "<a@ours.test>", "<u@ours.test>"));
        for (network, domain) in [(7, "p"), (8, "q"), (9, "r")] {
            let from = format!("<a@{domain}.example>");
            records.push(grey(&format!("10.{network}.0.7"), "crowd", &from, "<u@ours.test>"));
        }
        records.push(grey("10.0.0.8", "no.x.example", "<nobody>", "<u@ours.test>"));
        records.push(grey("10.0.0.9", "no.x.example", "<a@x.example>", "<u@old.test>"));
        records.push(grey("10.0.0.10", "no.x.example", "<a@gone.example>", "<u@ours.test>"));
        let first = |names: &[(&str, &str, Meaning)]| -> Vec<String> {
            let all = Rules { max_helo_names: Some(1), sender_dns: true, ..rules(names) };
            let all = Rules { crowd: true, ..all };
            let found = lines(&scan(&records, &all).finish(Some(&Oracle)));
            let word = |line: String| line.split(": ").next().unwrap().to_owned();
            let rule = |line: String| match line.split(' ').nth(1) {
                Some("-") => word(line).split_once(' ').unwrap().1.to_owned(),
                rule => rule.unwrap().to_owned(),
            };
            found.into_iter().map(rule).collect()
        };
        let plain = [
            "domains", "senders", "helo", "address", "dynamic", "stranger", "crowd", "crowd",
            "crowd", "syntax", "rcpt", "dns",
        ];
        assert_eq!(first(&[]), plain);
        for (names, wanted) in [
            (&[("none", "", Spare)][..], None),
            (&[("aside", "", Spare)], None),
            (&[("nine", "127.0.0.2", Spare)], None),
            (&[("two", "", Sign)], None),
            (&[("two", "", Spare)], Some("- in a list that spares it")),
            (&[("dunno", "", Spare), ("two", "", Spare)], Some("- in a list that spares it")),
            (&[("dunno", "", Spare)], Some("- not known whether a list spares it")),
            (
                &[("none", "", Spare), ("unasked", "", Spare)],
                Some("- not known whether a list spares it"),
            ),
        ] {
            let expected: Vec<_> = plain
                .into_iter()
                .map(|rule| match rule {
                    "syntax" | "rcpt" | "dns" => rule,
                    rule => wanted.unwrap_or(rule),
                })
                .collect();
            assert_eq!(first(names), expected, "{names:?}");
        }
    }

    /// The questions when these hosts have been settled by what the oracle says: the host, and the list.
    fn questions(names: &[(&str, &str, Meaning)]) -> Vec<String> {
        let records = [
            ("10.0.0.1", "no.x.example", "<a@ours.test>"),
            ("10.0.0.2", "no.x.example", "<a@x.example>"),
            ("10.0.0.3", "no.x.example", "<>"),
            ("10.0.0.4", "friend", "<a@ours.test>"),
            ("10.0.0.5", "friend", "<a@maybe.ours.test>"),
            ("10.0.0.6", "yes.x.example", "<a@ours.test>"),
            ("10.1.0.1", "no.x.example", "<a@ours.test>"),
            ("10.2.0.1", "no.x.example", "<a@ours.test>"),
            ("10.0.0.7", "no.x.example", "<a@temp.example>"),
        ];
        let record = |(address, helo, from)| grey(address, helo, from, "<u@ours.test>");
        let rules = rules(names);
        let mut scan = scan(&records.map(record), &rules);
        assert_eq!(scan.listings(), []);
        scan.settle(Some(&Oracle));
        let text = |Listing { address, zone }: Listing| format!("{address} {zone}");
        scan.listings().into_iter().map(text).collect()
    }

    #[test]
    fn lists_are_asked_only_about_hosts_to_which_it_matters() {
        let signs = questions(&[("unasked", "", Sign), ("none", "", Sign)]);
        let wanted = ["10.0.0.1 unasked", "10.0.0.1 none", "10.0.0.7 unasked", "10.0.0.7 none"];
        assert_eq!(signs, wanted.map(|text| format!("{text}.example")));
        let spares = questions(&[("unasked", "", Spare)]);
        assert_eq!(spares, ["10.0.0.4 unasked.example"]);
        let both = questions(&[("two", "", Sign), ("unasked", "", Spare)]);
        assert_eq!(both, ["10.0.0.1 unasked.example", "10.0.0.4 unasked.example"]);
        assert!(questions(&[("two", "", Sign), ("none", "", Spare)]).is_empty());
    }
}
