//! The regular expressions of `pass rcpt` and `trap rcpt`, compiled.
//!
//! In: strings from `check`. Out: [`RcptRules`]. Patterns ignore case. Their size and number is limited, so
//! that no configuration exhausts memory. A `trap rcpt` that matches every address is refused, as is `trap
//! rcpt unlisted` if no recipient is listed: either would trap every host. Remains of Perl syntax, in which
//! the patterns of 2006 were written, cause a warning.

use super::diagnostic::{At, Fault, Spanned};
use super::problem::Problem;
use super::{Origins, RcptRules};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Patterns of both kinds.
const MAX_PATTERNS: usize = 1000;
/// The size of a compiled pattern, in bytes: about a hundred times what a pattern for an address needs.
const PATTERN_BYTES: usize = 256 << 10;
/// The cache that a search with one pattern may fill, in bytes.
const CACHE_BYTES: usize = 256 << 10;

/// Addresses that have nothing in common but their form: a pattern that matches them all matches every
/// address.
const ANYBODY: [&str; 4] =
    ["postmaster@example.com", "jane.doe@mail.host.test", "o-neil_2@b7.invalid", "info@localhost"];

/// The patterns read so far.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    pass: Vec<Spanned<String>>,
    trap: Vec<Spanned<Regex>>,
    unlisted: Option<At>,
    /// The number of patterns written, including faulty ones.
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
        if ANYBODY.iter().all(|address| compiled.is_match(address.as_bytes())) {
            return Err(Fault::new(pattern.at, Problem::MatchesAll { pattern: pattern.value }));
        }
        self.trap.push(Spanned { value: compiled, at: pattern.at });
        Ok(())
    }

    /// Notes `trap rcpt unlisted`.
    pub(super) fn trap_unlisted(&mut self, at: At) {
        self.unlisted = Some(at);
    }

    /// Notes where the patterns were written.
    pub(super) fn note_origins(&self, origins: &mut Origins) {
        origins.pass = self.pass.iter().map(|pattern| pattern.at.into()).collect();
        origins.trap = self.trap.iter().map(|pattern| pattern.at.into()).collect();
        origins.unlisted = self.unlisted.map(Into::into);
    }

    /// The rules made from all patterns.
    pub(super) fn finish(self) -> Result<RcptRules, Fault> {
        if let (Some(at), 0) = (self.unlisted, self.passes_written) {
            return Err(Fault::new(at, Problem::UnlistedAlone));
        }
        let pass = match self.pass.last() {
            Some(last) => set(&self.pass).map_err(|error| bad_pattern(last, &error))?,
            None => RegexSet::empty(),
        };
        let trap = self.trap.into_iter().map(|pattern| pattern.value).collect();
        Ok(RcptRules { pass, trap, unlisted: self.unlisted.is_some() })
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

/// The warning about Perl syntax that is left in the pattern, if any.
pub(super) fn perl(pattern: &str) -> Option<&'static str> {
    let is_quoted = |open: char, close: char| {
        let inside = pattern.strip_prefix(open).map(|rest| rest.trim_end_matches(is_flag));
        inside.is_some_and(|rest| rest.ends_with(close))
    };
    if pattern.ends_with("\\$") || pattern.contains("\\$)") || pattern.contains("\\$|") {
        return Some("\"\\$\" matches a dollar sign: the end of the address is \"$\" alone");
    }
    if ["m/", "qr/", "m{", "qr{"].iter().any(|word| pattern.starts_with(word)) {
        return Some("Perl's quoting is part of the pattern here: leave it out");
    }
    if is_quoted('/', '/') {
        return Some(
            "the slashes are part of the pattern here: leave them out, case is ignored anyway",
        );
    }
    if is_quoted('\'', '\'') {
        return Some("the quotes are part of the pattern here: leave them out");
    }
    (pattern.contains("\\Q") || pattern.contains("\\E"))
        .then_some("\"\\Q\" and \"\\E\" are Perl's and not known here")
}

/// Whether a letter may follow a pattern in Perl (perlre(1), "Modifiers").
fn is_flag(letter: char) -> bool {
    letter.is_ascii_lowercase()
}

/// The regex crate's reason in one line; for a syntax error, the crate prints the pattern first.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spanned(pattern: &str) -> Spanned<String> {
        Spanned { value: pattern.into(), at: At::start(0) }
    }

    fn rules(pass: &[&str], trap: &[&str]) -> RcptRules {
        let mut patterns = Patterns::default();
        pass.iter().for_each(|p| patterns.pass(spanned(p)).unwrap());
        trap.iter().for_each(|p| patterns.trap(spanned(p)).unwrap());
        patterns.finish().unwrap()
    }

    #[test]
    fn patterns_match_anywhere_without_regard_to_case() {
        let rules = rules(&["^postmaster@", "ABUSE"], &[r"@old\.example$", "^x@y$", "jörg"]);
        let is_pass = |address: &[u8]| rules.pass.is_match(address);
        let traps = |address: &[u8]| rules.trap.iter().any(|p| p.is_match(address));
        assert!(is_pass(b"PostMaster@example.org"));
        assert!(is_pass(b"the.abuse.desk@example.org"));
        assert!(!is_pass(b"not.postmaster@example.org"));
        assert!(traps(b"anyone@OLD.example"));
        assert!(traps(b"\xff\x00@old.example"));
        assert!(traps(b"x@y"));
        assert!(traps("JÖRG@example.org".as_bytes()));
        assert!(!traps(b"anyone@oldXexample"));
        assert!(!traps(b"anyone@old.example.org"));
    }

    #[test]
    fn usual_patterns_are_within_the_bounds() {
        let long_list = (0..500).map(|n| format!("user{n}")).collect::<Vec<_>>().join("|");
        let long_list = format!("^({long_list})@example\\.org$");
        let patterns = [
            r"^[a-z0-9._%+-]{1,64}@example\.org$",
            r"^\w+@",
            r"^[^@]+@(.+\.)?old\.example$",
            &long_list,
        ];
        assert_eq!(rules(&patterns, &patterns).trap.len(), patterns.len());
    }

    #[test]
    fn patterns_that_match_everybody_are_refused() {
        let all = [
            "", "@", ".", "^.+@", "[a-z]", r"\w", "^[^@]+@", "(foo)?", ".*", "[^x]", "o|i",
            "@[a-z]",
        ];
        for pattern in all {
            let fault = Patterns::default().trap(spanned(pattern)).unwrap_err();
            assert!(matches!(fault.problem, Problem::MatchesAll { .. }), "{pattern}");
        }
        for pattern in
            ["^info@", r"@.*\.test$", "^[0-9]+@", r"@old\.example\.com$", r"\.", "[0-9]", "x"]
        {
            assert!(Patterns::default().trap(spanned(pattern)).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn perl_in_a_pattern_is_known() {
        for pattern in [
            r"\@old\.example\.com\$",
            r"(@a\.example\$|@b\.example\$)",
            "/@old\\.example/i",
            "/@old\\.example/",
            "m/@old/i",
            "qr/@old/",
            "'@old'",
            r"\Qold.example\E",
        ] {
            assert!(perl(pattern).is_some(), "{pattern}");
        }
        for pattern in [r"@old\.example\.com$", r"^/", r"^a/b@", r"\$x@", "mail/", r"\@x$"] {
            assert_eq!(perl(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn many_small_patterns_make_one_set() {
        let pass: Vec<String> = (0..1000).map(|n| format!(r"^user{n}@example\.org$")).collect();
        let pass: Vec<&str> = pass.iter().map(String::as_str).collect();
        let found = rules(&pass, &[]).pass;
        assert_eq!(found.matches(b"USER999@example.org").into_iter().collect::<Vec<_>>(), [999]);
    }
}
