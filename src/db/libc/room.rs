//! Makes sure, before dbopen(3) changes anything, that its puts will have room.
//!
//! In: the locked file, and the sizes of what is to be put. Out: an error as if a write had failed, while the
//! file is still as it was.
//!
//! The library allocates pages in memory, and writes them when it needs their buffers or when it syncs. If
//! there is no room then, it drops the page with its pairs and goes on (`newbuf()` in
//! lib/libc/db/hash/hash_buf.c, `mpool_bkt()` in lib/libc/db/mpool/mpool.c): records are lost, and a page to
//! which another leads is a hole. So each put is counted with the most that it may need, until the library has
//! synced; then its pages have their blocks, and counting begins anew.
//!
//! What a put may need:
//!
//! * In a hash, the page of its bucket, if nothing was ever written there; an overflow page, or as many as a big
//!   pair needs (`__addel()` and `__add_ovflpage()` in hash_page.c, `__big_insert()` in hash_bigkey.c); and the
//!   split of one bucket (`__expand_table()` in hash.c), whose pairs are packed anew into two chains while the
//!   pages of the old one are still in use (`ugly_split()`). Two pages that follow each other in a chain hold
//!   more than one page full, and a big pair may add an empty page (`__big_split()`): from a chain of L pages at
//!   most 3 L + 2 are made, beside the new bucket. That one, and overflow pages at the beginning of a doubling,
//!   may be far behind the end of the file: what lies between is a hole. A bitmap page is added for every
//!   8 · page size overflow pages.
//! * In a btree, a page on each level and one more for a new root (`__bt_split()` in btree/bt_split.c), and
//!   the overflow pages of a big value (`__ovfl_put()` in bt_overflow.c).
//! * In the file system, indirect blocks (`ffs1_balloc()`, `ffs2_balloc()` in sys/ufs/ffs/ffs_balloc.c).
//!
//! Pages that exist are overwritten in place, which needs no room, except on file systems that copy on write
//! (ZFS), where this is no guarantee. Quotas are not looked at. If another program takes the blocks meanwhile, or
//! those that are left are fragments of blocks, a put fails all the same.
#![forbid(unsafe_code)]

use super::Shape;
use crate::db::file::PageFile;
use crate::db::{EngineError, Format, btree, hash};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::statvfs::fstatvfs;
use std::collections::VecDeque;
use std::fs::File;
use std::io;

/// The most splits of a hash that are looked at ahead. A sync, which is due when they are used up, writes 64 KB at
/// most.
const SPLITS: u32 = 32;
/// The bytes of a hash page that are no pair: its table, with a link (`OVFLSIZE`, `BIGOVERHEAD` in page.h).
const TABLE: u64 = 16;
/// The header of a btree page (`BTDATAOFF` in btree.h).
const HEADER: u64 = 20;
/// The levels of indirect blocks, in each of the three places where a file may grow: where its end is, where it
/// will be, and in the hole between.
const INDIRECT: u64 = 3 * 3;
/// The bytes of a block's number in an indirect block.
const POINTER: u64 = 8;

/// What the puts since the last sync may still need, and what is known of the next.
#[derive(Debug)]
pub struct Room {
    shape: Shape,
    /// Pages that may have no room yet.
    pub(super) owed: u64,
    /// The pages to the end of the file, with those that a doubling leaves out.
    end: u64,
    next: Next,
}

#[derive(Debug)]
enum Next {
    /// The chains that the next puts may split.
    Hash(VecDeque<u64>),
    /// The levels of the tree.
    Btree(u64),
}

impl Room {
    /// For a file that is completely written.
    pub fn of(file: &File, shape: Shape) -> Result<Room, EngineError> {
        let (next, end) = match shape.format {
            Format::Hash => {
                let growth = hash::Growth::of(file, SPLITS)?;
                (Next::Hash(growth.chains.into()), growth.pages)
            }
            Format::Btree => {
                let pages = file.length()?.div_ceil(u64::from(shape.page_size));
                (Next::Btree(btree::height(file)?), pages)
            }
        };
        Ok(Room { shape, owed: 0, end, next })
    }

    /// The first pages of a new hash: its header, two buckets and the bitmap (`init_htab()` in hash.c).
    pub fn for_a_new_hash(file: &File, shape: Shape) -> Result<(), EngineError> {
        let room = Room { shape, owed: 0, end: 0, next: Next::Hash(VecDeque::new()) };
        Ok(room.require(file, 4)?)
    }

    /// Whether nothing was put since the last sync.
    pub fn is_fresh(&self) -> bool {
        self.owed == 0
    }

    /// Counts a put. If this fails and something was put since the last sync, it may succeed after one.
    ///
    /// # Errors
    ///
    /// `ENOSPC`, or `EFBIG` beyond the limit for files: the put must not be made.
    pub fn count(&mut self, file: &File, key: &[u8], value: &[u8]) -> io::Result<()> {
        let pair = (key.len() as u64).saturating_add(value.len() as u64);
        let size = u64::from(self.shape.page_size);
        let need = match &self.next {
            Next::Hash(chains) => {
                let Some(chain) = chains.front() else { return Err(Errno::ENOSPC.into()) };
                hash_need(pair, size, *chain)
            }
            Next::Btree(levels) => btree_need(pair, size, *levels),
        };
        let owed = self.owed.saturating_add(need);
        self.require(file, owed)?;
        self.owed = owed;
        match &mut self.next {
            Next::Hash(chains) => drop(chains.pop_front()),
            // The root may have been split.
            Next::Btree(levels) => *levels = levels.saturating_add(1),
        }
        Ok(())
    }

    /// Fails if there is no room for so many pages.
    fn require(&self, file: &File, pages: u64) -> io::Result<()> {
        let size = u64::from(self.shape.page_size);
        let end = self.end.saturating_add(pages).saturating_mul(size);
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
        if limit != RLIM_INFINITY && end > wide(limit) {
            return Err(Errno::EFBIG.into());
        }
        let system = fstatvfs(file)?;
        let fragment = wide(system.fragment_size());
        let block = wide(system.block_size()).max(fragment).max(1);
        let across = u64::from(!size.is_power_of_two());
        let blocks = pages.saturating_mul(size.div_ceil(block).saturating_add(across));
        let indirect = blocks.div_ceil((block / POINTER).max(1)).saturating_add(INDIRECT);
        let needed = blocks.saturating_add(indirect).saturating_mul(block);
        let available = wide(system.blocks_available()).saturating_mul(fragment);
        if needed > available { Err(Errno::ENOSPC.into()) } else { Ok(()) }
    }
}

/// A number of the system, whose types differ between systems. None is negative.
fn wide(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

/// The pages that a put into a hash may add, if it splits a chain of so many pages.
fn hash_need(pair: u64, size: u64, chain: u64) -> u64 {
    let room = size.saturating_sub(TABLE).max(1);
    let added = if pair <= room { 1 } else { pair.div_ceil(room).saturating_add(3) };
    // What is added lengthens a chain that a split, this one or a later one, divides.
    let divided = chain.saturating_add(added).saturating_mul(3).saturating_add(3);
    let pages = added.saturating_add(divided).saturating_add(1);
    pages.saturating_add(pages.div_ceil(size.saturating_mul(8)))
}

/// The pages that a put into a tree of so many levels may add.
fn btree_need(pair: u64, size: u64, levels: u64) -> u64 {
    levels.saturating_add(1).saturating_add(pair.div_ceil(size.saturating_sub(HEADER).max(1)))
}
