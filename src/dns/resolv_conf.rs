//! resolv.conf(5). In: its text. Out: name servers, and how to ask them.
//!
//! It is read if greytrapper.conf names no server, before the process gives up access to the file system.
//! As in libc, lines that are not understood are ignored. The file stays open, so that a process that
//! cannot open files notices when it has changed ([`Watch`]).
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::mux::Transport;
use crate::errno::reason;

/// libc's ASR_MAXNS.
const MAX_SERVERS: usize = 5;
/// Its path.
pub const PATH: &str = "/etc/resolv.conf";

const DOMAIN: u16 = 53;

/// The part of resolv.conf that matters for mail domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers in order; the one on this machine if none is named, none if `lookup` does not
    /// include `bind`.
    pub servers: Vec<SocketAddr>,
    /// `options tcp`.
    pub transport: Transport,
}

/// An open resolv.conf, and its contents when it was read.
#[derive(Debug)]
pub struct Watch {
    file: File,
    conf: ResolvConf,
    seen: State,
    has_changed: bool,
}

/// What distinguishes two states of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// The time of its last change, in seconds and nanoseconds.
    changed: (i64, i64),
    length: u64,
    /// Whether it has a name. A file that is mounted over another may not have one from the beginning.
    is_named: bool,
}

/// The maximum number of bytes read from the file.
const LONGEST: usize = 1 << 16;

impl Watch {
    /// Opens and reads it.
    ///
    /// # Errors
    /// The file cannot be read; without it the system does not use DNS.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {}", path.display(), reason(&error)))
        };
        Self::open(path).map_err(named)
    }

    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let seen = State::of(&file)?;
        let mut text = Vec::new();
        file.by_ref().take(LONGEST as u64).read_to_end(&mut text)?;
        let conf = ResolvConf::parse(&text);
        Ok(Self { file, conf, seen, has_changed: false })
    }

    /// The contents of the file.
    pub fn conf(&self) -> &ResolvConf {
        &self.conf
    }

    /// Whether it now names other servers, or has been replaced by another file, which cannot be read here.
    /// False if the file cannot be checked, or is just being written.
    pub fn has_changed(&mut self) -> bool {
        let state = State::of(&self.file).unwrap_or(self.seen);
        if self.seen.is_named && !state.is_named {
            return true;
        }
        if state != self.seen {
            let mut text = vec![0; LONGEST];
            let length = self.file.read_at(&mut text, 0).unwrap_or(0);
            text.truncate(length);
            if !text.is_empty() {
                self.seen = state;
                self.has_changed = ResolvConf::parse(&text) != self.conf;
            }
        }
        self.has_changed
    }
}

impl State {
    fn of(file: &File) -> io::Result<Self> {
        let status = file.metadata()?;
        let changed = (status.mtime(), status.mtime_nsec());
        Ok(Self { changed, length: status.len(), is_named: status.nlink() > 0 })
    }
}

impl ResolvConf {
    /// Parses the text.
    pub fn parse(text: &[u8]) -> Self {
        let mut conf = Self { servers: Vec::new(), transport: Transport::Udp };
        let mut bind = true;
        for line in text.split(|b| *b == b'\n') {
            let line = line.split(|b| matches!(b, b'#' | b';')).next().unwrap_or_default();
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let words: [Option<&[u8]>; 10] = std::array::from_fn(|_| words.next());
            let has = |wanted: &[u8]| words[1..].contains(&Some(wanted));
            match words {
                [Some(b"nameserver"), Some(server), None, ..] => {
                    conf.servers.extend(parse_server(server));
                }
                [Some(b"lookup"), Some(_), ..] => bind = has(b"bind") || !has(b"file"),
                [Some(b"options"), ..] if has(b"tcp") => conf.transport = Transport::Tcp,
                // EDNS is always tried, with a fallback for servers that do not know it.
                _ => {}
            }
        }
        conf.servers.truncate(MAX_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push((IpAddr::from([127, 0, 0, 1]), DOMAIN).into());
        }
        if !bind {
            conf.servers.clear();
        }
        conf
    }
}

/// `ADDRESS`, `[ADDRESS]:PORT`, or `ADDRESS:PORT` (IPv4); an IPv6 address may have a `%scope`.
fn parse_server(word: &[u8]) -> Option<SocketAddr> {
    let word = std::str::from_utf8(word).ok()?;
    let (address, port) = match word.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, ""))) => (address, DOMAIN),
        Some(Some((address, port))) => (address, port.strip_prefix(':')?.parse().ok()?),
        Some(None) => return None,
        None => (word, DOMAIN),
    };
    match address.split_once('%') {
        Some((address, scope)) => {
            let scope = scope.parse().or_else(|_| nix::net::if_::if_nametoindex(scope)).ok()?;
            Some(SocketAddrV6::new(address.parse().ok()?, port, 0, scope).into())
        }
        None if port == DOMAIN && !word.starts_with('[') => {
            let bare = address.parse::<IpAddr>().map(|address| (address, DOMAIN).into());
            bare.or_else(|_| address.parse()).ok()
        }
        None => Some((address.parse::<IpAddr>().ok()?, port).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        ResolvConf::parse(text.as_bytes()).servers.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn servers_in_every_form() {
        let text = "nameserver 192.0.2.1\nnameserver\t2001:db8::1 # comment\n\
            nameserver [192.0.2.2]:5353\nnameserver [2001:db8::2]:5353\nnameserver fe80::1%3\n";
        let expected = [
            "192.0.2.1:53",
            "[2001:db8::1]:53",
            "192.0.2.2:5353",
            "[2001:db8::2]:5353",
            "[fe80::1%3]:53",
        ];
        assert_eq!(servers(text), expected);
        assert_eq!(servers("nameserver fe80::1%lo").len(), 1);
        assert_eq!(
            servers("nameserver [192.0.2.2]\nnameserver 192.0.2.3:54"),
            ["192.0.2.2:53", "192.0.2.3:54"]
        );
    }

    /// The defaults in resolv.conf(5); lines that are not understood are ignored as in asr.c.
    #[test]
    fn defaults_and_nonsense() {
        for text in [
            "",
            "nameserver\n",
            "nameserver 192.0.2.1 192.0.2.2",
            "nameserver 192.0.2",
            " ; nameserver 192.0.2.1",
            "nameserver [192.0.2.1",
            "nameserver [192.0.2.1]53",
            "nameserver \u{fffd}",
            "lookup bind file",
            "lookup",
            "options edns0 ndots:2",
        ] {
            let conf = ResolvConf::parse(text.as_bytes());
            assert_eq!(conf.transport, Transport::Udp);
            assert_eq!(servers(text), ["127.0.0.1:53"], "{text}");
        }
        assert_eq!(servers(&"nameserver 192.0.2.1\n".repeat(9)).len(), 5);
    }

    #[test]
    fn lookup_file_alone_means_no_dns() {
        assert_eq!(servers("nameserver 192.0.2.1\nlookup file"), [""; 0]);
        assert_eq!(servers("lookup file\nlookup file bind"), ["127.0.0.1:53"]);
    }

    #[test]
    fn options_tcp() {
        let conf = ResolvConf::parse(b"options edns0 tcp\nnameserver 192.0.2.1");
        assert_eq!(conf.transport, Transport::Tcp);
    }

    #[test]
    fn a_file_that_names_other_servers_or_is_replaced_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("nameserver 192.0.2.1\n");
        let mut watch = Watch::begin(&path).unwrap();
        assert!(!watch.has_changed());
        write("# a word more\nnameserver 192.0.2.1\n");
        assert!(!watch.has_changed(), "the same servers");
        write("");
        assert!(!watch.has_changed(), "not written yet");
        write("nameserver 192.0.2.22\n");
        assert!(watch.has_changed() && watch.has_changed());
        write("nameserver 192.0.2.1 # as before\n");
        assert!(!watch.has_changed());
        // As resolvd(8) does.
        let new = directory.path().join("resolv.conf.new");
        std::fs::write(&new, "nameserver 192.0.2.1\n").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(watch.has_changed());
    }

    /// The file was mounted over the system's, and then replaced at its origin: reading it again would
    /// never change anything.
    #[test]
    fn a_file_that_never_had_a_name_has_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let conf = ResolvConf::parse(b"nameserver 192.0.2.1");
        let seen = State::of(&file).unwrap();
        let mut watch = Watch { file, conf, seen, has_changed: false };
        assert!(!watch.has_changed());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Watch::begin(Path::new("/nonexistent/resolv.conf")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/resolv.conf: "), "{error}");
    }
}
