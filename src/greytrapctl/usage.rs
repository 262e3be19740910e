//! The messages of greytrapctl for incorrect usage.
#![forbid(unsafe_code)]

pub use super::typed::USAGE;
use crate::escape::escaped;
use std::fmt;

/// Why there is no command to carry out; text that was typed is already escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// `-h`: the usage message was requested.
    Help,
    /// `-V`: the version was requested.
    Version,
    /// There is no command.
    NoCommand,
    /// An unknown word.
    Unknown {
        /// What kind of word was expected.
        what: &'static str,
        /// What was typed.
        typed: String,
    },
    /// An ambiguous word.
    Ambiguous {
        /// What kind of word was expected.
        what: &'static str,
        /// What was typed.
        typed: String,
        /// What it could mean.
        words: Vec<&'static str>,
    },
    /// An option that does not exist, or not for this command.
    Option(String),
    /// An option without its value.
    NoValue(String),
    /// `-t` with something other than seconds since 1970.
    NotATime(String),
    /// `-s` or `for` with something other than a duration: which, and what.
    NotADuration(&'static str, String),
    /// A count that is not a number.
    NotANumber(String),
    /// Arguments that the command does not take, or lacks.
    Arguments {
        /// The command.
        command: &'static str,
        /// What it takes.
        expected: &'static str,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Help => f.write_str(USAGE),
            UsageError::Version => writeln!(f, "greytrapctl {}", env!("CARGO_PKG_VERSION")),
            UsageError::NoCommand => f.write_str("no command"),
            UsageError::Unknown { what, typed } => write!(f, "unknown {what} \"{typed}\""),
            UsageError::Ambiguous { what, typed, words } => {
                write!(f, "ambiguous {what} \"{typed}\" ({})", words.join(", "))
            }
            UsageError::Option(option) => write!(f, "unknown option {option}"),
            UsageError::NoValue(option) => write!(f, "option {option} needs a value"),
            UsageError::NotATime(typed) => write!(f, "-t: not seconds since 1970: \"{typed}\""),
            UsageError::NotADuration(word, typed) => {
                write!(f, "{word}: not a duration: \"{typed}\"")
            }
            UsageError::NotANumber(typed) => write!(f, "-n: not a number: \"{typed}\""),
            UsageError::Arguments { command, expected } => {
                write!(f, "{command}: expected {expected}")
            }
        }
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        let shown = |option: &str| escaped(option.as_bytes()).to_string();
        match error {
            lexopt::Error::MissingValue { option: Some(option) } => {
                UsageError::NoValue(shown(&option))
            }
            lexopt::Error::UnexpectedOption(option)
            | lexopt::Error::UnexpectedValue { option, .. } => UsageError::Option(shown(&option)),
            other => UsageError::Option(shown(&other.to_string())),
        }
    }
}
