//! greytrapctl(8) and its command line: commands, their words and options, found by trying; examples
//! that are understood; the JSON objects.

use super::ask::run;
use super::mdoc::{Element, Item, Manual, flags};
use greytrapper::greytrapctl::options::Options;
use greytrapper::greytrapctl::usage::{USAGE, UsageError};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

pub type Set = BTreeSet<String>;

fn manual() -> Manual {
    Manual::read("greytrapctl.8")
}

/// The items about commands.
fn items() -> Vec<Item> {
    ["Without the daemon", "With the daemon"]
        .into_iter()
        .flat_map(|title| manual().section(title).items())
        .filter(|item| item.head.iter().any(|element| element.word().is_some()))
        .collect()
}

fn parse(before: &[&str], word: &str) -> Result<Options, UsageError> {
    Options::parse(before.iter().copied().chain([word]))
}

/// All words that may stand behind `before`: those that a single letter may mean are named when it is
/// ambiguous, and a word that is alone can be spelt letter by letter.
pub fn known(before: &[&str]) -> Set {
    let is_known = |word: &str| !matches!(parse(before, word), Err(UsageError::Unknown { .. }));
    let mut words = Set::new();
    for letter in ('a'..='z').map(String::from) {
        match parse(before, &letter) {
            Err(UsageError::Ambiguous { words: several, .. }) => {
                words.extend(several.into_iter().map(String::from));
            }
            _ if is_known(&letter) => {
                let mut word = letter;
                let next = |word: &str| {
                    ('a'..='z').map(|c| format!("{word}{c}")).find(|longer| is_known(longer))
                };
                while let Some(longer) = next(&word) {
                    word = longer;
                }
                words.insert(word);
            }
            _ => {}
        }
    }
    words
}

/// The words that the manual has behind a command.
fn documented(command: &str) -> Set {
    let items = items();
    let heads = items.iter().map(|item| item.head.iter().filter_map(Element::word));
    let behind =
        heads.map(|mut words| (words.next(), words)).filter(|(word, _)| *word == Some(command));
    behind.flat_map(|(_, words)| words.map(String::from)).collect()
}

#[test]
fn commands_are_those_of_the_manual() {
    let items = items();
    let firsts = items.iter().filter_map(|item| item.head.iter().find_map(Element::word));
    let commands: Set = firsts.map(String::from).collect();
    assert_eq!(commands, known(&[]));
    for command in commands {
        let words = match command.as_str() {
            "show" | "log" => known(&[&command]),
            "trap" => Set::from(["because", "for"].map(String::from)),
            "release" => Set::from(["for".into()]),
            // The others take no words of ours.
            _ => Set::new(),
        };
        assert_eq!(documented(&command), words, "{command}");
    }
}

/// The letters of options that may stand behind a command.
fn accepted(command: &str) -> BTreeSet<char> {
    let is_unknown = |letter: &char| {
        let option = format!("-{letter}");
        matches!(parse(&[command], &option), Err(UsageError::Option(named)) if named == option)
    };
    let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    letters.filter(|letter| !is_unknown(letter)).collect()
}

#[test]
fn options_are_those_of_the_manual() {
    let general: Vec<Element> =
        manual().section("DESCRIPTION").items().into_iter().flat_map(|item| item.head).collect();
    let general = flags(&general);
    assert!(general.len() >= 5, "{general:?}");
    let mut of_commands: BTreeMap<String, BTreeSet<char>> = BTreeMap::new();
    for item in items() {
        let command = item.head.iter().find_map(Element::word).unwrap();
        of_commands.entry(command.into()).or_default().extend(flags(&item.head));
    }
    for (command, documented) in of_commands {
        let all = &documented | &general;
        assert_eq!(accepted(&command), all, "{command}");
    }
}

#[test]
fn the_usage_lines_have_the_options_of_the_manual() {
    let groups = Regex::new(r"-([A-Za-z0-9]+)").unwrap();
    let used = groups.captures_iter(USAGE).map(|group| group[1].to_string()).collect::<String>();
    let everywhere = items()
        .iter()
        .map(|item| flags(&item.head))
        .fold(flags(&manual().section("SYNOPSIS").elements()), |all, flags| &all | &flags);
    assert_eq!(used.chars().collect::<BTreeSet<_>>(), everywhere);
    let commands = known(&[]);
    let synopsis = manual().section("SYNOPSIS").elements();
    for word in synopsis.iter().filter_map(Element::word) {
        assert!(commands.contains(word), "{word}");
    }
}

/// The command lines of greytrapctl in the displays of a text, without prompt, up to a pipe.
fn command_lines(displays: &[String]) -> Vec<String> {
    displays
        .iter()
        .flat_map(|display| display.lines())
        .filter_map(|line| line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")))
        .filter_map(|line| line.strip_prefix("greytrapctl "))
        .map(|line| line.split(['|', '#']).next().unwrap().trim().to_string())
        .collect()
}

#[test]
fn every_example_is_understood() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = fs::read_to_string(format!("{root}/openbsd-port/pkg/README")).unwrap();
    let readme: Vec<String> = readme.lines().map(|line| line.trim().to_string()).collect();
    let mut lines = command_lines(&manual().section("EXAMPLES").displays());
    assert!(lines.len() >= 9, "{lines:?}");
    let of_port = command_lines(&readme);
    assert!(of_port.len() >= 2, "{of_port:?}");
    lines.extend(of_port);
    for line in lines {
        let words = line.split_whitespace();
        Options::parse(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// The fields of the JSON objects that a command line prints, also of those within.
fn fields(arguments: &[&str]) -> Set {
    let arguments: Vec<&str> = ["-j"].into_iter().chain(arguments.iter().copied()).collect();
    let (_, out, said) = run(env!("CARGO_BIN_EXE_greytrapctl"), &arguments);
    assert!(!out.is_empty(), "{arguments:?}: {said}");
    let mut fields = Set::new();
    for line in out.lines() {
        collect(&serde_json::from_str(line).unwrap(), &mut fields);
    }
    fields
}

fn collect(value: &serde_json::Value, fields: &mut Set) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                fields.insert(name.clone());
                collect(value, fields);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|v| collect(v, fields)),
        _ => {}
    }
}

#[test]
fn json_objects_have_the_fields_of_the_manual() {
    let root = env!("CARGO_MANIFEST_DIR");
    let sample = format!("{root}/examples/sample.db");
    let damaged = format!("{root}/tests/data/damaged/hash/ovfl-self.db");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (conf, new) = (path("x.conf"), path("new"));
    fs::write(&conf, "check sender dns no\ncheck identity no\n").unwrap();
    fs::set_permissions(&conf, Permissions::from_mode(0o644)).unwrap();
    let printed = [
        ("list", fields(&["list", &format!("{root}/tests/data/hash/kinds.db")])),
        ("check", fields(&["check", &damaged])),
        ("simulate", fields(&["simulate", "-t", "1795420010", "-f", &conf, &sample])),
        ("lookup", fields(&["lookup", "-f", &conf, "not a domain"])),
        ("spf", fields(&["spf", "-f", &conf, "192.0.2.1", "mx", "not a domain"])),
        ("trap", fields(&["-F", &new, "trap", "192.0.2.1"])),
    ];
    for (command, mut fields) in printed {
        if command == "simulate" {
            // There are answers only if somebody was asked, and statements if there are any.
            let more =
                ["domain", "exemption", "list", "ptr", "recipient", "statement", "file", "line"];
            fields.extend(more.map(String::from));
        }
        assert_eq!(objects()[command], fields, "{command}");
    }
}

/// The fields of each command's objects.
fn objects() -> BTreeMap<String, Set> {
    let items = manual().section("JSON").items();
    let of_command = |item: &Item| {
        let fields: Vec<_> = item.body.all("Va");
        let distinct: Set = fields.iter().cloned().collect();
        assert_eq!(fields.len(), distinct.len(), "{:?}", item.head);
        let is_said = |element: &Element| matches!(element, Element::Word(_) | Element::Flag(_));
        let words = item.head.iter().filter(|element| is_said(element));
        let words = words.map(|element| match element {
            Element::Flag(letter) => format!("-{letter}"),
            element => element.word().unwrap().to_owned(),
        });
        (words.collect::<Vec<_>>().join(" "), distinct)
    };
    let mut objects: BTreeMap<_, _> = items.iter().map(of_command).collect();
    let change = objects.remove("trap release adopt").unwrap();
    objects.insert("trap".into(), change);
    objects
}

#[test]
fn every_field_is_explained_once() {
    let explained = manual().section("JSON fields").items();
    let names: Vec<_> = explained
        .iter()
        .map(|item| match &item.head[..] {
            [Element::Text(name)] => name.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let distinct: Set = names.iter().cloned().collect();
    assert_eq!(names, distinct.iter().cloned().collect::<Vec<_>>(), "in order, each once");
    let used: Set = objects().into_values().flatten().collect();
    assert_eq!(distinct, used);
    for item in &explained {
        assert!(item.body.text().trim_end_matches([' ', '.']).len() > 5, "{:?}", item.head);
        let mentioned: Set = item.body.all("Va").into_iter().collect();
        assert!(mentioned.is_subset(&distinct), "{mentioned:?}");
    }
}
