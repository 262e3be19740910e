//! Numbers of things in messages: `1 record`, `5 records`.
#![forbid(unsafe_code)]

use std::fmt;

/// A number with a noun, whose plural has an s.
pub fn counted(count: impl Into<u64>, noun: &'static str) -> impl fmt::Display {
    Counted { count: count.into(), noun }
}

/// The same for a `usize`.
pub fn counted_here(count: usize, noun: &'static str) -> impl fmt::Display {
    counted(count as u64, noun)
}

struct Counted {
    count: u64,
    noun: &'static str,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted { count, noun } = self;
        let (head, tail) = noun.split_once(' ').map_or((*noun, ""), |(head, tail)| (head, tail));
        let plural = if *count == 1 { "" } else { "s" };
        let space = if tail.is_empty() { "" } else { " " };
        write!(f, "{count} {head}{plural}{space}{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0_u64, "record").to_string(), "0 records");
        assert_eq!(counted(1_u64, "record").to_string(), "1 record");
        assert_eq!(counted_here(2, "trap of IPv6 hosts").to_string(), "2 traps of IPv6 hosts");
        assert_eq!(counted(1_u64, "trap of IPv6 hosts").to_string(), "1 trap of IPv6 hosts");
    }
}
