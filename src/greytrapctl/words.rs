//! Commands and arguments that may be abbreviated as long as they are unambiguous.
#![forbid(unsafe_code)]

use super::usage::UsageError;
use crate::escape::escaped;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A list of words with their meanings.
pub type Words<T> = [(&'static str, T)];

/// The meaning of the only word in `words` that begins with `typed`; `what` names the list in errors.
///
/// A complete word is never ambiguous, even if a longer one begins with it.
pub fn choose<T: Copy>(
    what: &'static str,
    typed: &OsStr,
    words: &Words<T>,
) -> Result<T, UsageError> {
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == typed) {
        return Ok(*meaning);
    }
    let fits = |word: &str| !typed.is_empty() && word.as_bytes().starts_with(typed.as_bytes());
    let fitting: Vec<_> = words.iter().filter(|(word, _)| fits(word)).collect();
    let typed = escaped(typed.as_bytes()).to_string();
    match fitting.as_slice() {
        [(_, meaning)] => Ok(*meaning),
        [] => Err(UsageError::Unknown { what, typed }),
        several => {
            let words = several.iter().map(|(word, _)| *word).collect();
            Err(UsageError::Ambiguous { what, typed, words })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [(&str, u8); 4] = [("log", 1), ("list", 2), ("logs", 3), ("scan", 4)];

    fn chosen(typed: &str) -> Result<u8, String> {
        choose("word", OsStr::new(typed), &WORDS).map_err(|error| error.to_string())
    }

    #[test]
    fn a_beginning_that_only_one_word_has_is_enough() {
        assert_eq!(chosen("s"), Ok(4));
        assert_eq!(chosen("scan"), Ok(4));
        assert_eq!(chosen("li"), Ok(2));
    }

    #[test]
    fn a_whole_word_is_never_ambiguous() {
        assert_eq!(chosen("log"), Ok(1));
    }

    #[test]
    fn the_rest_is_refused_with_what_it_could_be() {
        assert_eq!(chosen("l").unwrap_err(), "ambiguous word \"l\" (log, list, logs)");
        assert_eq!(chosen("scans").unwrap_err(), "unknown word \"scans\"");
        assert_eq!(chosen("").unwrap_err(), "unknown word \"\"");
        assert_eq!(chosen("\x1b").unwrap_err(), "unknown word \"\\033\"");
    }
}
