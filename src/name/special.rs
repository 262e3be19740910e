//! Names that nobody can register: any network may give them to its own hosts, or none may.
//!
//! The input is a HELO string or a domain. Programs use such a name if their own was not configured, so it
//! is no sign of a different host, and no answer about it tells who a host is.

use super::registrable::canonical;
use psl::Psl;

/// The top labels of names that a network gives to its own hosts.
///
/// * `localhost`: RFC 6761, 6.3; `localdomain`: what installers write beside it into hosts(5).
/// * `local`: RFC 6762, 3; `home.arpa`: RFC 8375.
/// * `internal`: reserved by ICANN's board, 2024-07-29, for private use.
/// * `intranet`, `private`, `corp`, `home`, `lan`: RFC 6762, appendix G; `corp`, `home` and `mail` are never
///   delegated by decision of ICANN's board, 2018-02-04.
const LOCAL: &[&str] = &[
    "localhost",
    "localdomain",
    "local",
    "home.arpa",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "mail",
];

/// The top labels of names that no host has.
///
/// * `test`, `invalid`: RFC 6761, 6.2 and 6.4.
/// * `onion`: RFC 7686; `alt`: RFC 9476: names outside DNS.
/// * `arpa`: RFC 3172, 2: for the infrastructure of the Internet, not for hosts.
const NEVER: &[&str] = &["test", "invalid", "onion", "alt", "arpa"];

/// RFC 2606, 2: stands for real names in documentation and tests, and must be treated like a real name
/// there.
const DOCUMENTATION: &str = "example";

/// Whether any network may give `name` to one of its hosts.
pub fn is_local(name: &[u8]) -> bool {
    let mut text = Vec::new();
    form(name, &mut text);
    is_below_one_of(&text, LOCAL)
}

/// Whether nobody can register `name`: it is [local](is_local), or no host can have it, or the public
/// suffix list does not have its top-level domain.
pub fn is_nobodys(name: &[u8]) -> bool {
    let mut text = Vec::new();
    form(name, &mut text);
    is_below_one_of(&text, LOCAL)
        || is_below_one_of(&text, NEVER)
        || !is_delegated(&text) && !is_below(&text, DOCUMENTATION)
}

/// Whether the last label of `name` is no top-level domain. That of infrastructure (`arpa`) is one.
pub fn lacks_tld(name: &[u8]) -> bool {
    let mut text = Vec::new();
    form(name, &mut text);
    is_nobodys(&text) && !is_below(&text, "arpa")
}

/// Whether `domain` may exist, judging by its top-level domain: it can be registered.
pub fn may_exist(domain: &[u8]) -> bool {
    let mut text = Vec::new();
    form(domain, &mut text);
    is_delegated(&text)
        && psl::List.domain(&text).is_some()
        && !is_below_one_of(&text, LOCAL)
        && !is_below_one_of(&text, NEVER)
}

/// Appends the name in canonical form, without its trailing dot.
fn form(name: &[u8], out: &mut Vec<u8>) {
    canonical(name.strip_suffix(b".").unwrap_or(name), out);
}

/// Whether the list has a rule for the name, if only for its top-level domain.
fn is_delegated(name: &[u8]) -> bool {
    psl::List.suffix(name).is_some_and(|suffix| suffix.is_known())
}

fn is_below_one_of(name: &[u8], tops: &[&str]) -> bool {
    tops.iter().any(|top| is_below(name, top))
}

/// Whether `name` is `top` or ends with it, label by label.
fn is_below(name: &[u8], top: &str) -> bool {
    let before = name.strip_suffix(top.as_bytes());
    before.is_some_and(|before| before.is_empty() || before.ends_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6761's registry, RFC 6762's appendix G, what installers write, and TLDs that nobody has.
    #[test]
    fn names_that_belong_to_nobody() {
        for name in [
            "localhost.localdomain",
            "web1.localdomain",
            "LOCALHOST",
            "printer.Local.",
            "app.internal",
            "nas.home.arpa",
            "srv1.lan",
            "exchange.corp",
            "a.intranet",
            "a.private",
            "router.home",
            "smtp.mail",
            "a.test",
            "a.invalid",
            "a.onion",
            "a.alt",
            "1.2.0.192.in-addr.arpa",
            "pc.workgroup",
            "mail.firm.notld",
            "app.svc.cluster.local",
        ] {
            assert!(is_nobodys(name.as_bytes()), "{name}");
            assert!(!may_exist(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_of_somebody() {
        for name in [
            "mail.firm.de",
            "MX.Example.COM.",
            "mail.local.com",
            "lan.net",
            "mail.home.pl",
            "x.notlocal.org",
            "a.b.ck",
            "mail.firma.com.bd",
            "bücher.de",
            "почта.рф",
            "xn--80a1acny.xn--p1ai",
            "host.github.io",
        ] {
            assert!(!is_nobodys(name.as_bytes()), "{name}");
            assert!(may_exist(name.as_bytes()), "{name}");
        }
    }

    /// RFC 2606: what stands for other people's names is somebody's, but no proof of anything.
    #[test]
    fn names_of_documents_stand_for_those_of_others() {
        assert!(!is_nobodys(b"mail.firm.example"));
        assert!(!may_exist(b"firm.example"));
    }

    #[test]
    fn only_what_a_network_gives_itself_is_local() {
        for (name, local) in [
            ("localhost.localdomain", true),
            ("a.lan", true),
            ("a.home.arpa.", true),
            ("a.arpa", false),
            ("a.test", false),
            ("a.notld", false),
            ("plan", false),
            ("mail.de", false),
        ] {
            assert_eq!(is_local(name.as_bytes()), local, "{name}");
        }
    }

    #[test]
    fn what_has_no_top_level_domain() {
        for (name, wanted) in [
            ("pc.fritzbox", true),
            ("a.localdomain.", true),
            ("a.LAN", true),
            ("a.invalid", true),
            ("a.onion", true),
            ("host.123", true),
            ("a.example", false),
            ("a.home.arpa", false),
            ("1.2.0.192.in-addr.arpa", false),
            ("a.b.ck", false),
            ("xn--80a1acny.xn--p1ai", false),
        ] {
            assert_eq!(lacks_tld(name.as_bytes()), wanted, "{name}");
        }
    }

    #[test]
    fn public_suffixes_and_nothing_may_not_exist_by_themselves() {
        for name in ["", ".", "com", "co.uk", "[192.0.2.1]"] {
            assert!(!may_exist(name.as_bytes()), "{name}");
        }
    }
}
