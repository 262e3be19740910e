//! Addresses as names: octets or nibbles in reverse order, below `in-addr.arpa` (RFC 1035, 3.5), `ip6.arpa`
//! (RFC 3596, 2.5) or the name of a DNS list (RFC 5782, 2.1 and 2.4).

use std::net::IpAddr;

/// The labels of an address, without the name below which they are.
pub fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets().into_iter().rev();
            let nibbles: Vec<_> = octets.map(|b| format!("{:x}.{:x}", b & 0xf, b >> 4)).collect();
            nibbles.join(".")
        }
    }
}
