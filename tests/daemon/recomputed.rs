//! A verdict that is computed again from its record is the same: the record has everything that it rests on.

use crate::support::daemon::Place;
use crate::support::records::{grey, now};
use crate::support::responder::{self, A, Act, NXDOMAIN, Responder};
use crate::world;
use greytrapper::config::{Config, Disk, load};
use greytrapper::db::{ByteOrder, Record};
use greytrapper::evidence::{self, Entry, Key, Sighting};
use greytrapper::memory::{self, Deed, Query, Settings, Store};
use greytrapper::scan::answers::{Confirmation, DomainVerdict, Exemption, Listed, SpfResult};
use greytrapper::scan::{Answers, Evidence, Field, Given, Portion, Scan};
use greytrapper::spamd::Tuple;
use greytrapper::spamd::record::Gdata;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

const NAMES: [&str; 6] = ["anna", "bert", "carl", "dora", "emil", "fritz"];

/// The answers of a record, and no others.
struct Recorded(Vec<Given>);

impl Recorded {
    fn find<T>(&self, of: impl Fn(&Given) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(of)
    }
}

impl Answers for Recorded {
    fn helo(&self, _: IpAddr, asked: &str) -> Confirmation {
        let found = self.find(|given| match given {
            Given::Helo(name, confirmation) if name == asked.as_bytes() => Some(*confirmation),
            _ => None,
        });
        found.unwrap_or(Confirmation::Unknown)
    }

    fn domain(&self, asked: &[u8]) -> Option<DomainVerdict> {
        self.find(|given| match given {
            Given::Domain(name, verdict) if name == asked => *verdict,
            _ => None,
        })
    }

    fn reverse(&self, _: IpAddr) -> (Confirmation, Option<&[u8]>) {
        let found = self.0.iter().find_map(|given| match given {
            Given::Ptr(name, own) => {
                Some((*own, Some(name.as_slice()).filter(|name| !name.is_empty())))
            }
            _ => None,
        });
        found.unwrap_or((Confirmation::Unknown, None))
    }

    fn exemption(&self, _: IpAddr, asked: &[u8]) -> Exemption {
        let found = self.find(|given| match given {
            Given::Exemption(name, exemption, _) if name == asked => Some(exemption.clone()),
            _ => None,
        });
        found.unwrap_or(Exemption::Unknown)
    }

    fn spf(&self, _: IpAddr, asked: &[u8]) -> Option<SpfResult> {
        self.find(|given| match given {
            Given::Exemption(name, _, spf) if name == asked => *spf,
            _ => None,
        })
    }

    fn was_spared(&self, _: IpAddr) -> bool {
        self.0.contains(&Given::Warned)
    }

    fn listed(&self, _: IpAddr, asked: &str) -> Option<Listed> {
        self.find(|given| match given {
            Given::List(zone, _, listed) if zone == asked.as_bytes() => Some(listed.clone()),
            _ => None,
        })
    }

    fn is_heard(&self, _: IpAddr) -> Option<bool> {
        self.find(|given| match given {
            Given::List(path, found, _) if path.starts_with(b"/") => {
                Some(*found == Confirmation::Confirmed)
            }
            _ => None,
        })
    }

    fn is_recipient(&self, asked: &[u8]) -> Option<bool> {
        self.find(|given| match given {
            Given::Recipient(name, is_known) if name == asked => *is_known,
            _ => None,
        })
    }
}

/// Those of the world, and two lists.
fn lists(query: &responder::Query) -> Vec<Act> {
    let (owner, reply) = (query.name.as_str(), query.reply());
    match owner {
        "95.2.0.192.spam.list.example"
        | "96.2.0.192.good.list.example"
        | "2.0.0.127.spam.list.example"
        | "2.0.0.127.good.list.example" => reply.answer(owner, A, 60, &[127, 0, 0, 2]).send(),
        _ if owner.ends_with(".list.example") => reply.rcode(NXDOMAIN).soa(60).send(),
        _ => world::answer(query),
    }
}

/// What other hosts must have done, besides the one that is judged.
fn others(answers: &[Given], time: i64) -> Vec<(Key, Entry)> {
    let mut known = evidence::Evidence::new(time);
    let seen = answers.iter().filter_map(|given| match given {
        Given::Seen(field, about, networks, domains) => {
            // Several are two.
            let domains = if *domains == 0 { 2 } else { *domains };
            Some((*field, about, networks - 1, domains - 1))
        }
        _ => None,
    });
    for (field, about, networks, domains) in seen {
        for n in 0..networks.max(domains) {
            let (helo, domain) = (format!("h{n}.example"), format!("d{}.example", n % domains));
            let (helo, domain) = match field {
                Field::Helo => (about.as_slice(), domain.as_bytes()),
                Field::Sender => (helo.as_bytes(), about.as_slice()),
                Field::Recipient => (helo.as_bytes(), domain.as_bytes()),
            };
            let recipient = if field == Field::Recipient { about } else { &b"u@example.org"[..] };
            let address = IpAddr::from([10, n % networks, 0, 1]);
            known.note(&Sighting { address, helo, domain: Some(domain), recipient, time });
        }
    }
    known.fresh()
}

/// Judges the tuples of a record by its answers: the rule, and the reason.
fn again(record: &memory::Record, config: &Config) -> Option<(String, String)> {
    let address = record.address.unwrap().to_string();
    let keys = record.tuples.iter().map(|memory::Tuple { helo, from, to }| {
        Tuple { address: address.as_bytes(), helo, from, to }.encode()
    });
    let data =
        Gdata { first: record.time - 60, pass: 0, expire: record.time + 60, bcount: 1, pcount: 0 };
    let value = data.encode(ByteOrder::Little);
    let records = keys.map(|key| Ok(Record { key: Cow::Owned(key), value: Cow::Borrowed(&value) }));
    let records: Vec<_> = records.collect();
    let evidence = Evidence::recall(record.count, &record.details, std::iter::empty());
    let answers = Recorded(evidence.answers);
    let scan = Scan::begin(records.into_iter(), ByteOrder::Little, record.time, &config.rules);
    let mut scan = scan.unwrap();
    scan.recall(others(&answers.0, record.time));
    let report = scan.finish(Some(&answers));
    let mut verdicts = report.verdicts_by(Some(&answers), Portion::None);
    let verdict = verdicts.next()?;
    assert_eq!(verdict.address.to_string(), address);
    Some((verdict.rule?.name().into(), verdict.reason.into_owned()))
}

#[test]
fn every_rules_verdict_is_the_same_from_its_record() {
    let (place, server) = (Place::new(), Responder::start(lists));
    let script = "#!/bin/sh\ncase $1 in nobody@*) exit 1;; *) exit 0;; esac\n";
    let checker = place.write("checker", script, 0o755);
    let statements = world::statements(&server);
    let black = place.write("black", "198.51.100.0/24\n192.0.2.97\n", 0o644);
    let conf = format!(
        "{statements}hear file {black:?} as sign\ncheck rcpt with {checker:?} timeout 5s control \"user@example.org\"\n\
         check crowd yes\nask list \"spam.list.example\" as sign\nask list \"good.list.example\" as spare\n"
    );
    place.configure(&conf);
    place.enter(&world::records());
    let good = "a@good.example";
    let unknown =
        |n: u32| grey("192.0.2.90", "liar.example", good, &format!("nobody@d{n}.example"));
    place.enter(&(0..7).map(unknown).collect::<Vec<_>>());
    let to = |n: u32| format!("to{n}@example.org");
    let many = |n: u32| {
        grey(
            "192.0.2.91",
            "liar.example",
            &format!("{}@s{}.example", NAMES[n as usize], n / 2),
            &to(n),
        )
    };
    place.enter(&(0..6).map(many).collect::<Vec<_>>());
    place.enter(&[
        grey("192.0.2.92", "192.0.2.92", good, &to(1)),
        grey("192.0.2.93", "192-0-2-93.dsl.example", good, &to(1)),
        grey("192.0.2.94", "friend", "a@example.org", &to(1)),
        // In a list that is a sign, and in one that spares.
        grey("192.0.2.95", "out.provider.example", "a@example.org", &to(1)),
        grey("192.0.2.96", "friend", "a@example.org", &to(1)),
        // A HELO name with three sender domains, and a sender domain, in several networks.
        grey("192.0.2.98", "box.cheap.example", "a@s91.example", &to(1)),
        grey("203.0.113.98", "box.cheap.example", "a@s92.example", &to(1)),
        grey("2001:db8::98", "box.cheap.example", "a@s93.example", &to(1)),
        grey("192.0.2.99", "winbox", "a@shared.example", &to(1)),
        grey("203.0.113.99", "office", "a@shared.example", &to(1)),
        // Another site has this one in the trap.
        grey("192.0.2.97", "out.provider.example", "a@example.org", &to(1)),
    ]);
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.stop();
    let directory = place.memory();
    let (verdicts, tuples) = (Duration::from_secs(1 << 30), Some(Duration::from_secs(1 << 30)));
    let settings = Settings { directory, verdicts, tuples, size: 1 << 30 };
    let store = Store::open(settings, now()).unwrap().store;
    let found = store.find(&Query::default(), None, 1000).unwrap().records;
    let config = load(Some(&place.path("conf")), &[], &Disk).unwrap().config;
    let (mut rules, mut spared, mut listed) = (BTreeSet::new(), 0, 0);
    for record in found {
        let is_listed = record.reason.starts_with("in a list that spares it:");
        let is_spared = record.reason.starts_with("identity confirmed:") || is_listed;
        listed += u64::from(is_listed || record.reason.contains(": listed "));
        if record.deed != Deed::Trapped && !is_spared {
            continue;
        }
        spared += usize::from(is_spared);
        let expected = (record.rule.clone().unwrap(), record.reason.clone());
        assert_eq!(again(&record, &config), Some(expected), "{record:?}");
        rules.insert(record.rule.unwrap());
    }
    assert!(spared > 0);
    assert_eq!(listed, 3);
    // That a recipient is learnt takes two weeks of watching, which the record does not have.
    let all = [
        "address", "checker", "crowd", "dns", "domains", "dynamic", "helo", "rcpt", "senders",
        "stranger", "syntax",
    ];
    assert_eq!(rules, all.map(String::from).into());
}
