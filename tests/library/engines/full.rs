//! dbopen(3) on a file system with ever less room: what it was given is in the file, and what it has no room for
//! is refused before anything is written.
//!
//! Without the check, it loses records that were in the file before, and leaves holes.

use super::subject::{Code, Model, Subject, open, records};
use greytrapper::db::snapshot::Snapshot;
use greytrapper::db::{EngineError, Format};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bytes in a page of tmpfs.
const BLOCK: u64 = 4096;

/// A tmpfs of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Disk {
        let disk = Disk(tempfile::tempdir().unwrap());
        disk.run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]));
        disk
    }

    /// Leaves room for so many blocks beside the file.
    fn leave(&self, blocks: u64) {
        let used = fs::metadata(self.file()).map_or(0, |file| file.blocks() * 512);
        let size = format!("remount,size={}", used + blocks * BLOCK);
        self.run(Command::new("mount").args(["-o", &size]));
    }

    fn run(&self, command: &mut Command) {
        assert!(command.arg(self.0.path()).status().unwrap().success());
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("spamd")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that another test starts may have the file for a moment.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A tuple, of which every fourth is long.
fn key(number: usize) -> Vec<u8> {
    let helo = "x".repeat(if number.is_multiple_of(4) { 60 } else { 10 });
    format!("10.{}.{}.7\n{helo}\n<a@{number}.example>\n<b@c>", number / 256, number % 256).into()
}

/// A database of some hundred records, as dbopen(3) makes it.
fn begun(format: Format, page_size: u32) -> Vec<u8> {
    let mut subject = Subject::empty(format, page_size);
    subject.turn(Code::Libc, |engine, model| {
        for number in 0..700 {
            engine.put(&key(number), &[1; 32]).unwrap();
            model.insert(key(number), vec![1; 32]);
        }
    });
    fs::read(subject.path()).unwrap()
}

/// Puts further tuples until one is refused; how many there were.
fn fill(path: &Path, page_size: u32, model: &mut Model) -> usize {
    let mut engine = open(Code::Libc, path, page_size).unwrap();
    for number in 700..4000 {
        if let Err(error) = engine.put(&key(number), &[2; 32]) {
            let EngineError::Io(refused) = &error else { panic!("not refused: {error}") };
            assert_eq!(refused.kind(), ErrorKind::StorageFull, "{error}");
            engine.close().unwrap();
            return number - 700;
        }
        model.insert(key(number), vec![2; 32]);
    }
    engine.close().unwrap();
    3300
}

/// Fills disks with room for 0 to `most` blocks, in these steps.
fn at_every_size(format: Format, page_size: u32, most: u64, step: usize) {
    let begun = begun(format, page_size);
    let disk = Disk::mount();
    let (mut refused_all, mut refused_some) = (0, 0);
    for blocks in (0..=most).step_by(step) {
        disk.leave(1 << 14);
        fs::write(disk.file(), &begun).unwrap();
        disk.leave(blocks);
        let mut model = records(&begun);
        let put = fill(&disk.file(), page_size, &mut model);
        refused_all += usize::from(put == 0);
        refused_some += usize::from((1..3300).contains(&put));
        let image = fs::read(disk.file()).unwrap();
        let mut faults = Vec::new();
        Snapshot::new(&image).unwrap().check(&mut |damage| faults.push(damage.to_string()));
        assert!(faults.is_empty(), "{blocks} blocks: {faults:?}");
        assert!(records(&image) == model, "{blocks} blocks, {put} puts: not what was put");
        if put == 0 {
            assert!(image == begun, "{blocks} blocks: changed");
        }
    }
    assert!(refused_all > 0 && refused_some > 0, "{refused_all}, {refused_some} of {most}");
}

/// The same with small, middle and large pages.
fn with_every_page_size(format: Format) {
    at_every_size(format, 512, 150, 2);
    at_every_size(format, 4096, 250, 5);
    at_every_size(format, 16384, 400, 8);
}

#[test]
#[ignore = "needs root and mount(8)"]
fn a_full_disk_loses_no_record_of_a_hash() {
    with_every_page_size(Format::Hash);
}

#[test]
#[ignore = "needs root and mount(8)"]
fn a_full_disk_loses_no_record_of_a_btree() {
    with_every_page_size(Format::Btree);
}
