//! The machine's own addresses, which are never trapped, and its name.
//!
//! A mail server that delivers to itself, a monitor that says HELO, a health check: all of these come from
//! the machine itself, and a trap would stop its own mail. The addresses are obtained once, when a process
//! starts, since later it may not ask.
#![forbid(unsafe_code)]

use nix::ifaddrs::getifaddrs;
use nix::unistd::gethostname;
use std::net::IpAddr;

/// The machine's name (gethostname(3)), without blanks and what cannot be printed; empty if it has none.
pub fn host_name() -> String {
    let name = gethostname().unwrap_or_default();
    name.to_string_lossy().chars().filter(char::is_ascii_graphic).collect()
}

/// Addresses that belong to this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own(Vec<IpAddr>);

impl Own {
    /// The addresses of this machine's interfaces (getifaddrs(3)); if they cannot be obtained, those that
    /// every machine has.
    pub fn of_machine() -> Own {
        let addresses = getifaddrs().into_iter().flatten().filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
        });
        Own(addresses.map(|address| address.to_canonical()).collect())
    }

    /// Whether an address is this machine's, including loopback and the unspecified address (RFC 1122,
    /// 3.2.1.3; RFC 4291, 2.5.2 and 2.5.3), in any spelling.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified() || self.0.contains(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_machine_has_is_its_own() {
        let none = Own::default();
        for (text, is_own) in [
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", true),
            ("::", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
            ("::2", false),
        ] {
            assert_eq!(none.contains(text.parse().unwrap()), is_own, "{text}");
        }
    }

    #[test]
    fn addresses_of_interfaces_are_its_own_in_every_spelling() {
        let own = Own(vec!["192.0.2.1".parse().unwrap(), "2001:db8::7".parse().unwrap()]);
        for text in ["192.0.2.1", "::ffff:192.0.2.1", "2001:DB8:0::7"] {
            assert!(own.contains(text.parse().unwrap()), "{text}");
        }
        assert!(!own.contains("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn this_machine_has_an_address() {
        assert!(!Own::of_machine().0.is_empty(), "loopback at least");
    }
}
