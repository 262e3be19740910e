//! Reads a database. In: the bytes of the whole file. Out: its records, in file order.
//!
//! The caller has read the file in one pass under the lock ([`super::lock`]), so nobody waits for the rest.
//! The magic number determines the format, the header the byte order. Both readers are safe code over a
//! byte slice, allocate nothing for a contiguous record, and do work in proportion to the length of the
//! file whatever its contents.

use super::repair::{Gaps, Salvage};
use super::{ByteOrder, Damage, EngineError, Fault, Format, Record, btree, hash};

/// How many records are read at once if the format has no pieces of its own.
const BATCH: usize = 256;

/// The bytes of a database file with a valid header.
#[derive(Debug)]
pub struct Snapshot<'a>(Kind<'a>);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it, and it is not moved about")]
enum Kind<'a> {
    /// An empty file, which spamd creates for a fresh database.
    Empty,
    Hash(hash::Table<'a>),
    Btree(btree::Tree<'a>),
}

impl<'a> Snapshot<'a> {
    /// Takes the bytes of a whole file and checks its header.
    pub fn new(image: &'a [u8]) -> Result<Snapshot<'a>, Damage> {
        if image.is_empty() {
            return Ok(Snapshot(Kind::Empty));
        }
        let snapshot = match format_of(image) {
            Some(Format::Hash) => hash::Table::new(image).map(Kind::Hash).map(Snapshot),
            Some(Format::Btree) => btree::Tree::new(image).map(Kind::Btree).map(Snapshot),
            None => Err(Fault::NotADatabase.on(0)),
        };
        match snapshot {
            // It never had any records.
            Err(_) if hash::is_begun(image) => Ok(Snapshot(Kind::Empty)),
            snapshot => snapshot,
        }
    }

    /// The byte order of spamd's values.
    pub fn byte_order(&self) -> ByteOrder {
        match &self.0 {
            Kind::Empty => ByteOrder::NATIVE,
            Kind::Hash(table) => table.byte_order(),
            Kind::Btree(tree) => tree.byte_order(),
        }
    }

    /// Bytes in a page; `None` for an empty file.
    pub fn page_size(&self) -> Option<u32> {
        match &self.0 {
            Kind::Empty => None,
            Kind::Hash(table) => Some(table.page_size()),
            Kind::Btree(tree) => Some(tree.page_size()),
        }
    }

    /// Every record that can be reached, in file order, with the faults met in between.
    ///
    /// After a fault the walk continues where it safely can: with the next bucket of a hash, or with the
    /// next item of the page above in a btree.
    pub fn records(&self) -> Records<'_, 'a> {
        Records(match &self.0 {
            Kind::Empty => Walk::Empty,
            Kind::Hash(table) => Walk::Hash(table.records()),
            Kind::Btree(tree) => Walk::Btree(tree.records()),
        })
    }

    /// The records in pieces of some hundred: finding pieces is little work, so that one walk can serve
    /// several readers of records. All conditions of [`Self::check`] are applied: a file in which that
    /// finds a fault has one here, in place of a piece or at the end of a piece, and what follows is not
    /// reliable.
    pub fn pieces(&self) -> Pieces<'_, 'a> {
        Pieces(match &self.0 {
            Kind::Empty => Walks::Batches(Batches(self.records())),
            Kind::Hash(table) => Walks::Hash(table.pieces()),
            Kind::Btree(tree) => match tree.first_fault() {
                Some(damage) => Walks::Damaged(Some(damage)),
                None => Walks::Batches(Batches(self.records())),
            },
        })
    }

    /// Reads the records of a file that is sound, or in the state that a killed program leaves
    /// ([`Self::leftovers`]).
    ///
    /// `read` may be called twice.
    ///
    /// # Errors
    ///
    /// The file is damaged, or `read` fails.
    pub fn read<T>(
        &self,
        read: impl Fn(&mut Trusted<'_, 'a>) -> Result<T, Damage>,
    ) -> Result<T, Damage> {
        match read(&mut Trusted(Source::Pieces(self.pieces(), None))) {
            Err(damage) => match self.leftovers() {
                Ok(records) => read(&mut Trusted(Source::Known(records.into_iter()))),
                Err(_) => Err(damage),
            },
            found => found,
        }
    }

    /// The records of a file that a program left when it was killed or the disk was full: those that can be
    /// found, each key once. Only for a file that is not sound.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn leftovers(&self) -> Result<Vec<Record<'a>>, Damage> {
        match &self.0 {
            Kind::Empty => Ok(Vec::new()),
            Kind::Hash(table) => {
                let buckets = table.leftovers()?.buckets.into_iter();
                Ok(buckets.flat_map(|bucket| bucket.records).collect())
            }
            Kind::Btree(tree) => tree.leftovers(),
        }
    }

    /// The records that can be reached if pages of zeros count as empty, and what is missing.
    ///
    /// # Errors
    ///
    /// The file is damaged in another way.
    pub fn salvage(&self) -> Result<Salvage<'a>, Damage> {
        match &self.0 {
            Kind::Empty => Ok(Salvage { records: Vec::new(), gaps: Gaps::default() }),
            Kind::Hash(table) => table.salvage(),
            Kind::Btree(tree) => tree.salvage(),
        }
    }

    /// A new database of the same format, page size and byte order with these records.
    ///
    /// # Errors
    ///
    /// The format has no room for them, or our code does not write such files.
    pub fn rebuilt(&self, records: &[Record<'_>]) -> Result<Vec<u8>, EngineError> {
        match &self.0 {
            Kind::Empty => Ok(Vec::new()),
            Kind::Hash(table) => table.rebuilt(records),
            Kind::Btree(tree) => tree.rebuilt(records),
        }
    }

    /// Walks the whole structure, reports every fault, and returns what they mean.
    pub fn condition(&self, tell: &mut dyn FnMut(Damage)) -> Condition {
        let mut sound = true;
        self.check(&mut |damage| {
            sound = false;
            tell(damage);
        });
        match sound {
            true => Condition::Sound,
            false if self.leftovers().is_ok() => Condition::Leftover,
            false => Condition::Damaged,
        }
    }

    /// Walks the whole structure and reports every fault; a sound file has none. [`Self::condition`] also
    /// says what they mean.
    pub fn check(&self, tell: &mut dyn FnMut(Damage)) {
        match &self.0 {
            Kind::Empty => {}
            Kind::Hash(table) => table.check(tell),
            Kind::Btree(tree) => tree.check(tell),
        }
    }
}

/// Whether a file can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is sound.
    Sound,
    /// It has only faults that a program leaves when it is killed or the disk is full: it is read and
    /// written, and our first writer repairs it.
    Leftover,
    /// It is damaged, and is neither judged nor written.
    Damaged,
}

/// The format of a file, by the magic number in its first bytes.
pub fn format_of(image: &[u8]) -> Option<Format> {
    if hash::has_magic(image) {
        Some(Format::Hash)
    } else if btree::has_magic(image) {
        Some(Format::Btree)
    } else {
        None
    }
}

/// The walk that [`Snapshot::records`] begins.
#[derive(Debug)]
pub struct Records<'s, 'a>(Walk<'s, 'a>);

#[derive(Debug)]
enum Walk<'s, 'a> {
    Empty,
    Hash(hash::Records<'s, 'a>),
    Btree(btree::Records<'s, 'a>),
}

impl<'a> Iterator for Records<'_, 'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Empty => None,
            Walk::Hash(records) => records.next(),
            Walk::Btree(records) => records.next(),
        }
    }
}

/// The walk that [`Snapshot::pieces`] begins.
#[derive(Debug)]
pub struct Pieces<'s, 'a>(Walks<'s, 'a>);

#[derive(Debug)]
enum Walks<'s, 'a> {
    Damaged(Option<Damage>),
    Hash(hash::Pieces<'s, 'a>),
    Batches(Batches<Records<'s, 'a>>),
}

impl<'a> Iterator for Pieces<'_, 'a> {
    type Item = Result<Piece<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walks::Damaged(damage) => damage.take().map(Err),
            Walks::Hash(pieces) => Some(pieces.next()?.map(Piece::Hash)),
            Walks::Batches(batches) => batches.next(),
        }
    }
}

/// Consecutive records with the faults met; their number is at most the upper `size_hint`.
#[derive(Debug)]
pub enum Piece<'a> {
    /// A page of a hash.
    Hash(hash::Piece<'a>),
    /// Records that have been read.
    Batch(std::vec::IntoIter<Result<Record<'a>, Damage>>),
}

impl Piece<'_> {
    /// Prefetches what will be read; worthwhile if all of it is read.
    pub fn fetch(&self) {
        if let Piece::Hash(piece) = self {
            piece.fetch();
        }
    }
}

impl<'a> Iterator for Piece<'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Piece::Hash(piece) => piece.next(),
            Piece::Batch(records) => records.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Piece::Hash(piece) => piece.size_hint(),
            Piece::Batch(records) => records.size_hint(),
        }
    }
}

/// The records that [`Snapshot::read`] passes on, and the first fault if there is one.
#[derive(Debug)]
pub struct Trusted<'s, 'a>(Source<'s, 'a>);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one of them lives at a time, on the stack")]
enum Source<'s, 'a> {
    Pieces(Pieces<'s, 'a>, Option<Piece<'a>>),
    Known(std::vec::IntoIter<Record<'a>>),
}

impl<'a> Iterator for Trusted<'_, 'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Known(records) => records.next().map(Ok),
            Source::Pieces(pieces, piece) => loop {
                if let Some(record) = piece.as_mut().and_then(Iterator::next) {
                    return Some(record);
                }
                match pieces.next()? {
                    Ok(next) => *piece = Some(next),
                    Err(damage) => return Some(Err(damage)),
                }
            },
        }
    }
}

/// Any walk over records in pieces.
#[derive(Debug)]
pub struct Batches<R>(pub R);

impl<'a, R: Iterator<Item = Result<Record<'a>, Damage>>> Iterator for Batches<R> {
    type Item = Result<Piece<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<_> = self.0.by_ref().take(BATCH).collect();
        if batch.is_empty() { None } else { Some(Ok(Piece::Batch(batch.into_iter()))) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.0.size_hint();
        (least.div_ceil(BATCH), most.map(|most| most.div_ceil(BATCH)))
    }
}
