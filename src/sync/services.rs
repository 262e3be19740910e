//! The port for spamd's sync messages: that of `spamd-sync` in services(5), or else the one in OpenBSD's
//! services(5).
//!
//! spamd uses getservbyname(3), which reads the same file. spamd does not start without the service;
//! systems other than OpenBSD do not have it.
#![forbid(unsafe_code)]

use std::fs;

/// `spamd-sync` in OpenBSD's etc/services.
const SPAMD_SYNC: u16 = 8025;

/// The port of `spamd-sync`; 8025 unless /etc/services has another.
pub fn port() -> u16 {
    let services = fs::read("/etc/services").unwrap_or_default();
    String::from_utf8_lossy(&services).lines().find_map(port_in).unwrap_or(SPAMD_SYNC)
}

/// The port in `line` if it is for this service: `name port/protocol [alias ...] [# comment]`.
fn port_in(line: &str) -> Option<u16> {
    let (entry, _) = line.split_once('#').unwrap_or((line, ""));
    let mut fields = entry.split_ascii_whitespace();
    let (name, port) = (fields.next()?, fields.next()?);
    let mut names = fields.chain([name]);
    names.find(|name| *name == "spamd-sync").and_then(|_| port.strip_suffix("/udp")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openbsds_line_and_what_an_operator_makes_of_it() {
        let lines = [
            ("spamd-sync\t8025/udp\t\t\t# spamd(8) synchronisation", Some(8025)),
            ("spamd-sync 9025/udp", Some(9025)),
            ("  mxsync 9025/udp other spamd-sync#x", Some(9025)),
            ("spamd\t\t8025/tcp\t\t\t# spamd(8)", None),
            ("spamd-sync 8025/tcp", None),
            ("#spamd-sync 8025/udp", None),
            ("other 1/udp # spamd-sync", None),
            ("spamd-sync 65536/udp", None),
            ("spamd-sync", None),
            ("", None),
        ];
        for (line, port) in lines {
            assert_eq!(port_in(line), port, "{line}");
        }
    }
}
