//! A progress line, on a terminal only, which overwrites itself.
//!
//! Commands may report progress as often as they like; it is shown a few times per second.
#![forbid(unsafe_code)]

use super::console::Console;
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// The time between two updates.
const PAUSE: Duration = Duration::from_millis(200);

/// Moves to the beginning of the line and erases it (ECMA-48, EL).
const ERASE: &str = "\r\x1b[K";

/// The state of the line.
#[derive(Debug)]
pub struct Progress {
    /// When to show it again; `None` means never.
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// A line on the standard error, if that is a terminal; nothing is shown for short work.
    pub fn new() -> Progress {
        Progress::with(io::stderr().is_terminal())
    }

    /// The same if the standard output is a terminal too, where lines would run into this one.
    pub fn beside_output() -> Progress {
        Progress::with(io::stderr().is_terminal() && !io::stdout().is_terminal())
    }

    fn with(is_wanted: bool) -> Progress {
        Progress { next: is_wanted.then(|| Instant::now() + PAUSE), is_shown: false }
    }

    /// How long the work may sleep before the line must be updated.
    pub fn patience(&self) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Shows the progress, if it is time.
    pub fn show(&mut self, console: &mut Console<'_>, line: fmt::Arguments<'_>) {
        if self.next.is_some_and(|next| next <= Instant::now()) {
            console.scribble(format_args!("{ERASE}{line}"));
            self.next = Some(Instant::now() + PAUSE);
            self.is_shown = true;
        }
    }

    /// Erases the line.
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
