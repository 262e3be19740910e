//! Everything that can be wrong with a configuration: one variant for each cause, with all wording in one
//! place.
//!
//! Made by every module in `config`, shown by `diagnostic`. Text from the file is quoted, shortened and
//! escaped here. A test checks that each message below occurs in an `.err` file in `tests/library/config`.

use crate::date::Day;
use crate::escape::escaped;
use std::fmt;
use std::path::PathBuf;

/// What is wrong, without the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    // The text.
    StringNotClosed,
    StrayCharacter(String),
    NotUtf8,
    ControlCharacter,
    TooLong { limit: usize },
    NamelessMacro,
    HashMark(String),
    // The grammar.
    Expected { what: String, found: String, nearest: Option<String> },
    UnknownKeyword { word: String, nearest: Option<String> },
    BlockNotClosed { opened: u32 },
    // Macros and files.
    MacroUndefined { name: String, nearest: Option<String> },
    MacroAgain { name: String, earlier: String },
    MacroInMacro { name: String },
    ExpansionTooLarge { limit: usize },
    IncludeLoop(PathBuf),
    IncludeTooDeep { limit: usize },
    TooMuchText { limit: usize },
    TooManyFiles { limit: usize },
    CannotRead { reason: String },
    Unreadable { path: PathBuf, reason: String },
    // The values.
    OutOfRange { what: &'static str, least: String, most: String },
    Again { what: &'static str, earlier: String },
    NotAbsolute { what: &'static str, path: String },
    SocketTooLong { limit: usize },
    BadPattern { pattern: String, reason: String },
    MatchesAll { pattern: String },
    TooManyPatterns { limit: usize },
    UnlistedAlone,
    HostBits { network: String, meant: String },
    PrefixTooLong { network: String, most: u8 },
    NoHostName(String),
    NoInterface(String),
    Exception(String),
    NoListAnswer(String),
    NoAnswers,
    TooManyLists { limit: usize },
    // Warnings.
    MacroUnused(String),
    PerlQuoting { pattern: String, why: &'static str },
    NoProgram(PathBuf),
    HostBitsCleared { network: String, taken: String },
    DayOver(Day),
    KeyUnused,
    ListUnused { zone: String, needs: &'static str },
    HearsayUnused { needs: &'static str },
    // Too much.
    TooManyProblems,
}

impl Problem {
    /// Whether it is useless to read on, since the problem would be repeated.
    pub(super) fn ends_reading(&self) -> bool {
        matches!(
            self,
            Problem::ExpansionTooLarge { .. }
                | Problem::IncludeTooDeep { .. }
                | Problem::TooMuchText { .. }
                | Problem::TooManyFiles { .. }
                | Problem::TooManyPatterns { .. }
                | Problem::TooManyProblems
        )
    }
}

impl fmt::Display for Problem {
    // Long, so that all wording is in one place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Problem::*;
        match self {
            StringNotClosed => write!(f, "string is not closed on the same line"),
            StrayCharacter(c) => write!(f, "unexpected character {}: quote the text", q(c)),
            NotUtf8 => write!(f, "text is not UTF-8"),
            ControlCharacter => write!(f, "control character in a string"),
            TooLong { limit } => write!(f, "text is longer than {limit} bytes"),
            NamelessMacro => write!(f, "expected a macro's name after \"$\""),
            HashMark(text) => {
                let hint = "a port is written \"port N\", a comment needs a blank before it";
                write!(f, "{}: {hint}", q(text))
            }
            Expected { what, found, nearest } => {
                write!(f, "expected {what}, found {found}")?;
                suggestion(f, nearest)
            }
            UnknownKeyword { word, nearest } => {
                write!(f, "unknown keyword {}", q(word))?;
                suggestion(f, nearest)
            }
            BlockNotClosed { opened } => {
                write!(f, "expected \"}}\" for the \"{{\" of line {opened}")
            }
            MacroUndefined { name, nearest } => {
                write!(f, "macro {} is not defined", q(name))?;
                suggestion(f, nearest)
            }
            MacroAgain { name, earlier } => {
                write!(f, "macro {} is already defined {earlier}", q(name))
            }
            MacroInMacro { name } => {
                write!(f, "macro {} within the text of a macro is not expanded", q(name))
            }
            ExpansionTooLarge { limit } => {
                write!(f, "macros expand to more than {limit} bytes in all")
            }
            IncludeLoop(path) => write!(f, "{} includes itself", p(path)),
            IncludeTooDeep { limit } => write!(f, "files are included more than {limit} deep"),
            TooMuchText { limit } => write!(f, "files are larger than {limit} bytes in all"),
            TooManyFiles { limit } => write!(f, "configuration has more than {limit} files"),
            CannotRead { reason } => write!(f, "{reason}"),
            Unreadable { path, reason } => write!(f, "{}: {reason}", p(path)),
            OutOfRange { what, least, most } => {
                write!(f, "{what} must be between {least} and {most}")
            }
            Again { what, earlier } => write!(f, "{what} is already set {earlier}"),
            NotAbsolute { what, path } => {
                write!(f, "{what} must be an absolute path, found {}", q(path))
            }
            SocketTooLong { limit } => write!(f, "socket path is longer than {limit} bytes"),
            BadPattern { pattern, reason } => {
                write!(f, "bad regular expression {}: {reason}", q(pattern))
            }
            MatchesAll { pattern } => {
                write!(f, "trap rcpt {} matches every recipient", q(pattern))
            }
            TooManyPatterns { limit } => write!(f, "more than {limit} regular expressions"),
            UnlistedAlone => {
                write!(f, "trap rcpt unlisted without any pass rcpt would trap every host")
            }
            HostBits { network, meant } => {
                write!(f, "{} has bits set beyond its prefix: did you mean {meant}?", q(network))
            }
            PrefixTooLong { network, most } => {
                write!(f, "prefix of {} must be between 0 and {most}", q(network))
            }
            NoHostName(text) => write!(f, "{} is neither a host name nor an IPv4 address", q(text)),
            NoInterface(text) => write!(f, "{} is not an interface name", q(text)),
            Exception(text) => write!(f, "{}: negated entries are not supported", q(text)),
            NoListAnswer(text) => write!(f, "{text}: answers of a DNS list are in 127.0.0.0/8"),
            NoAnswers => write!(f, "no answers in the braces: without braces all count"),
            TooManyLists { limit } => write!(f, "more than {limit} DNS lists"),
            MacroUnused(name) => write!(f, "macro {} is not used", q(name)),
            PerlQuoting { pattern, why } => write!(f, "{}: {why}", q(pattern)),
            NoProgram(path) => write!(f, "{} is not a program that can be run", p(path)),
            HostBitsCleared { network, taken } => {
                write!(f, "{} has bits set beyond its prefix: taken as {taken}", q(network))
            }
            DayOver(day) => write!(f, "{day} is over: this exception no longer counts"),
            KeyUnused => write!(f, "sync key is not used without sync to or sync multicast"),
            ListUnused { zone, needs } => write!(f, "list {zone} is not used without {needs}"),
            HearsayUnused { needs } => write!(f, "hear file is not used without {needs}"),
            TooManyProblems => write!(f, "too many errors"),
        }
    }
}

/// `text` in quotes, safe to print and not too long for a line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        None => format!("\"{}\"", escaped(text.as_bytes())),
        Some((end, _)) => {
            let head = text.get(..end).unwrap_or_default();
            format!("\"{}...\"", escaped(head.as_bytes()))
        }
    }
}

/// The part of a text that is shown: enough to recognize it.
const QUOTED_CHARS: usize = 60;

fn q(text: &str) -> String {
    quoted(text)
}

/// A path as in error messages, unquoted.
fn p(path: &std::path::Path) -> impl fmt::Display + '_ {
    escaped(path.as_os_str().as_encoded_bytes())
}

fn suggestion(f: &mut fmt::Formatter<'_>, nearest: &Option<String>) -> fmt::Result {
    match nearest {
        Some(word) => write!(f, ": did you mean {}?", quoted(word)),
        None => Ok(()),
    }
}
