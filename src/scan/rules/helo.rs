//! Rule `helo`: a host that uses HELO names in several registrable domains.
//!
//! Names that DNS confirms do not count, since two offices may share an address. Strings that are not host
//! names with a dot (addresses, literals, garbage) do not count either, nor do names that nobody can
//! register, since programs say `localhost.localdomain` if their name is not configured. Source: none in
//! the original; measured in real mail.

use super::{Case, Finding, Identity, Opinion, Stage, Subject};
use crate::config::Config;
use crate::name;
use crate::scan::answers::Confirmation;
use crate::scan::distinct::Distinct;
use crate::scan::identity;
use crate::scan::measure::{Measure, Setting};
use crate::scan::verdict::Why;

/// HELO names in several domains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Helo {
    domains: u32,
    max: u32,
}

impl Finding for Helo {
    const NAME: &'static str = "helo";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Excuses;

    fn is_on(config: &Config) -> bool {
        config.rules.max_helo_domains.is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        if subject.host.tuples() < 2 {
            return false;
        }
        let mut names = subject.notes().map(|note| note.helo).filter(|helo| *helo != 0);
        match subject.rules.max_helo_domains {
            Some(0) => true,
            Some(_) => names.next().is_some_and(|one| names.any(|other| other != one)),
            None => false,
        }
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let could_hit = Helo::could_hit(&case.subject);
        could_hit.then(|| Helo::of(case, |_| true)).flatten().into()
    }

    /// Only names that are not confirmed count. If unknown names would be needed to exceed the limit, the
    /// host is spared.
    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        let Some(answers) = case.answers else {
            return Opinion::Spared(self, Why::IdentityUnknown);
        };
        let address = case.subject.host.address.ip();
        let is = |name: &[u8], wanted| identity::of_helo(answers, address, name) == wanted;
        if let Some(found) = Helo::of(case, |name| is(name, Confirmation::NotConfirmed)) {
            return Opinion::Against(found);
        }
        match Helo::of(case, |name| !is(name, Confirmation::Confirmed)) {
            Some(found) => Opinion::Spared(found, Why::IdentityUnknown),
            None => Opinion::Nothing,
        }
    }

    /// Names that DNS confirms are left out, if it was asked.
    fn measure(case: &mut Case<'_, '_>) -> Option<Measure> {
        let (subject, answers) = (case.subject, case.answers);
        let (max, address) = (subject.rules.max_helo_domains?, subject.host.address.ip());
        let is_confirmed = |name: &[u8]| {
            let of_helo = |answers| identity::of_helo(answers, address, name);
            answers.map(of_helo) == Some(Confirmation::Confirmed)
        };
        let names = subject.tuples().map(|tuple| tuple.helo).filter(|name| !is_confirmed(name));
        let value = nominate(names, 0, &mut case.scratch.distinct).unwrap_or(0).into();
        Some(Measure { setting: Setting::MaxHeloDomains, value, limit: max.into() })
    }

    fn reason(&self, _: &Subject<'_>) -> String {
        format!("Host calls itself {} names (> {})", self.domains, self.max)
    }
}

impl Helo {
    /// The finding, by the names that count.
    fn of(case: &mut Case<'_, '_>, counts: impl Fn(&[u8]) -> bool + Copy) -> Option<Helo> {
        let max = case.subject.rules.max_helo_domains?;
        let names = case.subject.tuples().map(|tuple| tuple.helo).filter(move |name| counts(name));
        let domains = nominate(names, max, &mut case.scratch.distinct)?;
        Some(Helo { domains, max })
    }
}

/// The number of domains of `names`, if it is more than `max`. HELO strings that are not host names, and
/// names that nobody can register, are skipped.
fn nominate<'t>(
    names: impl Iterator<Item = &'t [u8]> + Clone,
    max: u32,
    scratch: &mut Distinct,
) -> Option<u32> {
    let mut count = |is_counted: fn(&[u8]) -> bool| {
        scratch.clear();
        for name in names.clone().filter_map(name::host_name).filter(|name| is_counted(name)) {
            scratch.add(|out| name::registrable(name, out));
        }
        Some(scratch.count()).filter(|&domains| domains > max)
    };
    // Most hosts are settled without this second check.
    count(|_| true).and_then(|_| count(|name| !name::is_nobodys(name)))
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
            (&["localhost.localdomain", "app.internal"], None, "names of nobody"),
            (&["web1.localdomain", "web2.localdomain"], None, "the same"),
            (&["srv1.local", "SRV2.LAN.", "pc.home.arpa", "a.test"], None, "RFC 6761, RFC 6762"),
            (&["mail.x.com", "localhost.localdomain", "host.invalid"], None, "beside a name"),
            (&["pc.fritzbox", "nas.workgroup"], None, "no such top-level domain"),
            (&["a.x.com", "pc.fritzbox", "b.y.com"], Some(2), "beside two names"),
        ] {
            assert_eq!(count(names), found, "{source}");
        }
    }
}
