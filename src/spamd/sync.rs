//! spamd(8)'s sync messages: traps in, datagrams out, no socket.
//!
//! One datagram, at most [`MAX_DATAGRAM`] bytes (`sync_addr()` in libexec/spamd/sync.c, the structures
//! and numbers in sync.h). Numbers are in network byte order.
//!
//! | at | bytes | field of sync.h | holds |
//! |---|---|---|---|
//! | 0 | 1 | `sh_version` | 2 |
//! | 1 | 1 | `sh_af` | AF_INET, 2: the protocol has no other |
//! | 2 | 2 | `sh_length` | of the whole datagram |
//! | 4 | 4 | `sh_counter` | datagrams before this one; not checked |
//! | 8 | 20 | `sh_hmac` | HMAC-SHA1 of the whole datagram with these bytes zero |
//! | 28 | 4 | `sh_pad` | 0 |
//! | 32 | 16 each | `spam_synctlv_addr` | type 3 and length 16 (2 bytes each), timestamp, expiry, address |
//! | last 4 | 4 | `spam_synctlv_hdr` | type 0 and length 4: the end |
//!
//! spamd itself puts one entry into a datagram but takes any number (`sync_recv()`).
#![forbid(unsafe_code)]

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::io::{self, Read};
use std::net::IpAddr;

/// The longest datagram that spamd reads, in bytes (SPAM_SYNC_MAXSIZE).
pub const MAX_DATAGRAM: usize = 1408;

/// SPAM_SYNC_VERSION.
const VERSION: u8 = 2;
/// AF_INET, which is the same number on all systems.
const AF_INET: u8 = 2;
/// `sizeof(struct spam_synchdr)`.
const HEADER: usize = 32;
/// Where `sh_hmac` begins, and its length (SPAM_SYNC_HMAC_LEN).
const HMAC: (usize, usize) = (8, 20);
/// `sizeof(struct spam_synctlv_addr)`.
const ENTRY: usize = 16;
/// `sizeof(struct spam_synctlv_hdr)`.
const END: usize = 4;
/// Entries that fit into one datagram.
const ENTRIES: usize = (MAX_DATAGRAM - HEADER - END) / ENTRY;
/// Type and length of a trapped host's entry (SPAM_SYNC_TRAPPED).
const TRAPPED: u32 = 0x0003_0010;
/// Type and length of the last entry (SPAM_SYNC_END).
const LAST: u32 = 0x0000_0004;

/// A trap to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// The trapped host. Only IPv4 can be sent.
    pub address: IpAddr,
    /// When the trap was made, in seconds since 1970. spamd sends it and ignores it.
    pub start: i64,
    /// When it ends, in seconds since 1970.
    pub expire: i64,
}

/// What signs the datagrams: the SHA-1 of the key file, as forty lower-case hexadecimal digits, not as
/// twenty bytes (`sync_init()` hands SHA1File(3)'s text to HMAC).
///
/// Kept as a block of SHA-1, padded with zeros as in HMAC (RFC 2104 section 2).
pub struct Key([u8; 64]);

impl Key {
    /// The empty key, for hosts without a shared key.
    pub fn none() -> Self {
        Key([0; 64])
    }

    /// The key made from the contents of a file.
    ///
    /// # Errors
    /// The contents cannot be read.
    pub fn read(mut contents: impl Read) -> io::Result<Self> {
        let (mut sha1, mut buffer) = (Sha1::new(), [0; 4096]);
        loop {
            match contents.read(&mut buffer)? {
                0 => return Ok(Self::of_digest(&sha1.finalize())),
                length => sha1.update(&buffer[..length]),
            }
        }
    }

    fn of_digest(digest: &[u8]) -> Self {
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let mut block = [0; 64];
        for (place, digit) in block.iter_mut().zip(digits) {
            *place = b"0123456789abcdef"[usize::from(digit)];
        }
        Key(block)
    }
}

/// Makes datagrams and counts them.
pub struct Encoder {
    keyed: Hmac<Sha1>,
    counter: u32,
}

impl Encoder {
    /// Signs with `key` and counts from 0, as spamd does when it starts.
    pub fn new(key: &Key) -> Self {
        Self { keyed: Hmac::new(&key.0.into()), counter: 0 }
    }

    /// The datagrams for `traps`, in the same order; IPv6 addresses are left out.
    pub fn datagrams(&mut self, traps: &[Trap]) -> Vec<Vec<u8>> {
        let entries: Vec<_> = traps.iter().filter_map(entry).collect();
        entries.chunks(ENTRIES).map(|entries| self.datagram(entries)).collect()
    }

    /// Takes at most [`ENTRIES`] entries, so that the length fits in 16 bits.
    fn datagram(&mut self, entries: &[[[u8; 4]; 4]]) -> Vec<u8> {
        let length = HEADER + entries.len() * ENTRY + END;
        let mut datagram = vec![0; HEADER];
        datagram[..2].copy_from_slice(&[VERSION, AF_INET]);
        datagram[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        datagram[4..8].copy_from_slice(&self.counter.to_be_bytes());
        datagram.extend_from_slice(entries.as_flattened().as_flattened());
        datagram.extend_from_slice(&LAST.to_be_bytes());
        let hmac = self.keyed.clone().chain_update(&datagram).finalize().into_bytes();
        datagram[HMAC.0..HMAC.0 + HMAC.1].copy_from_slice(&hmac);
        self.counter = self.counter.wrapping_add(1);
        datagram
    }
}

fn entry(trap: &Trap) -> Option<[[u8; 4]; 4]> {
    let IpAddr::V4(address) = trap.address else { return None };
    let words = [TRAPPED, seconds(trap.start), seconds(trap.expire), address.to_bits()];
    Some(words.map(u32::to_be_bytes))
}

/// Seconds since 1970 in the protocol's form: unsigned, until 2106. Times beyond become the nearest
/// possible value.
fn seconds(time: i64) -> u32 {
    u32::try_from(time).unwrap_or(if time < 0 { 0 } else { u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traps(count: u32) -> Vec<Trap> {
        let address = |n: u32| IpAddr::V4((0xc000_0200 + n).into());
        (0..count).map(|n| Trap { address: address(n), start: 1, expire: 2 }).collect()
    }

    fn encoder() -> Encoder {
        Encoder::new(&Key::none())
    }

    fn lengths(count: u32) -> Vec<usize> {
        encoder().datagrams(&traps(count)).iter().map(Vec::len).collect()
    }

    /// FIPS 180's example, "abc".
    #[test]
    fn the_key_is_the_digest_as_text() {
        let key = Key::read(&b"abc"[..]).unwrap();
        assert_eq!(key.0[..40], *b"a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(key.0[40..], [0; 24]);
    }

    #[test]
    fn a_long_key_file_is_read_to_its_end() {
        let key = Key::read(io::repeat(b'a').take(1_000_000)).unwrap();
        assert_eq!(key.0[..40], *b"34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    #[test]
    fn a_datagram_is_filled_before_the_next_is_begun() {
        assert!(lengths(0).is_empty());
        assert_eq!(lengths(1), [52]);
        assert_eq!(lengths(85), [1396]);
        assert_eq!(lengths(86), [1396, 52]);
        assert_eq!(lengths(171), [1396, 1396, 52]);
    }

    #[test]
    fn the_counter_counts_datagrams_and_starts_again() {
        let mut encoder = encoder();
        encoder.counter = u32::MAX;
        let datagrams = encoder.datagrams(&traps(86));
        assert_eq!([&datagrams[0][4..8], &datagrams[1][4..8]], [[0xff; 4], [0; 4]]);
    }

    #[test]
    fn times_beyond_the_protocol_are_its_first_and_last() {
        let trap = Trap { address: [192, 0, 2, 1].into(), start: -1, expire: 1 << 32 };
        let datagram = &encoder().datagrams(&[trap])[0];
        assert_eq!(datagram[36..44], [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn ipv6_is_left_out_and_mapped_addresses_with_it() {
        let mut some = traps(2);
        for address in ["2001:db8::1", "::ffff:192.0.2.1"] {
            some.insert(1, Trap { address: address.parse().unwrap(), ..some[0] });
        }
        assert_eq!(encoder().datagrams(&some), encoder().datagrams(&traps(2)));
        assert!(encoder().datagrams(&some[1..3]).is_empty());
    }
}
