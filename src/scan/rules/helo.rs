//! Rule `helo`: one host that calls itself by names of several registrable domains.
//!
//! Names that DNS confirms do not count: two offices may share an address. Nor does what is no host
//! name with a dot in it (addresses, literals, garbage). Source: none in the original; measured in
//! real mail.

use crate::scan::distinct::Distinct;
use crate::scan::name;

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
