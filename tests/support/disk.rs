//! A file in memory for a writer, which remembers every write and can be full.

use greytrapper::db::file::PageFile;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Where a write went, and what was written.
pub type Write = (usize, Vec<u8>);

/// No test writes so far: a writer that does has lost its way.
const LARGEST: usize = 64 << 20;

/// The file; its clones are the same file.
#[derive(Clone, Debug, Default)]
pub struct Disk(Rc<RefCell<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// Every write since the last [`Disk::take_log`].
    log: Vec<Write>,
    /// How many writes are still allowed, if not all are.
    allowed: Option<usize>,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Disk {
        Disk(Rc::new(RefCell::new(Contents { bytes, ..Contents::default() })))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    /// The writes since the last call.
    pub fn take_log(&self) -> Vec<Write> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    /// Lets the next `writes` writes succeed and those after them fail; with none, all succeed.
    pub fn fail_after(&self, writes: Option<usize>) {
        self.0.borrow_mut().allowed = writes;
    }
}

impl PageFile for Disk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.borrow().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let contents = self.0.borrow();
        let there = contents.bytes.get(offset as usize..).unwrap_or_default();
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        buffer[n..].fill(0);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        match &mut contents.allowed {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        let write = (offset as usize, bytes.to_vec());
        apply(&mut contents.bytes, &write);
        contents.log.push(write);
        Ok(())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.borrow_mut().bytes.resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does a write to an image, as a file does.
pub fn apply(image: &mut Vec<u8>, (offset, bytes): &Write) {
    let end = offset + bytes.len();
    assert!(end <= LARGEST, "a hole of {offset} bytes");
    if image.len() < end {
        image.resize(end, 0);
    }
    image[*offset..end].copy_from_slice(bytes);
}
