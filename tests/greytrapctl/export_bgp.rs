//! Two sites that share traps by BGP: what `export` writes at one, seen in the routing table of the other.

use crate::support::alone;
use crate::support::cmd::{Dir, ctl};
use crate::support::process::{Server, until};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const COMMUNITY: &str = "65066:666";

/// bgpd(8), as one of the sites; it ends with the test.
pub struct Bgpd {
    _server: Server,
    socket: PathBuf,
}

impl Bgpd {
    pub fn start(conf: &Path, socket: PathBuf) -> Bgpd {
        let mut command = Command::new("/usr/sbin/bgpd");
        Bgpd { _server: Server::start(command.arg("-df").arg(conf)), socket }
    }

    /// Whether it knows its neighbor, and so listens.
    pub fn is_at_work(&self) -> bool {
        self.ctl(&["show"]).contains("Neighbor")
    }

    /// What bgpctl(8) prints.
    fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("/usr/sbin/bgpctl");
        let ran = command.arg("-s").arg(&self.socket).args(arguments).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The prefixes with the community of traps.
    fn rib(&self) -> Vec<String> {
        let json = self.ctl(&["-j", "show", "rib", "community", COMMUNITY]);
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&json) else { return Vec::new() };
        let routes = json["rib"].as_array().into_iter().flatten();
        routes.map(|route| route["prefix"].as_str().unwrap().to_owned()).collect()
    }
}

/// The site that traps, and what its bgpd(8) announces.
struct Site {
    dir: Dir,
    database: PathBuf,
    set: PathBuf,
}

impl Site {
    fn new() -> Site {
        let dir = Dir::new();
        let (database, set) = (dir.path("spamd"), dir.path("set"));
        let site = Site { dir, database, set };
        site.change("trap", &["203.0.113.7", "2001:db8::7"]);
        site.export("true");
        fs::set_permissions(&site.set, fs::Permissions::from_mode(0o600)).unwrap();
        site
    }

    fn change(&self, verb: &str, hosts: &[&str]) {
        let first = [OsStr::new("-F"), self.database.as_os_str(), OsStr::new(verb)];
        ctl(first.into_iter().chain(hosts.iter().map(OsStr::new))).succeeds();
    }

    fn export(&self, command: &str) {
        let (db, set) = (self.database.to_str().unwrap(), self.set.to_str().unwrap());
        ctl(["-F", db, "export", "-f", "bgpd", "-o", set, "-x", command]).succeeds();
    }

    fn conf(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path(name);
        fs::write(&path, format!("AS 65001\nfib-update no\nallow from any\nallow to any\n{text}"))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

/// `bgpd.conf(5)` of a site with this address and port, and another at the other.
fn session(socket: &Path, (own, port): (&str, u16), (peer, its): (&str, u16)) -> String {
    format!(
        "router-id {own}\nsocket \"{}\"\nlisten on {own} port {port}\nneighbor {peer} {{\n\
         remote-as 65001\nlocal-address {own}\nport {its}\n\
         announce IPv4 unicast\nannounce IPv6 unicast\n}}\n",
        socket.display()
    )
}

/// `bgpd.conf(5)` of a site that waits for the other: if both connect at the same time, both may give up, and try
/// again at the same time, half a minute later (`INTERVAL_IDLE_HOLD_INITIAL`) and then after twice as long each time.
pub fn passive(conf: &str) -> String {
    conf.replace("remote-as", "passive\nremote-as")
}

#[test]
#[ignore = "needs root, unshare(1) and bgpd"]
fn a_trap_reaches_the_other_site_and_a_release_takes_it_back() {
    if !alone::is_alone() {
        let test = "export_bgp::a_trap_reaches_the_other_site_and_a_release_takes_it_back";
        alone::run(test, &["unshare", "-n"], |_| ());
        return;
    }
    for words in ["link set lo up", "addr add 192.0.2.1/32 dev lo", "addr add 192.0.2.3/32 dev lo"]
    {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
    }
    // bgpd(8) changes its root to the home of its user, which its package makes only when it is started.
    fs::create_dir_all("/run/openbgpd").unwrap();
    let site = Site::new();
    let (one, other) = (("192.0.2.1", 1179), ("192.0.2.3", 1180));
    let sockets = [site.dir.path("a.socket"), site.dir.path("b.socket")];
    let set = site.set.display();
    let announced = format!(
        "include \"{set}\"\nnetwork prefix-set greytrap set community {COMMUNITY}\n{}",
        session(&sockets[0], one, other)
    );
    let heard = passive(&session(&sockets[1], other, one));
    let b = Bgpd::start(&site.conf("b.conf", &heard), sockets[1].clone());
    until("B is at work", || b.is_at_work());
    let a = Bgpd::start(&site.conf("a.conf", &announced), sockets[0].clone());
    until("B hears of the traps", || b.rib() == ["203.0.113.7/32", "2001:db8::7/128"]);
    // What is announced is what should be.
    let mut rib = ctl(["-F", site.database.to_str().unwrap(), "export", "-f", "bgpctl"]);
    let json = site.dir.path("rib");
    fs::write(&json, a.ctl(&["-j", "show", "rib", "community", COMMUNITY])).unwrap();
    rib.0.stdin(fs::File::open(&json).unwrap());
    assert_eq!(rib.succeeds(), b"# written by greytrapctl export\n");
    site.change("release", &["203.0.113.7"]);
    site.change("trap", &["203.0.113.8"]);
    let reload = format!("bgpctl -s '{}' reload", sockets[0].display());
    site.export(&reload);
    until("B hears of the release", || b.rib() == ["203.0.113.8/32", "2001:db8::7/128"]);
    site.change("release", &["203.0.113.8", "2001:db8::7"]);
    site.export(&reload);
    until("B hears of an empty set", || b.rib().is_empty() && a.rib().is_empty());
    // More: the time that bgpd(8) takes for a reload grows with their square.
    let hosts: Vec<_> = (1..=5000).map(|n| format!("2001:db8::1:{n:x}")).collect();
    for hosts in hosts.chunks(1000) {
        site.change("trap", &hosts.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let start = Instant::now();
    site.export(&reload);
    until("B hears of all", || b.ctl(&["show", "rib", "mem"]).contains("5000 IPv6 unicast"));
    println!("5,000 traps reach the other site in {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(15), "5 s on a machine that does nothing else");
}

/// From what A announces to what it should, as a crontab(5) would; how long the parts took.
fn bulk(site: &Site, bgpd: &Bgpd) -> [Duration; 3] {
    let (json, script) = (site.dir.path("rib"), site.dir.path("script"));
    let start = Instant::now();
    fs::write(&json, bgpd.ctl(&["-j", "show", "rib", "community", COMMUNITY])).unwrap();
    let shown = start.elapsed();
    let database = site.database.to_str().unwrap();
    let mut export = ctl(["-F", database, "export", "-f", "bgpctl", "-c", COMMUNITY]);
    export.0.stdin(fs::File::open(&json).unwrap());
    let text = String::from_utf8(export.succeeds()).unwrap();
    let written = start.elapsed();
    let ctl = format!("bgpctl -s '{}' network", bgpd.socket.display());
    let text = text.replace("bgpctl network", &ctl);
    // Before OpenBGPD 8.0 (OpenBSD 7.4), attributes came first.
    let version = Command::new("/usr/sbin/bgpd").arg("-V").output().unwrap().stderr;
    let (add, added) = (format!("add community {COMMUNITY}"), format!("community {COMMUNITY} add"));
    let text = if version.starts_with(b"OpenBGPD 7.") { text.replace(&add, &added) } else { text };
    fs::write(&script, text).unwrap();
    let ran = Command::new("/bin/sh").arg(&script).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    [shown, written - shown, start.elapsed() - written]
}

#[test]
#[ignore = "needs root, unshare(1) and bgpd"]
fn fifty_thousand_traps_load_and_change_in_bulk() {
    if !alone::is_alone() {
        let test = "export_bgp::fifty_thousand_traps_load_and_change_in_bulk";
        alone::run(test, &["unshare", "-n"], |_| ());
        return;
    }
    for words in ["link set lo up", "addr add 192.0.2.1/32 dev lo"] {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
    }
    fs::create_dir_all("/run/openbgpd").unwrap();
    let site = Site::new();
    let socket = site.dir.path("socket");
    // Without any neighbor, bgpctl(8) shows no routes.
    let text = session(&socket, ("192.0.2.1", 1179), ("192.0.2.3", 1180));
    let bgpd = Bgpd::start(&site.conf("conf", &text), socket);
    until("it is at work", || bgpd.is_at_work());
    let trap = |verb: &str, numbers: std::ops::Range<u32>| {
        let hosts: Vec<_> = numbers.map(|n| format!("2001:db8::1:{n:x}")).collect();
        for hosts in hosts.chunks(1000) {
            site.change(verb, &hosts.iter().map(String::as_str).collect::<Vec<_>>());
        }
    };
    let announces =
        |count: &str| bgpd.ctl(&["show", "rib", "mem"]).contains(&format!(" {count} IPv6 unicast"));
    trap("trap", 0..49_999);
    let start = Instant::now();
    let parts = bulk(&site, &bgpd);
    until("all are announced", || announces("50000"));
    println!("50,000 traps load in {:?}: {parts:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5));
    trap("release", 0..1000);
    trap("trap", 60_000..61_000);
    let start = Instant::now();
    let parts = bulk(&site, &bgpd);
    until("they have changed", || bgpd.ctl(&["show", "rib", "2001:db8::1:ee47"]).contains("ee47"));
    println!("2,000 of them change in {:?}: {parts:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(bgpd.rib().len(), 50_001, "with one of IPv4");
}
