//! The hosts in the trap, in the forms that other programs read: one file a form.
//!
//! In: [`Listed`] hosts, as the daemon or a database has them. [`Selection`] leaves out whoever must never be
//! listed elsewhere; [`Form::write`] makes the text. Addresses are in order, each once, so that the same
//! hosts make the same text. Only [`Hearing`] opens a file, and nothing that a stranger has sent gets into a text:
//! there are addresses, times and words of this module.
//!
//! The first line of every text is a comment that says where it comes from ([`MARK`]), by which an export is
//! recognized when it is fed back ([`Hearsay`]). Lists of addresses also name the site.
#![forbid(unsafe_code)]

mod bgpctl;
mod bgpd;
mod hearing;
mod hearsay;
mod lists;
mod rbldnsd;
mod selection;
mod words;
mod zone;

pub use bgpctl::{Announced, InvalidRib};
pub use hearing::Hearing;
pub use hearsay::{Bad, Hearsay, MOST_BYTES, MOST_ENTRIES, NotHeard};
pub use selection::Selection;
pub use words::{Url, UrlError};

use crate::scan::Rule;
use std::net::IpAddr;

/// The text in the first line of every export.
pub const MARK: &str = "written by greytrapctl export";

/// How long a resolver may keep an answer from an exported zone, in seconds: far less than a trap lasts (24
/// hours), so that a release takes effect everywhere soon.
pub const TTL: u32 = 300;

/// A host in the trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its address.
    pub address: IpAddr,
    /// When it was trapped, in seconds since 1970.
    pub since: i64,
    /// When the trap ends.
    pub until: i64,
    /// Who or what trapped it.
    pub cause: Cause,
}

/// Who or what trapped a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule.
    Rule(Rule),
    /// An operator.
    Hand,
    /// Unknown: spamd itself, or nobody remembers.
    Unknown,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An address on each line.
    Plain,
    /// The same, for `pfctl -t TABLE -T replace -f FILE`.
    Pf,
    /// IPv4 addresses for spamd-setup(8), `method=file` in spamd.conf(5).
    Spamd,
    /// A combined dataset of rbldnsd(8): `rbldnsd ZONE:combined:FILE`.
    Rbldnsd,
    /// A zone file (RFC 1035, 5.1) for nsd(8) and others, with names relative to the origin.
    Zone,
    /// A file for `include` in bgpd.conf(5), with a `prefix-set`.
    Bgpd,
    /// A script of bgpctl(8) commands, from what is announced to what should be.
    Bgpctl,
}

/// The names of forms, as they are typed.
pub const FORMS: [(&str, Form); 7] = [
    ("bgpctl", Form::Bgpctl),
    ("bgpd", Form::Bgpd),
    ("pf", Form::Pf),
    ("plain", Form::Plain),
    ("rbldnsd", Form::Rbldnsd),
    ("spamd", Form::Spamd),
    ("zone", Form::Zone),
];

/// What a text depends on beside its hosts.
#[derive(Clone, Debug, Default)]
pub struct Settings<'a> {
    /// The time, in seconds since 1970.
    pub now: i64,
    /// The name of this site, for lists of addresses; empty if it has none.
    pub site: &'a str,
    /// A page that explains the list, for the TXT records of a zone.
    pub url: Option<&'a Url>,
    /// The community of announced prefixes, as in bgpctl(8).
    pub community: Option<&'a str>,
    /// What is announced now, for [`Form::Bgpctl`].
    pub announced: Announced,
    /// The text that is to be replaced; empty if there is none.
    pub previous: &'a [u8],
}

impl Form {
    /// Whether the form has room for this address.
    pub fn has_room(self, address: IpAddr) -> bool {
        self != Form::Spamd || address.is_ipv4()
    }

    /// Whether the text says who or what has trapped a host.
    pub fn has_causes(self) -> bool {
        matches!(self, Form::Rbldnsd | Form::Zone)
    }

    /// The text for these hosts, which are in order of their addresses; `None` if that in
    /// [`Settings::previous`] is as good.
    pub fn write(self, hosts: &[Listed], settings: &Settings<'_>) -> Option<Vec<u8>> {
        match self {
            Form::Plain | Form::Pf | Form::Spamd => {
                changed(lists::text(hosts, self, settings.site), settings)
            }
            Form::Bgpd => changed(bgpd::text(hosts), settings),
            Form::Bgpctl => changed(bgpctl::text(hosts, settings), settings),
            Form::Rbldnsd => rbldnsd::text(hosts, settings),
            Form::Zone => zone::text(hosts, settings),
        }
    }
}

fn changed(text: Vec<u8>, settings: &Settings<'_>) -> Option<Vec<u8>> {
    (text != settings.previous).then_some(text)
}

#[cfg(test)]
mod testing {
    use super::*;

    /// Noon of 2026-11-29, in seconds since 1970.
    pub const NOON: i64 = 1_795_953_600;

    /// A host that was trapped at noon for a day.
    pub fn listed(address: &str, cause: Cause) -> Listed {
        let address = address.parse().unwrap();
        Listed { address, since: NOON, until: NOON + 86_400, cause }
    }

    /// The text, which must have changed.
    pub fn text(form: Form, hosts: &[Listed], settings: &Settings<'_>) -> String {
        String::from_utf8(form.write(hosts, settings).expect("changed")).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{NOON, listed};
    use super::*;

    #[test]
    fn the_same_hosts_make_the_same_text() {
        let hosts =
            [listed("192.0.2.1", Cause::Rule(Rule::Helo)), listed("2001:db8::1", Cause::Hand)];
        for (name, form) in FORMS {
            let mut settings = Settings { now: NOON, ..Settings::default() };
            let text = form.write(&hosts, &settings).unwrap();
            let first = text.split(|&byte| byte == b'\n').next().unwrap();
            assert!(String::from_utf8_lossy(first).contains(MARK), "{name}");
            // A minute later.
            (settings.now, settings.previous) = (NOON + 60, &text);
            assert_eq!(form.write(&hosts, &settings), None, "{name}");
            assert!(form.write(&hosts[..1], &settings).is_some() || form == Form::Spamd, "{name}");
            assert!(form.write(&[], &settings).is_some(), "{name}");
        }
    }
}
