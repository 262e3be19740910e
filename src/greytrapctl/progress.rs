//! One line that tells how far long work is, on a terminal only, written over itself.
//!
//! Commands say where they are as often as they like; a few times a second it is shown.
#![forbid(unsafe_code)]

use super::console::Console;
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Between two showings.
const PAUSE: Duration = Duration::from_millis(200);

/// To the line's beginning, and everything right of it away (ECMA-48, EL).
const ERASE: &str = "\r\x1b[K";

/// The state of the line.
#[derive(Debug)]
pub struct Progress {
    /// When it is to be shown again; `None` if never.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// On standard error, if that is a terminal; short work shows none.
    pub fn new() -> Progress {
        Progress::with(io::stderr().is_terminal())
    }

    /// The same where standard output is a terminal's too and lines on it would run into this one.
    pub fn beside_output() -> Progress {
        Progress::with(io::stderr().is_terminal() && !io::stdout().is_terminal())
    }

    fn with(is_wanted: bool) -> Progress {
        Progress { next: is_wanted.then(|| Instant::now() + PAUSE), is_shown: false }
    }

    /// How long the work may sleep without the line getting old.
    pub fn patience(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Shows where the work is, if it is time.
    pub fn show(&mut self, console: &mut Console<'_>, line: fmt::Arguments<'_>) {
        if self.next.is_some_and(|next| next <= Instant::now()) {
            console.scribble(format_args!("{ERASE}{line}"));
            self.next = Some(Instant::now() + PAUSE);
            self.is_shown = true;
        }
    }

    /// Takes the line away.
    pub fn clear(&mut self, console: &mut Console<'_>) {
        if std::mem::take(&mut self.is_shown) {
            console.scribble(format_args!("{ERASE}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::*;

    fn shown(mut progress: Progress) -> String {
        let options = Options::parse(["list", "x"]).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&options, &mut out, &mut err);
        progress.show(&mut console, format_args!("too early"));
        progress.next = progress.next.map(|next| next - PAUSE);
        progress.show(&mut console, format_args!("1 of 2"));
        progress.show(&mut console, format_args!("too soon"));
        progress.clear(&mut console);
        progress.clear(&mut console);
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn the_line_is_shown_now_and_then_and_goes_away() {
        assert_eq!(shown(Progress::with(true)), "\r\x1b[K1 of 2\r\x1b[K");
        assert_eq!(shown(Progress::with(false)), "");
    }
}
