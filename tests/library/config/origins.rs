//! Statements that match a host or a recipient are named with the file and line in which they were written,
//! also after the configuration was passed on as text.

use super::{Texts, load};
use greytrapper::config::{Config, Written, from_text};
use std::collections::HashMap;
use std::path::Path;

const MAIN: &str = r#"# The first line.
old = "@old\.example$"
allow { 192.0.2.0/24, 198.51.100.7
	2001:db8::/32 }
allow 192.0.2.128/25
include "more.conf"
trap rcpt $old
pass rcpt "^postmaster@"
trap rcpt \
	"^nobody@"
"#;

const MORE: &str = "allow file \"nospamd\"\npass rcpt \"^abuse@\"\ntrap rcpt unlisted\n";

fn config() -> Config {
    let texts = [
        ("/etc/x.conf", MAIN.as_bytes()),
        ("/etc/more.conf", MORE.as_bytes()),
        ("/etc/nospamd", b"# Friends.\n203.0.113.0/25 203.0.113.9\n\n10.0.0.0/8\n"),
    ];
    let texts = texts.map(|(path, text)| (path.into(), text.to_vec()));
    let texts = Texts(HashMap::from(texts));
    load(Some(Path::new("/etc/x.conf")), &[], &texts).unwrap().config
}

fn shown(written: Option<Written>) -> String {
    written.map_or("none".into(), |Written { statement, origin }| match origin {
        Some((file, line)) => format!("{file}:{line}: {statement}"),
        None => statement,
    })
}

const ALLOWED: [(&str, &str); 7] = [
    ("192.0.2.1", "/etc/x.conf:3: allow 192.0.2.0/24"),
    // The wider network is the one that counts.
    ("192.0.2.200", "/etc/x.conf:3: allow 192.0.2.0/24"),
    ("198.51.100.7", "/etc/x.conf:3: allow 198.51.100.7"),
    ("2001:db8::1", "/etc/x.conf:4: allow 2001:db8::/32"),
    ("203.0.113.9", "/etc/nospamd:2: allow 203.0.113.0/25"),
    ("::ffff:10.1.1.1", "/etc/nospamd:4: allow 10.0.0.0/8"),
    ("203.0.113.200", "none"),
];

const RECIPIENTS: [(&str, &str); 5] = [
    ("Postmaster@old.example", "/etc/x.conf:8: pass rcpt \"^postmaster@\""),
    ("abuse@old.example", "/etc/more.conf:2: pass rcpt \"^abuse@\""),
    ("joe@old.example", "/etc/x.conf:7: trap rcpt \"@old\\.example$\""),
    ("nobody@example.org", "/etc/x.conf:10: trap rcpt \"^nobody@\""),
    ("joe@example.org", "/etc/more.conf:3: trap rcpt unlisted"),
];

fn compare(config: &Config, cut: fn(&str) -> &str) {
    for (address, wanted) in ALLOWED {
        assert_eq!(
            shown(config.rules.allowing(address.parse().unwrap())),
            cut(wanted),
            "{address}"
        );
    }
    for (recipient, wanted) in RECIPIENTS {
        let found = config.rules.about_recipient(recipient.as_bytes());
        assert_eq!(shown(found), cut(wanted), "{recipient}");
    }
}

#[test]
fn statements_know_their_file_and_line() {
    compare(&config(), |wanted| wanted);
}

/// As the reader of the configuration passes it to the other processes.
#[test]
fn they_still_do_after_it_was_passed_on_as_text() {
    let config = config();
    let mut passed_on = from_text(&config.to_string()).unwrap();
    assert_eq!(passed_on, config, "where it was written makes no difference");
    // The lines of the text are not those that an operator knows.
    compare(&passed_on, |wanted| wanted.split_once(": ").map_or(wanted, |(_, rest)| rest));
    passed_on.rules.origins = config.rules.origins;
    compare(&passed_on, |wanted| wanted);
}
