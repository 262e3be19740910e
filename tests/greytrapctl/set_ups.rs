//! The set-ups in the port's README by which traps get to other machines: complete files, which the programs
//! that read them accept.

use crate::export_bgp::{Bgpd, passive};
use crate::support::alone;
use crate::support::cmd::{Dir, ctl};
use crate::support::process::until;
use greytrapper::config::{self, Source};
use greytrapper::greytrapctl::options::Options;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Indented blocks that begin with a comment, by its text; blocks of one file follow each other without an empty
/// line.
fn blocks() -> Vec<(String, String)> {
    let readme = include_str!("../../openbsd-port/pkg/README");
    let readme = readme.replace("${SYSCONFDIR}", "/etc");
    let mut blocks = Vec::new();
    for paragraph in readme.split("\n\n") {
        let lines = || paragraph.trim_matches('\n').lines();
        let Some(title) = lines().next().and_then(|line| line.strip_prefix("    # ")) else {
            continue;
        };
        // A command to be typed by root has no such file.
        let is_file = title.starts_with('/') || title.starts_with("crontab");
        if is_file && lines().all(|line| line.starts_with("    ")) {
            let text: Vec<_> = lines().map(|line| &line[4..]).collect();
            blocks.push((title.to_owned(), text.join("\n") + "\n"));
        }
    }
    assert!(blocks.len() >= 18, "{blocks:#?}");
    blocks
}

/// Those whose title begins so, at least one.
fn titled(title: &str) -> Vec<String> {
    let found: Vec<_> = blocks()
        .into_iter()
        .filter(|(other, _)| other.starts_with(title))
        .map(|(_, text)| text)
        .collect();
    assert!(!found.is_empty(), "{title}");
    found
}

/// One file, and empty tables.
struct Given(String);

impl Source for Given {
    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/etc/mail/greytrapper.conf") => Ok(self.0.clone().into_bytes()),
            Some("/etc/mail/nospamd" | "/var/db/spamd.black") => Ok(Vec::new()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_program(&self, _: &Path) -> bool {
        false
    }
}

#[test]
fn greytrapper_accepts_its_configurations() {
    for text in titled("/etc/mail/greytrapper.conf") {
        let path = Path::new("/etc/mail/greytrapper.conf");
        if let Err(faults) = config::load(Some(path), &[], &Given(text)) {
            panic!("{}", faults.iter().map(ToString::to_string).collect::<String>());
        }
    }
}

/// A record of capabilities (cgetent(3)), with colons within quotes as spamd-setup(8) has them.
fn capabilities(record: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    for character in record.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ':' if !is_quoted => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        fields.last_mut().unwrap().push(character);
    }
    assert!(!is_quoted, "{record}");
    fields.iter().map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect()
}

/// What spamd.conf(5) demands.
#[test]
fn spamd_setup_would_find_every_list() {
    for text in titled("/etc/mail/spamd.conf") {
        let text: String =
            text.lines().filter(|line| !line.starts_with('#')).map(|l| format!("{l}\n")).collect();
        let joined = text.replace("\\\n", "");
        let records = joined.lines().filter(|line| !line.is_empty()).map(capabilities);
        let lists: HashMap<String, Vec<String>> =
            records.map(|mut fields| (fields.remove(0), fields)).collect();
        let all = &lists["all"];
        assert_eq!(all.len() + 1, lists.len(), "each list is used once: {lists:?}");
        for list in all {
            let fields = &lists[list];
            let value = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name));
            assert!(fields.contains(&"black".into()), "{fields:?}");
            let message = value("msg=").unwrap();
            assert!(message.starts_with('"') && message.ends_with('"') && message.len() < 400);
            assert_eq!(
                (value("method="), value("file=")),
                (Some("file"), Some("/var/db/spamd.black"))
            );
        }
    }
}

/// pfctl(8) is not here: macros and tables are defined before they are used, and rules begin as rules do.
#[test]
fn names_in_pf_conf_are_defined() {
    for text in titled("/etc/pf.conf") {
        let is_whole = !text.contains("in addition");
        let mut names = HashSet::new();
        let text = text.replace("\\\n", "");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().collect();
            for word in &words[1..] {
                let is_name = word.starts_with(['$', '<']) && words[0] != "table";
                assert!(!is_name || names.contains(*word), "{line}");
            }
            match words[..] {
                [name, "=", value] => {
                    assert!(value.starts_with('"') && names.insert(format!("${name}")))
                }
                ["table", name, ..] => assert!(names.insert(name.into())),
                ["pass" | "block" | "set", ..] => {}
                _ => panic!("{line}"),
            }
        }
        if is_whole {
            let smtp = "proto tcp to any port smtp     divert-to 127.0.0.1 port spamd";
            assert!(text.contains(smtp), "{text}");
        }
    }
}

/// The commands in a crontab(5), without times and flags.
fn commands(crontab: &str) -> Vec<String> {
    let lines = crontab.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let rest = line.strip_prefix("*/5 * * * * -s ").unwrap_or_else(|| panic!("{line}"));
            assert!(!rest.contains('%'), "a newline to cron(8): {line}");
            rest.to_owned()
        })
        .collect()
}

#[test]
fn cron_runs_what_greytrapctl_knows() {
    let mut count = 0;
    for command in titled("crontab of root").iter().flat_map(|text| commands(text)) {
        let program = "/usr/local/sbin/greytrapctl ";
        let Some((_, arguments)) = command.split_once(program) else { continue };
        let arguments = arguments.split('|').next().unwrap();
        // What is between apostrophes is one word.
        let words = arguments.split('\'').enumerate().flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        Options::parse(words).unwrap_or_else(|error| panic!("{command}: {error}"));
        count += 1;
    }
    assert_eq!(count, 4);
}

/// The database of a site with these hosts in the trap.
fn database(dir: &Dir, name: &str, hosts: &[&str]) -> PathBuf {
    let path = dir.path(name);
    let first = ["-F", path.to_str().unwrap(), "trap"];
    ctl(first.iter().chain(hosts)).succeeds();
    path
}

/// Runs a command of a crontab with other paths.
fn run(command: &str, others: &[(&str, &str)]) -> Option<i32> {
    let mut command = command.to_owned();
    for (path, other) in others {
        command = command.replace(path, other);
    }
    let ran = Command::new("/bin/sh").arg("-c").arg(&command).output().unwrap();
    assert!(ran.stderr.is_empty() && ran.stdout.is_empty(), "{command}: {ran:?}");
    ran.status.code()
}

fn export_of(database: &Path) -> String {
    format!("{} -F '{}'", env!("CARGO_BIN_EXE_greytrapctl"), database.display())
}

#[test]
#[ignore = "needs nsd and rbldnsd"]
fn name_servers_accept_their_set_up() {
    let dir = Dir::new();
    let export = export_of(&database(&dir, "db", &["203.0.113.7", "2001:db8::7"]));
    let conf = dir.path("nsd.conf");
    fs::write(&conf, &titled("/var/nsd/etc/nsd.conf")[0]).unwrap();
    let checked = Command::new("nsd-checkconf").arg(&conf).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let zones = dir.path("").display().to_string();
    let command = &commands(&titled("crontab of root on mx1")[0])[0];
    let others = [
        ("/usr/local/sbin/greytrapctl", export.as_str()),
        ("/var/nsd/zones/master", zones.trim_end_matches('/')),
        ("nsd-control reload", "true"),
    ];
    assert_eq!(run(command, &others), Some(0));
    let zone = dir.path("greytrap.zone");
    let name = "mx1.bl.example.org";
    let checked = Command::new("nsd-checkzone").arg(name).arg(&zone).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // rbldnsd, with its own line.
    let command = &commands(&titled("crontab of root on mx1, for rbldnsd")[0])[0];
    let others = [others[0], ("/var/rbldnsd", others[1].1)];
    assert_eq!(run(command, &others), Some(0));
    let flags = &titled("/etc/rc.conf.local on mx1, for rbldnsd")[0];
    let zone = flags.lines().last().unwrap().split_whitespace().last().unwrap();
    let zone = zone.replace("/var/rbldnsd", others[1].1);
    let dump = Command::new("/usr/sbin/rbldnsd").args(["-d", &zone]).output().unwrap();
    let text = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.status.success() && text.contains("\n7.113.0.203\tA\t127.0.0.2\n"), "{text}");
}

/// A site with the files of the README, at other places.
struct Site {
    name: &'static str,
    database: PathBuf,
    directory: String,
    socket: PathBuf,
}

impl Site {
    fn new(dir: &Dir, name: &'static str, hosts: &[&str]) -> Site {
        let directory = dir.path(name);
        fs::create_dir(&directory).unwrap();
        let database = database(dir, &format!("{name}.db"), hosts);
        let (socket, directory) = (directory.join("socket"), directory.display().to_string());
        Site { name, database, directory, socket }
    }

    /// What cron(8) runs, with these programs: the list is exported, and what was heard written.
    fn cron(&self, number: usize) -> Option<i32> {
        let crontab = commands(&titled("crontab of root at both sites")[0]);
        let ctl = format!("bgpctl -s '{}' ", self.socket.display());
        let export = export_of(&self.database);
        let others = [
            ("/usr/local/sbin/greytrapctl", export.as_str()),
            ("/usr/libexec/spamd-setup", "true"),
            ("/var/db", &self.directory),
            // Already between apostrophes.
            ("'bgpctl reload'", &format!("\"{ctl}reload >/dev/null\"")),
            ("bgpctl show", &format!("{ctl}show")),
        ];
        run(&crontab[number], &others)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.directory).join(name)
    }

    /// bgpd(8) with the site's file, changed by `change`.
    fn start(&self, change: impl Fn(&str) -> String) -> Bgpd {
        let text = change(&titled(&format!("/etc/bgpd.conf at site {}", self.name))[0]);
        // bgpd(8) has no keys for TCP on Linux.
        let text: String = text
            .lines()
            .filter(|line| !line.contains("tcp md5sig"))
            .map(|line| line.replace("/var/db", &self.directory) + "\n")
            .collect();
        let (set, conf) = (self.file("greytrap.bgpd"), self.file("bgpd.conf"));
        fs::write(&conf, format!("socket \"{}\"\n{text}", self.socket.display())).unwrap();
        // The list is exported once by hand.
        let arguments = ["-F", self.database.to_str().unwrap(), "export", "-f", "bgpd", "-o"];
        ctl(arguments.iter().chain([&set.to_str().unwrap()])).succeeds();
        for path in [&set, &conf] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        Bgpd::start(&conf, self.socket.clone())
    }

    fn heard(&self) -> String {
        self.cron(1);
        fs::read_to_string(self.file("spamd.black")).unwrap()
    }
}

#[test]
#[ignore = "needs root and bgpd"]
fn bgpd_accepts_both_ends_as_they_are() {
    let dir = Dir::new();
    let set = dir.path("greytrap.bgpd");
    fs::write(&set, "prefix-set greytrap {\n}\n").unwrap();
    for text in titled("/etc/bgpd.conf") {
        let conf = dir.path("bgpd.conf");
        fs::write(&conf, text.replace("/var/db/greytrap.bgpd", set.to_str().unwrap())).unwrap();
        for path in [&set, &conf] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let checked = Command::new("/usr/sbin/bgpd").arg("-nf").arg(&conf).output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
}

#[test]
#[ignore = "needs root, unshare(1) and bgpd"]
fn two_sites_hear_of_each_others_traps_and_releases() {
    if !alone::is_alone() {
        let test = "set_ups::two_sites_hear_of_each_others_traps_and_releases";
        alone::run(test, &["unshare", "-n"], |_| ());
        return;
    }
    for words in
        ["link set lo up", "addr add 192.0.2.1/32 dev lo", "addr add 198.51.100.1/32 dev lo"]
    {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
    }
    fs::create_dir_all("/run/openbgpd").unwrap();
    let dir = Dir::new();
    let a = Site::new(&dir, "A", &["203.0.113.7", "2001:db8::7"]);
    let b = Site::new(&dir, "B", &["203.0.113.8"]);
    let server = b.start(passive);
    until("B is at work", || server.is_at_work());
    let _other = a.start(str::to_owned);
    until("A is at work", || a.socket.exists());
    until("B hears of A's trap", || b.heard() == "203.0.113.7\n");
    until("A hears of B's trap", || a.heard() == "203.0.113.8\n");
    assert_eq!(a.cron(0), Some(3), "nothing has changed");
    ctl(["-F", a.database.to_str().unwrap(), "release", "203.0.113.7"]).succeeds();
    assert_eq!(a.cron(0), Some(0));
    until("B hears of the release", || b.heard().is_empty());
    assert_eq!(a.heard(), "203.0.113.8\n");
}
