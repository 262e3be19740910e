//! Compares the completions of shells with the programs: commands, their options and words, and rules.
//!
//! What there is to complete is in the usage lines, or found by trying. The files are read as far as they
//! are lists of words; the functions for bash(1) are also run.

use crate::manuals::ask::run;
use crate::manuals::ctl::{Set, known};
use greytrapper::greytrapctl::usage::USAGE;
use greytrapper::scan::Rule;
use regex::Regex;
use std::collections::BTreeMap;
use std::fs;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions");

/// What there is to complete behind a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Behind {
    options: Set,
    words: Set,
}

/// What there is to complete: options before the command, and the commands.
#[derive(Debug, Default, PartialEq, Eq)]
struct All {
    before: Set,
    commands: BTreeMap<String, Behind>,
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("{FOLDER}/{name}")).unwrap()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// The words of a list, which may be continued with backslashes.
fn words(list: &str) -> Set {
    list.replace('\\', " ").split_whitespace().map(String::from).collect()
}

/// Everything that a pattern captures, as words.
fn found(pattern: &str, text: &str) -> Set {
    regex(pattern).captures_iter(text).flat_map(|found| words(&found[1])).collect()
}

/// The options in a usage line.
fn options(usage: &str) -> Set {
    let groups = found(r"(?:^|[\[ ])-([A-Za-z]+)", usage);
    dashed(groups.iter().flat_map(|group| group.chars()))
}

/// Options with these letters.
fn dashed(letters: impl IntoIterator<Item = impl std::fmt::Display>) -> Set {
    letters.into_iter().map(|letter| format!("-{letter}")).collect()
}

/// What greytrapctl knows.
fn greytrapctl() -> All {
    let row = |name: String| {
        let of_one = ["show", "log"].contains(&name.as_str());
        let words = if of_one { known(&[&name]) } else { Set::new() };
        (name, Behind { words, ..Behind::default() })
    };
    let commands = known(&[]).into_iter().map(row).collect();
    let mut all = All { commands, before: Set::new() };
    let line = regex(r"^((?:\[-\w+(?: \w+)?\] |-F file )*)([a-z]+)(?: \| ([a-z]+))?(.*)$");
    // A long line is continued in the next.
    let usage = regex(r"\n {19}").replace_all(USAGE, " ");
    for usage in usage.lines().filter_map(|line| line[7..].strip_prefix("greytrapctl ")) {
        let Some(parts) = line.captures(usage) else {
            all.before.extend(options(usage));
            continue;
        };
        all.before.extend(options(&parts[1]));
        for command in [parts.get(2), parts.get(3)].into_iter().flatten() {
            let behind = all.commands.get_mut(command.as_str()).unwrap();
            behind.options.extend(options(&parts[4]));
            behind.words.extend(found(r"\[([a-z]+) [a-z]+\]", &parts[4]));
        }
    }
    assert!(all.commands.len() > 10 && all.before.len() > 5, "{all:?}");
    all
}

/// The options that greytrapper knows.
fn greytrapper() -> Set {
    let (_, out, said) = run(env!("CARGO_BIN_EXE_greytrapper"), &["-h"]);
    let options = options(out.lines().next().unwrap_or(&said));
    assert!(options.len() > 5, "{options:?}");
    options
}

#[test]
fn those_for_bash_have_what_the_programs_know() {
    let text = read("greytrapctl.bash");
    let mut all = All::default();
    for arm in regex(r"(?ms)^\t('?'|\w+)\)\n(.+?);;").captures_iter(&text) {
        let behind = Behind {
            options: found("options='([^']*)'", &arm[2]),
            words: found("words='([^']*)'", &arm[2]),
        };
        if &arm[1] == "''" {
            all.before = behind.options;
            all.commands.extend(behind.words.into_iter().map(|name| (name, Behind::default())));
        } else {
            let of_command = all.commands.get_mut(&arm[1]);
            *of_command.unwrap_or_else(|| panic!("{}", &arm[1])) = behind;
        }
    }
    assert_eq!(all, greytrapctl());
    assert_eq!(found("-W '([^']*)'", &read("greytrapper.bash")), greytrapper());
}

#[test]
fn those_for_fish_have_what_the_programs_know() {
    let text = read("greytrapctl.fish");
    let before = found(r#"(?m)^complete -c greytrapctl -n "\$before" -s (\w)"#, &text);
    let commands = found(r"set -l commands ((?:\\\n|.)+)", &text);
    let mut all = All {
        before: dashed(before),
        commands: commands.into_iter().map(|name| (name, Behind::default())).collect(),
    };
    let line = regex(r"(?m)^complete -c greytrapctl -n '__fish_seen_subcommand_from (.+?)'( .+)$");
    for line in line.captures_iter(&text) {
        for command in words(&line[1]) {
            let of_command = all.commands.get_mut(&command);
            let behind = of_command.unwrap_or_else(|| panic!("{command}"));
            behind.options.extend(dashed(found(r" -s (\w)", &line[2])));
            behind.words.extend(found(" -a '?([a-z ]+)", &line[2].replace(" -d ", "'")));
        }
    }
    assert_eq!(all, greytrapctl());
    let letters = found(r"(?m)^complete -c greytrapper -s (\w)", &read("greytrapper.fish"));
    assert_eq!(dashed(letters), greytrapper());
}

#[test]
fn those_for_zsh_have_what_the_programs_know() {
    let text = read("_greytrapctl");
    let (before, arms) = text.split_once("\ncase ").unwrap();
    let commands = found(r"commands=\(([^)]+)\)", before);
    let mut all = All {
        before: found(r"(?m)^ +'(-\w)\[", before),
        commands: commands.into_iter().map(|name| (name, Behind::default())).collect(),
    };
    for arm in regex(r"(?ms)^\((\w+)\) (.+?);;").captures_iter(arms) {
        let of_command = all.commands.get_mut(&arm[1]);
        *of_command.unwrap_or_else(|| panic!("{}", &arm[1])) = Behind {
            options: found(r#"['"](-\w)\["#, &arm[2]),
            words: found(r":\(([a-z ]+)\)", &arm[2]),
        };
    }
    assert_eq!(all, greytrapctl());
    assert_eq!(found(r"(?m)^ +'\*?(-\w)\[", &read("_greytrapper")), greytrapper());
}

#[test]
fn those_for_ksh_have_what_the_programs_know() {
    let text = read("greytrapctl.ksh");
    let array = |name: &str| {
        let words = found(&format!(r"(?m)^set -A complete_{name} -- ((?:\\\n|.)+)"), &text);
        assert!(!words.is_empty(), "{name}");
        words
    };
    let All { before, commands } = greytrapctl();
    let (mut behind, mut later) = (Set::new(), rules());
    for (command, of_command) in &commands {
        behind.extend(&of_command.options | &of_command.words);
        // The word is all that these have.
        if !["show", "log"].contains(&command.as_str()) {
            later.extend(of_command.words.clone());
        }
    }
    assert_eq!(array("greytrapctl_1"), &before | &commands.into_keys().collect());
    assert_eq!(array("greytrapctl_2"), behind);
    assert_eq!(array("greytrapctl"), later);
    assert_eq!(array("greytrapper"), greytrapper());
}

fn rules() -> Set {
    Rule::ALL.map(|rule| rule.name().to_owned()).into()
}

#[test]
fn all_have_the_rules() {
    let first = Rule::ALL[0].name();
    for name in ["greytrapctl.bash", "greytrapctl.fish", "greytrapctl.ksh", "_greytrapctl"] {
        assert_eq!(found(&format!("({first}[a-z ]*)"), &read(name)), rules(), "{name}");
    }
}

/// What bash(1) offers for the last of the words behind a program; `files` if it is to complete names of
/// files.
fn offered(line: &[&str]) -> Set {
    // compopt(1) works only while a key is handled.
    let script = "compopt() { [[ $* == '-o default' ]] && echo files; }\n\
        . \"$0/$1.bash\" && COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) && \"_$1\"\n\
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let arguments = [&["--norc", "-c", script, FOLDER], line].concat();
    let (status, out, said) = run("bash", &arguments);
    assert_eq!((status, said.as_str()), (Some(0), ""), "{line:?}");
    words(&out)
}

#[test]
#[ignore = "needs bash(1)"]
fn bash_offers_what_the_programs_know() {
    let All { before, commands } = greytrapctl();
    assert_eq!(offered(&["greytrapctl", "-"]), before);
    assert_eq!(offered(&["greytrapctl", ""]), commands.keys().cloned().collect());
    for (command, Behind { options, words }) in commands {
        let takes_file = ["check", "convert", "list", "simulate"].contains(&command.as_str());
        let expected = if takes_file { Set::from(["files".into()]) } else { words };
        assert_eq!(offered(&["greytrapctl", &command, ""]), expected, "{command}");
        assert_eq!(offered(&["greytrapctl", "-v", &command, "-"]), options, "{command}");
    }
    assert_eq!(offered(&["greytrapper", ""]), greytrapper());
}

#[test]
#[ignore = "needs bash(1)"]
fn bash_offers_what_fits_the_place() {
    let rules = rules().into_iter().collect::<Vec<_>>().join(" ");
    let rows = [
        ("greytrapctl sh", "show"),
        ("greytrapctl re", "release reload report"),
        ("greytrapctl nothing", ""),
        ("greytrapctl show t", "traps"),
        ("greytrapctl log v", "verbose"),
        ("greytrapctl -jv sc", "scan"),
        ("greytrapctl -F ", "files"),
        ("greytrapctl -s ", "files"),
        ("greytrapctl -t ", ""),
        // The value of an option is no command.
        ("greytrapctl -F list tr", "trap"),
        ("greytrapctl -s show -t 1 show m", "metrics"),
        ("greytrapctl history -r ", &rules),
        ("greytrapctl release -r h", "helo"),
        ("greytrapctl history -s ", ""),
        ("greytrapctl release -s ", ""),
        ("greytrapctl release 192.0.2.1 f", "for"),
        ("greytrapctl trap for ", ""),
        ("greytrapctl trap for 1h b", "because"),
        ("greytrapctl explain ", ""),
        ("greytrapctl simulate -f ", "files"),
        ("greytrapctl lookup -f ", "files"),
        ("greytrapctl simulate -t ", ""),
        ("greytrapctl check -x ", "files"),
        ("greytrapper -f ", "files"),
        ("greytrapper -D ", ""),
    ];
    for (line, expected) in rows {
        let typed: Vec<&str> = line.split(' ').collect();
        assert_eq!(offered(&typed), words(expected), "{line}");
    }
}
