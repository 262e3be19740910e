//! `convert`: what it reads is what perl(1) reads, and what it prints is what greytrapper takes.

use crate::support::cmd::{Dir, ctl};
use crate::support::dice::Dice;
use greytrapper::config;
use std::fs;
use std::process::Command;

fn convert(script: &str) -> String {
    let directory = Dir::new();
    let file = directory.path("greytrapper");
    fs::write(&file, script).unwrap();
    let mut command = ctl(["convert"]);
    command.0.arg(file);
    String::from_utf8(command.succeeds()).unwrap()
}

#[test]
fn what_is_printed_is_a_configuration() {
    let printed = convert(
        "#!/usr/bin/perl\n# How often to scan spamdb - in seconds.\n$SCAN_INTERVAL = 300;\n\
         @BADRERCPT = (\n  \"\\@unusedomain.org\\$\",\n);\n$OTHER = 1;\nsub scan { $X = 1; }\n",
    );
    assert!(printed.starts_with("# greytrapper.conf(5), converted from "), "{printed}");
    let rest: Vec<_> = printed.lines().skip(1).collect();
    assert_eq!(
        rest,
        [
            "scan every 300s",
            "trap rcpt \"@unusedomain.org$\"",
            "# line 7: $OTHER has no counterpart"
        ]
    );
    config::from_text(&printed).unwrap();
}

#[test]
fn a_file_without_settings_is_refused() {
    let directory = Dir::new();
    let file = directory.path("other");
    fs::write(&file, "nothing = here\n").unwrap();
    let mut command = ctl(["convert"]);
    command.0.arg(&file);
    assert!(command.fails().ends_with("other: no settings found\n"));
    let mut command = ctl(["convert"]);
    command.0.arg(directory.path("missing"));
    assert!(command.fails().ends_with("missing: No such file or directory\n"));
}

/// Random patterns in all quotes, written as a postmaster might, are what perl(1) makes of them.
#[test]
#[ignore = "needs perl(1)"]
fn patterns_are_what_perl_makes_of_them() {
    const PIECES: [&str; 16] = [
        "user", "\\@", "\\.", ".", "old-mail", "[0-9]+", "\\d*", "(a|b)", "\\\\", "^", "\\$",
        "x{2,3}", "\\w", "\\-", "example", " ",
    ];
    let mut dice = Dice(7);
    let literals: Vec<_> = (0..300)
        .map(|_| {
            let text: String = (0..1 + dice.roll(7)).map(|_| PIECES[dice.roll(16)]).collect();
            let (open, close) = [("\"", "\""), ("'", "'"), ("q<", ">"), ("qq!", "!")][dice.roll(4)];
            format!("{open}a{text}z{close}")
        })
        .collect();
    let list = literals.join(",\n");
    let script = format!("@BADRERCPT = (\n{list}\n);\nfor (@BADRERCPT) {{ print \"$_\\n\" }}\n");
    let perl = Command::new("perl").args(["-e", &script]).output().unwrap();
    assert!(perl.status.success(), "{}", String::from_utf8_lossy(&perl.stderr));
    let expected = String::from_utf8(perl.stdout).unwrap();
    let printed = convert(&script);
    let lines: Vec<_> = printed.lines().skip(1).collect();
    assert_eq!(lines.len(), 300);
    for ((line, expected), literal) in lines.iter().zip(expected.lines()).zip(&literals) {
        // A pattern that greytrapper refuses has the reason behind it.
        let quoted = format!("\"{}\"", expected.replace('\\', "\\\\"));
        let line = line.replace("\\\\", "\\").replace('\\', "\\\\");
        assert!(line.contains(&format!("trap rcpt {quoted}")), "{literal}: {line}: {expected}");
    }
}
