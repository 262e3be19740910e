//! Rule `helo`: a host that uses several HELO names.
//!
//! Names that DNS confirms do not count, since two offices may share an address. Others do, whatever their
//! form: host names by registrable domain, everything else (one label, addresses, literals, garbage) as it
//! is. Names that nobody can register are one and the same, since programs say `localhost.localdomain` if
//! their name is not configured. Source: none in the original; measured in real mail.

use super::{Case, Counts, Finding, Identity, Opinion, Stage, Subject};
use crate::config::Config;
use crate::name;
use crate::scan::answers::Confirmation;
use crate::scan::distinct::Distinct;
use crate::scan::identity;
use crate::scan::measure::{Measure, Setting};
use crate::scan::verdict::Why;
use crate::spamd::Tuple;

/// The longest field that spamd keeps (`MAX_MAIL` in libexec/spamd/grey.h), without the NUL: what is as long
/// has been cut.
const FIELD_MAX: usize = 1023;

/// Several HELO names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::scan) struct Helo {
    names: u32,
    max: u32,
}

impl Finding for Helo {
    const NAME: &'static str = "helo";
    const STAGE: Stage = Stage::Database;
    const IDENTITY: Identity = Identity::Excuses;

    fn is_on(config: &Config) -> bool {
        config.rules.max_helo_names.is_some()
    }

    fn could_hit(subject: &Subject<'_>) -> bool {
        if subject.host.tuples() < 2 {
            return false;
        }
        let mut names = subject.notes().map(|note| note.helo).filter(|helo| *helo != 0);
        match subject.rules.max_helo_names {
            Some(0) => true,
            Some(_) => names.next().is_some_and(|one| names.any(|other| other != one)),
            None => false,
        }
    }

    fn judge(case: &mut Case<'_, '_>) -> Opinion<Self> {
        let could_hit = Helo::could_hit(&case.subject);
        could_hit.then(|| Helo::of(case, |_, _| true)).flatten().into()
    }

    /// Only names that are not confirmed count. If unknown names would be needed to exceed the limit, the
    /// host is spared.
    fn confirm(self, case: &mut Case<'_, '_>) -> Opinion<Self> {
        let Some(answers) = case.answers else {
            return Opinion::Spared(self, Why::IdentityUnknown);
        };
        let address = case.subject.host.address.ip();
        let is = |tuple: &Tuple<'_>, wanted| {
            identity::of_helo(answers, address, tuple.helo) == wanted
        };
        let denied = |_: &Case<'_, '_>, tuple: &Tuple<'_>| is(tuple, Confirmation::NotConfirmed);
        if let Some(found) = Helo::of(case, denied) {
            let recount = |case: &mut Case<'_, '_>, counts: Counts<'_>| {
                Helo::of(case, |case, tuple| denied(case, tuple) && counts(case, tuple))
            };
            return case.recount(found, recount);
        }
        match Helo::of(case, |_, tuple| !is(tuple, Confirmation::Confirmed)) {
            Some(found) => Opinion::Spared(found, Why::IdentityUnknown),
            None => Opinion::Nothing,
        }
    }

    /// Names that DNS confirms are left out, if it was asked.
    fn measure(case: &mut Case<'_, '_>) -> Option<Measure> {
        let (subject, answers) = (case.subject, case.answers);
        let (max, address) = (subject.rules.max_helo_names?, subject.host.address.ip());
        let is_confirmed = |name: &[u8]| {
            let of_helo = |answers| identity::of_helo(answers, address, name);
            answers.map(of_helo) == Some(Confirmation::Confirmed)
        };
        let names = subject.tuples().map(|tuple| tuple.helo).filter(|name| !is_confirmed(name));
        let value = count(names, &mut case.scratch.distinct).into();
        Some(Measure { setting: Setting::MaxHeloNames, value, limit: max.into() })
    }

    fn reason(&self, _: &Subject<'_>) -> String {
        format!("Host calls itself {} names (> {})", self.names, self.max)
    }
}

impl Helo {
    /// The finding, by the tuples that count, of which there must be two.
    fn of<'w>(
        case: &mut Case<'_, 'w>,
        counts: impl Fn(&Case<'_, 'w>, &Tuple<'_>) -> bool,
    ) -> Option<Helo> {
        let max = case.subject.rules.max_helo_names?;
        let tuples = case.subject.tuples().filter(|tuple| counts(case, tuple));
        let names: Vec<_> = tuples.map(|tuple| tuple.helo).collect();
        let is_enough = names.len() >= 2;
        let names = count(names.into_iter(), &mut case.scratch.distinct);
        (is_enough && names > max).then_some(Helo { names, max })
    }
}

/// The number of different names. What is empty, or was cut short, is none.
fn count<'t>(names: impl Iterator<Item = &'t [u8]>, scratch: &mut Distinct) -> u32 {
    scratch.clear();
    for helo in names.filter(|helo| helo.len() < FIELD_MAX) {
        scratch.add(|out| add_form(helo, out));
    }
    scratch.count()
}

/// Appends the form in which HELO strings are compared: equal forms are one name.
fn add_form(helo: &[u8], out: &mut Vec<u8>) {
    let label = helo.strip_suffix(b".").unwrap_or(helo);
    match name::host_name(helo) {
        Some(name) if !name::is_nobodys(name) => name::registrable(name, out),
        None if !name::is_local(label) => name::lower(label, out),
        _ => out.extend_from_slice(NOBODYS),
    }
}

/// Stands for all names that nobody can register.
const NOBODYS: &[u8] = b".";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_are_counted_whatever_their_form() {
        for (names, wanted, what) in [
            (&["a.x.com", "b.y.com"][..], 2, "two domains"),
            (&["a.x.com", "b.x.com", "X.COM."], 1, "hosts of one domain"),
            (&["a.x.co.uk", "b.y.co.uk"], 2, "public suffix list"),
            (&["a.x.com", "xn--bcher-kva.com", "mx.xn--BCHER-kva.com"], 2, "A-labels of one name"),
            (&["a.x.com", "friend"], 2, "one label"),
            (&["friend", "FRIEND", "friend."], 1, "its spellings"),
            (&["pc1", "pc2"], 2, "two labels"),
            (&["a.x.com", "192.0.2.1"], 2, "an address"),
            (&["192.0.2.1", "[192.0.2.1]"], 2, "an address and a literal"),
            (&["192.0.2.1", "198.51.100.1"], 2, "two addresses"),
            (&["[IPv6:2001:db8::1]", "[ipv6:2001:DB8::1]"], 1, "spellings of a literal"),
            (&["a.x.com", "b|y.com"], 2, "garbage"),
            (&["b\u{fc}cher.example", "a..b"], 2, "different garbage"),
            (&["localhost.localdomain", "app.internal"], 1, "names of nobody"),
            (&["web1.localdomain", "web2.localdomain", "localhost"], 1, "the same"),
            (&["srv1.local", "SRV2.LAN.", "pc.home.arpa", "a.test"], 1, "RFC 6761, RFC 6762"),
            (&["pc.fritzbox", "nas.workgroup", "a.invalid"], 1, "no top-level domain"),
            (&["pc.fritzbox", "localhost.localdomain"], 1, "both"),
            (&["mail.x.com", "localhost.localdomain", "host.invalid"], 2, "beside a name"),
            (&["a.x.com", "pc.fritzbox", "b.y.com"], 3, "beside two names"),
            (&["a.x.com", "localhost"], 2, "localhost beside a name"),
            (&["a.x.com", ""], 1, "no HELO"),
            (&["", ""], 0, "nothing but that"),
            (&["a.x.com", &"b".repeat(1023)], 1, "cut short"),
            (&["a.x.com", &"b".repeat(1022)], 2, "long"),
            (&["203-0-113-7.dsl.com", "198-51-100-1.dsl.com"], 1, "lines of one network"),
        ] {
            let names = names.iter().map(|name| name.as_bytes());
            assert_eq!(count(names, &mut Distinct::default()), wanted, "{what}");
        }
    }
}
