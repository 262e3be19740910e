//! Rule `helo`: one host that calls itself by names of several registrable domains.
//!
//! Names that DNS confirms do not count: two offices may share an address. Nor does what is no host
//! name with a dot in it (addresses, literals, garbage). Source: none in the original; measured in
//! real mail.

use crate::name;
use crate::scan::distinct::Distinct;

/// How many domains `names` are from, if more than `max`; HELO strings that are no host names are
/// passed over.
pub(in crate::scan) fn nominate<'t>(
    names: impl Iterator<Item = &'t [u8]>,
    max: u32,
    scratch: &mut Distinct,
) -> Option<u32> {
    scratch.clear();
    for name in names.filter_map(name::host_name) {
        scratch.add(|out| name::registrable(name, out));
    }
    Some(scratch.count()).filter(|&domains| domains > max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(names: &[&str]) -> Option<u32> {
        nominate(names.iter().map(|name| name.as_bytes()), 1, &mut Distinct::default())
    }

    #[test]
    fn only_host_names_count() {
        for (names, found, source) in [
            (&["a.x.com", "b.y.com"][..], Some(2), "two domains"),
            (&["a.x.com", "b.x.com", "X.COM."], None, "hosts of one domain"),
            (&["a.x.com", "localhost"], None, "no dot"),
            (&["a.x.com", "192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]"], None, "addresses"),
            (&["a.x.com", "b|y.com", "\u{1}.com", "bücher.example", ""], None, "garbage"),
            (&["a.x.co.uk", "b.y.co.uk"], Some(2), "public suffix list"),
        ] {
            assert_eq!(count(names), found, "{source}");
        }
    }
}
