//! What the daemon says to machines, compared with greytrapctl(8): every object, every field and every metric
//! that it prints is in the manual, and the other way round.

use crate::metrics;
use crate::monitor::Monitor;
use crate::support::daemon::{Daemon, NO_DNS, Place};
use crate::support::mdoc::{Element, Item, Manual};
use crate::support::records::{grey, trapped, white};
use crate::support::responder::Responder;
use crate::world;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Set = BTreeSet<String>;

fn words(item: &Item) -> String {
    item.head.iter().filter_map(Element::word).collect::<Vec<_>>().join(" ")
}

/// The fields of a command's objects in the manual.
fn documented(command: &str) -> Set {
    let items = Manual::read("greytrapctl.8").section("JSON").items();
    let item = items.iter().find(|item| words(item) == command);
    item.unwrap_or_else(|| panic!("no {command}")).body.all("Va").into_iter().collect()
}

/// The fields of an object and of those within. Names of rules are no fields.
fn collect(value: &Value, fields: &mut Set) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                fields.insert(name.clone());
                let is_by_name = name.ends_with("_by_rule") || name.ends_with("_by_reason");
                if !is_by_name {
                    collect(value, fields);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn fields(objects: &[Value]) -> Set {
    let mut fields = Set::new();
    objects.iter().for_each(|object| collect(object, &mut fields));
    fields
}

/// A daemon whose database has a host for each rule, and that has done, and failed to do, everything.
struct Busy {
    place: Place,
    _server: Responder,
    daemon: Daemon,
}

impl Busy {
    fn start() -> Busy {
        let (place, server) = (Place::new(), Responder::start(world::answer));
        let checker = place.write("checker", "#!/bin/sh\nexit 0\n", 0o755);
        // Nobody answers at the second address.
        let dns = format!("nameserver 127.0.0.1 port {}", server.address.port());
        let statements = world::statements(&server)
            .replace(&dns, &format!("{dns}, nameserver 127.0.0.2 port 9, timeout 1s, attempts 1"));
        let black = place.write("black", "203.0.113.9\n", 0o644);
        place.configure(&format!(
            "{statements}hear file {black:?} as sign\npass rcpt \"^anna@\"\ncheck rcpt with {checker:?}\nsync to 127.0.0.1\n"
        ));
        place.enter(&world::records());
        let host = |n| format!("10.{n}.0.1");
        let bait = |n| grey(&host(n), "none.provider.example", "", "bait@example.org");
        place.enter(&(0..11).map(bait).collect::<Vec<_>>());
        let mut daemon = place.start();
        daemon.scan_done();
        Busy { place, _server: server, daemon }
    }

    fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments: Vec<_> = ["-j"].iter().chain(arguments).copied().collect();
        objects(&self.daemon.says(&arguments))
    }
}

#[test]
fn json_objects_of_the_daemon_have_the_fields_of_the_manual() {
    let busy = Busy::start();
    let fields = |arguments: &[&str]| fields(&busy.objects(arguments));
    let hosts: Vec<_> = busy.objects(&["show", "hosts"]);
    let explained =
        hosts.iter().map(|host| fields(&["explain", host["address"].as_str().unwrap()]));
    let explained = explained.fold(Set::new(), |all, one| &all | &one);
    busy.daemon.says(&["trap", "203.0.113.1"]);
    busy.daemon.says(&["release", "203.0.113.1"]);
    crate::support::process::until("all is remembered", || {
        let deeds = busy.daemon.says(&["history"]);
        deeds.contains("\ttrapped\t") && deeds.contains("\treleased\t")
    });
    let past = fields(&["explain", "203.0.113.1"]);
    assert_eq!(&explained | &past, documented("explain"));
    assert_eq!(fields(&["show", "hosts"]), documented("show hosts"));
    assert_eq!(fields(&["show", "traps"]), documented("show traps"));
    assert_eq!(fields(&["trap", "203.0.113.1"]), documented("trap release adopt"));
    assert_eq!(fields(&["release", "203.0.113.1"]), documented("trap release adopt"));
    crate::support::process::until("recipients are remembered", || {
        !busy.daemon.says(&["suggest"]).is_empty()
    });
    assert_eq!(fields(&["suggest"]), documented("suggest"));
    let report = fields(&["report"]);
    assert_eq!(fields(&["adopt", "bait@example.org"]), documented("trap release adopt"));
    assert_eq!(fields(&["history"]), documented("history"));
    assert_eq!(fields(&["show", "rules"]), documented("show rules"));
    assert_eq!(fields(&["show", "holds"]), documented("show holds"));
    // The report has a rule that was wrong.
    busy.daemon.says(&["release", "192.0.2.10"]);
    // A name server that is not in use has a field of its own, and a failure several.
    let status = |wanted: &str| {
        for _ in 0..150 {
            let status = fields(&["show"]);
            if status.contains(wanted) {
                return status;
            }
            busy.daemon.ctl(&["scan"]);
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("no {wanted}");
    };
    status("unfit");
    std::fs::write(busy.place.database(), [0xff; 5000]).unwrap();
    assert_eq!(status("time"), documented("show"));
    assert_eq!(&report | &fields(&["report"]), documented("report"));
}

/// What there is to be monitored, in the words of the manual.
#[test]
fn events_are_those_of_the_manual() {
    let busy = Busy::start();
    let monitor = Monitor::start(&busy.daemon, &busy.place, &["-jv"]);
    let mut lines = Vec::new();
    busy.place.enter(&[grey("198.51.100.1", "h.example", "nobody", "u@example.org")]);
    busy.daemon.says(&["scan"]);
    lines.extend(monitor.until("scan_done"));
    busy.daemon.says(&["trap", "203.0.113.1"]);
    busy.daemon.says(&["release", "203.0.113.1"]);
    lines.extend(monitor.until("released"));
    // Once more with a rule that is only observed.
    let conf = std::fs::read_to_string(busy.place.path("conf")).unwrap();
    busy.place.write("conf", conf + "observe { syntax }\n", 0o644);
    busy.place.enter(&[grey("198.51.100.2", "h.example", "nobody", "u@example.org")]);
    busy.daemon.says(&["reload"]);
    lines.extend(monitor.until("notice"));
    // The new processes begin with a scan.
    lines.extend(monitor.until("observed"));
    lines.extend(monitor.until("scan_done"));
    std::fs::write(busy.place.database(), [0xff; 5000]).unwrap();
    busy.daemon.says(&["scan"]);
    lines.extend(monitor.until("failure"));
    let events: Vec<Value> = lines.iter().flat_map(|line| objects(line)).collect();
    assert_eq!(fields(&events), documented("monitor"));
    let kinds: Set = events.iter().map(|it| it["event"].as_str().unwrap().to_owned()).collect();
    let explained = Manual::read("greytrapctl.8").section("JSON fields").items();
    let is_event = |item: &&Item| item.head == [Element::Text("event".into())];
    let words = explained.iter().find(is_event).unwrap().body.all("Ql");
    assert_eq!(kinds, words.into_iter().collect());
}

/// Every place where `rule` is null, with the reason that is given there.
#[test]
fn a_rule_is_null_for_one_reason_only() {
    let place = Place::new();
    place.configure(&format!("{NO_DNS}allow 192.0.2.4\n"));
    let bad = |host: &str| grey(host, "h.example", "nobody", "u@example.org");
    let good = |host: &str| grey(host, "h.example", "a@good.example", "u@example.org");
    let mut records = vec![trapped("192.0.2.2"), white("192.0.2.3"), trapped("192.0.2.7")];
    records.extend(["1", "2", "3", "4"].map(|n| bad(&format!("192.0.2.{n}"))));
    records.extend(["5", "6"].map(|n| good(&format!("192.0.2.{n}"))));
    place.enter(&records);
    let mut daemon = place.start();
    daemon.scan_done();
    daemon.says(&["trap", "192.0.2.6", "203.0.113.1"]);
    let said = |arguments: &[&str]| -> BTreeMap<String, Value> {
        let arguments: Vec<_> = ["-j"].iter().chain(arguments).copied().collect();
        let by_address = |object: Value| {
            (object["address"].as_str().unwrap().to_owned(), object["rule"].clone())
        };
        objects(&daemon.says(&arguments)).into_iter().map(by_address).collect()
    };
    // Null is for hosts against which nothing speaks, whatever their state; the others have their rule.
    let hosts = said(&["show", "hosts"]);
    for n in ["1", "2", "3", "4"] {
        let host = format!("192.0.2.{n}");
        assert_eq!(hosts[&host], "syntax", "{host}");
        assert_eq!(said(&["explain", &host])[&host], "syntax", "{host}");
    }
    assert_eq!((&hosts["192.0.2.5"], &hosts["192.0.2.6"]), (&Value::Null, &Value::Null));
    assert_eq!(said(&["explain", "192.0.2.5"])["192.0.2.5"], Value::Null);
    assert_eq!(said(&["explain", "192.0.2.6"])["192.0.2.6"], "hand", "that is what it is in for");
    // A trap has a reason, known or not.
    let traps = said(&["show", "traps"]);
    assert_eq!(traps.len(), 5);
    assert!(traps.values().all(Value::is_string), "{traps:?}");
    for (host, rule) in [("192.0.2.1", "syntax"), ("192.0.2.7", "unknown"), ("203.0.113.1", "hand")]
    {
        assert_eq!(traps[host], rule, "{host}");
    }
}

/// Metrics with the names of their labels.
#[test]
fn metrics_are_those_of_the_manual() {
    let busy = Busy::start();
    let text = busy.daemon.says(&["show", "metrics"]);
    let mut printed = BTreeMap::new();
    for series in metrics::parse(&text).into_keys() {
        let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
        let labels =
            labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        printed.entry(name.to_owned()).or_insert_with(Set::new).extend(labels);
    }
    let text_of = |element: &Element| match element {
        Element::Text(text) if text != "," => Some(text.clone()),
        _ => None,
    };
    let items = Manual::read("greytrapctl.8").section("Metrics").items();
    let documented: BTreeMap<_, Set> = items
        .iter()
        .map(|item| {
            let mut words = item.head.iter().filter_map(text_of);
            (words.next().unwrap(), words.collect())
        })
        .collect();
    assert_eq!(printed, documented);
    assert_eq!(items.len(), documented.len(), "each once");
}
