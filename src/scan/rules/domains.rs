//! Rule `domains`: mail from senders of many registrable domains.
//!
//! Asked for hosts with more tuples than `suspect tuples`. Domains are compared by what somebody
//! registered: `a.example.com` and `b.example.com` are one. Source: the original's `MAX_DOMAINS`,
//! less its fault of counting one too many.

use crate::scan::distinct::Distinct;
use crate::scan::name;

/// How many domains `senders` are from, if more than `max`.
pub(in crate::scan) fn nominate<'t>(
    senders: impl Iterator<Item = &'t [u8]>,
    max: u32,
    scratch: &mut Distinct,
) -> Option<u32> {
    scratch.clear();
    senders.for_each(|domain| scratch.add(|out| name::registrable(domain, out)));
    Some(scratch.count()).filter(|&domains| domains > max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::rules::tests::sent;

    fn count(from: &[&str]) -> Option<u32> {
        let sent = sent(from, &["<x@example.org>"]);
        nominate(sent.iter().map(|sent| sent.from.domain), 3, &mut Distinct::default())
    }

    #[test]
    fn domains_are_counted_by_what_is_registered() {
        for (from, found, source) in [
            (&["a@a.example", "a@b.example", "a@c.example", "a@d.example"][..], Some(4), "four"),
            (&["a@a.example", "a@b.example", "a@c.example"], None, "three are the limit"),
            (&["a@a.x.com", "a@b.x.com", "a@c.x.com", "a@x.com"], None, "hosts of one domain"),
            (&["a@a.co.uk", "a@b.co.uk", "a@c.co.uk", "a@d.co.uk"], Some(4), "public suffix list"),
            (&["a@x.com", "a@X.COM", "a@x.com.", "a@www.x.com"], None, "RFC 4343: case"),
            (
                &["a@bücher.example", "a@xn--bcher-kva.example", "a@b.example", "a@c.example"],
                None,
                "RFC 5890",
            ),
            (
                &["a@[192.0.2.1]", "a@[192.0.2.2]", "a@[192.0.2.3]", "a@c.example"],
                Some(4),
                "literals",
            ),
            (&["a@co.uk", "a@a.co.uk", "a@com.au", "a@a.com.au"], Some(4), "suffixes themselves"),
            (&["<>", "<>", "a@b.example", "a@c.example", "a@d.example"], None, "null senders"),
        ] {
            assert_eq!(count(from), found, "{source}");
        }
    }
}
