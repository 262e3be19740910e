//! greytrapper(8) and its command line, the files it names, the rules; the example of a configuration.

use super::ask::run;
use super::mdoc::{Element, Manual, flags};
use greytrapper::config::{Config, DEFAULT_FILE};
use greytrapper::scan::Rule;
use nix::unistd::Uid;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_greytrapper");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The option by which the program tells its own processes what they are: not for users.
const HIDDEN: char = 'x';

fn manual() -> Manual {
    Manual::read("greytrapper.8")
}

/// What the program says of an option that it does not have.
fn refusal(letter: char) -> String {
    // With -n nothing is started, whatever the rest means.
    let (_, _, said) = run(PROGRAM, &["-n", &format!("-{letter}"), "a=b", "-f", "/dev/null"]);
    said.lines().next().unwrap_or_default().to_string()
}

#[test]
fn options_are_those_of_the_manual() {
    let unknown = refusal('%');
    assert!(unknown.contains("-%"), "{unknown}");
    let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let known: BTreeSet<char> = letters
        .filter(|letter| *letter != HIDDEN)
        .filter(|letter| refusal(*letter) != unknown.replace('%', &letter.to_string()))
        .collect();
    let listed = manual().section("DESCRIPTION").items();
    let listed: Vec<Element> = listed.into_iter().flat_map(|item| item.head).collect();
    assert_eq!(flags(&listed), known);
    assert_eq!(flags(&manual().section("SYNOPSIS").elements()), known);
    let (_, _, said) = run(PROGRAM, &["-%"]);
    let usage = said.lines().find_map(|line| line.strip_prefix("usage: greytrapper ")).unwrap();
    let groups = Regex::new(r"-([A-Za-z0-9]+)").unwrap();
    let shown = groups.captures_iter(usage).map(|group| group[1].to_string());
    assert_eq!(shown.collect::<String>().chars().collect::<BTreeSet<_>>(), known);
}

#[test]
fn rules_are_those_of_the_manual() {
    let rules = Rule::ALL.map(Rule::name);
    for section in ["Rules", "DIAGNOSTICS"] {
        let items = manual().section(section).items();
        let heads = items.iter().filter_map(|item| item.head.first()?.word());
        assert_eq!(heads.collect::<Vec<_>>(), rules, "{section}");
    }
}

#[test]
fn reasons_are_those_of_the_manual() {
    let items = manual().section("DIAGNOSTICS").items();
    let reason = |rule: &str| {
        let item = items.iter().find(|item| item.head[0].word() == Some(rule)).unwrap();
        let pieces = item.body.elements().into_iter().map(|element| match element {
            Element::Text(word) => regex::escape(&word),
            _ => ".+".into(),
        });
        let pattern = pieces.collect::<Vec<_>>().join(r"[ ()]*");
        Regex::new(&format!(r"^{pattern}\)?$")).unwrap()
    };
    let sample = format!("{ROOT}/examples/sample.db");
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("x.conf");
    let rules = "check sender dns no\ncheck identity no\ntrap rcpt \"^old@\"\n";
    fs::write(&conf, rules).unwrap();
    fs::set_permissions(&conf, Permissions::from_mode(0o644)).unwrap();
    let arguments = ["simulate", "-t", "1795420010", "-f", conf.to_str().unwrap(), &sample];
    let (_, out, said) = run(env!("CARGO_BIN_EXE_greytrapctl"), &arguments);
    let mut seen = BTreeSet::new();
    for line in out.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert!(reason(fields[1]).is_match(fields[2]), "{line}: {}", reason(fields[1]));
        seen.insert(fields[1]);
    }
    assert!(seen.len() >= 4, "{out}{said}");
}

#[test]
fn files_are_those_of_the_manual() {
    let config = Config::default();
    let defaults =
        [DEFAULT_FILE, config.database.to_str().unwrap(), config.socket.to_str().unwrap()];
    for name in ["greytrapper.8", "greytrapctl.8"] {
        let files = Manual::read(name).section("FILES").text();
        for path in defaults {
            assert!(files.contains(path), "{name}: {path}");
        }
    }
    assert!(manual().section("DESCRIPTION").text().contains(DEFAULT_FILE));
    let memory = config.memory.directory.to_str().unwrap();
    assert!(manual().section("FILES").text().contains(memory));
    let list = fs::read_to_string(format!("{ROOT}/openbsd-port/pkg/PLIST")).unwrap();
    let sample = format!("@sample {}/\n", memory.replace("/var", "${LOCALSTATEDIR}"));
    assert!(list.contains(&sample), "{sample}");
}

#[test]
fn the_example_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("greytrapper.conf");
    fs::copy(format!("{ROOT}/examples/greytrapper.conf"), &copy).unwrap();
    // Whatever the checkout's: a file that everyone may write is refused.
    fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    // Root's daemon needs users that only a mail host has.
    let mut command = Command::new(PROGRAM);
    if Uid::effective().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.arg("-nvf").arg(copy).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().last()), (Some(0), Some("configuration OK")));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), Config::default().to_string());
}
