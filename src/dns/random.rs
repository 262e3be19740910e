//! Unpredictable numbers for ids, letter case and jitter, obtained from the kernel a block at a time.
//!
//! They come directly from getrandom(2), or getentropy(2) on OpenBSD, so there is no generator to seed or
//! to guess; one block is enough for some hundred questions.
#![forbid(unsafe_code)]

use std::io;

const BLOCK: usize = 4096;

/// A block of random bytes, refilled when it is used up.
#[derive(Debug)]
pub struct Random {
    block: Box<[u8; BLOCK]>,
    used: usize,
}

impl Random {
    /// # Errors
    /// The system has no random source.
    pub fn new() -> io::Result<Self> {
        let mut random = Self { block: Box::new([0; BLOCK]), used: BLOCK };
        random.fill()?;
        Ok(random)
    }

    /// Sixteen bits.
    pub fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.bytes())
    }

    /// Sixty-four bits.
    pub fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes())
    }

    /// A number below `end`, which is not 0; for small `end` the distribution is even enough.
    pub fn below(&mut self, end: usize) -> usize {
        (self.u64() % end.max(1) as u64) as usize
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > BLOCK && self.fill().is_err() {
            // A source that worked at the start does not fail; repeating a block would be better than
            // ending the process.
            self.used = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&self.block[self.used..self.used + N]);
        self.used += N;
        taken
    }

    fn fill(&mut self) -> io::Result<()> {
        getrandom::fill(&mut *self.block).map_err(io::Error::from)?;
        self.used = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_repeat_across_blocks() {
        let mut random = Random::new().unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..4 * BLOCK / 8 {
            assert!(seen.insert(random.u64()));
            random.u16();
        }
    }
}
