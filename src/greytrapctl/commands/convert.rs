//! `convert`: prints the settings of the Perl script of 2006, or of greyscanner, as a greytrapper.conf(5).
//!
//! The script is read, not run. A setting that has no counterpart, or that greytrapper would refuse, becomes a
//! comment that says so. What is printed can be loaded.
#![forbid(unsafe_code)]

use crate::config;
use crate::errno::reason;
use crate::escape::{escaped, escaped_path};
use crate::greytrapctl::console::{Console, Failure};
use crate::greytrapctl::locks::Task;
use crate::greytrapctl::perl::{self, Setting};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest script, in bytes: more than fifty times the original's size.
const MOST: u64 = 1 << 20;

/// Prints the settings in `file`.
pub fn run(console: &mut Console<'_>, file: &Path) -> Result<(), Failure> {
    let failed =
        |what: &dyn std::fmt::Display| Failure::Because(format!("{}: {what}", escaped_path(file)));
    let script = File::open(file).map_err(|error| failed(&reason(&error)))?;
    Task::Convert.lock_in()?;
    let mut text = Vec::new();
    script.take(MOST + 1).read_to_end(&mut text).map_err(|error| failed(&reason(&error)))?;
    if text.len() as u64 > MOST {
        return Err(failed(&"too long for a script"));
    }
    let settings = perl::settings(&String::from_utf8_lossy(&text));
    let known: Vec<_> = settings.iter().filter(|setting| is_setting(&setting.name)).collect();
    if known.is_empty() {
        return Err(failed(&"no settings found"));
    }
    console.line(format_args!("# greytrapper.conf(5), converted from {}", escaped_path(file)))?;
    for setting in known {
        for line in converted(setting) {
            console.line(format_args!("{line}"))?;
        }
    }
    Ok(())
}

/// Whether a variable is meant for the operator: those have capitals only.
fn is_setting(name: &str) -> bool {
    let word = name.get(1..).unwrap_or_default();
    !word.is_empty()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit())
}

/// The lines that a setting becomes.
fn converted(setting: &Setting) -> Vec<String> {
    let Some(values) = &setting.values else { return vec![comment(setting, "is computed")] };
    let name = setting.name.trim_start_matches(['$', '@']);
    let statements: Vec<String> = match (name, values.as_slice()) {
        ("SCAN_INTERVAL", [seconds]) => vec![format!("scan every {seconds}s")],
        ("SUSPECT_TUPLES", [tuples]) => vec![format!("suspect tuples {tuples}")],
        ("MAX_DOMAINS", [domains]) => vec![format!("max sender domains {domains}")],
        ("MAX_SENDERS_RATIO", [ratio]) => vec![format!("max sender ratio {ratio}")],
        ("DNS_SOCK_MAX", [sockets]) if sockets == "0" => vec!["check sender dns no".into()],
        ("DNS_SOCK_MAX", [sockets]) => vec![format!("dns {{ in flight {sockets} }}")],
        ("EXTERNAL_ADDRESS_CHECKER", [program]) if program.is_empty() => Vec::new(),
        ("EXTERNAL_ADDRESS_CHECKER", [program]) => {
            vec![format!("check rcpt with {}", quoted(program))]
        }
        _ if is_recipients(name, "BAD") => patterns("trap", values),
        _ if is_recipients(name, "GOOD") => patterns("pass", values),
        (_, []) => Vec::new(),
        _ => return vec![comment(setting, "has no counterpart")],
    };
    statements.into_iter().map(|statement| loadable(setting, statement)).collect()
}

/// Whether a list of recipients has one of the names that it had: BADRERCPT, BAD_RCPT and the like.
fn is_recipients(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|rest| {
        ["RERCPT", "RE_RCPT", "_RERCPT", "_RE_RCPT", "RCPT", "_RCPT", "RCPTS", "_RCPTS"]
            .contains(&rest)
    })
}

fn patterns(what: &str, values: &[String]) -> Vec<String> {
    values.iter().map(|pattern| format!("{what} rcpt {}", quoted(pattern))).collect()
}

/// The statement, or a comment if it would be refused, with the reason.
fn loadable(setting: &Setting, statement: String) -> String {
    match config::from_text(&format!("{statement}\n")) {
        Ok(_) => statement,
        Err(refusal) => {
            let why = refusal.lines().next().unwrap_or_default();
            // What comes before the second colon is the place in a text that nobody sees.
            let why = why.splitn(3, ": ").last().unwrap_or_default();
            format!("# {}: {statement}: {why}", place(setting))
        }
    }
}

fn comment(setting: &Setting, why: &str) -> String {
    format!("# {} {why}", place(setting))
}

fn place(setting: &Setting) -> String {
    format!("line {}: {}", setting.line, setting.name)
}

/// A string as greytrapper.conf(5) has it.
fn quoted(text: &str) -> String {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        // Refused, with these words for the reason.
        return escaped(text.as_bytes()).to_string();
    }
    let mut quoted = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let is_special =
            next == '"' || next == '\\' && matches!(rest.peek(), None | Some('"' | '\\'));
        quoted.extend(is_special.then_some('\\'));
        quoted.push(next);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(script: &str) -> Vec<String> {
        perl::settings(script).iter().flat_map(converted).collect()
    }

    /// The values that the script was distributed with, and their meaning in its comments.
    #[test]
    fn the_settings_of_2006() {
        let script = r#"
            $SCAN_INTERVAL = 600;
            $DNS_SOCK_MAX=50;
            $SUSPECT_TUPLES = 5;
            $MAX_DOMAINS = 3;
            $MAX_SENDERS_RATIO = 0.75;
            @BADRERCPT = ( "\@oldmailserver.mydomain.com\$", "\@unusedomain.org\$", );
            $EXTERNAL_ADDRESS_CHECKER = "/etc/mail/greytrap_checkrcpt";
        "#;
        let converted = lines(script);
        assert_eq!(
            converted,
            [
                "scan every 600s",
                "dns { in flight 50 }",
                "suspect tuples 5",
                "max sender domains 3",
                "max sender ratio 0.75",
                r#"trap rcpt "@oldmailserver.mydomain.com$""#,
                r#"trap rcpt "@unusedomain.org$""#,
                r#"check rcpt with "/etc/mail/greytrap_checkrcpt""#,
            ]
        );
        let config = config::from_text(&(converted.join("\n") + "\n")).unwrap();
        assert!(config.to_string().contains("oldmailserver"), "{config}");
    }

    #[test]
    fn what_cannot_be_said_is_a_comment_that_can_be_loaded() {
        let script = r#"
            $DNS_SOCK_MAX = 0;
            $SCAN_INTERVAL = $ARGV[0];
            @BADRCPT = ("", 'a(', '(?=x)y', '\d+@x\.org$', "quo\"te");
            $SPAMDB = "/usr/sbin/spamdb";
            $EXTERNAL_ADDRESS_CHECKER = "";
        "#;
        let lines = lines(script);
        assert_eq!(lines[0], "check sender dns no");
        assert_eq!(lines[1], "# line 3: $SCAN_INTERVAL is computed");
        assert!(lines[2].starts_with("# line 4: @BADRCPT: trap rcpt \"\": "), "{}", lines[2]);
        assert!(lines[3].starts_with("# line 4: @BADRCPT: trap rcpt \"a(\": "), "{}", lines[3]);
        assert!(lines[4].starts_with("# line 4: @BADRCPT: "), "{}", lines[4]);
        assert_eq!(lines[5], r#"trap rcpt "\d+@x\.org$""#);
        assert_eq!(lines[6], r#"trap rcpt "quo\"te""#);
        assert_eq!(lines[7], "# line 5: $SPAMDB has no counterpart");
        assert_eq!(lines.len(), 8);
        config::from_text(&(lines.join("\n") + "\n")).unwrap();
    }
}
