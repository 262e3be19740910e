//! Rule `domains`: mail from senders of many registrable domains.
//!
//! Asked for hosts with more tuples than `suspect tuples`. Domains are compared by what somebody
//! registered: `a.example.com` and `b.example.com` are one. Source: the original's `MAX_DOMAINS`,
//! less its fault of counting one too many.

use super::Sent;
use crate::scan::distinct::Distinct;
use crate::scan::name;

/// How many domains the senders are from, if more than `max`.
pub(in crate::scan) fn nominate(
    sent: &[Sent<'_>],
    max: u32,
    scratch: &mut Distinct,
) -> Option<u32> {
    scratch.clear();
    let mut before: &[u8] = b"";
    for one in sent {
        // Most hosts send from one domain.
        if one.from.domain != before {
            before = one.from.domain;
            scratch.add(|out| name::registrable(before, out));
        }
    }
    Some(scratch.count()).filter(|&domains| domains > max)
}
