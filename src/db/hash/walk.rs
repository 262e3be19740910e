//! Walks the chain of one bucket. In: pages. Out: whole pairs, with big ones assembled.
//!
//! Every page of a chain is obtained from [`Source::follow`], which never returns an overflow page twice:
//! whatever the links, a walk over all buckets ends after at most as many pages as the file has.
//!
//! A big pair begins on its own page (lib/libc/db/hash/hash.h, `__big_insert()`):
//!
//! | page | entries | contents |
//! |---|---|---|
//! | key, not its end | key, 1, next, 0 | key |
//! | key's end | key, 2, next, 0 | key; the data begins on the next page |
//! | key's end and data | key, 3, next, data | if any byte is free, all data; if not, the next page has more |
//! | data, not their end | data, 2, next, 0 | data |
//! | data's end | data, 3 | data; the chain ends |
//! | data's end | data, 3, next, 0 | data; ordinary pages or another big pair follow |
//!
//! If a pair has no data and its key fills the page, the page after `key, 2` belongs to the chain and not
//! to the pair.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use super::header::Home;
use super::page::{FULL_KEY, FULL_KEY_DATA, PARTIAL_KEY, Page, Pairs};
use super::sound::WRONG_BUCKET;
use crate::db::{Damage, Fault, Record};
use std::borrow::Cow;

/// The source of the pages of a chain.
pub trait Source<'a> {
    /// The overflow page with this address, linked from page `from`, and its number. No page is returned
    /// twice.
    fn follow(&mut self, from: u32, address: u16) -> Result<Place<'a>, Damage>;
}

/// A page and its place in the file.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its number, from the beginning of the file.
    pub number: u32,
    /// What is on it.
    pub page: Page<'a>,
}

/// The walk along one chain. It ends after a fault.
#[derive(Debug)]
pub struct Chain<'a> {
    here: Place<'a>,
    /// The bucket to which all keys must belong, if that is checked.
    home: Option<Home>,
    piece: Piece<'a>,
    next: Step<'a>,
}

/// A part of a chain: an iterator over its pairs, which ends with the first fault.
#[derive(Debug)]
pub enum Piece<'a> {
    /// The pairs on the page with this number, and the bucket to which their keys must belong.
    Page(u32, Pairs<'a>, Option<Home>),
    /// A big pair, until it is taken.
    Big(Option<Record<'a>>),
}

impl Piece<'_> {
    /// Prefetches what will be read.
    pub fn fetch(&self) {
        if let Piece::Page(_, pairs, _) = self {
            pairs.fetch();
        }
    }
}

impl<'a> Iterator for Piece<'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Piece::Page(number, pairs, home) => Some(match pairs.next()? {
                Ok((key, _)) if home.is_some_and(|home| !home.is_of(key)) => {
                    Err(WRONG_BUCKET.on(*number))
                }
                Ok((key, value)) => Ok(Record { key: key.into(), value: value.into() }),
                Err(fault) => Err(fault.on(*number)),
            }),
            Piece::Big(record) => record.take().map(Ok),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Piece::Page(_, pairs, _) => pairs.size_hint(),
            Piece::Big(record) => record.iter().size_hint(),
        }
    }
}

/// What follows a page or a big pair.
#[derive(Debug)]
enum Step<'a> {
    End,
    Follow(u16),
    Enter(Place<'a>),
}

impl<'a> Chain<'a> {
    /// Begins at a bucket's own page.
    pub fn new(head: Place<'a>) -> Chain<'a> {
        Chain { here: head, home: None, piece: Piece::Big(None), next: Step::Enter(head) }
    }

    /// The same; a key that does not belong to this bucket is a fault.
    pub fn of_bucket(head: Place<'a>, home: Home) -> Chain<'a> {
        Chain { home: Some(home), ..Chain::new(head) }
    }

    /// The number of the current page.
    pub fn page(&self) -> u32 {
        self.here.number
    }

    /// The next pair, in the order of the chain.
    pub fn next(&mut self, source: &mut impl Source<'a>) -> Option<Result<Record<'a>, Damage>> {
        loop {
            match self.piece.next() {
                Some(Ok(record)) => return Some(Ok(record)),
                Some(Err(damage)) => {
                    self.next = Step::End;
                    return Some(Err(damage));
                }
                None => match self.next_piece(source)? {
                    Ok(piece) => self.piece = piece,
                    Err(damage) => return Some(Err(damage)),
                },
            }
        }
    }

    /// The next piece: an ordinary page, or a whole big pair.
    pub fn next_piece(
        &mut self,
        source: &mut impl Source<'a>,
    ) -> Option<Result<Piece<'a>, Damage>> {
        self.step(source).transpose()
    }

    fn step(&mut self, source: &mut impl Source<'a>) -> Result<Option<Piece<'a>>, Damage> {
        let place = match std::mem::replace(&mut self.next, Step::End) {
            Step::End => return Ok(None),
            Step::Enter(place) => place,
            Step::Follow(address) => source.follow(self.here.number, address)?,
        };
        self.here = place;
        if place.page.big_mark().is_some() {
            let mut big = BigPair { here: place, key: Cow::default(), value: Cow::default() };
            self.next = big.assemble(source)?;
            self.here = big.here;
            if self.home.is_some_and(|home| !home.is_of(&big.key)) {
                return Err(WRONG_BUCKET.on(place.number));
            }
            return Ok(Some(Piece::Big(Some(Record { key: big.key, value: big.value }))));
        }
        self.next = place.page.link().map_or(Step::End, Step::Follow);
        Ok(Some(Piece::Page(place.number, place.page.pairs(), self.home)))
    }
}

/// A pair that spans pages, as far as it has been read.
struct BigPair<'a> {
    here: Place<'a>,
    key: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
}

impl<'a> BigPair<'a> {
    fn assemble(&mut self, source: &mut impl Source<'a>) -> Result<Step<'a>, Damage> {
        while self.here.page.big_mark() == Some(PARTIAL_KEY) {
            let chunk = self.chunk()?;
            append(&mut self.key, chunk);
            self.advance(source)?;
        }
        match self.here.page.big_mark() {
            Some(FULL_KEY) => {
                let chunk = self.chunk()?;
                append(&mut self.key, chunk);
                self.advance(source)?;
                if self.here.page.big_mark().is_none() {
                    return Ok(Step::Enter(self.here));
                }
            }
            Some(FULL_KEY_DATA) => {
                let next = self.key_and_data()?;
                if self.here.page.free() > 0 {
                    return Ok(Step::Follow(next));
                }
                self.here = source.follow(self.here.number, next)?;
            }
            _ => return Err(self.fault("the key has no end")),
        }
        self.data(source)
    }

    fn data(&mut self, source: &mut impl Source<'a>) -> Result<Step<'a>, Damage> {
        loop {
            let page = self.here.page;
            let mark = page.big_mark();
            if !matches!(mark, Some(FULL_KEY | FULL_KEY_DATA)) {
                return Err(self.fault("the data have no end"));
            }
            let chunk = self.chunk()?;
            append(&mut self.value, chunk);
            match (mark, page.link()) {
                (Some(FULL_KEY_DATA), None) => return Ok(Step::End),
                (Some(FULL_KEY_DATA), Some(next)) => return Ok(Step::Follow(next)),
                _ => self.advance(source)?,
            }
        }
    }

    /// The end of a key, and the beginning of its data before it.
    fn key_and_data(&mut self) -> Result<u16, Damage> {
        let page = self.here.page;
        let (key, data) = (page.entry(1), page.entry(4));
        if page.entries() != 4 {
            return Err(self.fault("wrong number of entries"));
        }
        let value = page.slice(usize::from(data), usize::from(key));
        let (Some(key), Some(value)) = (page.tail(key), value) else {
            return Err(Fault::BadOffset.on(self.here.number));
        };
        append(&mut self.key, key);
        append(&mut self.value, value);
        Ok(page.entry(3))
    }

    /// The part of the key or the data on a page that has only one of them.
    fn chunk(&self) -> Result<&'a [u8], Damage> {
        let page = self.here.page;
        match (page.entries(), page.big_mark(), page.link()) {
            (2, Some(FULL_KEY_DATA), None) | (4, _, Some(_)) => {}
            _ => return Err(self.fault("wrong number of entries")),
        }
        page.tail(page.entry(1)).ok_or(Fault::BadOffset.on(self.here.number))
    }

    fn advance(&mut self, source: &mut impl Source<'a>) -> Result<(), Damage> {
        let next = self.here.page.link().ok_or_else(|| self.fault("a page is missing"))?;
        self.here = source.follow(self.here.number, next)?;
        Ok(())
    }

    fn fault(&self, what: &'static str) -> Damage {
        Fault::BadBigPair(what).on(self.here.number)
    }
}

/// Joins two pieces; a single piece is not copied.
fn append<'a>(whole: &mut Cow<'a, [u8]>, piece: &'a [u8]) {
    if whole.is_empty() {
        *whole = Cow::Borrowed(piece);
    } else {
        whole.to_mut().extend_from_slice(piece);
    }
}
