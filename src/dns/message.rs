//! Questions: builds messages in reused buffers, and recognizes their answers.
//!
//! The multiplexer calls both. An answer is ours if its question section is identical to the one that was
//! sent, including the case of letters (draft-vixie-dnsext-dns0x20); the id has been compared before, and
//! the address by connect(2). The content of the answer is not looked at here.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use domain::base::iana::{Class, Opcode};
use domain::base::{Message, MessageBuilder, Rtype};

use super::name::Name;
use super::random::Random;

/// The UDP payload size that we announce: it fits every path without fragments (DNS flag day 2020, RFC
/// 9715).
pub const UDP_PAYLOAD: u16 = 1232;
/// RFC 1035 4.1.1: octets of the header.
pub const HEADER: usize = 12;
/// RFC 1035 4.1.2: octets of a question's type and class.
const TYPE_AND_CLASS: usize = 4;

/// A question section with a single entry in wire format, with letters in random case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question(Box<[u8]>);

/// Whether a message announces EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edns {
    /// With an OPT record.
    On,
    /// Without one: some servers answer FORMERR otherwise.
    Off,
}

/// The kind of a datagram with the right id, by its header and question section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The answer to our question.
    Exact,
    /// The answer to our question, but from a server that changes the case of letters, or a forgery.
    Folded,
    /// An error without a question section, as sent by servers that do not know EDNS.
    NoQuestion,
    /// A question, or an answer to another operation.
    NoAnswer,
    /// The answer to another question.
    Other,
}

impl Question {
    /// `name` and `rtype` in class IN.
    pub fn new(name: &Name, rtype: Rtype) -> Self {
        let parts = [name.wire(), &rtype.to_int().to_be_bytes(), &Class::IN.to_int().to_be_bytes()];
        Self(parts.concat().into())
    }

    /// Gives each letter in the name a random case (draft-vixie-dnsext-dns0x20). Length octets are less
    /// than `A`; type and class may have any octets, and are left alone.
    pub fn scramble(&mut self, random: &mut Random) {
        let mut bits = 0_u64;
        let mut left = 0_u32;
        for byte in self.name_mut().iter_mut().filter(|b| b.is_ascii_alphabetic()) {
            if left == 0 {
                (bits, left) = (random.u64(), u64::BITS);
            }
            if bits & 1 == 1 {
                byte.make_ascii_uppercase();
            }
            bits >>= 1;
            left = left.saturating_sub(1);
        }
    }

    /// Changes the letters back to lower case.
    pub fn unscramble(&mut self) {
        self.name_mut().make_ascii_lowercase();
    }

    /// The section's bytes.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The type asked for.
    pub fn rtype(&self) -> Rtype {
        Rtype::from_int(self.tail())
    }

    /// Whether two questions are the same, ignoring case.
    pub fn same(&self, other: &Self) -> bool {
        self.is_folded(&other.0)
    }

    /// Writes the message to `buffer`, replacing its contents.
    pub fn write(&self, buffer: &mut Vec<u8>, id: u16, edns: Edns) {
        let mut target = std::mem::take(buffer);
        target.clear();
        if let Some(mut written) = self.build(target, id, edns) {
            std::mem::swap(buffer, &mut written);
        }
    }

    fn build(&self, target: Vec<u8>, id: u16, edns: Edns) -> Option<Vec<u8>> {
        let (name, _) = self.parts();
        let name = domain::base::Name::from_octets(name).ok()?;
        // Neither a Vec nor a single question can exceed the limits.
        let mut builder = MessageBuilder::from_target(target).ok()?;
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push((name, self.rtype())).ok()?;
        let mut additional = question.additional();
        if edns == Edns::On {
            additional
                .opt(|opt| {
                    opt.set_udp_payload_size(UDP_PAYLOAD);
                    Ok(())
                })
                .ok()?;
        }
        Some(additional.finish())
    }

    /// How `message` relates to this question; `None` if it is shorter than a header.
    pub fn compare(&self, message: &[u8]) -> Option<Match> {
        let parsed = Message::from_slice(message).ok()?;
        let (header, counts) = (parsed.header(), parsed.header_counts());
        if !header.qr() || header.opcode() != Opcode::QUERY {
            return Some(Match::NoAnswer);
        }
        if counts.qdcount() == 0 && message.len() <= HEADER.saturating_add(11) {
            return Some(Match::NoQuestion);
        }
        let echoed = message.get(HEADER..).and_then(|rest| rest.get(..self.0.len()));
        Some(match echoed {
            Some(echoed) if counts.qdcount() == 1 && *echoed == *self.0 => Match::Exact,
            Some(echoed) if counts.qdcount() == 1 && self.is_folded(echoed) => Match::Folded,
            _ => Match::Other,
        })
    }

    /// Whether `section` differs from this one at most in the case of the name's letters.
    fn is_folded(&self, section: &[u8]) -> bool {
        let ((name, rest), (other, others)) = (self.parts(), split(section));
        name.eq_ignore_ascii_case(other) && rest == others
    }

    /// The name, and the type and class after it.
    fn parts(&self) -> (&[u8], &[u8]) {
        split(&self.0)
    }

    fn name_mut(&mut self) -> &mut [u8] {
        let length = self.0.len().saturating_sub(TYPE_AND_CLASS);
        self.0.get_mut(..length).unwrap_or_default()
    }

    fn tail(&self) -> u16 {
        match self.parts() {
            (_, [high, low, ..]) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }
}

/// The name in a question section, and the type and class after it.
fn split(section: &[u8]) -> (&[u8], &[u8]) {
    section.split_at_checked(section.len().saturating_sub(TYPE_AND_CLASS)).unwrap_or_default()
}

/// The id of a message, which tells which question it may answer.
pub fn id(message: &[u8]) -> Option<u16> {
    message.first_chunk().map(|id| u16::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str) -> Question {
        Question::new(&Name::from_domain(name.as_bytes()).unwrap(), Rtype::MX)
    }

    /// RFC 1035 4.1.1 and 4.1.2, RFC 6891 6.1.2, written out by hand.
    #[test]
    fn a_query_is_as_the_rfcs_say() {
        let mut buffer = vec![0xee; 5];
        question("example.com").write(&mut buffer, 0x1234, Edns::On);
        let expected = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\x0f\0\x01\
            \0\0\x29\x04\xd0\0\0\0\0\0\0";
        assert_eq!(buffer, expected);
        question("example.com").write(&mut buffer, 7, Edns::Off);
        assert_eq!(buffer, b"\0\x07\x01\x00\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x0f\0\x01");
    }

    #[test]
    fn the_case_is_random_and_the_question_stays_the_same() {
        let mut random = Random::new().unwrap();
        let plain = question(&format!("{0}.{0}", "abcdefghij".repeat(6)));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20 {
            let mut one = plain.clone();
            one.scramble(&mut random);
            assert!(one.same(&plain));
            assert_eq!(one.rtype(), Rtype::MX);
            seen.insert(one.wire().to_vec());
            one.unscramble();
            assert_eq!(one, plain);
        }
        assert_eq!(seen.len(), 20);
    }

    /// Type 65, HTTPS, is `A` as an octet, type 97 `a`: neither is a letter.
    #[test]
    fn a_type_that_looks_like_a_letter_is_left_alone() {
        let mut random = Random::new().unwrap();
        let name = Name::from_domain(b"example.com").unwrap();
        let of = |rtype: u16| Question::new(&name, Rtype::from_int(rtype));
        let mut lower = of(97);
        for _ in 0..20 {
            lower.scramble(&mut random);
            assert_eq!(lower.rtype(), Rtype::from_int(97));
        }
        let mut upper = of(65);
        upper.unscramble();
        assert_eq!(upper.rtype(), Rtype::from_int(65));
        assert!(!upper.same(&of(97)));
        let mut reply = Vec::new();
        upper.write(&mut reply, 1, Edns::Off);
        reply[2] |= 0x80;
        assert_eq!(upper.compare(&reply), Some(Match::Exact));
        assert_eq!(of(97).compare(&reply), Some(Match::Other));
    }

    #[test]
    fn only_the_same_bytes_are_our_question() {
        let mut sent = question("example.com");
        sent.0[1] = b'E';
        let mut reply = Vec::new();
        sent.write(&mut reply, 1, Edns::Off);
        assert_eq!(sent.compare(&reply), Some(Match::NoAnswer));
        reply[2] |= 0x80;
        assert_eq!(sent.compare(&reply), Some(Match::Exact));
        assert_eq!(question("example.com").compare(&reply), Some(Match::Folded));
        assert_eq!(question("example.net").compare(&reply), Some(Match::Other));
        let other = Question::new(&Name::from_domain(b"example.com").unwrap(), Rtype::A);
        assert_eq!(other.compare(&reply), Some(Match::Other));
        for length in HEADER + 1..reply.len() {
            assert_eq!(sent.compare(&reply[..length]), Some(Match::Other));
        }
        assert_eq!(sent.compare(&reply[..11]), None);
        reply[5] = 2;
        assert_eq!(sent.compare(&reply), Some(Match::Other));
        reply[5] = 0;
        assert_eq!(sent.compare(&reply[..12]), Some(Match::NoQuestion));
        reply[2] |= 0x28;
        assert_eq!(sent.compare(&reply), Some(Match::NoAnswer));
    }
}
