//! Evidence compared with a plain list of all that was noted.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NOW: i64 = 1_795_420_010;
const WEEK: i64 = 7 * 24 * 3600;

fn sighting<'a>(address: &str, helo: &'a str, domain: &'a str, to: &'a str) -> Sighting<'a> {
    Sighting {
        address: address.parse().unwrap(),
        helo: helo.as_bytes(),
        domain: (!domain.is_empty()).then_some(domain.as_bytes()),
        recipient: to.as_bytes(),
        time: NOW,
    }
}

fn helo(evidence: &Evidence, helo: &str) -> (usize, usize) {
    let HeloSeen { networks, domains } = evidence.helo(helo.as_bytes(), KEPT);
    (networks, domains)
}

#[test]
fn networks_and_domains_are_counted_once_each() {
    let mut evidence = Evidence::new(NOW);
    for (address, domain) in [
        ("192.0.2.1", "example.com"),
        ("192.0.2.1", "example.com"),
        ("192.0.77.2", "EXAMPLE.com."),
        ("198.51.100.1", ""),
        ("2001:db8::1", "example.net"),
        ("2001:db8:1::1", "example.net"),
    ] {
        evidence.note(&sighting(address, "Friend", domain, "<Info@Example.org>"));
    }
    assert_eq!(helo(&evidence, "FRIEND."), (3, 2));
    assert_eq!(evidence.domain(b"example.com", KEPT), 1);
    assert_eq!(evidence.domain(b"example.net", KEPT), 1);
    assert_eq!(evidence.domain(b"", KEPT), 0, "a null sender is no evidence about anybody");
    let seen = RecipientSeen { networks: 3, is_passed: false };
    assert_eq!(evidence.recipient(b"info@example.org", KEPT), seen);
    assert_eq!(helo(&evidence, "unseen"), (0, 0));
}

#[test]
fn what_is_older_than_asked_for_does_not_count() {
    let mut evidence = Evidence::new(NOW);
    for (address, age) in [
        ("192.0.2.1", 0),
        ("192.1.2.1", 24 * 3600),
        ("192.2.2.1", 24 * 3600 + 1),
        ("192.3.2.1", WEEK),
        ("192.4.2.1", WEEK + 1),
    ] {
        let seen = sighting(address, "friend", "example.com", "<a@example.org>");
        evidence.note(&Sighting { time: NOW - age, ..seen });
    }
    assert_eq!(
        (evidence.domain(b"example.com", DAY), evidence.domain(b"example.com", KEPT)),
        (2, 4)
    );
    let seen = sighting("192.4.2.1", "friend", "", "<a@example.org>");
    evidence.note(&Sighting { time: NOW + 9999, ..seen });
    assert_eq!(helo(&evidence, "friend"), (5, 1), "a time to come is now");
}

#[test]
fn of_many_networks_the_latest_are_kept() {
    let mut evidence = Evidence::new(NOW);
    for number in 0..100 {
        let address = format!("192.{number}.2.1");
        let seen = sighting(&address, "friend", "example.com", "<a@example.org>");
        evidence.note(&Sighting { time: NOW - 3600 * i64::from(number), ..seen });
    }
    assert_eq!(evidence.recipient(b"a@example.org", KEPT).networks, MOST);
    assert_eq!(evidence.domain(b"example.com", Duration::from_hours(5)), 6);
}

#[test]
fn a_name_that_is_too_long_or_empty_is_no_evidence() {
    let mut evidence = Evidence::new(NOW);
    let (longest, longer) = ("a".repeat(NAME_MAX), "a".repeat(NAME_MAX + 1));
    for name in ["", ".", &longer, &longest] {
        evidence.note(&sighting("192.0.2.1", name, name, name));
    }
    assert_eq!((helo(&evidence, ""), helo(&evidence, &longer)), ((0, 0), (0, 0)));
    assert_eq!(helo(&evidence, &longest), (1, 1));
    let kinds: BTreeSet<_> = evidence.fresh().into_iter().map(|(key, _)| key.kind).collect();
    assert_eq!(kinds, [Kind::Helo, Kind::Domain, Kind::Recipient].into());
}

#[test]
fn beyond_the_bound_nothing_new_is_known_but_what_is_known_grows() {
    let mut evidence = Evidence::with_most(NOW, 3);
    evidence.note(&sighting("192.0.2.1", "one", "example.com", "<a@example.org>"));
    evidence.note(&sighting("192.0.2.1", "two", "example.net", "<a@example.org>"));
    evidence.note(&sighting("198.51.100.1", "two", "example.com", "<b@example.org>"));
    assert_eq!((helo(&evidence, "one"), helo(&evidence, "two")), ((1, 1), (0, 0)));
    assert_eq!(evidence.domain(b"example.com", KEPT), 2);
    assert_eq!(evidence.fresh().len(), 3);
}

/// A recipient that a good host wrote to is known as such, whoever wrote to it before or after.
#[test]
fn recipients_of_hosts_that_passed() {
    let mut evidence = Evidence::new(NOW);
    evidence.note(&sighting("192.0.2.1", "one", "", "<a@example.org>"));
    evidence.note_passed(b"<A@example.org>", NOW - 10 * WEEK);
    evidence.note_passed(b"<b@example.org>", NOW);
    for (recipient, networks, is_passed) in [("a@", 1, true), ("b@", 0, true), ("c@", 0, false)] {
        let name = format!("{recipient}example.org");
        let seen = RecipientSeen { networks, is_passed };
        assert_eq!(evidence.recipient(name.as_bytes(), KEPT), seen, "{name}");
    }
}

/// However a host that passed has spelled it.
#[test]
fn a_recipient_is_the_same_in_every_spelling() {
    for spelling in [
        "<User.One@Example.org>",
        "<@relay.example,@other.example:user.one@example.org>",
        "<\"user.one\"@example.org>",
        "<\"us\\er.one\"@example.org.>",
    ] {
        let mut evidence = Evidence::new(NOW);
        evidence.note_passed(spelling.as_bytes(), NOW);
        assert!(evidence.recipient(b"user.one@example.org", KEPT).is_passed, "{spelling}");
    }
}

#[test]
fn a_recipient_is_learnt_after_fourteen_days_from_more_than_ten_networks() {
    let watch = |days: i64| Some(Watch { since: NOW - days * 24 * 3600, last: NOW - 600 });
    let to = "<A@example.org>";
    let noted = |networks: u8, age: i64, watch| {
        let mut evidence = Evidence::new(NOW);
        for network in 0..networks {
            let address = format!("10.{network}.2.1");
            let seen = sighting(&address, "h", "", to);
            evidence.note(&Sighting { time: NOW - age, ..seen });
        }
        evidence.watched(watch);
        evidence
    };
    for (networks, age, watch, is_learnt) in [
        (11, 0, watch(14), true),
        (11, WEEK, watch(100), true),
        (10, 0, watch(14), false),
        (11, WEEK + 1, watch(14), false),
        (11, 0, watch(13), false),
        (11, 0, None, false),
        (11, 0, Some(Watch { since: NOW - 8 * WEEK, last: NOW - WEEK }), false),
    ] {
        let mut evidence = noted(networks, age, watch);
        let what = format!("{networks} {age} {watch:?}");
        assert_eq!(evidence.is_learnt(b"a@example.org"), is_learnt, "{what}");
        evidence.note_passed(b"<\"a\"@EXAMPLE.org>", NOW - 8 * WEEK);
        assert!(!evidence.is_learnt(b"a@example.org"), "{what}");
    }
}

#[test]
fn only_what_a_scan_has_added_is_kept_again() {
    let mut before = Evidence::new(NOW - 600);
    before.note(&sighting("192.0.2.1", "one", "example.com", "<a@example.org>"));
    before.note(&sighting("192.0.2.1", "two", "", "<a@example.org>"));
    let mut after = Evidence::new(NOW);
    after.recall(before.fresh());
    assert_eq!(after.fresh(), []);
    let again = sighting("192.0.2.1", "one", "example.com", "<a@example.org>");
    after.note(&Sighting { time: NOW - 600, ..again });
    assert_eq!(after.fresh(), [], "the same tuples wait for hours");
    after.note(&Sighting { address: "198.51.100.1".parse().unwrap(), ..again });
    let fresh: Vec<_> = after.fresh().into_iter().map(|(key, _)| key.name).collect();
    let names: [&[u8]; 3] = [b"one", b"example.com", b"a@example.org"];
    assert_eq!(fresh, names.map(Box::from));
    assert_eq!(helo(&after, "one"), (2, 1));
}

/// Network, sender domain and time of a note.
type Row = (u8, u8, i64);

proptest! {
    /// Whatever the order of the notes, and however they are divided between scans.
    #[test]
    fn counts_as_a_list_does(
        rows in prop::collection::vec((0u8..20, 0u8..15, 0i64..2 * WEEK), 0..60),
        parts in prop::collection::vec(0usize..3, 60),
        within in 0i64..2 * WEEK,
    ) {
        let note = |evidence: &mut Evidence, (network, domain, age): Row| {
            let (address, domain) = (format!("10.{network}.2.1"), format!("{domain}.example"));
            let seen = sighting(&address, "friend", &domain, "<a@example.org>");
            evidence.note(&Sighting { time: NOW - age, ..seen });
        };
        let mut scans = [(); 3].map(|()| Evidence::new(NOW));
        rows.iter().zip(&parts).for_each(|(row, part)| note(&mut scans[*part], *row));
        let mut evidence = Evidence::new(NOW);
        scans.iter().rev().for_each(|scan| evidence.recall(scan.fresh()));
        let recent = || rows.iter().filter(|(_, _, age)| *age <= within);
        let networks: BTreeSet<_> = recent().map(|row| row.0).collect();
        let domains: BTreeSet<_> = recent().map(|row| row.1).collect();
        let seen = evidence.helo(b"friend", Duration::from_secs(within as u64));
        prop_assert_eq!(seen.networks, networks.len().min(MOST));
        prop_assert_eq!(seen.domains, domains.len().min(MOST));
    }

    #[test]
    fn no_bytes_disturb_it(helo: Vec<u8>, domain: Vec<u8>, recipient: Vec<u8>, address: [u8; 16], time: i64) {
        let mut evidence = Evidence::new(time);
        let seen = Sighting { address: address.into(), helo: &helo, domain: Some(&domain), recipient: &recipient, time };
        evidence.note(&seen);
        for key in seen.keys() {
            prop_assert!((1..=NAME_MAX).contains(&key.name.len()));
        }
        prop_assert!(evidence.fresh().len() <= 3);
        prop_assert!(evidence.helo(&helo, Duration::MAX).networks <= 1);
    }
}
