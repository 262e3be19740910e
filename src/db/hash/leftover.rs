//! The state in which libc leaves a table when its process is killed between two writes, or meets a full
//! disk: distinguishes it from damage, and reads it.
//!
//! libc writes pages in the order of their last use, then the header, and at the end the bitmaps
//! (`hdestroy()` in lib/libc/db/hash/hash.c); if it cannot write a page, it still writes the header. Each
//! write is of one page, so whichever was the last, every page is sound in itself, and only pages may
//! contradict each other:
//!
//! | what is left | why |
//! |---|---|
//! | pages that belong to no bucket yet and are not empty | a split, but the header was not written |
//! | links to pages that do not exist yet, or are not marked as in use | the same with an overflow page |
//! | a bucket or a linked page is beyond the end of the file, a hole, or truncated | the disk was full |
//! | keys that belong in a bucket without a page, or that are there too | the same, after a split |
//! | a page shared by two chains, keys of another bucket on it, big pairs without an end | a page that was freed and reused has its old contents |
//!
//! Everything else is damage: above all a page that contradicts itself, and a key in the wrong bucket while
//! its own bucket is complete but does not have it.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::commit::ancestor;
use super::header::{Header, generation, hash, split_address};
use super::note::Note;
use super::read::Table;
use super::sound::{WRONG_BUCKET, require_account};
use super::walk::{Chain, Place, Source};
use crate::db::{Damage, Fault, Record};
use std::collections::{HashMap, HashSet};

/// How many buckets may lack their page and their records; if there are more, the file was truncated.
const MOST_UNWRITTEN: usize = 4;
/// How many buckets may lack their page if the records of some are still where they were before the split.
const MOST_UNSPLIT: usize = 64;
/// How near to the end of the file a hole must be: it is a page from the last session.
const MOST_NEW: usize = 32;
/// How far beyond the last overflow page a link may lead: a session does not make more.
const MOST_AHEAD: u32 = 256;

/// The contents of a table once it is repaired.
#[derive(Debug)]
pub struct Leftovers<'a> {
    /// The contents of each bucket.
    pub buckets: Vec<Contents<'a>>,
    /// Pages that belong to no bucket yet and are not empty.
    pub unmade: Vec<u32>,
    /// The addresses of all pages on chains.
    pub linked: Vec<u16>,
}

/// The contents of a bucket.
#[derive(Debug, Default)]
pub struct Contents<'a> {
    /// Its records, each key once.
    pub records: Vec<Record<'a>>,
    /// Whether its chain is sound.
    pub sound: bool,
    /// Whether some records were found elsewhere.
    pub gains: bool,
    /// The overflow pages of its chain.
    pub addresses: Vec<u16>,
}

/// A chain as it was found.
#[derive(Debug, Default)]
struct Found<'a> {
    nodes: Vec<Node<'a>>,
    /// Each record, and its page.
    records: Vec<(Record<'a>, usize)>,
    /// Whether a page is missing.
    broken: bool,
    /// A fault that a page with old contents would explain.
    flaw: Option<Damage>,
}

#[derive(Clone, Copy, Debug)]
struct Node<'a> {
    place: Place<'a>,
    address: Option<u16>,
    /// Whether it may be unused, and have old contents.
    doubtful: bool,
}

impl<'a> Table<'a> {
    /// The contents of a table that was left in this state.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn leftovers(&self) -> Result<Leftovers<'a>, Damage> {
        let mut survey = Survey::new(self)?;
        for bucket in 0..=self.header.max_bucket {
            let found = survey.chain(bucket)?;
            survey.chains.push(found);
        }
        survey.settle()
    }
}

/// All chains, and what they share.
struct Survey<'s, 'a> {
    table: &'s Table<'a>,
    /// The bitmap pages in the file.
    maps: Vec<Option<&'a [u8]>>,
    /// Their numbers.
    map_pages: Vec<u32>,
    chains: Vec<Found<'a>>,
    /// The number of buckets without a page.
    unwritten: usize,
    /// How many more pages may be visited.
    budget: usize,
}

impl<'s, 'a> Survey<'s, 'a> {
    fn new(table: &'s Table<'a>) -> Result<Self, Damage> {
        let header = &table.header;
        if let Some(fault) = header.faults().next() {
            return Err(fault.on(0));
        }
        let (mut maps, mut map_pages) = (Vec::new(), Vec::new());
        for map in 0..header.maps() {
            let page = header.map_page(map).map_err(|fault| fault.on(0))?.page;
            map_pages.push(page);
            maps.push(if table.is_written(page) { Some(table.map(map)?) } else { None });
        }
        let pages = table.image.len().wrapping_shr(header.bshift);
        let budget = pages.saturating_mul(4).saturating_add(4096);
        Ok(Survey { table, maps, map_pages, chains: Vec::new(), unwritten: 0, budget })
    }

    /// The pages of a bucket, and their contents.
    fn chain(&mut self, bucket: u32) -> Result<Found<'a>, Damage> {
        let header = &self.table.header;
        let number = header.bucket_page(bucket);
        let is_first = bucket < header.first_buckets();
        let place = match self.table.written(number) {
            // libc makes a page of it when it reads it.
            Err(Damage { fault: Fault::Hole, .. }) if is_first => None,
            place => place?,
        };
        let Some(place) = place else {
            if !is_first {
                self.unwritten = self.unwritten.saturating_add(1);
            }
            let last = self.table.image.len().wrapping_shr(header.bshift);
            let is_new = (number as usize).saturating_add(MOST_NEW) > last;
            let unfinished = Note::decode(self.table.image).is_some();
            if !is_first && !is_new && !unfinished {
                return Err(Fault::Hole.on(number));
            }
            if self.unwritten > MOST_UNSPLIT && !unfinished {
                return Err(Fault::BeyondEnd.on(number));
            }
            // A page of zeros is as good as an empty one there, but not part of one.
            let broken = !is_first || self.table.filled(number);
            return Ok(Found { broken, ..Found::default() });
        };
        let mut found = Found::default();
        found.nodes.push(Node { place, address: None, doubtful: false });
        self.follow(&mut found)?;
        read(&mut found)?;
        Ok(found)
    }

    /// The same for a page that the header does not know, which may be that of a bucket.
    fn later_chain(&mut self, number: u32, is_bucket: bool) -> Result<Found<'a>, Damage> {
        let mut found = Found { broken: !is_bucket, ..Found::default() };
        // A truncated page means nothing, and a part of a big pair no more.
        let place = self.table.written(number)?;
        let Some(place) = place.filter(|place| place.page.big_mark().is_none()) else {
            return Ok(found);
        };
        found.nodes.push(Node { place, address: None, doubtful: false });
        if is_bucket {
            // Where this leads nowhere, the chain ends.
            let _broken = self.follow(&mut found);
        }
        read(&mut found)?;
        Ok(found)
    }

    /// Follows the pages after a bucket's own, as far as they are there.
    fn follow(&mut self, found: &mut Found<'a>) -> Result<(), Damage> {
        while let Some(last) = found.nodes.last()
            && let Some(address) = last.place.page.next()
        {
            let from = last.place.number;
            self.budget = self.budget.checked_sub(1).ok_or(Fault::Loop.on(from))?;
            let target = self.table.header.reach(address).ok_or(Fault::BadLink.on(from))?;
            let Some((number, made)) = target else {
                found.broken = true;
                return Ok(());
            };
            let looped = found.nodes.iter().any(|node| node.address == Some(address));
            let place = if looped { None } else { self.table.written(number)? };
            let Some(place) = place else {
                found.broken = true;
                return Ok(());
            };
            if self.map_pages.contains(&number) {
                return Err(Fault::BadLink.on(from));
            }
            let doubtful = !made || !self.is_marked(address);
            found.nodes.push(Node { place, address: Some(address), doubtful });
        }
        Ok(())
    }

    /// Whether a page is marked as in use.
    fn is_marked(&self, address: u16) -> bool {
        let header = &self.table.header;
        header.overflow_page(address).is_some_and(|overflow| {
            let bit = header.bit_of(overflow.ordinal);
            let map = self.maps.get(bit.map).copied().flatten();
            map.is_some_and(|map| header.is_set(map, bit.bit))
        })
    }

    /// Whether there is evidence of an unfinished session, other than what a wrong link or key would cause.
    fn is_evident(&self) -> bool {
        let left = |found: &Found<'_>| found.broken || found.nodes.iter().any(|n| n.doubtful);
        self.unwritten > 0
            || self.chains.iter().any(left)
            || self.table.filled_unmade().next().is_some()
    }

    /// Determines the contents of each bucket.
    fn settle(mut self) -> Result<Leftovers<'a>, Damage> {
        let header = &self.table.header;
        let shared = shared(&self.chains);
        let home = |record: &Record<'_>| header.bucket_of(hash(&record.key));
        let mut present = HashSet::new();
        let mut buckets: Vec<Contents<'a>> = Vec::with_capacity(self.chains.len());
        for (found, bucket) in self.chains.iter().zip(0_u32..) {
            let addresses: Vec<u16> = found.nodes.iter().filter_map(|node| node.address).collect();
            let doubtful = |node: &Node<'_>| node.doubtful || is_shared(&shared, node);
            let mut sound = !found.broken && !found.nodes.iter().any(doubtful);
            let mut records = Vec::new();
            for (record, _) in found.records.iter().filter(|(record, _)| home(record) == bucket) {
                if present.insert(record.key.clone()) {
                    records.push(record.clone());
                } else {
                    sound = false;
                }
            }
            sound &= records.len() == found.records.len() && found.flaw.is_none();
            buckets.push(Contents { records, sound, gains: false, addresses });
        }
        let note = Note::decode(self.table.image);
        let unfinished = note.is_some();
        let evident = unfinished || self.is_evident();
        let mut unsplit = false;
        for (found, bucket) in self.chains.iter().zip(0_u32..) {
            let first = found.nodes.iter().position(|n| n.doubtful || is_shared(&shared, n));
            if let Some(damage) = found.flaw.filter(|_| first.is_none() && !found.broken) {
                return Err(damage);
            }
            // No single wrong bit does that to a page.
            let is_foreign = |at: usize| {
                let here = || found.records.iter().filter(|(_, page)| *page == at);
                at > 0
                    && (evident || here().count() > 1)
                    && here().all(|(record, _)| home(record) != bucket)
            };
            for (record, at) in found.records.iter().filter(|(record, _)| home(record) != bucket) {
                if present.contains(&record.key) {
                    continue;
                }
                let to = home(record);
                let lacks = self.chains.get(to as usize).is_none_or(|found| found.broken);
                let is_old = first.is_some_and(|first| first <= *at);
                let by_split = lacks || (evident && ancestor(to, bucket) == bucket);
                if is_old && !unfinished && !by_split && !is_shared_at(&shared, found, *at) {
                    // The contents from before the page was allocated.
                    continue;
                }
                if !unfinished && !by_split && !is_old && !is_foreign(*at) {
                    let page = found.nodes.get(*at).map_or(0, |node| node.place.number);
                    return Err(WRONG_BUCKET.on(page));
                }
                present.insert(record.key.clone());
                unsplit |= lacks;
                gain(&mut buckets, to, record.clone());
            }
        }
        if self.unwritten > MOST_UNWRITTEN && !unsplit && !unfinished {
            return Err(Fault::BeyondEnd.on(header.bucket_page(header.max_bucket)));
        }
        let mut unmade = Vec::new();
        let doubled = header.max_bucket.saturating_mul(2).saturating_add(1);
        let later = self.table.later_places(note.map_or(0, |note| note.to).max(doubled));
        let is_named = |bucket: u32| note.is_some_and(|note| bucket <= note.to);
        for (number, _) in self.table.filled_unmade() {
            unmade.push(number);
            let bucket = later.get(&number).copied();
            let found = match self.later_chain(number, bucket.is_some()) {
                // A page that our writer has written only in part has nothing that is not elsewhere.
                Err(_) if bucket.is_some_and(is_named) => continue,
                found => found?,
            };
            // Further pages may have been used anew, and have what they had before.
            let belongs = |record: &Record<'_>, at: usize| {
                at == 0 || bucket.is_some_and(|bucket| is_of_later(bucket, &record.key))
            };
            let (mut gains, tail) = (None, found.nodes.iter().filter_map(|node| node.address));
            for (record, at) in found.records {
                if belongs(&record, at) && present.insert(record.key.clone()) {
                    let to = home(&record);
                    gain(&mut buckets, to, record);
                    gains = Some(to);
                }
            }
            // They are not given out before what they have is elsewhere.
            if let Some(contents) = gains.and_then(|bucket| buckets.get_mut(bucket as usize)) {
                contents.addresses.extend(tail);
            }
        }
        if !evident {
            self.require_nothing_lost(&present)?;
        }
        let linked = buckets.iter().flat_map(|contents| contents.addresses.iter().copied());
        Ok(Leftovers { linked: linked.collect(), buckets, unmade })
    }

    /// Checks that a page that is marked as in use, but to which no chain leads, has no record that is
    /// nowhere else; otherwise a link is wrong.
    fn require_nothing_lost(
        &self,
        present: &HashSet<std::borrow::Cow<'a, [u8]>>,
    ) -> Result<(), Damage> {
        let header = &self.table.header;
        let visited: HashSet<u32> =
            self.chains.iter().flat_map(|f| f.nodes.iter().map(|node| node.place.number)).collect();
        for split in 1..=header.ovfl_point {
            for number in 1..=super::header::MAX_PAGES_PER_SPLIT {
                let address = u16::try_from(split.wrapping_shl(11) | number).unwrap_or(0);
                let Some(page) = header.overflow_page(address).map(|overflow| overflow.page) else {
                    break;
                };
                let orphan = self.is_marked(address)
                    && !visited.contains(&page)
                    && !self.map_pages.contains(&page);
                let Some(place) =
                    (if orphan { self.table.written(page).ok().flatten() } else { None })
                else {
                    continue;
                };
                let lost = |pair: Result<(&'a [u8], &'a [u8]), Fault>| {
                    pair.is_ok_and(|(key, _)| !present.contains(key))
                };
                if place.page.big_mark().is_some() || place.page.pairs().any(lost) {
                    return Err(Fault::BadPage("marked in use, but nothing refers to it").on(page));
                }
            }
        }
        Ok(())
    }
}

fn gain<'a>(buckets: &mut [Contents<'a>], bucket: u32, record: Record<'a>) {
    if let Some(contents) = buckets.get_mut(bucket as usize) {
        contents.records.push(record);
        contents.gains = true;
        contents.sound = false;
    }
}

/// Whether a key belongs in a bucket once the table has it.
fn is_of_later(bucket: u32, key: &[u8]) -> bool {
    let mask =
        1_u32.checked_shl(generation(bucket)).map_or(u32::MAX, |size| size.saturating_sub(1));
    hash(key) & mask == bucket
}

/// The pages to which more than one chain leads.
fn shared(chains: &[Found<'_>]) -> HashSet<u16> {
    let mut owners: HashMap<u16, usize> = HashMap::new();
    for address in chains.iter().flat_map(|found| found.nodes.iter().filter_map(|n| n.address)) {
        let count = owners.entry(address).or_default();
        *count = count.saturating_add(1);
    }
    owners.into_iter().filter(|(_, count)| *count > 1).map(|(address, _)| address).collect()
}

fn is_shared(shared: &HashSet<u16>, node: &Node<'_>) -> bool {
    node.address.is_some_and(|address| shared.contains(&address))
}

fn is_shared_at(shared: &HashSet<u16>, found: &Found<'_>, at: usize) -> bool {
    found.nodes.get(at).is_some_and(|node| is_shared(shared, node))
}

/// Reads the records of a chain, up to where it breaks.
fn read<'a>(found: &mut Found<'a>) -> Result<(), Damage> {
    let Some(head) = found.nodes.first() else { return Ok(()) };
    let mut chain = Chain::new(head.place);
    let mut rest = Rest { nodes: &found.nodes, at: 0 };
    while let Some(item) = chain.next(&mut rest) {
        match item {
            Ok(record) => found.records.push((record, rest.at)),
            // The chain is broken here.
            Err(Damage { fault: Fault::BadLink, .. }) if found.broken => break,
            Err(damage @ Damage { fault: Fault::BadBigPair(_) | Fault::BadLink, .. }) => {
                found.flaw = Some(damage);
                break;
            }
            Err(damage) => return Err(damage),
        }
    }
    Ok(())
}

/// The pages of a chain, in order.
struct Rest<'n, 'a> {
    nodes: &'n [Node<'a>],
    at: usize,
}

impl<'a> Source<'a> for Rest<'_, 'a> {
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage> {
        let next = self.at.saturating_add(1);
        match self.nodes.get(next) {
            Some(node) if node.address == Some(address) => {
                self.at = next;
                Ok(node.place)
            }
            _ => Err(Fault::BadLink.on(from)),
        }
    }
}

impl<'a> Table<'a> {
    /// Whether a page is in the file, whole, and not a hole.
    fn is_written(&self, number: u32) -> bool {
        self.bytes(number).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0))
    }

    /// Whether there is more at the place of a page than zeros.
    fn filled(&self, number: u32) -> bool {
        let size = usize::try_from(self.header.bsize).unwrap_or(0);
        self.bytes_from(number).is_some_and(|rest| rest.iter().take(size).any(|byte| *byte != 0))
    }

    /// The page with this number, if it was written.
    fn written(&self, number: u32) -> Result<Option<Place<'a>>, Damage> {
        if !self.is_written(number) {
            return Ok(None);
        }
        let place = self.place(number)?;
        require_account(place)?;
        Ok(Some(place))
    }
}

impl Header {
    /// Where a link leads, and whether the header knows that page. `Some(None)` if its place is unknown,
    /// `None` if no session can have made it.
    fn reach(&self, address: u16) -> Option<Option<(u32, bool)>> {
        if let Some(overflow) = self.overflow_page(address) {
            return Some(Some((overflow.page, true)));
        }
        let (split, number) = split_address(address);
        if number == 0 || split == 0 {
            return None;
        }
        if split > self.ovfl_point {
            let near = split <= self.ovfl_point.saturating_add(1) && number <= MOST_AHEAD;
            return near.then_some(None);
        }
        let mut ahead = self.clone();
        let at = usize::try_from(split).ok()?;
        let made = ahead.spares.get_mut(at)?;
        let before = self.spares.get(at.checked_sub(1)?).copied()?;
        let most = made.saturating_add(MOST_AHEAD);
        *made = before.saturating_add(number);
        let near = split == self.ovfl_point && *made <= most;
        near.then(|| ahead.overflow_page(address).map(|overflow| (overflow.page, false)))
    }
}
