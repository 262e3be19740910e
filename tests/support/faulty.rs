//! A file in memory whose disk fills up, loses power, or fails a write.

use super::disk::Write;
use greytrapper::db::file::PageFile;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// What is done to a file.
#[derive(Clone, Debug)]
pub enum Event {
    Write(Write),
    SetLength(usize),
    /// What was done before has reached the disk.
    Sync,
}

/// What goes wrong, counted in events from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// That write fails, and none after it.
    Once(usize),
    /// Half of that write is made; the rest fails, and no write after it.
    Half(usize),
    /// That write is not made, and nobody is told.
    Lost(usize),
    /// That write fails, and so does all that follows.
    Ever(usize),
    /// The file cannot grow; half of the first write that would make it grow is made.
    Full,
}

/// The file; its clones are the same file.
#[derive(Clone, Debug)]
pub struct Faulty(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    bytes: Vec<u8>,
    events: Vec<Event>,
    trouble: Trouble,
}

impl Faulty {
    pub fn new(bytes: Vec<u8>, trouble: Trouble) -> Faulty {
        Faulty(Rc::new(RefCell::new(State { bytes, events: Vec::new(), trouble })))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.borrow().events.clone()
    }
}

impl State {
    fn perform(&mut self, event: Event) -> io::Result<()> {
        let at = self.events.len();
        self.events.push(event.clone());
        let full: io::Result<()> = Err(io::ErrorKind::StorageFull.into());
        match (self.trouble, &event) {
            (Trouble::Once(when), _) if at == when => return full,
            (Trouble::Lost(when), Event::Write(_)) if at == when => return Ok(()),
            (Trouble::Ever(when), _) if at >= when => return full,
            (Trouble::Half(when), Event::Write((offset, bytes))) if at == when => {
                apply(&mut self.bytes, &Event::Write((*offset, bytes[..bytes.len() / 2].to_vec())));
                return full;
            }
            (Trouble::Full, Event::Write((offset, bytes)))
                if offset + bytes.len() > self.bytes.len() =>
            {
                apply(&mut self.bytes, &Event::Write((*offset, bytes[..bytes.len() / 2].to_vec())));
                return full;
            }
            _ => {}
        }
        apply(&mut self.bytes, &event);
        Ok(())
    }
}

/// Does an event to an image, as a file does.
pub fn apply(image: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(write) => super::disk::apply(image, write),
        Event::SetLength(length) => image.resize(*length, 0),
        Event::Sync => {}
    }
}

impl PageFile for Faulty {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.borrow().bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.0.borrow();
        let there = state.bytes.get(offset as usize..).unwrap_or_default();
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        buffer[n..].fill(0);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.borrow_mut().perform(Event::Write((offset as usize, bytes.to_vec())))
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.borrow_mut().perform(Event::SetLength(length as usize))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.borrow_mut().perform(Event::Sync)
    }
}
