//! Whatever is in the trap, the programs that read an export accept it, and agree on what it says.

use crate::support::cmd::Dir;
use greytrapper::export::{Announced, Cause, Form, Listed, Selection, Settings, Url};
use greytrapper::scan::Rule;
use greytrapper::spamd::Address;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Each starts a program for each form.
const CASES: u32 = 24;

/// An address in one of its spellings, as it may be the key of a record.
fn spelling() -> impl Strategy<Value = String> {
    let four = any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string());
    // A third of them in networks that are in use, some with long runs of zeros.
    let six = (any::<u128>(), 0..128u32, any::<bool>()).prop_map(|(bits, zeros, is_global)| {
        let bits = bits & u128::MAX.wrapping_shl(zeros);
        let global = if is_global { 0x2a00 << 112 | bits >> 16 } else { bits };
        Ipv6Addr::from_bits(global)
    });
    let long = |address: Ipv6Addr| address.segments().map(|part| format!("{part:04X}")).join(":");
    let six = (six, any::<bool>())
        .prop_map(move |(six, is_long)| if is_long { long(six) } else { six.to_string() });
    let mapped = any::<u32>().prop_map(|bits| format!("::FFFF:{}", Ipv4Addr::from_bits(bits)));
    prop_oneof![4 => four, 4 => six, 1 => mapped]
}

fn host() -> impl Strategy<Value = Listed> {
    let causes = Rule::ALL.map(Cause::Rule).into_iter().chain([Cause::Hand, Cause::Unknown]);
    let usual = 0..i64::from(u32::MAX);
    let time = || prop_oneof![usual.clone(), any::<i64>()];
    (spelling(), time(), time(), select(causes.collect::<Vec<_>>())).prop_map(
        |(spelling, since, until, cause)| {
            let address = Address::parse(spelling.as_bytes()).unwrap().ip();
            Listed { address, since, until, cause }
        },
    )
}

/// A link of any characters that are allowed, all of them sooner or later.
fn link() -> impl Strategy<Value = Url> {
    "https?://[ -~]{1,80}".prop_filter_map("no link", |text| Url::parse(&text).ok())
}

fn inputs() -> impl Strategy<Value = (Vec<Listed>, Option<Url>)> {
    (prop::collection::vec(host(), 0..60), prop::option::of(link()))
}

/// Runs `check` with the text of some forms, for many inputs.
fn for_any(forms: &[Form], check: impl Fn(&Path, &[String], &[Listed])) {
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let run = |(hosts, url): (Vec<Listed>, Option<Url>)| {
        let (hosts, _) = Selection::default().of(hosts);
        let dir = Dir::new();
        let settings = Settings {
            now: 1_795_953_600,
            site: "mx1.example",
            url: url.as_ref(),
            community: Some("65066:666"),
            announced: Announced::default(),
            previous: &[],
        };
        let text = |form: &Form| String::from_utf8(form.write(&hosts, &settings).unwrap()).unwrap();
        check(&dir.path(""), &forms.iter().map(text).collect::<Vec<_>>(), &hosts);
        Ok(())
    };
    runner.run(&inputs(), run).unwrap_or_else(|failure| panic!("{failure}"));
}

/// What a program prints; it must end well, and say nothing on standard error.
fn accepted(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success() && told.is_empty(), "{command:?}: {}: {told}", ran.status);
    String::from_utf8(ran.stdout).unwrap()
}

/// The records of a zone file or of a dump in that form: owner, type and data, but for SOA and NS.
fn records(text: &str, separator: char) -> BTreeSet<(String, String, String)> {
    let mut owner = String::new();
    let mut records = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with([';', '$', '@'])) {
        let mut fields = line.splitn(3, separator);
        let [first, kind, data] = [(); 3].map(|()| fields.next().unwrap_or_default());
        if !first.is_empty() {
            owner = first.into();
        }
        if ["A", "TXT"].contains(&kind) {
            records.insert((owner.clone(), kind.into(), data.into()));
        }
    }
    records
}

#[test]
#[ignore = "needs nsd and rbldnsd"]
fn name_servers_accept_any_list_and_agree_on_it() {
    for_any(&[Form::Zone, Form::Rbldnsd], |dir, texts, hosts| {
        let (zone, list) = (dir.join("zone"), dir.join("list"));
        fs::write(&zone, &texts[0]).unwrap();
        fs::write(&list, &texts[1]).unwrap();
        let checked = accepted(Command::new("nsd-checkzone").arg("bl.example").arg(&zone));
        assert_eq!(checked, "zone bl.example is ok\n");
        let dump = Command::new("/usr/sbin/rbldnsd")
            .arg("-d")
            .arg(format!("bl.example:combined:{}", list.display()))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&dump.stderr);
        assert!(dump.status.success() && !told.contains("invalid"), "{told}\n{}", texts[1]);
        let (ours, theirs) =
            (records(&texts[0], ' '), records(&String::from_utf8(dump.stdout).unwrap(), '\t'));
        assert_eq!(ours.len(), 2 * (hosts.len() + 2));
        assert_eq!(ours, theirs);
    });
}

#[test]
#[ignore = "needs root and bgpd"]
fn bgpd_accepts_any_set() {
    for_any(&[Form::Bgpd], |dir, texts, _| {
        let (set, conf) = (dir.join("set"), dir.join("bgpd.conf"));
        let text = format!(
            "AS 65001\nrouter-id 192.0.2.2\ninclude \"{}\"\n\
             network prefix-set greytrap set community 65066:666\n",
            set.display()
        );
        for (path, text) in [(&set, &texts[0]), (&conf, &text)] {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let checked = Command::new("/usr/sbin/bgpd").arg("-nf").arg(&conf).output().unwrap();
        assert!(checked.status.success(), "{checked:?}\n{}", texts[0]);
    });
}

/// pfctl(8) and spamd-setup(8) read an address on each line, and comments.
#[test]
fn lists_have_an_address_on_each_line() {
    let forms = [Form::Plain, Form::Pf, Form::Spamd, Form::Bgpctl];
    for_any(&forms, |_, texts, hosts| {
        let addresses = |text: &str| -> Vec<IpAddr> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.parse().unwrap()).collect()
        };
        let all: Vec<_> = hosts.iter().map(|host| host.address).collect();
        assert_eq!([addresses(&texts[0]), addresses(&texts[1])], [all.clone(), all.clone()]);
        let four: Vec<_> = all.iter().copied().filter(IpAddr::is_ipv4).collect();
        assert_eq!(addresses(&texts[2]), four);
        // What sh(1) hands to bgpctl(8) is only prefixes.
        let lines = texts[3].lines().filter(|line| line.contains('/'));
        let prefixes = lines.map(|line| line.split_once('/').unwrap().0.parse().unwrap());
        assert_eq!(prefixes.collect::<Vec<IpAddr>>(), all);
        assert_eq!(texts[3].lines().count(), 1 + all.len() + if all.is_empty() { 0 } else { 2 });
    });
}
