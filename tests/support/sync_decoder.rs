//! Decodes datagrams of spamd's sync according to libexec/spamd/sync.h: it shares nothing with the program,
//! not even HMAC (RFC 2104).

use sha1::{Digest, Sha1};
use std::net::Ipv4Addr;

/// A datagram taken to pieces.
#[derive(Debug, PartialEq)]
pub struct Message {
    pub counter: u32,
    pub entries: Vec<Entry>,
}

#[derive(Debug, PartialEq)]
pub enum Entry {
    Grey { timestamp: u32, address: Ipv4Addr, from: String, to: String, helo: String },
    White { timestamp: u32, expire: u32, address: Ipv4Addr },
    Trapped { timestamp: u32, expire: u32, address: Ipv4Addr },
}

/// The contents of a key file as the text that is the key of HMAC.
pub fn key_text(contents: &[u8]) -> String {
    Sha1::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes what spamd takes, and is stricter about what spamd does not look at.
pub fn decode(datagram: &[u8], key: &str) -> Result<Message, &'static str> {
    if datagram.len() < 36 || datagram.len() > 1408 {
        return Err("length");
    }
    if datagram[..2] != [2, 2] {
        return Err("version or family");
    }
    if usize::from(u16_at(datagram, 2)) != datagram.len() {
        return Err("announced length");
    }
    let mut unsigned = datagram.to_vec();
    unsigned[8..28].fill(0);
    if hmac(key.as_bytes(), &unsigned) != datagram[8..28] {
        return Err("signature");
    }
    if datagram[28..32] != [0; 4] {
        return Err("padding");
    }
    Ok(Message { counter: u32_at(datagram, 4), entries: entries(&datagram[32..])? })
}

fn entries(mut rest: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut entries = Vec::new();
    loop {
        if rest.len() < 4 {
            return Err("no end marker");
        }
        let (kind, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        if length < 4 || length > rest.len() {
            return Err("entry length");
        }
        let (entry, behind) = rest.split_at(length);
        entries.push(match (kind, length) {
            (0, 4) if behind.is_empty() => return Ok(entries),
            (0, _) => return Err("end marker"),
            (1, 18..) => grey(entry),
            (2, 16) => {
                let (timestamp, expire, address) = address(entry);
                Entry::White { timestamp, expire, address }
            }
            (3, 16) => {
                let (timestamp, expire, address) = address(entry);
                Entry::Trapped { timestamp, expire, address }
            }
            _ => return Err("entry"),
        });
        rest = behind;
    }
}

fn address(entry: &[u8]) -> (u32, u32, Ipv4Addr) {
    (u32_at(entry, 4), u32_at(entry, 8), u32_at(entry, 12).into())
}

fn grey(entry: &[u8]) -> Entry {
    let mut strings = entry[18..].split(|byte| *byte == 0);
    let mut text = || String::from_utf8(strings.next().unwrap().to_vec()).unwrap();
    let (from, to, helo) = (text(), text(), text());
    Entry::Grey { timestamp: u32_at(entry, 4), address: u32_at(entry, 8).into(), from, to, helo }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 20] {
    let padded = |pad: u8| (0..64).map(move |i| key.get(i).copied().unwrap_or(0) ^ pad);
    let digest = |pad: u8, text: &[u8]| -> [u8; 20] {
        Sha1::digest([&padded(pad).collect::<Vec<_>>(), text].concat()).into()
    };
    digest(0x5c, &digest(0x36, text))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}
