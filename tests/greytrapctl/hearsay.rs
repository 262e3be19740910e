//! `hear file`: what other sites export is heard, and what this one has exported is not.

use crate::dns::{NOW, conf_of_all, database};
use crate::support::cmd::{Dir, ctl};
use crate::support::responder::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A HELO name that exists, but is no host's.
const HELO: &str = "host.other.example";
const OURS: &str = "<a@ours.example>";

fn zone(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let (owner, reply) = (query.name.as_str(), query.reply());
    match (owner, query.rtype) {
        (HELO, A) => reply.answer(owner, A, 60, &[192, 0, 2, 200]),
        (HELO, _) => reply.soa(60),
        (_, MX) => reply.answer(owner, MX, 300, &mx(10, "mail.example")),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

/// The hosts that are trapped with this file, which may be missing, and what is said of it.
fn trapped(black: Option<&str>, tuples: &[(&str, &str, &str)]) -> (Vec<String>, Vec<String>) {
    let (server, dir) = (Responder::start(zone), Dir::new());
    let path = dir.path("black");
    if let Some(text) = black {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    let statement = format!("hear file {path:?} as sign");
    let (conf, file) = (conf_of_all(&dir, server.address, &statement), database(&dir, tuples));
    let mut command = ctl([] as [&str; 0]);
    command.0.args(["simulate", "-t", &NOW.to_string(), "-f"]).arg(conf).arg(file);
    let ran = command.run();
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let out = String::from_utf8(ran.out).unwrap().replace(path.to_str().unwrap(), "BLACK");
    let said = ran.err.replace(path.to_str().unwrap(), "BLACK");
    let said = said.lines().filter(|line| line.contains("hear file")).map(String::from);
    (out.lines().map(String::from).collect(), said.collect())
}

/// Whether 203.0.113.11 is trapped, which has a sign in its sender; and what is said.
fn is_heard(black: Option<&str>) -> (bool, Option<String>) {
    let (lines, said) = trapped(black, &[("203.0.113.11", HELO, OURS)]);
    assert!(lines.len() < 2 && said.len() < 2, "{lines:?} {said:?}");
    let said =
        said.first().map(|said| said.strip_prefix("greytrapctl: hear file BLACK: ").unwrap());
    (!lines.is_empty(), said.map(String::from))
}

#[test]
fn what_others_say_is_one_sign() {
    let black = "# others\n203.0.113.11\n203.0.113.12\n203.0.113.13\n198.51.100.0/24\n";
    let hosts = [
        ("203.0.113.11", HELO, OURS),
        // Without another sign; with one in the same field; not named.
        ("203.0.113.12", HELO, "<a@x.example>"),
        ("203.0.113.13", "friend", "<a@y.example>"),
        ("203.0.113.14", HELO, OURS),
    ];
    let trap = "stranger\tStranger: listed in BLACK, sender in the recipient's domain";
    assert_eq!(trapped(Some(black), &hosts), (vec![format!("203.0.113.11\t{trap}")], vec![]));
    let network = trapped(Some(black), &[("198.51.100.77", HELO, OURS)]);
    assert_eq!(network.0, [format!("198.51.100.77\t{trap}")]);
    let six = trapped(Some("2001:db8::/32\n"), &[("2001:db8::1", HELO, OURS)]);
    assert_eq!(six.0, [format!("2001:db8::1\t{trap}")]);
}

#[test]
fn what_cannot_be_heard_is_said_once_and_traps_nobody() {
    let said = |text: &str| Some(text.to_owned());
    let missing = said("No such file or directory, not heard");
    assert_eq!(is_heard(None), (false, missing));
    let damaged = said("2 lines skipped, the first is line 1: \"\\033[2J\"");
    assert_eq!(is_heard(Some("\x1b[2J\nnobody\n203.0.113.11\n")), (true, damaged));
    assert_eq!(is_heard(Some("")), (false, None));
    let line = |n: u32| format!("2001:db8::{:x}:{:x}\n", n >> 16, n & 0xffff);
    let many: String = (0..=1_000_000).map(line).collect();
    let many = format!("203.0.113.11\n{many}");
    assert_eq!(is_heard(Some(&many)), (false, said("more than 1000000 entries, not heard")));
}

/// The list of this machine, as `export` makes it of a database.
fn own_export(form: &str) -> String {
    let dir = Dir::new();
    let path = dir.path("spamd");
    let file = |arguments: &[&str]| {
        let mut command = ctl(["-F"]);
        command.0.arg::<&Path>(&path).args(arguments);
        String::from_utf8(command.succeeds()).unwrap()
    };
    file(&["trap", "203.0.113.11"]);
    file(&["export", "-f", form])
}

#[test]
fn ones_own_export_is_refused_and_another_sites_is_heard() {
    let refused = || Some("has an export of this site, not heard".to_owned());
    for form in ["plain", "pf", "spamd"] {
        let own = own_export(form);
        assert_eq!(is_heard(Some(&own)), (false, refused()), "{form}");
        let site = own.lines().next().unwrap().rsplit(' ').next().unwrap();
        let other = own.replace(site, "other-site.example.org");
        assert_eq!(is_heard(Some(&other)), (true, None), "{form}");
        // As cat(1) puts them together.
        assert_eq!(is_heard(Some(&format!("{other}{own}"))), (false, refused()), "{form}");
    }
}
