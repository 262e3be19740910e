//! What other sites say: a list of hosts that they have in the trap, as `export` writes it, read back.
//!
//! In: an open file of addresses and networks, one a line, with comments from `#` on. Out: [`Hearsay`], or why
//! the file is not heard ([`NotHeard`]): rather nothing than half a list, or one's own. A line that is no
//! address is skipped and counted, and so is a last line that does not end: `192.0.2.0/2` may have been going to
//! be `192.0.2.0/24` when the list was cut off. The bytes are others', and their number is bounded.
//!
//! An export says in a comment which site wrote it ([`mark`]). A site that heard its own would trap hosts since
//! it had trapped them, so one such comment anywhere in the file, as `cat` may leave it, refuses the file. An
//! export that names no site may be one's own.

use super::MARK;
use crate::config::network::Gathering;
use crate::config::{Network, Networks, exposure_of};
use crate::escape::escaped;
use crate::plural::counted;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::fs::MetadataExt;

/// The most bytes of a file: a million addresses of IPv6 with a comment each.
pub const MOST_BYTES: u64 = 64 << 20;
/// The most addresses and networks: with IPv6 addresses only they take 32 MB, and for a moment half as much
/// again.
pub const MOST_ENTRIES: usize = 1_000_000;
/// The most bytes of a line that are looked at.
const LINE: usize = 1024;
/// After this time, in seconds, what others said is forgotten: as long as evidence is kept.
pub const OLD: i64 = 7 * 24 * 60 * 60;

/// What others say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearsay {
    /// The hosts.
    pub networks: Networks,
    /// The lines that are neither addresses nor networks.
    pub bad: Option<Bad>,
}

/// Lines that were skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// How many.
    pub count: u64,
    /// The number of the first.
    pub line: u64,
    /// The first, shortened and escaped.
    pub text: String,
    /// Whether the first has no end.
    pub is_cut: bool,
}

impl Bad {
    fn new(line: u64, entry: &[u8], is_cut: bool) -> Bad {
        let text = escaped(entry.get(..60).unwrap_or(entry)).to_string();
        Bad { count: 0, line, text, is_cut }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bad { count, line, text, is_cut } = self;
        write!(f, "{} skipped, the first is line {line}: \"{text}\"", counted(*count, "line"))?;
        if *is_cut { f.write_str(" without a newline") } else { Ok(()) }
    }
}

/// Why a file is not heard.
#[derive(Debug)]
pub enum NotHeard {
    /// It cannot be read.
    Io(io::Error),
    /// It is no regular file.
    NoFile,
    /// Others may write it; how.
    Exposed(&'static str),
    /// It has more bytes than [`MOST_BYTES`].
    TooLarge,
    /// It has more entries than [`MOST_ENTRIES`].
    TooMany,
    /// It was not written for seven days.
    Old,
    /// It has an export of this site.
    Own,
    /// It has an export of no site.
    Nameless,
}

impl fmt::Display for NotHeard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotHeard::Io(error) => write!(f, "{}", crate::errno::reason(error)),
            NotHeard::NoFile => f.write_str("not a regular file"),
            NotHeard::Exposed(how) => f.write_str(how),
            NotHeard::TooLarge => write!(f, "larger than {} MB", MOST_BYTES >> 20),
            NotHeard::TooMany => write!(f, "more than {MOST_ENTRIES} entries"),
            NotHeard::Old => write!(f, "not written for {} days", OLD / (24 * 60 * 60)),
            NotHeard::Own => f.write_str("has an export of this site"),
            NotHeard::Nameless => f.write_str("has an export that does not name its site"),
        }
    }
}

/// The comment in an export of this site.
pub fn mark(site: &str) -> String {
    match site {
        "" => MARK.into(),
        site => format!("{MARK} at {site}"),
    }
}

impl Hearsay {
    /// Reads an open file from its beginning; `site` is this one, `now` in seconds since 1970.
    ///
    /// # Errors
    /// It is not heard.
    pub fn read(file: &File, site: &str, now: i64) -> Result<Hearsay, NotHeard> {
        let metadata = file.metadata().map_err(NotHeard::Io)?;
        if !metadata.is_file() {
            return Err(NotHeard::NoFile);
        }
        if let Some(how) = exposure_of(&metadata) {
            return Err(NotHeard::Exposed(how));
        }
        if metadata.len() > MOST_BYTES {
            return Err(NotHeard::TooLarge);
        }
        if metadata.mtime() < now.saturating_sub(OLD) {
            return Err(NotHeard::Old);
        }
        let mut file = file;
        file.rewind().map_err(NotHeard::Io)?;
        Hearsay::parse(BufReader::new(file.take(MOST_BYTES)), site)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is not heard.
    pub fn parse(mut text: impl BufRead, site: &str) -> Result<Hearsay, NotHeard> {
        let (mut gathering, mut bad) = (Gathering::default(), None);
        let mut line = Vec::with_capacity(LINE);
        let mut number = 0u64;
        while next(&mut text, &mut line).map_err(NotHeard::Io)? {
            number = number.saturating_add(1);
            let (entry, comment) = divide(&line);
            if let Some(not_heard) = comment.and_then(|comment| refusal(comment, site)) {
                return Err(not_heard);
            }
            if entry.is_empty() {
                continue;
            }
            let is_whole = comment.is_some() || line.ends_with(b"\n");
            let text = str::from_utf8(entry).ok().filter(|_| is_whole);
            let network = text.and_then(|text| Network::parse(text).ok());
            match network {
                Some(_) if gathering.len() == MOST_ENTRIES => return Err(NotHeard::TooMany),
                Some(network) => gathering.add(network),
                None => {
                    // A longer one has its end further on.
                    let is_cut = !is_whole && line.len() < LINE;
                    let first = bad.get_or_insert_with(|| Bad::new(number, entry, is_cut));
                    first.count = first.count.saturating_add(1);
                }
            }
        }
        Ok(Hearsay { networks: gathering.finish(), bad })
    }
}

/// Reads the next line, and cuts it short if it is too long; false at the end.
fn next(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = u64::try_from(LINE).unwrap_or(u64::MAX);
    if text.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    while line.last() != Some(&b'\n') {
        let rest = text.fill_buf()?;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let length = rest.len();
            text.consume(length);
            if length == 0 {
                break;
            }
            continue;
        };
        text.consume(end.saturating_add(1));
        break;
    }
    Ok(true)
}

/// The entry of a line without blanks around it, and the comment.
fn divide(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = line.splitn(2, |byte| *byte == b'#');
    let entry = parts.next().unwrap_or_default().trim_ascii();
    (entry, parts.next())
}

/// Why a file with this comment is not heard.
fn refusal(comment: &[u8], site: &str) -> Option<NotHeard> {
    let comment = String::from_utf8_lossy(comment);
    let (_, behind) = comment.split_once(MARK)?;
    match behind.trim_ascii().strip_prefix("at ") {
        None => Some(NotHeard::Nameless),
        Some(other) if other.trim_ascii().eq_ignore_ascii_case(site) => Some(NotHeard::Own),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{listed, text};
    use super::super::{Cause, Form, Settings};
    use super::*;

    const SITE: &str = "mx1.example.org";

    fn heard(text: &str) -> Result<Hearsay, String> {
        Hearsay::parse(text.as_bytes(), SITE).map_err(|why| why.to_string())
    }

    fn has(hearsay: &Hearsay, address: &str) -> bool {
        hearsay.networks.contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_and_networks_of_both_families_are_heard() {
        let text = "# a list\n192.0.2.1\n 198.51.100.0/24 # theirs\r\n\n2001:db8::/32\n\
                    198.51.100.7\n198.51.100.0/25\n::ffff:203.0.113.9\n2001:db8:1::1\n10/8\n";
        let hearsay = heard(text).unwrap();
        assert_eq!(hearsay.bad, None);
        for inside in ["192.0.2.1", "198.51.100.0", "198.51.100.255", "203.0.113.9", "10.1.2.3"] {
            assert!(has(&hearsay, inside), "{inside}");
        }
        assert!(has(&hearsay, "2001:db8:ffff::1") && has(&hearsay, "::ffff:192.0.2.1"));
        for outside in ["192.0.2.0", "192.0.2.2", "198.51.101.0", "2001:db9::1", "11.0.0.0"] {
            assert!(!has(&hearsay, outside), "{outside}");
        }
    }

    #[test]
    fn damaged_lines_are_skipped_and_counted() {
        let long = "7".repeat(5000);
        let text = format!("192.0.2.1\nnobody\x1b\n192.0.2.300\n{long}\n192.0.2.0/33\n192.0.2.2\n");
        let hearsay = heard(&text).unwrap();
        assert!(has(&hearsay, "192.0.2.1") && has(&hearsay, "192.0.2.2"));
        assert!(!has(&hearsay, "192.0.2.3"));
        let said = hearsay.bad.unwrap().to_string();
        assert_eq!(said, "4 lines skipped, the first is line 2: \"nobody\\033\"");
        let bytes = Hearsay::parse(&b"\xff\xfe\n192.0.2.1\n"[..], SITE).unwrap();
        assert!(has(&bytes, "192.0.2.1") && bytes.bad.unwrap().count == 1);
        assert_eq!(heard("").unwrap(), Hearsay::default());
    }

    /// A list that is cut off anywhere says nothing that the whole list does not say.
    #[test]
    fn half_a_line_is_skipped() {
        let list = "203.0.113.77\n198.51.100.0/24 # theirs\n2001:db8:4::/48\n";
        let whole = heard(list).unwrap();
        for end in 0..list.len() {
            let cut = heard(&list[..end]).unwrap();
            for other in ["203.0.113.7", "198.51.99.0", "198.0.0.1", "2001:db8::1", "2001:db8:5::1"]
            {
                assert!(!has(&cut, other), "{other}: {:?}", &list[..end]);
            }
            let count = list[..end].lines().count() as u64;
            let entries = ["203.0.113.77", "198.51.100.1", "2001:db8:4::1"];
            let known = entries.iter().filter(|entry| has(&cut, entry)).count() as u64;
            assert_eq!(known + cut.bad.map_or(0, |bad| bad.count), count, "{:?}", &list[..end]);
        }
        assert_eq!(whole.bad, None);
        let said = heard("192.0.2.1\n192.0.2.0/2").unwrap().bad.unwrap().to_string();
        assert_eq!(said, "1 line skipped, the first is line 2: \"192.0.2.0/2\" without a newline");
        let long = format!("192.0.2.1{}5\n", " ".repeat(LINE));
        let long = heard(&long).unwrap();
        assert!(!has(&long, "192.0.2.1") && !long.bad.unwrap().is_cut);
    }

    #[test]
    fn ones_own_export_is_refused_wherever_it_is() {
        let hosts = [listed("192.0.2.1", Cause::Hand), listed("2001:db8::1", Cause::Unknown)];
        for form in [Form::Plain, Form::Pf, Form::Spamd] {
            let written = |site| text(form, &hosts, &Settings { site, ..Settings::default() });
            let (own, other) = (written(SITE), written("mx2.example.org"));
            assert!(has(&heard(&other).unwrap(), "192.0.2.1"));
            for mixed in [own.clone(), format!("{other}{own}"), format!("{own}{other}")] {
                assert_eq!(heard(&mixed), Err("has an export of this site".into()), "{mixed}");
            }
            let shouted = own.replace(SITE, "MX1.Example.ORG").replace('\n', "\r\n");
            assert_eq!(heard(&shouted), Err("has an export of this site".into()));
            let nameless = "has an export that does not name its site";
            assert_eq!(heard(&written("")), Err(nameless.into()));
            let longer = written("mx1.example.org.example");
            assert!(heard(&longer).is_ok(), "another name that begins alike");
        }
        let behind = format!("192.0.2.1 # x {MARK} at {SITE}\n");
        assert_eq!(heard(&behind), Err("has an export of this site".into()));
    }

    #[test]
    fn too_many_entries_are_refused() {
        let line = |n: u32| format!("{}\n", std::net::Ipv4Addr::from_bits(n));
        let text: String = (0..1_000_000).map(line).collect();
        assert!(heard(&text).is_ok());
        assert_eq!(heard(&format!("{text}::1\n")), Err("more than 1000000 entries".into()));
    }
}
