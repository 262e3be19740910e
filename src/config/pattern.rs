//! The regular expressions of `pass rcpt` and `trap rcpt`, compiled.
//!
//! In: strings from `check`. Out: [`RcptRules`]. Patterns ignore case, and are bounded in size and
//! number, so that no configuration eats the memory. A `trap rcpt` that holds for any address at all is
//! refused, as is `trap rcpt unlisted` where nothing is listed: either would trap every host.

use super::RcptRules;
use super::diagnostic::{At, Fault, Spanned};
use super::problem::Problem;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Patterns of both kinds.
const MAX_PATTERNS: usize = 1000;
/// One pattern compiled, in bytes: some hundred times what a pattern for an address needs.
const PATTERN_BYTES: usize = 256 << 10;
/// The cache that a search with one pattern may fill, in bytes.
const CACHE_BYTES: usize = 256 << 10;

/// The patterns so far.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    pass: Vec<Spanned<String>>,
    trap: Vec<Regex>,
    unlisted: Option<At>,
    /// All that were written, faulty ones too.
    passes_written: usize,
    traps_written: usize,
}

impl Patterns {
    /// Adds a `pass rcpt`.
    pub(super) fn pass(&mut self, pattern: Spanned<String>) -> Result<(), Fault> {
        self.passes_written = self.passes_written.saturating_add(1);
        self.compile(&pattern)?;
        self.pass.push(pattern);
        Ok(())
    }

    /// Adds a `trap rcpt`.
    pub(super) fn trap(&mut self, pattern: Spanned<String>) -> Result<(), Fault> {
        self.traps_written = self.traps_written.saturating_add(1);
        let compiled = self.compile(&pattern)?;
        if compiled.is_match(b"") {
            return Err(Fault::new(pattern.at, Problem::MatchesAll { pattern: pattern.value }));
        }
        self.trap.push(compiled);
        Ok(())
    }

    /// Notes `trap rcpt unlisted`.
    pub(super) fn trap_unlisted(&mut self, at: At) {
        self.unlisted = Some(at);
    }

    /// The rules that all of them make.
    pub(super) fn finish(self) -> Result<RcptRules, Fault> {
        if let (Some(at), 0) = (self.unlisted, self.passes_written) {
            return Err(Fault::new(at, Problem::UnlistedAlone));
        }
        let pass = match self.pass.last() {
            Some(last) => set(&self.pass).map_err(|error| bad_pattern(last, &error))?,
            None => RegexSet::empty(),
        };
        Ok(RcptRules { pass, trap: self.trap, unlisted: self.unlisted.is_some() })
    }

    fn compile(&self, pattern: &Spanned<String>) -> Result<Regex, Fault> {
        if self.passes_written.saturating_add(self.traps_written) > MAX_PATTERNS {
            return Err(Fault::new(pattern.at, Problem::TooManyPatterns { limit: MAX_PATTERNS }));
        }
        RegexBuilder::new(&pattern.value)
            .case_insensitive(true)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(CACHE_BYTES)
            .build()
            .map_err(|error| bad_pattern(pattern, &error))
    }
}

fn set(patterns: &[Spanned<String>]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(patterns.iter().map(|p| &p.value))
        .case_insensitive(true)
        .size_limit(PATTERN_BYTES.saturating_mul(patterns.len().saturating_add(1)))
        .build()
}

fn bad_pattern(pattern: &Spanned<String>, error: &regex::Error) -> Fault {
    let problem = Problem::BadPattern { pattern: pattern.value.clone(), reason: reason(error) };
    Fault::new(pattern.at, problem)
}

/// The regex crate's reason in one line: a syntax error comes with a picture of the pattern first.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("larger than {limit} bytes when compiled")
        }
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_string()
        }
    }
}
