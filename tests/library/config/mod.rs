//! Tests greytrapper.conf(5) with the files in `tests/library/config`, its own printed form, the example,
//! and hostile bytes. The manual has its own tests.
//!
//! `good/NAME.conf` loads as `NAME.ok`, with the warnings in `NAME.err` if there is one; the errors of
//! `bad/NAME.conf` are in `NAME.err`. Run with `REWRITE_EXPECTED=1` to rewrite these files, and read the
//! diff.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use crate::support::process::as_ordinary_user;
use greytrapper::config::rules::Hosts;
use greytrapper::config::{
    Again, AllowHelo, AllowUntil, Checker, Config, Day, Define, Diagnostic, DnsList, EngineChoice,
    HeloName, Loaded, Meaning, NameServer, Network, Networks, RcptRules, Source, load, rules,
};

use proptest::prelude::*;
use regex::Regex;
use regex::bytes::{RegexBuilder, RegexSetBuilder};
use std::collections::HashMap;
use std::fs;
use std::fs::Permissions;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

mod origins;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library/config");

/// A folder as the only place there is; `/many/megabytes` is a file that is never stored.
struct Folder(PathBuf);

impl Source for Folder {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if path == Path::new("/many/megabytes") {
            return Ok(vec![b'#'; (20 << 20).min(limit + 1)]);
        }
        let mut real = self.0.clone();
        for part in path.components() {
            match part {
                Component::ParentDir => drop(real.pop()),
                part => real.push(part),
            }
        }
        fs::read(real)
    }

    fn is_program(&self, path: &Path) -> bool {
        !path.starts_with("/nowhere")
    }
}

/// Texts by path.
struct Texts(HashMap<PathBuf, Vec<u8>>);

impl Texts {
    fn one(text: impl Into<Vec<u8>>) -> Texts {
        Texts(HashMap::from([("x.conf".into(), text.into())]))
    }
}

impl Source for Texts {
    fn read(&self, path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn is_program(&self, _path: &Path) -> bool {
        true
    }
}

fn load_text(text: impl Into<Vec<u8>>, defines: &[Define]) -> Result<Loaded, Vec<Diagnostic>> {
    load(Some(Path::new("x.conf")), defines, &Texts::one(text))
}

fn lines<'d>(faults: impl IntoIterator<Item = &'d Diagnostic>) -> String {
    faults.into_iter().map(|fault| format!("{fault}\n")).collect()
}

/// The configurations of a folder by their names, without the ending.
fn cases(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(Path::new(FOLDER).join(folder))
        .unwrap()
        .filter_map(|entry| {
            Some(entry.unwrap().file_name().to_str()?.strip_suffix(".conf")?.to_string())
        })
        .collect();
    names.sort();
    assert!(names.len() > 5, "{folder}");
    names
}

/// Compares with a stored file, which is absent if there is nothing to store.
fn compare(path: &Path, found: &str, differences: &mut Vec<String>) {
    if std::env::var_os("REWRITE_EXPECTED").is_some() {
        match found {
            "" => drop(fs::remove_file(path)),
            found => fs::write(path, found).unwrap(),
        }
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    if stored != found {
        differences.push(format!("{}:\n{found}", path.display()));
    }
}

#[test]
fn good_files_load_as_stored_and_load_again_as_printed() {
    let folder = Path::new(FOLDER).join("good");
    let mut differences = Vec::new();
    for name in cases("good") {
        let file = PathBuf::from(format!("{name}.conf"));
        let loaded = load(Some(&file), &[], &Folder(folder.clone()))
            .unwrap_or_else(|faults| panic!("{}", lines(&faults)));
        let printed = loaded.config.to_string();
        compare(&folder.join(format!("{name}.ok")), &printed, &mut differences);
        let warnings = lines(&loaded.warnings);
        compare(&folder.join(format!("{name}.err")), &warnings, &mut differences);
        assert_eq!(load_text(printed, &[]).unwrap().config, loaded.config, "{name}");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn bad_files_are_told_what_is_wrong() {
    let folder = Path::new(FOLDER).join("bad");
    let mut differences = Vec::new();
    for name in cases("bad") {
        let file = PathBuf::from(format!("{name}.conf"));
        let Err(faults) = load(Some(&file), &[], &Folder(folder.clone())) else {
            panic!("{name} loads");
        };
        compare(&folder.join(format!("{name}.err")), &lines(&faults), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_wording_of_the_source_is_met_in_some_file() {
    let heard: String = ["good", "bad"]
        .iter()
        .flat_map(|folder| cases(folder).into_iter().map(move |name| (folder, name)))
        .filter_map(|(folder, name)| {
            fs::read_to_string(format!("{FOLDER}/{folder}/{name}.err")).ok()
        })
        .collect();
    let wording = Regex::new(r#"write!\(\s*f,\s*"((?:[^"\\]|\\.)*)""#).unwrap();
    let source = include_str!("../../../src/config/problem.rs");
    let wordings: Vec<String> = wording
        .captures_iter(source)
        .map(|found| found[1].replace("\\\"", "\"").replace("{{", "\u{1}").replace("}}", "\u{2}"))
        // The system's own words: see `a_file_that_cannot_be_read_is_named`.
        .filter(|text| text != "{reason}")
        .collect();
    assert!(wordings.len() > 30, "{wordings:?}");
    let hole = Regex::new(r"\\\{[a-z]*\\\}").unwrap();
    for text in wordings {
        let escaped = regex::escape(&text);
        let pattern =
            hole.replace_all(&escaped, ".+").replace('\u{1}', "\\{").replace('\u{2}', "\\}");
        assert!(Regex::new(&pattern).unwrap().is_match(&heard), "{text}");
    }
}

#[test]
fn the_example_is_the_default_and_so_is_silence() {
    let example = include_str!("../../../examples/greytrapper.conf");
    let loaded = load_text(example, &[]).unwrap();
    assert_eq!(lines(&loaded.warnings), "");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(load_text("", &[]).unwrap().config, Config::default());
}

#[test]
fn what_the_example_has_in_comments_is_right_too() {
    let statements =
        ["engine", "ask", "hear", "pass", "trap", "check", "allow", "nameserver", "mx2", "sync"]
            .map(|w| format!("{w} "));
    let mut uncommented = 0;
    let text: String = include_str!("../../../examples/greytrapper.conf")
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if statements.iter().any(|word| rest.starts_with(word)) => {
                uncommented += 1;
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(uncommented, 17);
    let mut texts = Texts::one(text);
    texts.0.insert("/etc/mail/nospamd".into(), b"198.51.100.0/24\n".to_vec());
    let loaded = load(Some(Path::new("x.conf")), &[], &texts).unwrap();
    assert_eq!(lines(&loaded.warnings), "");
    assert_ne!(loaded.config, Config::default());
}

#[test]
fn macros_of_the_command_line_win_and_are_never_missed() {
    let define = |text: &str| text.parse::<Define>().unwrap();
    let text = "time = 10m\nscan every $time\n";
    let defines = [define("time=20m"), define("other=x"), define("time=30m")];
    let loaded = load_text(text, &defines).unwrap();
    assert_eq!(loaded.config.scan_every, Duration::from_secs(1800));
    assert_eq!(lines(&loaded.warnings), "");
    // Text from outside is no safer for coming in a macro.
    let faults = load_text("sync to $host\n", &[define("host=a b")]).unwrap_err();
    assert_eq!(lines(&faults), "x.conf:1: \"a b\" is neither a host name nor an IPv4 address\n");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let nothing = Texts(HashMap::new());
    let faults = load(Some(Path::new("y.conf")), &[], &nothing).unwrap_err();
    assert_eq!(lines(&faults), "y.conf: entity not found\n");
    // The default file may be missing, but not unreadable.
    assert_eq!(load(None, &[], &nothing).unwrap().config, Config::default());
    struct Denied;
    impl Source for Denied {
        fn read(&self, _path: &Path, _limit: usize) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        fn is_program(&self, _path: &Path) -> bool {
            false
        }
    }
    let faults = load(None, &[], &Denied).unwrap_err();
    assert_eq!(lines(&faults), "/etc/mail/greytrapper.conf: permission denied\n");
}

#[test]
fn a_fault_points_at_its_place() {
    let faults = load_text("trap for 24h\n\tmax sendr ratio 1\n", &[]).unwrap_err();
    let shown: Vec<_> = faults.iter().map(|f| (f.line, f.excerpt().unwrap())).collect();
    assert_eq!(shown, [(2, " max sendr ratio 1\n     ^")]);
}

#[test]
fn megabytes_of_anything_are_borne() {
    let units = [
        "a", "\"", "{", "}", ",", "=", "$", "#", "\n", "\\", "\\\n", "\0", "\u{e9}", " ", "a ",
        "$a ",
    ];
    let heads = [
        ("", 10 << 20),
        ("allow {", 1 << 20),
        ("database \"", 1 << 20),
        ("a = ", 1 << 20),
        ("a = \"{ 192.0.2.1, }\"\nallow ", 1 << 20),
    ];
    for unit in units {
        for (head, size) in heads {
            let text = [head, &unit.repeat(size / unit.len())].concat();
            if let Err(faults) = load_text(text, &[]) {
                assert!(faults.len() <= 51);
                assert!(faults.iter().all(|fault| fault.message.len() < 500));
            }
        }
    }
}

/// Pieces of configurations that fit together now and then.
fn soup() -> impl Strategy<Value = String> {
    let pieces = "allow ask list as sign spare hear check database dns engine include max memory pass remember scan socket size verdicts observe suspect sync trap \
        identity rcpt sender syntax domains ratio helo for limit per every tuples with timeout key \
        multicast on ttl to file native libc yes no off unlisted until helo again most 2027-01-31 *.example.net nameserver port in flight attempts \
        { } , = $a $b a b \" # \\ 5 0.5 10m 192.0.2.0/24 ::1 em0 \"/x\" \"^a\" \"(\" x.conf";
    let pieces: Vec<String> = pieces.split_whitespace().map(String::from).collect();
    let piece = prop_oneof![
        8 => prop::sample::select(pieces),
        2 => Just("\n".to_string()),
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.join(" "))
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/[a-z \"\\\\#$]{0,12}".prop_map(PathBuf::from)
}

fn seconds(least: u64, most: u64) -> impl Strategy<Value = Duration> {
    (least..=most).prop_map(Duration::from_secs)
}

fn limit() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(1u32..=1_000_000)
}

fn rcpt() -> impl Strategy<Value = RcptRules> {
    let patterns = || prop::collection::vec(r##"[a-z"#$]{1,4}(\\\\|\\\.|\\"|ö| )?[a-z]"##, 0..4);
    (patterns(), patterns(), any::<bool>()).prop_map(|(pass, trap, unlisted)| RcptRules {
        unlisted: unlisted && !pass.is_empty(),
        pass: RegexSetBuilder::new(&pass).case_insensitive(true).build().unwrap(),
        trap: trap
            .iter()
            .map(|p| RegexBuilder::new(p).case_insensitive(true).build().unwrap())
            .collect(),
    })
}

fn networks() -> impl Strategy<Value = Networks> {
    let network = (any::<IpAddr>(), 0u8..=128)
        .prop_filter_map("prefix", |(address, prefix)| Network::holding(address, prefix));
    prop::collection::vec(network, 0..8).prop_map(Networks::new)
}

fn day() -> impl Strategy<Value = Day> {
    // Before the year 10000.
    (0i64..2_932_896).prop_map(Day)
}

fn allow_until() -> impl Strategy<Value = Vec<AllowUntil>> {
    let networks = networks().prop_filter("any", |networks| !networks.is_empty());
    prop::collection::btree_map(day(), networks, 0..3).prop_map(|by_day| {
        let until = |(day, networks)| AllowUntil { day, networks, is_over: false };
        by_day.into_iter().map(until).collect()
    })
}

fn allow_helo() -> impl Strategy<Value = Vec<AllowHelo>> {
    let name =
        "(\\*\\.)?[a-z]{1,5}\\.[a-z]{2,5}\\.net".prop_map(|name| HeloName::parse(&name).unwrap());
    let allowed = (name, prop::option::of(day()));
    let allowed = allowed.prop_map(|(name, day)| AllowHelo { name, day, is_over: false });
    prop::collection::vec(allowed, 0..3)
}

fn lists() -> impl Strategy<Value = Vec<DnsList>> {
    let answer = (any::<[u8; 3]>(), 8u8..=32).prop_filter_map("prefix", |([b, c, d], prefix)| {
        Network::holding(IpAddr::from([127, b, c, d]), prefix)
    });
    let answers = prop::collection::vec(answer, 0..4).prop_map(Networks::new);
    let list = ("[a-z]{1,5}\\.[a-z]{2,5}\\.net", answers, any::<bool>());
    let list = list.prop_map(|(zone, answers, is_sign)| DnsList {
        zone,
        answers,
        meaning: if is_sign { Meaning::Sign } else { Meaning::Spare },
    });
    prop::collection::vec(list, 0..=DnsList::MOST)
}

fn again() -> impl Strategy<Value = Option<(u64, u64)>> {
    prop::option::of((0..1000u64, 0..1000u64))
}

prop_compose! {
    fn rules()(
        suspect in 1u32..=1_000_000,
        domains in limit(),
        ratio in prop::option::of(0.0..=1.0f64),
        helo in limit(),
        switches in any::<[bool; 9]>(),
        rcpt in rcpt(),
        allow in networks(),
        until in allow_until(),
        names in allow_helo(),
        lists in lists(),
        hear in prop::option::of(path()),
    ) -> greytrapper::config::Rules {
        greytrapper::config::Rules {
            suspect_tuples: suspect,
            max_sender_domains: domains,
            max_sender_ratio: ratio,
            max_helo_names: helo,
            helo_address: switches[3],
            helo_dynamic: switches[4],
            stranger: switches[5],
            crowd: switches[6],
            learn_recipients: switches[8],
            identity: switches[0],
            lists,
            hear,
            sender_syntax: switches[1],
            sender_dns: switches[2],
            rcpt,
            check_rcpt: false,
            check_rcpt_for: if switches[7] { Hosts::All } else { Hosts::Suspect },
            own: Default::default(),
            origins: Default::default(),
            allow,
            allow_until: until,
            allow_helo: names,
        }
    }
}

fn dns() -> impl Strategy<Value = greytrapper::config::Dns> {
    let server = (any::<IpAddr>(), 1u16..).prop_map(|(address, port)| NameServer { address, port });
    (prop::collection::vec(server, 0..3), 1u32..=65_000, seconds(1, 60), 1u32..=10).prop_map(
        |(servers, in_flight, timeout, attempts)| greytrapper::config::Dns {
            servers,
            in_flight,
            timeout,
            attempts,
        },
    )
}

fn sync() -> impl Strategy<Value = greytrapper::config::Sync> {
    let peers = prop::collection::vec("[a-z][a-z0-9]{0,9}(\\.[a-z]{2,5})?", 0..3);
    let multicast = prop::collection::vec(("[a-z]{1,4}[0-9]", 1u8..), 0..3);
    (peers, multicast, prop::option::of(path()))
        .prop_map(|(peers, multicast, key)| greytrapper::config::Sync { peers, multicast, key })
}

fn memory() -> impl Strategy<Value = greytrapper::config::Memory> {
    let time = || seconds(60, 520 * 7 * 86_400);
    (path(), 16u64 << 20..=64 << 30, time(), prop::option::of(time())).prop_map(
        |(directory, size, verdicts, tuples)| greytrapper::config::Memory {
            directory,
            size,
            verdicts,
            tuples,
        },
    )
}

prop_compose! {
    fn config()(
        database in path(),
        socket in path(),
        times in (seconds(1, 86_400), seconds(60, 52 * 7 * 86_400), seconds(1, 86_400)),
        traps in 1u32..=1_000_000,
        engine in prop::sample::select(vec![
            EngineChoice::Native, EngineChoice::Libc,
        ]),
        rules in rules(),
        checker in prop::option::of((path(), seconds(1, 600))),
        dns in dns(),
        sync in sync(),
        memory in memory(),
        suspend_at in prop::option::of(0.0..=100.0f64),
        again in again(),
        observe in prop::sample::subsequence(rules::NAMES.to_vec(), 0..=11),
    ) -> Config {
        Config {
            database,
            scan_every: times.0,
            trap_for: times.1,
            trap_again: again.map(|(more, most)| {
                let longest = Duration::from_secs(52 * 7 * 86_400);
                let time = (times.1 + Duration::from_secs(more)).min(longest);
                Again { time, most: (time + Duration::from_secs(most)).min(longest) }
            }),
            trap_limit: (traps, times.2),
            engine,
            rules: greytrapper::config::Rules {
                check_rcpt: checker.is_some(),
                // Printed with the program only.
                check_rcpt_for: if checker.is_some() { rules.check_rcpt_for } else { Hosts::All },
                ..rules
            },
            checker: checker.map(|(program, timeout)| Checker {
                control: timeout.as_secs().is_multiple_of(2).then(|| "root@\\ours.example".into()),
                program,
                timeout,
            }),
            dns,
            socket,
            sync,
            memory,
            suspend_at,
            observe,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_printed_loads_as_the_same(config in config()) {
        let printed = config.to_string();
        let loaded = load_text(printed.clone(), &[])
            .map_err(|faults| TestCaseError::fail(format!("{printed}{}", lines(&faults))))?;
        prop_assert_eq!(loaded.config, config);
    }

    #[test]
    fn soup_is_understood_or_refused(text in soup()) {
        let line_count = u32::try_from(text.lines().count()).unwrap() + 1;
        match load_text(text, &[]) {
            Ok(loaded) => {
                let again = load_text(loaded.config.to_string(), &[]).unwrap();
                prop_assert_eq!(again.config, loaded.config);
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.line <= line_count));
            }
        }
    }

    #[test]
    fn bytes_are_understood_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(faults) = load_text(bytes, &[]) {
            prop_assert!(faults.iter().all(|fault| !fault.to_string().contains('\n')));
        }
    }

    #[test]
    fn a_spoilt_file_is_understood_or_refused(at in 0usize..900, bytes in prop::collection::vec(any::<u8>(), 0..4)) {
        let mut text = fs::read(format!("{FOLDER}/good/sample.conf")).unwrap();
        let at = at.min(text.len() - 1);
        text.splice(at..=at, bytes);
        let mut texts = Texts::one(text);
        texts.0.insert("parts/nospamd".into(), Vec::new());
        if let Ok(loaded) = load(Some(Path::new("x.conf")), &[], &texts) {
            let again = load_text(loaded.config.to_string(), &[]).unwrap();
            prop_assert_eq!(again.config, loaded.config);
        }
    }
}

fn greytrapper(arguments: &[&str]) -> (Option<i32>, String, String) {
    // Root's daemon needs users that only a mail host has.
    let mut command = Command::new(env!("CARGO_BIN_EXE_greytrapper"));
    let Output { status, stdout, stderr } =
        as_ordinary_user(command.args(arguments)).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_program_checks_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.conf");
    let name = file.to_str().unwrap();
    fs::write(&file, "t = 2h\ntrap for $t\n").unwrap();
    // Whatever the umask: a file that everyone may write is refused.
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let expected = load_text("trap for 2h", &[]).unwrap().config.to_string();
    let (status, printed, said) = greytrapper(&["-nf", name]);
    assert_eq!(
        (status, printed, said.lines().last()),
        (Some(0), "".into(), Some("configuration OK"))
    );
    let (status, printed, said) = greytrapper(&["-nvf", name]);
    assert_eq!(
        (status, printed, said.lines().last()),
        (Some(0), expected, Some("configuration OK"))
    );
    let (status, printed, _) = greytrapper(&["-dnv", "-D", "t=3h", "-f", name]);
    assert_eq!(status, Some(0));
    assert!(printed.contains("\ntrap for 3h\n"), "{printed}");

    fs::write(&file, "t = 2h\ntrap fro $t\nscan every 0\n").unwrap();
    let faults = format!(
        "{name}:2: expected \"for\", \"limit\" or \"rcpt\", found \"fro\": did you mean \"for\"?\n\
         {name}:3: scan every must be between 1s and 24h\n"
    );
    assert_eq!(greytrapper(&["-nv", "-f", name]), (Some(1), "".into(), faults));

    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let refused = format!("{name}: File is writable by everyone\n");
    assert_eq!(greytrapper(&["-nv", "-f", name]), (Some(1), "".into(), refused));
}

#[test]
fn the_program_says_what_keeps_it_from_checking() {
    let (status, _, said) = greytrapper(&["-n", "-f", "/nowhere/x.conf"]);
    assert_eq!((status, said.as_str()), (Some(1), "/nowhere/x.conf: No such file or directory\n"));
    let (status, _, said) = greytrapper(&["-n", "-f", "/"]);
    assert_eq!((status, said.as_str()), (Some(1), "/: Is a directory\n"));
    let (status, printed, said) = greytrapper(&["-y"]);
    assert_eq!((status, printed.as_str()), (Some(2), ""));
    assert_eq!(
        said,
        "greytrapper: invalid option '-y'\nusage: greytrapper [-dhnVv] [-D macro=value] [-f file]\n"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_program_notices_a_full_disk() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_greytrapper"))
        .args(["-nv", "-f", "/dev/null"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("greytrapper: stdout: "), "{said}");
}
