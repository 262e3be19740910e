//! The fuzz targets: they take any bytes, and panic if a property is violated.
//!
//! The programs in `fuzz/fuzz_targets/` call them under libFuzzer, and `tests/library/fuzz_smoke.rs` on the
//! stable compiler with the checked-in corpus and its mutations. They check more than the absence of
//! panics: the input bounds the results, a sound file is still sound after a change, and printed text reads
//! back as the same value.

// Each program of the fuzzer takes one of them.
#![allow(dead_code)]

#[path = "disk.rs"]
#[allow(clippy::duplicate_mod, reason = "the tests have it too, the fuzzer's programs only here")]
mod disk;

use disk::Disk;
use greytrapper::config::{self, Config, Rules, Severity, Source};
use greytrapper::db::snapshot::{Condition, Snapshot, format_of};
use greytrapper::db::{
    ByteOrder, Damage, Engine, EngineError, Fault, Format, Record, btree as tree, hash as table,
};
use greytrapper::dns::answer::{self, Answer, Data, List, MAX_RECORDS};
use greytrapper::dns::exemption::{Claim, Inquiry};
use greytrapper::dns::failure::Failure;
use greytrapper::dns::identity::Ask;
use greytrapper::dns::name::Name;
use greytrapper::dns::spf::policy::Policy;
use greytrapper::dns::spf::{Check, Explain, SpfResult};
use greytrapper::dns::text::{MAX_TEXT, MAX_TEXTS};
use greytrapper::escape::escaped;
use greytrapper::scan::{Portion, Scan};
use greytrapper::spamd::{Address, Entry, Gdata, Tuple, listing};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A database of hash(3), or an empty file, which becomes one.
pub fn hash(image: &[u8]) {
    // What was only begun is an empty file, which is made anew.
    let is_begun = || Snapshot::new(image).is_ok_and(|snapshot| snapshot.page_size().is_none());
    match format_of(image) {
        Some(Format::Hash) if is_begun() => {}
        Some(Format::Hash) => {
            database(image, |file| Ok(Box::new(table::Writer::open(file)?)));
            restored(image, |file| table::Writer::restore(file, image).map(drop));
        }
        None if image.is_empty() => {
            database(image, |file| Ok(Box::new(table::Writer::create(file, 512)?)));
        }
        _ => {}
    }
}

/// A database of btree(3).
pub fn btree(image: &[u8]) {
    if format_of(image) == Some(Format::Btree) {
        database(image, |file| Ok(Box::new(tree::Writer::open(file)?)));
        restored(image, |file| tree::Writer::restore(file, image).map(drop));
    }
}

/// One record, then a scan. The input: a byte whose lowest bit is the byte order, the value's length,
/// the value, the key. The key's parts between NULs are the keys of the scan, all with the same value.
pub fn record(data: &[u8]) {
    let [order, length, rest @ ..] = data else { return };
    let order = if order & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    let Some((value, key)) = rest.split_at_checked((*length).into()) else { return };
    values_read_back(value, order);
    keys_read_back(key, value, order);
    listed_as_decoded(key, value, order);
    let shown = escaped(key).to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    scanned(key, value, order);
}

/// A configuration that names another: greytrapper.conf(5), a NUL, `more.conf`.
pub fn config(data: &[u8]) {
    let (first, more) = data.split_at(data.iter().position(|b| *b == 0).unwrap_or(data.len()));
    let texts = Texts { first, more: more.get(1..).unwrap_or_default() };
    match config::load(Some(Path::new(FIRST)), &[], &texts) {
        Ok(loaded) => {
            assert!(loaded.warnings.iter().all(|w| w.severity == Severity::Warning));
            assert_eq!(reloaded(&loaded.config), loaded.config);
        }
        Err(faults) => {
            assert!(faults.iter().any(|fault| fault.severity == Severity::Error));
            for line in faults.iter().map(ToString::to_string) {
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}

/// A message from a name server; the same bytes as the text of a domain.
pub fn dns_answer(data: &[u8]) {
    let answer = answer::read(data);
    if let Ok(answer) = &answer {
        answer_is_bounded(answer);
    }
    if let Some(scrambled) = scrambled(data) {
        assert_eq!(answer::read(&scrambled), answer, "the case of the question matters");
    }
    if let Ok(name) = Name::from_domain(data) {
        assert!(name.labels().all(|label| label.iter().all(|b| is_host_name_byte(*b))), "{name:?}");
        name_is_name(&name);
        assert_eq!(Name::from_domain(&name.text()), Ok(name));
    }
}

/// A sender, a HELO name, and policies, with NULs between them: each question about TXT is answered with the
/// next policy, others in ways that depend on their names.
pub fn spf(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let (sender, helo) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let policies: Vec<_> = parts.collect();
    for text in &policies {
        let spaced: Vec<u8> =
            text.iter().flat_map(|b| [*b, *b][..1 + usize::from(*b == b' ')].to_vec()).collect();
        if spaced.len() <= MAX_TEXT {
            assert_eq!(Policy::parse(text), Policy::parse(&spaced), "blanks matter");
        }
    }
    let host = if data.len().is_multiple_of(2) { HOST4.into() } else { HOST6.into() };
    let claim = Claim::new(host, helo, sender);
    let (mut check, asks) = Check::new(&claim, Explain::Yes);
    answered(asks, &policies, |number, answer| check.answered(number, answer));
    let report = check.end().expect("a result");
    assert!(report.terms <= 10 && report.voids <= 3, "{report:?}");
    let is_error = matches!(report.result, SpfResult::TempError | SpfResult::PermError);
    assert_eq!(report.problem.is_some(), is_error, "{report:?}");
    assert!(
        report.matched.is_none() || !is_error && report.result != SpfResult::None,
        "{report:?}"
    );
    let (mut inquiry, asks) = Inquiry::new(&claim);
    answered(asks, &policies, |number, answer| inquiry.answered(number, answer));
    assert!(inquiry.end().is_some());
}

const HOST4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);
const HOST6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Answers questions until there are no more, which must be soon.
fn answered(
    mut asks: Vec<Ask>,
    policies: &[&[u8]],
    mut answer: impl FnMut(usize, Result<&Answer, Failure>) -> Vec<Ask>,
) {
    let (mut asked, mut texts) = (0, policies.iter().cycle());
    while let Some(ask) = asks.pop() {
        asked += 1;
        assert!(asked <= 200, "{asked} questions");
        name_is_name(&ask.name);
        let found = found(&ask, texts.next().copied());
        asks.extend(answer(ask.number, found.as_ref().map_err(|failure| *failure)));
    }
}

fn found(ask: &Ask, text: Option<&[u8]>) -> Result<Answer, Failure> {
    let count = ask.name.wire().len();
    let one = |item: &str| item.parse().expect("address");
    let data = match (ask.rtype.to_int(), count % 5) {
        (16, _) => match text {
            Some(text) => Data::Texts(List { items: vec![text.to_vec()], more: false }),
            None => Data::NxDomain,
        },
        (_, 0) => return Err(Failure::Timeout),
        (_, 1) => Data::NoData,
        (15 | 12, _) => {
            let names =
                (0..count % 13).map(|n| [&b"abcdefghijklm"[n..=n], &ask.name.text()].join(&b'.'));
            let items: Vec<_> = names.filter_map(|name| Name::from_octets(&name).ok()).collect();
            let list = List { items, more: count.is_multiple_of(13) };
            if ask.rtype.to_int() == 15 { Data::Exchange(list) } else { Data::Names(list) }
        }
        (28, 2) => Data::Addresses(List { items: vec![one("2001:db8::1")], more: false }),
        (28, _) => Data::Addresses(List { items: vec![one("2001:db8::9")], more: true }),
        (_, 2) => Data::Addresses(List { items: vec![one("192.0.2.1")], more: false }),
        _ => Data::Addresses(List { items: vec![one("198.51.100.1")], more: false }),
    };
    Ok(Answer { ttl: 60, data })
}

/// No shorter key is too big for a page of any btree.
const BIG: usize = 200;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Open = fn(Disk) -> Result<Box<dyn Engine>, EngineError>;

/// Reads whatever there is of a database, and changes it if the checker finds no fault.
fn database(image: &[u8], open: Open) {
    let Ok(snapshot) = Snapshot::new(image) else { return };
    let (mut items, mut bytes) = (0_usize, 0);
    for record in snapshot.records() {
        items += 1;
        bytes += record.map_or(0, |record| record.key.len() + record.value.len());
    }
    assert!(items <= image.len() && bytes <= image.len(), "{items} items, {bytes} bytes");
    if faults(image).is_empty() {
        change(image, open);
    }
}

/// Restores what could have been left by a program that was killed: then it is sound, and has the same records.
fn restored(image: &[u8], restore: impl FnOnce(Disk) -> Result<(), EngineError>) {
    let Ok(snapshot) = Snapshot::new(image) else { return };
    if snapshot.condition(&mut |_| ()) != Condition::Leftover {
        return;
    }
    let left = snapshot.leftovers().unwrap().into_iter();
    let mut model = Model::new();
    for Record { key, value } in left {
        assert_eq!(model.insert(key.into_owned(), value.into_owned()), None, "a key twice");
    }
    let file = Disk::new(image.to_vec());
    match restore(file.clone()) {
        Err(EngineError::Refused(_)) => assert_eq!(file.bytes(), image),
        restored => {
            restored.unwrap();
            let after = file.bytes();
            assert_eq!(faults(&after), [], "not sound");
            require_same(&listed(&after).unwrap(), &model);
        }
    }
}

/// The faults that the checker reports, whose number the image bounds.
fn faults(image: &[u8]) -> Vec<Damage> {
    let mut faults = Vec::new();
    Snapshot::new(image).unwrap().check(&mut |damage| faults.push(damage));
    assert!(faults.len() <= 16 * (image.len() + 1), "{} faults", faults.len());
    faults
}

/// Writes as spamd and a trap do: existing keys, new ones, and some made from the input.
fn change(image: &[u8], open: Open) {
    let Some(mut model) = listed(image) else { return };
    // With big keys the checker could not tell whether those of internal pages were in order, and new
    // keys go where those lead.
    let big = model.keys().any(|key| key.len() > BIG) || has_chains(image);
    let file = Disk::new(image.to_vec());
    let mut engine = match open(file.clone()) {
        Err(EngineError::Refused(_)) => return,
        opened => opened.unwrap(),
    };
    for (at, (key, value)) in model.clone().into_iter().enumerate() {
        assert_eq!(engine.get(&key).unwrap(), Some(value), "{key:?}");
        match at % 3 {
            0 => put(engine.as_mut(), &mut model, &key, &[7; 32]),
            1 => assert!(engine.delete(&key).unwrap() && model.remove(&key).is_some()),
            _ => {}
        }
    }
    for at in 0..24_usize {
        put(engine.as_mut(), &mut model, format!("192.0.2.{at}").as_bytes(), &[9; 32]);
        let end = image.len() - at * 5 % (image.len() + 1);
        let made = &image[end.saturating_sub(1 + at * 7)..end];
        put(engine.as_mut(), &mut model, made, &[at as u8; 20]);
    }
    engine.close().unwrap();
    let after = file.bytes();
    let mut told = faults(&after);
    if big {
        told.retain(|damage| damage.fault != Fault::BadPage("keys out of order"));
    }
    assert_eq!(told, [], "no longer sound");
    require_same(&listed(&after).unwrap(), &model);
}

/// Tells only the keys in which they differ.
fn require_same(found: &Model, wanted: &Model) {
    let beyond = |some: &Model, others: &Model| -> Vec<String> {
        let differs = |(key, value): &(&Vec<u8>, &Vec<u8>)| others.get(*key) != Some(*value);
        some.iter().filter(differs).map(|(key, _)| escaped(key).to_string()).collect()
    };
    let (lost, new) = (beyond(wanted, found), beyond(found, wanted));
    assert!(
        lost.is_empty() && new.is_empty(),
        "lost or other: {lost:?}; made up or other: {new:?}"
    );
}

/// Whether a btree has overflow pages: a short key may be on one too.
fn has_chains(image: &[u8]) -> bool {
    let snapshot = Snapshot::new(image).unwrap();
    let Some(size) = snapshot.page_size() else { return false };
    // `flags` of the page's header, `P_OVERFLOW` (lib/libc/db/btree/btree.h)
    let is_chain = |page: &[u8]| snapshot.byte_order().u32_at(page, 12).is_some_and(|f| f & 4 != 0);
    image.chunks(size as usize).skip(1).any(is_chain)
}

/// A key that the format cannot store is refused, and nothing changes.
fn put(engine: &mut dyn Engine, model: &mut Model, key: &[u8], value: &[u8]) {
    match engine.put(key, value) {
        Ok(()) => _ = model.insert(key.to_vec(), value.to_vec()),
        Err(EngineError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The records by which a file without faults is judged; `None` if a key is there twice, as after an interrupted
/// split.
fn listed(image: &[u8]) -> Option<Model> {
    let snapshot = Snapshot::new(image).unwrap();
    let all: Result<Vec<_>, _> = snapshot.records().collect();
    let mut all = all.unwrap();
    // A scan meets the note of a batch that was cut short, which is no fault for the checker.
    if format_of(image) == Some(Format::Hash) {
        all = snapshot.read(|records| records.collect()).unwrap();
    }
    let count = all.len();
    let pairs = all.into_iter().map(|record| (record.key.into_owned(), record.value.into_owned()));
    let model: Model = pairs.collect();
    (model.len() == count).then_some(model)
}

fn values_read_back(value: &[u8], order: ByteOrder) {
    let Ok(data) = Gdata::decode(value, order) else {
        assert!(![Gdata::SIZE, Gdata::OLD_SIZE].contains(&value.len()));
        return;
    };
    for order in [ByteOrder::Little, ByteOrder::Big] {
        assert_eq!(Gdata::decode(&data.encode(order), order), Ok(data));
    }
    if value.len() == Gdata::SIZE {
        assert_eq!(data.encode(order), value);
    }
}

fn keys_read_back(key: &[u8], value: &[u8], order: ByteOrder) {
    match Entry::decode(key, value, order) {
        Ok((Entry::Grey(Tuple { address, helo, from, to }), _)) => {
            let key = until_nul(key);
            let four = [address, helo, from, to].join(&b'\n');
            let three = [address, from, to].join(&b'\n');
            assert!(key == four || (helo.is_empty() && key == three));
        }
        Ok((Entry::White(text) | Entry::Trapped(text) | Entry::Spamtrap(text), _)) => {
            assert!(text == until_nul(key) && !text.contains(&b'\n'));
        }
        Err(_) => {}
    }
}

/// A key as spamd's programs see it: as a C string.
fn until_nul(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// spamdb's line of a key begins with its kind and ends with its only newline, but for those in a
/// recipient.
fn listed_as_decoded(key: &[u8], value: &[u8], order: ByteOrder) {
    let mut line = Vec::new();
    let outcome = listing::append(&mut line, key, value, order);
    assert_eq!(outcome.is_ok(), line.ends_with(b"\n"));
    let decoded = Entry::decode(key, value, order);
    assert_eq!(outcome, decoded.map(drop));
    let Ok((entry, _)) = decoded else { return };
    let start = match entry {
        Entry::Grey(tuple) => {
            [b"GREY|", tuple.address, b"|", tuple.helo, b"|", tuple.from].concat()
        }
        Entry::White(text) => [b"WHITE|", text, b"|||"].concat(),
        Entry::Trapped(text) => [b"TRAPPED|", text, b"|"].concat(),
        Entry::Spamtrap(text) => [b"SPAMTRAP|", text, b"\n"].concat(),
    };
    assert!(line.starts_with(&start), "{}", escaped(&line));
}

/// A scan traps only hosts that it has seen, and only for their tuples.
fn scanned(keys: &[u8], value: &[u8], order: ByteOrder) {
    let records =
        || keys.split(|b| *b == 0).map(|key| Ok(Record { key: key.into(), value: value.into() }));
    let now = Gdata::decode(value, order).map_or(0, |data| data.expire.saturating_sub(1));
    let rules = Rules { identity: false, ..Rules::default() };
    let scan = Scan::begin(records(), order, now, &rules).unwrap();
    assert!(scan.domains().len() <= keys.len());
    for verdict in scan.finish(None).traps(Portion::All) {
        assert!(verdict.evidence.tuples().next().is_some());
        for tuple in verdict.evidence.tuples() {
            // Two spellings are one address.
            let address = Address::parse(tuple.address).unwrap();
            assert_eq!(address.ip().to_canonical(), verdict.address.ip().to_canonical());
            let [helo, from, to] = [tuple.helo, tuple.from, tuple.to].map(<[u8]>::len);
            assert!(helo + from + to <= keys.len());
        }
        let reason = verdict.reason;
        assert!(!reason.is_empty() && !reason.chars().any(char::is_control), "{reason:?}");
    }
}

const FIRST: &str = "greytrapper.conf";

/// The two texts of an input; there is nothing else.
struct Texts<'a> {
    first: &'a [u8],
    more: &'a [u8],
}

impl Source for Texts<'_> {
    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some(FIRST) => Ok(self.first.to_vec()),
            Some("more.conf") => Ok(self.more.to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_program(&self, _: &Path) -> bool {
        true
    }
}

fn reloaded(config: &Config) -> Config {
    let text = config.to_string();
    let texts = Texts { first: text.as_bytes(), more: &[] };
    match config::load(Some(Path::new(FIRST)), &[], &texts) {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{}\n{text}", faults[0]),
    }
}

fn answer_is_bounded(Answer { data, .. }: &Answer) {
    match data {
        Data::Addresses(list) => {
            assert!((1..=MAX_RECORDS).contains(&list.items.len()));
            assert!(!list.more || list.items.len() == MAX_RECORDS);
        }
        Data::Texts(list) => {
            assert!((1..=MAX_TEXTS).contains(&list.items.len()));
            assert!(list.items.iter().all(|text| text.len() <= MAX_TEXT + 1));
        }
        Data::Names(list) | Data::Exchange(list) => {
            assert!((1..=MAX_RECORDS).contains(&list.items.len()));
            list.items.iter().for_each(name_is_name);
        }
        _ => {}
    }
}

/// RFC 1035 2.3.4: labels of 1 to 63 octets, 255 in all, and the root at the end.
fn name_is_name(name: &Name) {
    assert!(name.wire().len() <= 255 && name.wire().ends_with(&[0]));
    let length: usize = name.labels().map(|label| 1 + label.len()).sum();
    assert_eq!(length + 1, name.wire().len());
    assert!(name.labels().all(|label| (1..=63).contains(&label.len())));
}

fn is_host_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

/// The message with the other case in the labels of its question, as 0x20 does it
/// (draft-vixie-dnsext-dns0x20); none if a label could be taken for a pointer.
fn scrambled(message: &[u8]) -> Option<Vec<u8>> {
    let mut scrambled = message.to_vec();
    let mut rest = scrambled.get_mut(12..)?;
    while let Some((&mut length @ 1..=63, tail)) = rest.split_first_mut() {
        let (label, after) = tail.split_at_mut_checked(length.into())?;
        for byte in label {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' => *byte ^= 0x20,
                0xc0.. => return None,
                _ => {}
            }
        }
        rest = after;
    }
    Some(scrambled)
}
