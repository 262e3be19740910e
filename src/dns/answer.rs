//! Interprets answers. In: the bytes of a message. Out: what it says about its own question.
//!
//! This is a pure function over bytes that strangers chose; the multiplexer calls it once it has recognized
//! a message as the answer to a question. The message bounds the work: two passes over its records, and at
//! most [`MAX_CHAIN`] CNAMEs compared with each other. Everything that is not a definite answer is a
//! [`Failure`].
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::net::IpAddr;

use domain::base::iana::{Class, OptRcode, Rcode};
use domain::base::message::RecordSection;
use domain::base::rdata::UnknownRecordData;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName, ParsedRecord, Rtype};
use domain::rdata::{A, Aaaa, Cname, Mx, Ptr, Soa};

use super::failure::Failure;
use super::name::Name;
use super::text::Texts;

/// The maximum number of CNAME records in an answer; real chains have a handful (unbound follows 11, BIND
/// 16).
pub const MAX_CHAIN: usize = 32;
/// The maximum number of addresses, PTR names or MX targets in an answer that are used.
pub const MAX_RECORDS: usize = 16;

/// A definite answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many seconds it may be kept: the smallest TTL of its records, or the time that the SOA record
    /// allows for a negative answer (RFC 2308 5), 0 without one.
    pub ttl: u32,
    /// Its content.
    pub data: Data,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// MX with targets, in the order of the records.
    Exchange(List<Name>),
    /// `MX 0 .` and nothing else (RFC 7505).
    NullExchange,
    /// A or AAAA.
    Addresses(List<IpAddr>),
    /// PTR.
    Names(List<Name>),
    /// TXT: SPF policies first, at most [`MAX_TEXTS`](super::text::MAX_TEXTS), each at most one octet
    /// longer than [`MAX_TEXT`](super::text::MAX_TEXT).
    Texts(List<Vec<u8>>),
    /// NS or any other type that was asked for.
    Other,
    /// The name exists, this type does not.
    NoData,
    /// The name, or the one at the end of its CNAME chain, does not exist.
    NxDomain,
}

impl Answer {
    /// Whether it is negative.
    pub fn is_denial(&self) -> bool {
        matches!(self.data, Data::NoData | Data::NxDomain)
    }
}

/// Some of several items, usually the first [`MAX_RECORDS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there were more.
    pub more: bool,
}

type Parsed<'a> = ParsedName<&'a [u8]>;
type Record<'a> = ParsedRecord<'a, [u8]>;

/// Reads the answer to the message's own question.
///
/// # Errors
/// The answer is not definite.
pub fn read(bytes: &[u8]) -> Result<Answer, Failure> {
    let message = Message::from_slice(bytes).map_err(|_| Failure::Malformed)?;
    let header = message.header();
    let rcode = header.rcode();
    if rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        return Err(Failure::Rcode(message.opt_rcode()));
    }
    // The part that was cut off might have been the answer.
    if header.tc() {
        return Err(Failure::Malformed);
    }
    let question = message.sole_question().map_err(malformed)?;
    let chain = Chain::follow(message, question.qname())?;
    match (chain.records(message, question.qtype())?, rcode) {
        (Some(answer), Rcode::NOERROR) => Ok(answer),
        (Some(_), _) => Err(Failure::Malformed),
        (None, rcode) => negative(message, rcode, chain.links),
    }
}

/// The chain of CNAME records that begins with the question's name (RFC 1034 3.6.2).
struct Chain<'a> {
    end: Parsed<'a>,
    links: usize,
    ttl: u32,
}

impl<'a> Chain<'a> {
    fn follow(message: &'a Message<[u8]>, start: &Parsed<'a>) -> Result<Self, Failure> {
        let mut aliases: Vec<(Parsed<'a>, Parsed<'a>, u32)> = Vec::new();
        for record in answers(message)? {
            let record = record.map_err(malformed)?;
            if record.rtype() == Rtype::CNAME && record.class() == Class::IN {
                if aliases.len() == MAX_CHAIN {
                    return Err(Failure::LongChain);
                }
                let target = rdata::<Cname<Parsed<'a>>>(&record)?.into_cname();
                aliases.push((record.owner(), target, record.ttl().as_secs()));
            }
        }
        let mut chain = Self { end: *start, links: 0, ttl: u32::MAX };
        while let Some((_, target, ttl)) = aliases.iter().find(|(owner, ..)| *owner == chain.end) {
            if chain.links == aliases.len() {
                return Err(Failure::CnameLoop);
            }
            chain.end = *target;
            chain.links = chain.links.saturating_add(1);
            chain.ttl = chain.ttl.min(*ttl);
        }
        Ok(chain)
    }

    /// The records of the requested type at the end of the chain.
    fn records(&self, message: &'a Message<[u8]>, rtype: Rtype) -> Result<Option<Answer>, Failure> {
        let mut gathered = Gathered::new(rtype);
        let mut ttl = self.ttl;
        for record in answers(message)? {
            let record = record.map_err(malformed)?;
            if record.rtype() == rtype && record.class() == Class::IN && record.owner() == self.end
            {
                gathered.add(&record)?;
                ttl = ttl.min(record.ttl().as_secs());
            }
        }
        Ok(gathered.finish()?.map(|data| Answer { ttl, data }))
    }
}

/// The records of one type at one name.
struct Gathered {
    rtype: Rtype,
    count: usize,
    preference: u16,
    addresses: Vec<IpAddr>,
    /// PTR names or MX targets.
    names: Vec<Name>,
    texts: Texts,
}

impl Gathered {
    fn new(rtype: Rtype) -> Self {
        let (addresses, names) = (Vec::new(), Vec::new());
        Self { rtype, count: 0, preference: 0, addresses, names, texts: Texts::default() }
    }

    fn add(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.count = self.count.saturating_add(1);
        let looked_at = self.count <= MAX_RECORDS;
        match self.rtype {
            Rtype::MX => {
                let mx = rdata::<Mx<Parsed<'_>>>(record)?;
                if !mx.exchange().is_root() && self.names.len() < MAX_RECORDS {
                    self.names.push(Name::from_parsed(mx.exchange()));
                }
                self.preference = mx.preference();
            }
            Rtype::A if looked_at => self.addresses.push(rdata::<A>(record)?.addr().into()),
            Rtype::AAAA if looked_at => self.addresses.push(rdata::<Aaaa>(record)?.addr().into()),
            Rtype::PTR if looked_at => {
                self.names.push(Name::from_parsed(rdata::<Ptr<Parsed<'_>>>(record)?.ptrdname()));
            }
            Rtype::TXT => {
                let data = rdata::<UnknownRecordData<&[u8]>>(record)?;
                self.texts.add(data.data()).ok_or(Failure::Malformed)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<Data>, Failure> {
        let more = self.count > MAX_RECORDS;
        Ok(Some(match (self.rtype, self.count) {
            (_, 0) => return Ok(None),
            (Rtype::MX, _) if !self.names.is_empty() => {
                Data::Exchange(List { items: self.names, more })
            }
            (Rtype::MX, 1) if self.preference == 0 => Data::NullExchange,
            (Rtype::MX, _) => return Err(Failure::OddNullMx),
            (Rtype::A | Rtype::AAAA, _) => Data::Addresses(List { items: self.addresses, more }),
            (Rtype::PTR, _) => Data::Names(List { items: self.names, more }),
            (Rtype::TXT, _) => Data::Texts(self.texts.finish()),
            _ => Data::Other,
        }))
    }
}

/// NXDOMAIN or NODATA, distinguished from a referral as in RFC 2308 2.1 and 2.2.
fn negative(message: &Message<[u8]>, rcode: Rcode, links: usize) -> Result<Answer, Failure> {
    // A denial by a server that neither is authoritative nor asks others means nothing (RFC 2308 2.2).
    // Positive answers are used anyway: some forwarders never say that they offer recursion.
    if !message.header().aa() && !message.header().ra() {
        return Err(Failure::Lame);
    }
    // The upper bits of the response code are in the OPT record (RFC 6891 6.1.3).
    message.additional().map_err(malformed)?.try_for_each(|r| r.map(drop)).map_err(malformed)?;
    let full = message.opt_rcode();
    if full != OptRcode::from_rcode(rcode) {
        return Err(Failure::Rcode(full));
    }
    let mut soa = None;
    let mut referral = false;
    for record in message.authority().map_err(malformed)? {
        let record = record.map_err(malformed)?;
        match record.rtype() {
            Rtype::SOA => {
                let minimum = rdata::<Soa<Parsed<'_>>>(&record)?.minimum();
                soa = Some(minimum.as_secs().min(record.ttl().as_secs()));
            }
            Rtype::NS => referral = true,
            _ => {}
        }
    }
    let data = match (rcode, soa) {
        (Rcode::NXDOMAIN, _) => Data::NxDomain,
        (_, None) if referral || (links > 0 && !message.header().ra()) => {
            return Err(Failure::Referral);
        }
        _ => Data::NoData,
    };
    Ok(Answer { ttl: soa.unwrap_or(0), data })
}

fn answers(message: &Message<[u8]>) -> Result<RecordSection<'_, [u8]>, Failure> {
    message.answer().map_err(malformed)
}

fn rdata<'a, D>(record: &Record<'a>) -> Result<D, Failure>
where
    D: domain::base::rdata::ParseRecordData<'a, [u8]>,
{
    match record.to_record::<D>() {
        Ok(Some(record)) => Ok(record.into_data()),
        _ => Err(Failure::Malformed),
    }
}

fn malformed(_: ParseError) -> Failure {
    Failure::Malformed
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The header of an answer with one question, then `question`'s name and type, then the rest.
    fn message(flags: [u8; 2], counts: [u8; 3], qname: &[u8], rtype: u16, rest: &[u8]) -> Vec<u8> {
        let [answers, authorities, others] = counts;
        let header = [7, 7, flags[0], flags[1], 0, 1, 0, answers, 0, authorities, 0, others];
        [&header[..], qname, &rtype.to_be_bytes(), &[0, 1], rest].concat()
    }

    const EXAMPLE: &[u8] = b"\x07example\0";
    const RECURSIVE: [u8; 2] = [0x81, 0x80];
    const ROOT_SOA: &[u8] = b"\0\0\x06\0\x01\0\0\x01\0\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\
        \0\0\0\x04\0\0\0\x2a";

    /// RFC 2308 5: the smaller of the SOA record's TTL, here 256, and its minimum, here 42.
    #[test]
    fn negative_answers_hold_as_long_as_the_soa_says() {
        let nodata = message(RECURSIVE, [0, 1, 0], EXAMPLE, 15, ROOT_SOA);
        assert_eq!(read(&nodata), Ok(Answer { ttl: 42, data: Data::NoData }));
        let mut shorter = nodata;
        let ttl = EXAMPLE.len() + 12 + 4 + 7;
        shorter[ttl + 1] = 3;
        shorter[ttl] = 0;
        assert_eq!(read(&shorter), Ok(Answer { ttl: 3, data: Data::NoData }));
        let bare = message([0x81, 0x83], [0, 0, 0], EXAMPLE, 15, &[]);
        assert_eq!(read(&bare), Ok(Answer { ttl: 0, data: Data::NxDomain }));
    }

    #[test]
    fn the_least_ttl_counts() {
        let records = b"\xc0\x0c\0\x0f\0\x01\0\0\0\x09\0\x05\0\x0a\x01a\0\
            \xc0\x0c\0\x0f\0\x01\0\0\0\x05\0\x05\0\x0a\x01b\0";
        let mx = message(RECURSIVE, [2, 0, 0], EXAMPLE, 15, records);
        let items = ['a', 'b'].map(|name| Name::from_octets(&[name as u8]).unwrap()).to_vec();
        let data = Data::Exchange(List { items, more: false });
        assert_eq!(read(&mx), Ok(Answer { ttl: 5, data }));
    }

    #[test]
    fn no_more_than_sixteen_addresses_are_kept() {
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04\x0a\0\0\x01";
        let read_many = |count: u8| {
            let records = record.repeat(usize::from(count));
            match read(&message(RECURSIVE, [count, 0, 0], EXAMPLE, 1, &records)).unwrap().data {
                Data::Addresses(list) => (list.items.len(), list.more),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((read_many(16), read_many(17)), ((16, false), (16, true)));
    }

    #[test]
    fn records_of_another_class_do_not_count() {
        let chaos = b"\xc0\x0c\0\x0f\0\x03\0\0\0\x09\0\x05\0\x0a\x01a\0";
        let mx = message(RECURSIVE, [1, 0, 0], EXAMPLE, 15, chaos);
        assert_eq!(read(&mx), Ok(Answer { ttl: 0, data: Data::NoData }));
    }

    #[test]
    fn a_truncated_or_lame_denial_is_none() {
        let denial = |flags| read(&message(flags, [0, 1, 0], EXAMPLE, 15, ROOT_SOA));
        assert_eq!(denial([0x83, 0x83]), Err(Failure::Malformed));
        assert_eq!(denial([0x81, 0x03]), Err(Failure::Lame));
        assert_eq!(denial([0x85, 0x03]), Ok(Answer { ttl: 42, data: Data::NxDomain }));
    }

    #[test]
    fn what_is_there_counts_without_the_recursion_flag() {
        let record = b"\xc0\x0c\0\x0f\0\x01\0\0\0\x09\0\x05\0\x0a\x01a\0";
        let mx = message([0x81, 0], [1, 0, 0], EXAMPLE, 15, record);
        let items = vec![Name::from_octets(b"a").unwrap()];
        let data = Data::Exchange(List { items, more: false });
        assert_eq!(read(&mx), Ok(Answer { ttl: 9, data }));
        assert_eq!(read(&message([0x81, 0], [0, 0, 0], EXAMPLE, 15, &[])), Err(Failure::Lame));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        /// A good answer with a changed octet after the header is read or refused; truncated anywhere, it
        /// is refused.
        #[test]
        fn damage_is_refused_or_read(at in 12_usize..46, octet: u8, length in 0_usize..46) {
            let record = b"\xc0\x0c\0\x0f\0\x01\0\0\0\x09\0\x05\0\x0a\x01a\0";
            let mut bytes = message(RECURSIVE, [1, 0, 0], EXAMPLE, 15, record);
            prop_assert!(read(&bytes[..length.min(bytes.len() - 1)]).is_err());
            if let Some(place) = bytes.get_mut(at) {
                *place = octet;
            }
            let _ = read(&bytes);
        }
    }
}
