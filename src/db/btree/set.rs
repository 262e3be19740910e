//! A set of page numbers, with one bit for each page of the file.
//!
//! Every walk keeps a set of the pages it has visited, so that no chain of pages, whatever its links, can
//! make it loop or copy a page twice.

/// Page numbers below a limit.
#[derive(Clone, Debug)]
pub(super) struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    /// An empty set for a file of `pages` pages.
    pub(super) fn new(pages: u32) -> PageSet {
        PageSet { words: vec![0; (pages as usize).div_ceil(64)] }
    }

    /// Adds a page; false if it was already in the set, or is beyond the limit.
    pub(super) fn insert(&mut self, page: u32) -> bool {
        let bit = 1_u64 << (page & 63);
        match self.words.get_mut((page >> 6) as usize) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    /// Whether the page is in the set.
    pub(super) fn contains(&self, page: u32) -> bool {
        let bit = 1_u64 << (page & 63);
        self.words.get((page >> 6) as usize).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_in_once() {
        let mut set = PageSet::new(65);
        for page in [0, 1, 63, 64] {
            assert!(!set.contains(page));
            assert!(set.insert(page));
            assert!(!set.insert(page));
            assert!(set.contains(page));
        }
        assert!(!set.contains(2));
    }

    #[test]
    fn beyond_the_limit_nothing_goes_in() {
        let mut set = PageSet::new(64);
        assert!(!set.insert(64));
        assert!(!set.insert(u32::MAX));
        assert!(!set.contains(u32::MAX));
        assert!(!PageSet::new(0).insert(0));
    }
}
