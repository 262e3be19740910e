//! The registrable part of a name, and the canonical form of its spellings.
//!
//! The public suffix list (crate `psl`) says which part of a name can be registered. It expects lower case.
//! U-labels and A-labels (RFC 5890, 2.3.2.1) of one name must give the same result, so A-labels are
//! decoded.

use super::text::{DIGIT, DOT, LABEL_MAX, LETTER, Labels, class, lower};
use psl::Psl;

/// The longest label without `xn--` (RFC 5890, 2.3.2.1).
const PUNYCODE_MAX: usize = LABEL_MAX - 4;

/// Whether a simple name is its own [`registrable`] form, with no other such spelling: it has two labels of
/// lower case letters and digits. Whatever the public suffix list says about them, the registrable part is
/// not shorter. `false` means nothing.
pub fn is_registered(domain: &[u8]) -> bool {
    let (mut seen, mut dots) = (0, 0u32);
    for &byte in domain {
        let class = class(byte);
        seen |= class;
        dots = dots.wrapping_add((class & DOT).into());
    }
    dots == 1 && seen & !(DOT | LETTER | DIGIT) == 0
}

/// Appends the name in the form in which names are compared: lower case, A-labels decoded, plain dots.
pub fn canonical(domain: &[u8], out: &mut Vec<u8>) {
    if domain.is_ascii() && !has_a_label(domain) {
        return lower(domain, out);
    }
    for (number, label) in Labels(Some(domain)).enumerate() {
        if number > 0 {
            out.push(b'.');
        }
        let encoded = is_a_label(label).then(|| label.get(4..)).flatten();
        let decoded = encoded.and_then(decode);
        match decoded.as_deref().or_else(|| str::from_utf8(label).ok().filter(|l| !l.is_ascii())) {
            Some(text) => out.extend_from_slice(text.to_lowercase().as_bytes()),
            None => lower(label, out),
        }
    }
}

/// The text that follows `xn--` in an A-label, decoded; `None` if it is not Punycode (RFC 3492), or longer
/// than a label can be.
fn decode(encoded: &[u8]) -> Option<String> {
    let encoded = str::from_utf8(encoded).ok().filter(|text| text.len() <= PUNYCODE_MAX)?;
    idna::punycode::decode_to_string(encoded)
}

fn has_a_label(domain: &[u8]) -> bool {
    memchr::memchr(b'-', domain).is_some() && domain.split(|&byte| byte == b'.').any(is_a_label)
}

fn is_a_label(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
}

/// Appends the registrable part of this name in canonical form: the public suffix and one more label.
/// Address literals and bare public suffixes stand for themselves.
pub fn registrable(domain: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    canonical(domain, out);
    let name = out.get(start..).unwrap_or_default();
    if name.starts_with(b"[") {
        return;
    }
    if let Some(registered) = psl::List.domain(name) {
        let excess = name.len().saturating_sub(registered.as_bytes().len());
        out.drain(start..start.saturating_add(excess));
    }
}

/// Whether `name` is a registrable domain or below one, and so belongs to somebody: it is no public suffix.
pub fn is_within_registrable(name: &[u8]) -> bool {
    let mut text = Vec::new();
    canonical(name, &mut text);
    psl::List.domain(&text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn registrable_of(domain: &str) -> String {
        let mut out = b"before".to_vec();
        registrable(domain.as_bytes(), &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    /// publicsuffix.org/list, checked against its test data of the same names.
    #[test]
    fn registrable_domains() {
        for (domain, registered) in [
            ("example.com", "example.com"),
            ("a.b.Example.COM", "example.com"),
            ("WwW.example.com.", "example.com."),
            ("b.example.uk.com", "example.uk.com"),
            ("test.ac.jp", "test.ac.jp"),
            ("b.c.kobe.jp", "b.c.kobe.jp"),
            ("city.kobe.jp", "city.kobe.jp"),
            ("www.city.kobe.jp", "city.kobe.jp"),
            ("www.test.k12.ak.us", "test.k12.ak.us"),
            ("www.食狮.公司.cn", "食狮.公司.cn"),
            ("www.xn--85x722f.xn--55qx5d.cn", "食狮.公司.cn"),
            ("WWW.XN--85X722F.com.cn", "食狮.com.cn"),
            ("www.BÜCHER.example", "bücher.example"),
            ("例え。テスト", "例え.テスト"),
            // A public suffix and an address literal stand for themselves.
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ] {
            let wanted = registered.trim_end_matches('.');
            assert_eq!(registrable_of(domain).trim_end_matches('.'), wanted, "{domain}");
        }
    }

    #[test]
    fn a_public_suffix_is_nobodys() {
        for (name, wanted) in [
            ("example.com", true),
            ("a.b.example.co.uk", true),
            ("b.example", true),
            ("co.uk", false),
            ("com", false),
            ("", false),
        ] {
            assert_eq!(is_within_registrable(name.as_bytes()), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_registered_is_registrable_as_it_stands(domain in "[a-zA-Z0-9-]{1,4}\\.(co|com|uk|ck|www|[a-z]{2})(\\.(uk|ck|[a-z]{2}))?") {
            let own = registrable_of(&domain);
            if is_registered(domain.as_bytes()) {
                prop_assert_eq!(own, domain);
            } else {
                let is_plain = domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.'));
                prop_assert!(!is_plain || domain.matches('.').count() != 1);
            }
        }
    }

    proptest! {
        #[test]
        fn the_registrable_domain_is_the_end_of_the_name(name in "[a-z]{1,5}(\\.[a-z]{1,5}){0,4}") {
            let registered = registrable_of(&name);
            let is_end = name == registered || name.ends_with(&format!(".{registered}"));
            prop_assert!(is_end, "{} of {}", registered, name);
            prop_assert_eq!(registrable_of(&registered), registered);
        }

        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>) {
            registrable(&bytes, &mut Vec::new());
        }
    }

    /// The samples of RFC 3492, 7.1, and names in use.
    #[test]
    fn samples_of_the_rfc() {
        for (encoded, text) in [
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("Proprostnemluvesky-uyb24dma41a", "Pročprostěnemluvíčesky"),
            ("TisaohkhngthchnitingVit-kjcr8268qyxafd2f1b9g", "TạisaohọkhôngthểchỉnóitiếngViệt"),
            ("3B-ww4c5e180e575a65lsy2b", "3年B組金八先生"),
            ("Hello-Another-Way--fc4qua05auwb3674vfr0b", "Hello-Another-Way-それぞれの場所"),
            ("d9juau41awczczp", "そのスピードで"),
            ("-> $1.00 <--", "-> $1.00 <-"),
            ("bcher-kva", "bücher"),
            ("p1ai", "рф"),
            ("55qx5d", "公司"),
        ] {
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Some(text), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_punycode_is_none() {
        let long = "a".repeat(PUNYCODE_MAX + 1);
        for encoded in ["a-!", "9999999999", "bcher-kv", "\u{fc}", &long] {
            assert_eq!(decode(encoded.as_bytes()), None, "{encoded}");
        }
    }
}
