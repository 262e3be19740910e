//! Each write of a batch in turn fails, is cut short, is the last before a kill, or is lost in a power
//! failure, in both formats and with all page sizes. After that the file is not damaged, all records from
//! before are there, each record that the batch changed is as before or as after, and the next writer
//! leaves the file sound.

use crate::support::dice::Dice;
use crate::support::faulty::{Event, Faulty, Trouble, apply};
use greytrapper::db::file::PageFile;
use greytrapper::db::snapshot::{Snapshot, format_of};
use greytrapper::db::{ByteOrder, Engine, EngineError, Fault, Format, btree, hash};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

fn open(file: Faulty) -> Result<Box<dyn Engine>, EngineError> {
    let mut head = [0; 512];
    file.read_at(&mut head, 0).unwrap();
    Ok(match format_of(&head) {
        Some(Format::Hash) => Box::new(hash::Writer::open(file)?),
        Some(Format::Btree) => Box::new(btree::Writer::open(file)?),
        None => panic!("neither format"),
    })
}

/// One batch.
fn perform(file: Faulty, batch: &[Op]) -> Result<(), EngineError> {
    let mut engine = open(file)?;
    for op in batch {
        match op {
            Op::Put(key, value) => engine.put(key, value)?,
            Op::Delete(key) => engine.delete(key).map(drop)?,
        }
    }
    engine.close()
}

fn done(before: &Model, batch: &[Op]) -> Model {
    let mut after = before.clone();
    for op in batch {
        match op {
            Op::Put(key, value) => _ = after.insert(key.clone(), value.clone()),
            Op::Delete(key) => _ = after.remove(key),
        }
    }
    after
}

/// A database, what is in it, and a batch that makes it grow.
struct Scene {
    image: Vec<u8>,
    before: Model,
    batch: Vec<Op>,
    after: Model,
    /// Whether pairs too large for a page are in it: a search may miss others of such a bucket for a moment.
    has_big: bool,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    format: Format,
    page_size: u32,
    order: ByteOrder,
    records: usize,
    has_big: bool,
}

fn key(dice: &mut Dice) -> Vec<u8> {
    let name = "x".repeat(dice.roll(60));
    format!("10.{}.{}.{}{name}", dice.roll(2), dice.roll(200), dice.roll(250)).into_bytes()
}

fn value(dice: &mut Dice, shape: Shape) -> Vec<u8> {
    let big = shape.has_big && dice.roll(20) == 0;
    vec![dice.roll(255) as u8 + 1; if big { shape.page_size as usize + dice.roll(600) } else { 32 }]
}

fn scene(shape: Shape, seed: u64) -> Scene {
    let mut dice = Dice(seed);
    let file = Faulty::new(Vec::new(), Trouble::None);
    let (clone, size, order) = (file.clone(), shape.page_size, shape.order);
    match shape.format {
        Format::Hash => {
            hash::Writer::create_in_order(clone, size, order).unwrap().commit().unwrap()
        }
        Format::Btree => drop(btree::Writer::create_in_order(clone, size, order).unwrap()),
    }
    let first: Vec<_> =
        (0..shape.records).map(|_| Op::Put(key(&mut dice), value(&mut dice, shape))).collect();
    // In several batches, so that pages were freed.
    first.chunks(50).for_each(|batch| perform(file.clone(), batch).unwrap());
    let before = done(&Model::new(), &first);
    let known: Vec<_> = before.keys().cloned().collect();
    let mut scene = Scene {
        image: file.bytes(),
        before,
        batch: Vec::new(),
        after: Model::new(),
        has_big: shape.has_big,
    };
    // Until a bucket or page is split.
    while syncs(&scene.events()) < 5 {
        scene.batch.extend((0..30).map(|_| match dice.roll(12) {
            0 => Op::Delete(known[dice.roll(known.len())].clone()),
            1 => Op::Put(known[dice.roll(known.len())].clone(), value(&mut dice, shape)),
            _ => Op::Put(key(&mut dice), value(&mut dice, shape)),
        }));
        scene.after = done(&scene.before, &scene.batch);
    }
    scene
}

fn syncs(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Sync)).count()
}

fn faults(image: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    Snapshot::new(image).unwrap().check(&mut |damage| {
        if damage.fault != Fault::CutShort {
            told.push(damage.to_string());
        }
    });
    told
}

fn listed(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let snapshot = Snapshot::new(image).unwrap();
    let records = snapshot.records().map(Result::unwrap);
    records.map(|record| (record.key.into_owned(), record.value.into_owned())).collect()
}

impl Scene {
    /// Nothing is lost in `image`, and it can be gone on from.
    fn survives(&self, image: &[u8], what: &str) {
        assert_eq!(faults(image), [""; 0], "{what}");
        let mut found: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, value) in listed(image) {
            found.entry(key).or_default().push(value);
        }
        let mut engine = open(Faulty::new(image.to_vec(), Trouble::None)).unwrap();
        for (at, (key, old)) in self.before.iter().enumerate() {
            let new = self.after.get(key);
            let values = found.get(key).map_or(&[][..], Vec::as_slice);
            let known = |value: &Vec<u8>| value == old || self.may_be(key, value);
            assert!(values.iter().all(known), "{what}: a value of nobody's");
            assert!(new.is_none() || !values.is_empty(), "{what}: lost {key:?}");
            if new.is_some() && !self.has_big && at % 5 == 0 {
                let got = engine.get(key).unwrap();
                assert!(got.as_ref().is_some_and(known), "{what}: not found: {key:?}");
            }
        }
        self.goes_on(image, what);
        #[cfg(libc_db)]
        self.is_read_by_libc(image, what);
    }

    /// Whether the batch gives that value to the key at some time.
    fn may_be(&self, key: &[u8], value: &[u8]) -> bool {
        self.batch.iter().any(|op| matches!(op, Op::Put(k, v) if k == key && v == value))
    }

    fn goes_on(&self, image: &[u8], what: &str) {
        let file = Faulty::new(image.to_vec(), Trouble::None);
        perform(file.clone(), &self.batch).unwrap_or_else(|error| panic!("{what}: {error}"));
        self.is_done(&file.bytes(), what);
    }

    /// The batch has been done, and nothing is left of its way.
    fn is_done(&self, image: &[u8], what: &str) {
        let mut told = Vec::new();
        Snapshot::new(image).unwrap().check(&mut |damage| told.push(damage.to_string()));
        assert_eq!(told, [""; 0], "{what}");
        // Behind the header of a hash there is the note of a batch that was cut short.
        let is_hash = format_of(image) == Some(Format::Hash);
        assert!(!is_hash || image[260..276] == [0; 16], "{what}: a note is left");
        let mut found = listed(image);
        found.sort();
        assert!(
            found == self.after.clone().into_iter().collect::<Vec<_>>(),
            "{what}: not the same"
        );
    }

    /// The reference finds every record, by search and by walk.
    #[cfg(libc_db)]
    fn is_read_by_libc(&self, image: &[u8], what: &str) {
        use greytrapper::db::libc::Writer;
        let place = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(place.path(), image).unwrap();
        let file = std::fs::File::options().read(true).write(true).open(place.path()).unwrap();
        let Ok(mut engine) = Writer::open(place.path(), file) else { return };
        for key in self.before.keys().filter(|key| self.after.contains_key(*key)) {
            let found = engine.get(key).unwrap();
            assert!(found.is_some() || self.has_big, "{what}: the reference does not find {key:?}");
        }
    }

    /// The events of the batch when nothing goes wrong.
    fn events(&self) -> Vec<Event> {
        let file = Faulty::new(self.image.clone(), Trouble::None);
        perform(file.clone(), &self.batch).unwrap();
        file.events()
    }

    /// The process is killed after any write, and in the middle of any.
    fn is_killed(&self, events: &[Event], every: usize) {
        let mut image = self.image.clone();
        for (at, event) in events.iter().enumerate() {
            if let Event::Write((offset, bytes)) = event
                && at % every == 0
                && offset + bytes.len() > image.len()
            {
                let mut torn = image.clone();
                apply(&mut torn, &Event::Write((*offset, bytes[..bytes.len() / 2].to_vec())));
                self.survives(&torn, &format!("killed in write {at}"));
            }
            apply(&mut image, event);
            if at % every == 0 {
                self.survives(&image, &format!("killed after write {at}"));
            }
        }
    }

    /// The power goes after any write, and what has not been synced reaches the disk in part.
    fn loses_power(&self, events: &[Event], every: usize, dice: &mut Dice) {
        let mut durable = self.image.clone();
        for group in events.split_inclusive(|event| matches!(event, Event::Sync)) {
            for lost in (0..group.len()).step_by(every) {
                let part = |keeps: &mut dyn FnMut(usize) -> bool| {
                    let mut image = durable.clone();
                    let kept = group.iter().enumerate().filter(|(at, _)| keeps(*at));
                    kept.for_each(|(_, event)| apply(&mut image, event));
                    image
                };
                self.survives(&part(&mut |at| at != lost), &format!("write {lost} is lost"));
                self.survives(&part(&mut |at| at == lost), &format!("only write {lost} is made"));
                let some = part(&mut |_| dice.roll(2) == 0);
                self.survives(&some, "some writes are lost");
            }
            group.iter().for_each(|event| apply(&mut durable, event));
        }
    }

    /// A write fails: the file is as before.
    fn fails(&self, events: &[Event], every: usize) {
        for at in (0..events.len()).step_by(every) {
            for trouble in [Trouble::Once(at), Trouble::Half(at)] {
                let file = Faulty::new(self.image.clone(), trouble);
                let outcome = perform(file.clone(), &self.batch);
                if trouble == Trouble::Half(at) && matches!(events[at], Event::Sync) {
                    continue;
                }
                let full = |error: &EngineError| matches!(error, EngineError::Io(e) if e.kind() == std::io::ErrorKind::StorageFull);
                assert!(outcome.as_ref().is_err_and(full), "{trouble:?}: {outcome:?}");
                assert!(file.bytes() == self.image, "{trouble:?}: something is left");
            }
            let file = Faulty::new(self.image.clone(), Trouble::Ever(at));
            assert!(perform(file.clone(), &self.batch).is_err());
            self.survives(&file.bytes(), &format!("nothing can be written from write {at} on"));
        }
    }

    /// A write is lost and reported as made: nothing is dropped because of it.
    fn is_lied_to(&self, events: &[Event], every: usize) {
        for at in (0..events.len()).step_by(every) {
            let file = Faulty::new(self.image.clone(), Trouble::Lost(at));
            let outcome = perform(file.clone(), &self.batch);
            let has_followers = events[at..].iter().any(|event| matches!(event, Event::Sync));
            if let (Err(error), true) = (&outcome, has_followers) {
                assert!(error.to_string().contains("was lost"), "write {at}: {error}");
                assert!(file.bytes() == self.image, "write {at} is lost: something is left");
            }
            self.survives(&file.bytes(), &format!("write {at} is lost, and nobody told"));
        }
    }

    /// A disk that stays full, however often it is tried.
    fn stays_full(&self) {
        let mut image = self.image.clone();
        for _ in 0..20 {
            let file = Faulty::new(image, Trouble::Full);
            assert!(perform(file.clone(), &self.batch).is_err(), "it need not grow");
            image = file.bytes();
            assert!(image == self.image, "a full disk leaks");
        }
        let file = Faulty::new(image, Trouble::None);
        perform(file.clone(), &self.batch).unwrap();
        self.is_done(&file.bytes(), "with room again");
    }
}

fn run(shape: Shape, seed: u64, every: usize) {
    let scene = scene(shape, seed);
    let events = scene.events();
    scene.is_done(
        &events.iter().fold(scene.image.clone(), |mut image, event| {
            apply(&mut image, event);
            image
        }),
        "undisturbed",
    );
    scene.fails(&events, every);
    if writes_beyond(&events, scene.image.len()) {
        scene.stays_full();
    }
    scene.is_lied_to(&events, every);
    scene.is_killed(&events, every);
    scene.loses_power(&events, every, &mut Dice(seed + 1));
}

fn writes_beyond(events: &[Event], length: usize) -> bool {
    let beyond = |event: &Event| matches!(event, Event::Write((offset, bytes)) if offset + bytes.len() > length);
    events.iter().any(beyond)
}

fn shapes(format: Format) -> impl Iterator<Item = Shape> {
    let sizes = [(512, 120), (1024, 150), (4096, 300), (16384, 600), (32768, 900)];
    let orders = [ByteOrder::Little, ByteOrder::Big].into_iter().cycle();
    sizes.into_iter().zip(orders).map(move |((page_size, records), order)| {
        let has_big = page_size == 1024;
        Shape { format, page_size, order, records, has_big }
    })
}

#[test]
fn no_fault_of_the_disk_loses_a_record_of_a_hash() {
    shapes(Format::Hash).zip(1..).for_each(|(shape, seed)| run(shape, seed, 3));
}

#[test]
fn no_fault_of_the_disk_loses_a_record_of_a_btree() {
    shapes(Format::Btree).zip(11..).for_each(|(shape, seed)| run(shape, seed, 3));
}

#[test]
#[ignore = "takes minutes: every write, and many batches"]
fn no_fault_of_the_disk_loses_a_record_at_length() {
    for seed in 100..110 {
        for format in [Format::Hash, Format::Btree] {
            for shape in shapes(format) {
                run(Shape { has_big: seed % 2 == 0, ..shape }, seed, 1);
            }
        }
    }
}

/// Another program has lost what was moved; by the note alone it would be there.
#[test]
fn a_note_is_no_reason_to_drop_a_record() {
    for (shape, seed) in shapes(Format::Hash).zip(31..) {
        let scene = scene(shape, seed);
        let events = scene.events();
        // `max_bucket` of hash.h: the header has the new buckets.
        let buckets = |image: &[u8]| image[40..44].to_vec();
        let mut image = scene.image.clone();
        let mut made: &[Event] = &[];
        for group in events.split(|event| matches!(event, Event::Sync)) {
            group.iter().for_each(|event| apply(&mut image, event));
            if buckets(&image) != buckets(&scene.image) {
                break;
            }
            made = group;
        }
        assert!(!made.is_empty() && buckets(&image) != buckets(&scene.image));
        for event in made {
            let Event::Write((offset, bytes)) = event else { panic!("{event:?}") };
            image[*offset..offset + bytes.len()].fill(0);
        }
        scene.goes_on(&image, "after another program");
    }
}

/// The first write of all: nothing, or a table.
#[test]
fn an_empty_file_that_cannot_become_a_table_stays_empty() {
    let create = |trouble| {
        let file = Faulty::new(Vec::new(), trouble);
        let mut writer = hash::Writer::create(file.clone(), 4096).unwrap();
        writer.put(b"192.0.2.1", &[7; 32]).unwrap();
        (writer.commit(), file)
    };
    let (made, whole) = create(Trouble::None);
    made.unwrap();
    assert_eq!(listed(&whole.bytes()).len(), 1);
    let events = whole.events();
    for at in 0..events.len() {
        for trouble in [Trouble::Once(at), Trouble::Half(at)] {
            let (made, file) = create(trouble);
            if made.is_err() {
                assert_eq!(file.bytes(), [0; 0], "{trouble:?}");
            }
        }
    }
    // A kill leaves nothing, what is known for the beginning of a table, or a table.
    let mut image = Vec::new();
    for (at, event) in events.iter().enumerate() {
        if let Event::Write((offset, bytes)) = event
            && offset + bytes.len() > image.len()
        {
            for part in [1, bytes.len() / 3, bytes.len() / 2] {
                let mut torn = image.clone();
                apply(&mut torn, &Event::Write((*offset, bytes[..part].to_vec())));
                let is_table = Snapshot::new(&torn).is_ok() && faults(&torn).is_empty();
                assert!(is_table || hash::is_begun(&torn), "cut in write {at}");
            }
        }
        apply(&mut image, event);
        let is_table = Snapshot::new(&image).is_ok() && faults(&image).is_empty();
        assert!(is_table || hash::is_begun(&image), "cut after write {at}");
    }
    assert!(!hash::is_begun(&image));
}
