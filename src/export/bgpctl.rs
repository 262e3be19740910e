//! A script of bgpctl(8) commands that withdraws what is no longer in the trap and announces what is new.
//!
//! In: the output of `bgpctl -j show rib`, of which announced prefixes of single hosts count. Restrict it to
//! the community of the traps (`bgpctl -j show rib community 65066:666`), so that other announced hosts are
//! left alone. Out: commands for sh(1), each with its prefixes on its standard input. Source: bgpctl(8),
//! `network bulk`; json_rib() in usr.sbin/bgpctl/output_json.c.

use super::bgpd::Prefix;
use super::{Listed, MARK, Settings};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::net::IpAddr;

/// The hosts that bgpd(8) announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced(BTreeSet<IpAddr>);

/// The output of bgpctl(8) could not be read.
#[derive(Debug)]
pub struct InvalidRib(serde_json::Error);

impl fmt::Display for InvalidRib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the output of bgpctl -j show rib: {}", self.0)
    }
}

impl std::error::Error for InvalidRib {}

#[derive(Deserialize)]
struct Rib {
    #[serde(default)]
    rib: Vec<Route>,
}

#[derive(Deserialize)]
struct Route {
    prefix: String,
    #[serde(default)]
    announced: bool,
}

impl Announced {
    /// Reads the output of `bgpctl -j show rib`. Routes from others and prefixes that are not single hosts
    /// are left out.
    ///
    /// # Errors
    /// It is not that output.
    pub fn read(json: &[u8]) -> Result<Announced, InvalidRib> {
        let Rib { rib } = serde_json::from_slice(json).map_err(InvalidRib)?;
        let own = rib.iter().filter(|route| route.announced);
        Ok(Announced(own.filter_map(|route| host(&route.prefix)).collect()))
    }
}

/// The host, if the prefix contains only one.
fn host(prefix: &str) -> Option<IpAddr> {
    let (address, bits) = prefix.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    (bits == if address.is_ipv4() { "32" } else { "128" }).then_some(address)
}

/// The script.
pub fn text(hosts: &[Listed], settings: &Settings<'_>) -> Vec<u8> {
    let Announced(now) = &settings.announced;
    let wanted: BTreeSet<_> = hosts.iter().map(|host| host.address).collect();
    let mut text = format!("# {MARK}\n").into_bytes();
    command(&mut text, "delete", now.difference(&wanted));
    let add = match settings.community {
        Some(community) => &format!("add community {community}"),
        None => "add",
    };
    command(&mut text, add, wanted.difference(now));
    text
}

fn command<'h>(text: &mut Vec<u8>, what: &str, hosts: impl Iterator<Item = &'h IpAddr>) {
    let mut hosts = hosts.peekable();
    if hosts.peek().is_none() {
        return;
    }
    // Writing to memory does not fail.
    let _ = writeln!(text, "bgpctl network bulk {what} <<'END'");
    hosts.for_each(|host| {
        let _ = writeln!(text, "{}", Prefix(*host));
    });
    text.extend_from_slice(b"END\n");
}

#[cfg(test)]
mod tests {
    use super::super::testing::{listed, text};
    use super::super::{Cause, Form};
    use super::*;

    /// As bgpctl(8) 7.7 prints it, shortened.
    const RIB: &str = r#"{"rib": [
        {"prefix": "192.0.2.1/32", "aspath": "", "source": "internal", "announced": true},
        {"prefix": "192.0.2.2/32", "aspath": "", "source": "internal", "announced": true},
        {"prefix": "192.0.2.3/32", "aspath": "65001", "source": "external"},
        {"prefix": "198.51.100.0/24", "aspath": "", "source": "internal", "announced": true},
        {"prefix": "2001:db8::1/128", "aspath": "", "source": "internal", "announced": true}
    ]}"#;

    #[test]
    fn what_is_gone_is_withdrawn_and_what_is_new_is_announced() {
        let hosts = ["192.0.2.2", "192.0.2.3", "2001:db8::2"].map(|host| listed(host, Cause::Hand));
        let announced = Announced::read(RIB.as_bytes()).unwrap();
        let community = Some("65066:666");
        let settings = Settings { announced, community, ..Settings::default() };
        assert_eq!(
            text(Form::Bgpctl, &hosts, &settings),
            "# written by greytrapctl export\n\
             bgpctl network bulk delete <<'END'\n192.0.2.1/32\n2001:db8::1/128\nEND\n\
             bgpctl network bulk add community 65066:666 <<'END'\n\
             192.0.2.3/32\n2001:db8::2/128\nEND\n"
        );
    }

    #[test]
    fn nothing_is_done_if_nothing_changes() {
        let hosts = [listed("192.0.2.1", Cause::Hand)];
        let announced = Announced(hosts.iter().map(|host| host.address).collect());
        let settings = Settings { announced, ..Settings::default() };
        let written = text(Form::Bgpctl, &hosts, &settings);
        assert_eq!(written, "# written by greytrapctl export\n");
    }

    #[test]
    fn an_empty_rib_is_one() {
        for json in ["{}", r#"{"rib": []}"#] {
            assert_eq!(Announced::read(json.as_bytes()).unwrap(), Announced::default());
        }
        for json in ["", "bgpctl: connect", r#"{"rib": [{}]}"#, r#"{"rib": 1}"#] {
            let error = Announced::read(json.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("not the output of bgpctl -j show rib: "), "{error}");
        }
    }
}
