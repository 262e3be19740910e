//! System errors in the words of err(3): `No such file or directory`, without the number that std adds.
//!
//! Every [`io::Error`] that an operator sees is printed with [`reason`].
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

/// Shows `error` as strerror(3) would.
pub fn reason(error: &io::Error) -> Reason<'_> {
    Reason(error)
}

/// The result of [`reason`]: an error for display.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a>(&'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let number = self.0.raw_os_error().map(|n| format!(" (os error {n})")).unwrap_or_default();
        f.write_str(text.strip_suffix(&number).unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_loses_its_number() {
        let error = std::fs::File::open("/nonexistent").unwrap_err();
        assert_eq!(reason(&error).to_string(), "No such file or directory");
    }

    #[test]
    fn any_other_error_stays_as_it_is() {
        let error = io::Error::other("odd (os error 2)");
        assert_eq!(reason(&error).to_string(), "odd (os error 2)");
    }
}
