//! `export`: what is listed, how a file is replaced, and what nsd(8), rbldnsd(8) and bgpd(8) make of it.

use crate::fake_daemon::Daemon;
use crate::support::cmd::{Cmd, Dir, ctl};
use crate::support::nsd::{Nsd, free_port};
use crate::support::process::{Server, until};
use greytrapper::control::protocol::{Reply, Request, Secret, Trap};
use greytrapper::memory::{Deed, Record};
use greytrapper::scan::{Rule, Verdict};
use greytrapper::spamd::Address;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The first line of a list of addresses, with the name of this machine, as uname(1) has it.
static HEAD: LazyLock<String> = LazyLock::new(|| {
    let name = Command::new("uname").arg("-n").output().unwrap().stdout;
    format!("# written by greytrapctl export at {}\n", String::from_utf8(name).unwrap().trim())
});

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// A database with these hosts in the trap.
fn database(dir: &Dir, hosts: &[&str]) -> PathBuf {
    let path = dir.path("spamd");
    file(&path, ["trap"].iter().chain(hosts)).succeeds();
    path
}

/// greytrapctl on a database.
fn file<'a>(path: &'a Path, arguments: impl IntoIterator<Item = &'a &'a str>) -> Cmd {
    let first = [OsStr::new("-F"), path.as_os_str()];
    ctl(first.into_iter().chain(arguments.into_iter().map(OsStr::new)))
}

fn exported(path: &Path, arguments: &[&str]) -> String {
    String::from_utf8(file(path, ["export"].iter().chain(arguments)).succeeds()).unwrap()
}

#[test]
fn hosts_in_a_file_are_listed_until_they_are_released() {
    let dir = Dir::new();
    let db = database(
        &dir,
        &["203.0.113.10", "203.0.113.9", "2001:DB8::1", "::ffff:203.0.113.9", "10.0.0.1"],
    );
    let all = format!("{}203.0.113.9\n203.0.113.10\n2001:db8::1\n", *HEAD);
    assert_eq!(exported(&db, &["-f", "plain"]), all);
    assert_eq!(exported(&db, &["-a", "-f", "pf"]), all);
    assert_eq!(exported(&db, &["-f", "spamd"]), format!("{}203.0.113.9\n203.0.113.10\n", *HEAD));
    let excluded = dir.path("excluded");
    fs::write(&excluded, "# ours\n198.51.100.0/24 203.0.113.10 # theirs\n").unwrap();
    let excluded = excluded.to_str().unwrap();
    let without = exported(&db, &["-f", "plain", "-e", excluded]);
    assert_eq!(without, format!("{}203.0.113.9\n2001:db8::1\n", *HEAD));
    file(&db, &["release", "203.0.113.9", "2001:db8::1"]).succeeds();
    assert_eq!(exported(&db, &["-f", "plain"]), format!("{}203.0.113.10\n", *HEAD));
    // Two days later the trap is over.
    let later = (now() + 2 * 86_400).to_string();
    let arguments = ["-t", &later, "export", "-f", "plain"];
    assert_eq!(file(&db, &arguments).succeeds(), HEAD.as_bytes());
}

#[test]
fn a_file_is_replaced_only_if_the_list_has_changed() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1"]);
    let (list, log) = (dir.path("list"), dir.path("log"));
    let command = format!("echo ran >> '{}'", log.display());
    let run = |command: &str| {
        file(&db, &["export", "-f", "plain", "-o", list.to_str().unwrap(), "-x", command]).run()
    };
    let ran = run(&command);
    assert_eq!((ran.status, ran.out.len(), ran.err.as_str()), (Some(0), 0, ""));
    assert_eq!(fs::read_to_string(&list).unwrap(), format!("{}203.0.113.1\n", *HEAD));
    let ran = run(&command);
    assert_eq!((ran.status, ran.err.as_str()), (Some(3), ""));
    assert_eq!(fs::read_to_string(&log).unwrap(), "ran\n");
    file(&db, &["trap", "203.0.113.2"]).succeeds();
    let ran = run("echo so far; echo bad >&2; exit 4");
    let told = "greytrapctl: echo so far; echo bad >&2; exit 4: exit status: 4: bad\n";
    assert_eq!((ran.status, ran.err.as_str()), (Some(1), told));
    assert_eq!(fs::read_to_string(&list).unwrap(), format!("{}203.0.113.1\n203.0.113.2\n", *HEAD));
}

#[test]
fn a_place_that_cannot_be_written_leaves_the_old_file() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1"]);
    let fails = |output: &Path| {
        file(&db, &["export", "-f", "plain", "-o", output.to_str().unwrap()]).fails()
    };
    let old = dir.path("old");
    fs::write(&old, "old").unwrap();
    let link = dir.path("link");
    symlink(&old, &link).unwrap();
    assert!(fails(&link).ends_with("link: not a regular file\n"));
    assert!(fails(&dir.path("missing/list")).ends_with("list: No such file or directory\n"));
    // Nobody, not even root, creates a file there.
    assert!(fails(Path::new("/proc/greytrap")).contains("/proc/greytrap: "));
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
}

#[test]
#[ignore = "needs root and unshare(1)"]
fn a_full_file_system_leaves_the_old_file() {
    let dir = Dir::new();
    let hosts: Vec<_> = (0..4000).map(|n| format!("2001:db8::{n:x}")).collect();
    let db = database(&dir, &hosts.iter().map(String::as_str).collect::<Vec<_>>());
    let full = dir.path("full");
    fs::create_dir(&full).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=16k none '{0}' && echo old > '{0}/list' && \
         '{1}' -F '{2}' export -f plain -o '{0}/list'; echo \"$?\"; cat '{0}/list'; ls -A '{0}'",
        full.display(),
        env!("CARGO_BIN_EXE_greytrapctl"),
        db.display(),
    );
    let ran = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(err.ends_with("list: No space left on device\n"), "{err}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "1\nold\nlist\n");
}

#[test]
fn what_the_operator_typed_wrong_is_told() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1"]);
    let excluded = dir.path("excluded");
    fs::write(&excluded, "203.0.113.1\nhost.example\n").unwrap();
    for (arguments, told) in [
        (&["-e", excluded.to_str().unwrap()][..], "excluded:2: expected an address or a network"),
        (&["-e", "/nowhere"], "/nowhere: No such file or directory"),
        (&["-u", "mx.example.org"], "mx.example.org: does not begin with http:// or https://"),
        (&["-c", "65066:666; reboot"], "65066:666; reboot: not a community"),
    ] {
        let arguments = ["export", "-f", "plain"].iter().chain(arguments);
        let err = file(&db, arguments).fails();
        assert!(err.contains(told), "{err}");
    }
}

/// What the daemon says of eight hosts in the trap, of some of which others are not told.
fn daemon() -> Daemon {
    let now = now();
    let verdict = |host: &str| Verdict {
        rule: Some(Rule::Helo),
        ..Verdict::by_hand(Address::parse(host.as_bytes()).unwrap(), "root")
    };
    let trap = move |host: &str, verdict: Option<Verdict>, secret| {
        let (first, expire) = (now - 3600, now + 3600);
        let address = host.parse().unwrap();
        Reply::Trap(Trap { address, first, expire, verdict, secret })
    };
    let record = move |host: &str, deed, rule: Option<&str>| {
        Reply::Record(Record {
            time: now - 3600,
            address: Some(host.parse().unwrap()),
            deed,
            rule: rule.map(str::to_owned),
            reason: "Mailed to trap address secret@example.org".into(),
            until: Some(now + 3600),
            count: 1,
            details: Vec::new(),
            tuples: Vec::new(),
        })
    };
    Daemon::start(move |server, id, request| {
        let replies = match request {
            Request::ShowTraps => vec![
                trap("203.0.113.1", Some(verdict("203.0.113.1")), None),
                trap("203.0.113.2", None, None),
                trap("203.0.113.3", None, None),
                trap("203.0.113.4", None, None),
                trap("203.0.113.5", Some(verdict("203.0.113.5")), Some(Secret::Held)),
                trap("203.0.113.6", Some(verdict("203.0.113.6")), Some(Secret::Vouched)),
                trap("203.0.113.7", Some(verdict("203.0.113.7")), Some(Secret::Vouched)),
                trap("203.0.113.8", None, Some(Secret::Allowed)),
            ],
            Request::History(_) => vec![
                record("203.0.113.2", Deed::Trapped, Some("rcpt")),
                record("203.0.113.3", Deed::TrappedByHand, None),
                record("203.0.113.9", Deed::Trapped, Some("dns")),
            ],
            other => panic!("{other:?}"),
        };
        replies.iter().for_each(|reply| server.reply(id, reply));
        server.finish(id);
    })
}

#[test]
fn the_daemons_traps_are_listed_with_their_rules() {
    let daemon = daemon();
    let shown = |arguments: &[&str]| {
        let mut all = vec!["export", "-f"];
        all.extend(arguments);
        String::from_utf8(daemon.ctl(&all).succeeds()).unwrap()
    };
    assert_eq!(shown(&["plain"]), format!("{}203.0.113.1\n203.0.113.2\n203.0.113.3\n", *HEAD));
    let all = format!("{}203.0.113.1\n203.0.113.2\n203.0.113.3\n203.0.113.4\n", *HEAD);
    assert_eq!(shown(&["plain", "-a"]), all, "but never one that is allowed or released");
    let ran = daemon.ctl(&["-v", "export", "-f", "plain", "-a"]).run();
    let told = [
        "1 host left out, released",
        "1 host left out, in allow",
        "2 hosts left out, for which a sender's domain vouched",
        "4 hosts exported",
    ];
    let told = told.map(|line| format!("greytrapctl: {line}\n")).concat();
    assert_eq!((ran.out, ran.err), (all.into_bytes(), told));
    assert_eq!(shown(&["plain", "-r", "rcpt"]), format!("{}203.0.113.2\n", *HEAD));
    assert_eq!(shown(&["plain", "-m", "10m"]), *HEAD);
    let zone = shown(&["zone"]);
    assert!(zone.contains("\n2.113.0.203 A 127.0.0.8\n"), "{zone}");
    assert!(!zone.contains("secret"), "no recipient: {zone}");
    let err = daemon.ctl(&["export", "-f", "plain", "-r", "frob"]).fails();
    assert_eq!(err, "greytrapctl: unknown rule \"frob\"\n");
}

/// Whoever needs no reasons does not have all traps of a week read for them.
#[test]
fn memory_is_asked_only_for_what_is_shown() {
    let daemon = Daemon::start(|server, id, request| {
        let Request::ShowTraps = request else {
            return server.fail(id, "asked in vain");
        };
        let (first, expire) = (now() - 60, now() + 60);
        let address = "203.0.113.4".parse().unwrap();
        server
            .reply(id, &Reply::Trap(Trap { address, first, expire, verdict: None, secret: None }));
        server.finish(id);
    });
    let told = "greytrapctl: not all reasons are known: asked in vain\n";
    for (arguments, wanted) in [
        (&["plain", "-a"][..], ""),
        (&["bgpd", "-a"], ""),
        (&["plain"], told),
        (&["zone", "-a"], told),
        (&["rbldnsd", "-a"], told),
        (&["plain", "-a", "-r", "helo"], told),
    ] {
        let ran = daemon.ctl(&[&["export", "-f"][..], arguments].concat()).run();
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), wanted), "{arguments:?}");
    }
}

#[test]
fn of_too_many_hosts_the_newest_are_listed_and_that_is_told() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    let ran = file(&db, &["export", "-f", "plain", "-n", "2"]).run();
    assert_eq!(ran.err, "greytrapctl: 1 host left out, the oldest\n");
    assert_eq!((ran.status, ran.out.len()), (Some(0), HEAD.len() + 2 * "203.0.113.1\n".len()));
}

/// What a name server answers to a question for A (1) or TXT (16) records: the code and the last octets, or
/// `None` if it does not answer.
fn asked(port: u16, name: &str, kind: u8) -> Option<(u8, Vec<u8>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut query = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, kind, 0, 1]);
    socket.send_to(&query, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some((answer[3] & 0xf, answer))
}

/// Whether a name has an answer with these octets.
fn says(port: u16, name: &str, kind: u8, octets: &[u8]) -> bool {
    let answer = asked(port, &format!("{name}.bl.example"), kind);
    answer.is_some_and(|(code, text)| code == 0 && text.windows(octets.len()).any(|w| w == octets))
}

/// Whether a name does not exist.
fn is_gone(port: u16, name: &str) -> bool {
    asked(port, &format!("{name}.bl.example"), 1).is_some_and(|(code, _)| code == 3)
}

const SIX: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";

/// A server sees the trap, its reason and the release; `renew` makes it read the file again.
fn sees_trap_and_release(port: u16, db: &Path, export: &dyn Fn(), renew: &dyn Fn()) {
    until("it serves the zone", || says(port, "2.0.0.127", 1, &[127, 0, 0, 2]));
    assert!(says(port, "1.113.0.203", 1, &[127, 0, 0, 2]));
    assert!(says(
        port,
        "1.113.0.203",
        16,
        b"behaviour of a spam source, see https://mx.example.org/"
    ));
    assert!(says(port, SIX, 1, &[127, 0, 0, 2]));
    assert!(is_gone(port, "2.113.0.203") && is_gone(port, "1.0.0.127"));
    file(db, &["release", "203.0.113.1"]).succeeds();
    file(db, &["trap", "203.0.113.2"]).succeeds();
    export();
    renew();
    until("it sees the release", || is_gone(port, "1.113.0.203"));
    until("it sees the trap", || says(port, "2.113.0.203", 1, &[127, 0, 0, 2]));
}

/// Exports a database as a file for a name server.
fn export_to(db: &Path, form: &str, output: &Path) {
    let output = output.to_str().unwrap();
    let url = "https://mx.example.org/";
    file(db, &["export", "-f", form, "-o", output, "-u", url]).succeeds();
}

#[test]
#[ignore = "needs rbldnsd"]
fn rbldnsd_serves_the_traps() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1", "2001:db8::1"]);
    let list = dir.path("list");
    export_to(&db, "rbldnsd", &list);
    let port = free_port();
    let bind = format!("127.0.0.1/{port}");
    let zone = format!("bl.example:combined:{}", list.display());
    let mut rbldnsd = Command::new("/usr/sbin/rbldnsd");
    let _server = Server::start(rbldnsd.args(["-n", "-c", "1", "-b", &bind, &zone]));
    // The file's time has a resolution of a second.
    let export = || {
        std::thread::sleep(Duration::from_millis(1100));
        export_to(&db, "rbldnsd", &list);
    };
    sees_trap_and_release(port, &db, &export, &|| {});
}

#[test]
#[ignore = "needs nsd"]
fn nsd_serves_the_traps() {
    let dir = Dir::new();
    let db = database(&dir, &["203.0.113.1", "2001:db8::1"]);
    let zone = dir.path("zone");
    export_to(&db, "zone", &zone);
    let checked = Command::new("nsd-checkzone").arg("bl.example").arg(&zone).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let nsd = Nsd::serve("bl.example", &zone);
    let export = || export_to(&db, "zone", &zone);
    sees_trap_and_release(nsd.address.port(), &db, &export, &|| nsd.reload());
}

#[test]
#[ignore = "needs root and bgpd"]
fn bgpd_accepts_every_set() {
    let dir = Dir::new();
    let (set, conf) = (dir.path("set"), dir.path("bgpd.conf"));
    let text = format!(
        "AS 65001\nrouter-id 192.0.2.2\ninclude \"{}\"\n\
         network prefix-set greytrap set community 65066:666\n",
        set.display()
    );
    fs::write(&conf, text).unwrap();
    let hosts: Vec<_> = (1..=200).map(|n| format!("2001:db8::{n:x}")).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).chain(["203.0.113.1"]).collect();
    for hosts in [&hosts[..], &[]] {
        let dir = Dir::new();
        let db = database(&dir, &["10.0.0.1"]);
        if !hosts.is_empty() {
            file(&db, ["trap"].iter().chain(hosts)).succeeds();
        }
        fs::write(&set, exported(&db, &["-f", "bgpd"])).unwrap();
        for path in [&set, &conf] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let checked = Command::new("/usr/sbin/bgpd").arg("-nf").arg(&conf).output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
}
