//! A file for `include` in bgpd.conf(5): the hosts as a `prefix-set`, which bgpd(8) accepts even if it is
//! empty.

use super::{Listed, MARK};
use std::io::Write;
use std::net::IpAddr;

/// The name of the set.
const SET: &str = "greytrap";

/// The text for these hosts.
pub fn text(hosts: &[Listed]) -> Vec<u8> {
    let mut text = format!("# {MARK}\nprefix-set {SET} {{\n").into_bytes();
    for host in hosts {
        // Writing to memory does not fail.
        let _ = writeln!(text, "\t{}", Prefix(host.address));
    }
    text.extend_from_slice(b"}\n");
    text
}

/// A host as a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(pub IpAddr);

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 32 } else { 128 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{listed, text};
    use super::super::{Cause, Form, Settings};

    #[test]
    fn hosts_are_prefixes_in_a_set() {
        let hosts = [listed("192.0.2.1", Cause::Hand), listed("2001:db8::1", Cause::Unknown)];
        let head = "# written by greytrapctl export\nprefix-set greytrap {\n";
        let some = text(Form::Bgpd, &hosts, &Settings::default());
        assert_eq!(some, format!("{head}\t192.0.2.1/32\n\t2001:db8::1/128\n}}\n"));
        assert_eq!(text(Form::Bgpd, &[], &Settings::default()), format!("{head}}}\n"));
    }
}
