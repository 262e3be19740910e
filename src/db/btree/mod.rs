//! The btree format of db(3).
#![forbid(unsafe_code)]

use super::{ByteOrder, Damage, Fault, Record};
use std::marker::PhantomData;

/// Placeholder until the reader lands.
#[derive(Debug)]
pub struct Tree<'a>(PhantomData<&'a [u8]>);

/// Placeholder until the reader lands.
#[derive(Debug)]
pub struct Records<'s, 'a>(PhantomData<&'s Tree<'a>>);

/// Whether the first bytes are this format's magic number.
pub fn has_magic(_image: &[u8]) -> bool {
    false
}

impl<'a> Tree<'a> {
    /// Checks the header.
    pub fn new(_image: &'a [u8]) -> Result<Self, Damage> {
        Err(Fault::NotADatabase.on(0))
    }
    /// The byte order of pages and values.
    pub fn byte_order(&self) -> ByteOrder {
        ByteOrder::NATIVE
    }
    /// The records.
    pub fn records(&self) -> Records<'_, 'a> {
        Records(PhantomData)
    }
    /// Tells every fault.
    pub fn check(&self, _tell: &mut dyn FnMut(Damage)) {}
}

impl<'a> Iterator for Records<'_, 'a> {
    type Item = Result<Record<'a>, Damage>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
