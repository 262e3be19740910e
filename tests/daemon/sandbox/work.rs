//! The work of the roles: the real code in the sandbox, with what a role gets beforehand.

use super::process::{Act, Env};
use super::scene::DATABASE;
use crate::support::asking;
use greytrapper::config::Rules;
use greytrapper::db::Engine;
use greytrapper::db::database::Database;
use greytrapper::db::lock::{Creation, Wait, read_image};
use greytrapper::db::snapshot::Snapshot;
use greytrapper::dns::cache::Bounds;
use greytrapper::dns::resolver::Resolver;
use greytrapper::dns::{Limits, Transport};
use greytrapper::memory::{Batch, Hold, Query, Settings, Store};
use greytrapper::scan::{self, Portion};
use greytrapper::spamd::Address;
use greytrapper::spamd::trap::{Over, trap};
use memmap2::{Mmap, MmapMut};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

type Outcome = Result<(), Box<dyn Error>>;
type Prepared = Result<Act, Box<dyn Error>>;

const NOW: i64 = 1_795_420_000;
const PATIENCE: Duration = Duration::from_secs(10);
const LIMITS: Limits =
    Limits { in_flight: 50, timeout: PATIENCE, attempts: 2, transport: Transport::Udp };

/// The work of that name.
pub fn find(work: &str, env: &Env) -> Option<Prepared> {
    Some(match work {
        "threads, clock, memory, readiness" => Ok(Box::new(everyday)),
        "send to a connected log socket" => log(env),
        "write and read a database" => store(env),
        "fill shared memory" => share(),
        "judge a mapped image" => judge(),
        "accept at a unix listener" => accept(env),
        "ask a name server on any port" => ask(env, "SCENE_DNS"),
        "ask a name server on port 53" => ask(env, "SCENE_DNS_53"),
        "run the checker" => run(env),
        "kill a checker that takes too long" => kill(env),
        "start, watch and stop" => parent(env),
        "send on a connected udp socket" => sync(),
        "remember" => remember(env),
        _ => return None,
    })
}

/// Sets a file aside that is none of its own, begins another, writes, closes it, opens it, and reads.
fn remember(env: &Env) -> Prepared {
    let directory = env.path("memory");
    std::fs::write(directory.join("memory.redb"), DATABASE)?;
    Ok(Box::new(move || {
        let day = Duration::from_secs(24 * 60 * 60);
        let settings = Settings { directory, verdicts: day, tuples: Some(day), size: 1 << 30 };
        let opened = Store::open(settings.clone(), NOW)?;
        let aside = opened.set_aside.ok_or("not set aside")?;
        let holds = Some(vec![Hold {
            address: "192.0.2.1".parse()?,
            since: NOW,
            until: 0,
            reason: String::new(),
        }]);
        opened.store.write(Batch { now: NOW, holds: holds.clone(), ..Batch::default() })?;
        drop(opened.store);
        let opened = Store::open(settings, NOW)?;
        let recalled = opened.store.recall(0, NOW, 1)?;
        opened.store.find(&Query::default(), None, 1)?;
        let is_same = Some(recalled.holds) == holds && opened.set_aside.is_none();
        if is_same { Ok(()) } else { Err(format!("{aside:?}, then not the same").into()) }
    }))
}

/// What every process of the daemon does all the time.
fn everyday() -> Outcome {
    let handles = [1, 2].map(|n| thread::Builder::new().name(format!("t{n}")).spawn(move || n));
    for handle in handles {
        handle?.join().map_err(|_| "thread")?;
    }
    thread::available_parallelism()?;
    // A map's keys come from the system's random source.
    let map: HashMap<u32, Vec<u8>> = (0..100).map(|n| (n, vec![0; 100_000])).collect();
    let mut poll = Poll::new()?;
    let started = Instant::now();
    poll.poll(&mut Events::with_capacity(8), Some(Duration::from_millis(5)))?;
    thread::sleep(Duration::from_millis(1));
    let (mut one, mut other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.write_all(b"x")?;
    one.read_exact(&mut [0])?;
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    std::io::stderr().write_all(b"")?;
    let fine = map.len() == 100 && started.elapsed() >= Duration::from_millis(5);
    if fine { Ok(()) } else { Err("time".into()) }
}

/// As syslog(3) does once it has opened its socket.
fn log(env: &Env) -> Prepared {
    let socket = UnixDatagram::unbound()?;
    socket.connect(env.path("datagrams"))?;
    Ok(Box::new(move || Ok(socket.send(b"<22>greytrapper: hello").map(drop)?)))
}

/// Reads, traps, and does both again with another database in its place: on Linux that one is not
/// accessible until a new store is started.
fn store(env: &Env) -> Prepared {
    let path = env.own_database()?;
    let new = env.own_path("replacement");
    std::fs::write(&new, DATABASE)?;
    let mut somebody = Command::new("/bin/sh")
        .args(["-c", "read go; mv -f \"$0\" \"$1\"; echo done"])
        .args([&new, &path])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut go, done) = somebody.stdin.take().zip(somebody.stdout.take()).ok_or("pipes")?;
    Ok(Box::new(move || {
        let mut database = Database::new(&path, Creation::Never);
        let addresses: Vec<_> = (0..100u8).map(|n| format!("192.0.2.{n}")).collect();
        let mut trap_and_read = || -> Result<u64, Box<dyn Error>> {
            let mut notice = || ();
            let mut wait = Wait::usual(&mut notice);
            let mut work = |engine: &mut dyn Engine, address: &String| {
                let address = Address::parse(address.as_bytes()).unwrap();
                trap(engine, &address, NOW, 3600, Over::Nothing)
            };
            database.in_batches(&addresses, &mut wait, &mut work).whole()?;
            let image = read_image(&path, &mut wait)?;
            let rules = Rules { identity: false, ..Rules::default() };
            Ok(scan::run(&Snapshot::new(&image.bytes)?, NOW, &rules)?.counts().trapped)
        };
        let before = trap_and_read()?;
        go.write_all(b"go\n")?;
        BufReader::new(done).read_line(&mut String::new())?;
        let after = trap_and_read();
        match after {
            Ok(after) if before >= 100 && after == before && follows() => Ok(()),
            Err(error) if before >= 100 && !follows() && error.to_string().ends_with("denied") => {
                Ok(())
            }
            after => Err(format!("{before}, {after:?}").into()),
        }
    }))
}

/// Whether a lock follows a path to another file.
fn follows() -> bool {
    !cfg!(target_os = "linux")
}

/// Memory that it got as a descriptor.
fn share() -> Prepared {
    let file = tempfile::tempfile()?;
    Ok(Box::new(move || {
        file.set_len(1 << 20)?;
        let mut memory = shared_mut(&file)?;
        memory.fill(7);
        let same = memory.iter().all(|&byte| byte == 7) && file.metadata()?.len() == 1 << 20;
        if same { Ok(()) } else { Err("memory".into()) }
    }))
}

#[allow(unsafe_code)]
fn shared_mut(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: no other process has this file, which has no name, and nothing truncates it.
    unsafe { MmapMut::map_mut(file) }
}

#[allow(unsafe_code)]
fn shared(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: no other process has this file, which has no name, and nothing changes it any more.
    unsafe { Mmap::map(file) }
}

fn judge() -> Prepared {
    let mut file = tempfile::tempfile()?;
    file.write_all(DATABASE)?;
    Ok(Box::new(move || {
        let image = shared(&file)?;
        let rules = Rules { identity: false, ..Rules::default() };
        let report = scan::run(&Snapshot::new(&image)?, NOW, &rules)?;
        let expected = scan::run(&Snapshot::new(DATABASE)?, NOW, &rules)?;
        let [found, expected] =
            [&report, &expected].map(|report| report.verdicts(Portion::None).count());
        if found == expected && found > 0 { Ok(()) } else { Err("report".into()) }
    }))
}

fn accept(env: &Env) -> Prepared {
    let path = env.own_path("accept");
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    let mut client = UnixStream::connect(&path)?;
    client.write_all(b"show\n")?;
    Ok(Box::new(move || {
        let mut poll = Poll::new()?;
        let readable = Interest::READABLE;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), Token(0), readable)?;
        poll.poll(&mut Events::with_capacity(8), Some(PATIENCE))?;
        let (mut stream, _) = listener.accept()?;
        poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(1), readable)?;
        let mut command = [0; 5];
        stream.read_exact(&mut command)?;
        stream.write_all(b"fine\n")?;
        client.read_exact(&mut command)?;
        if &command == b"fine\n" { Ok(()) } else { Err("answer".into()) }
    }))
}

/// A question by UDP, answered as truncated, and once more by TCP.
fn ask(env: &Env, server: &str) -> Prepared {
    let server = env.address(server)?;
    let mut resolver = Resolver::with_servers(&[server], LIMITS, Bounds::default())?;
    Ok(Box::new(move || {
        let mut verdicts = Vec::new();
        asking::each(&mut resolver, ["mx.example"], |_, verdict| {
            verdicts.push(verdict.to_string())
        });
        if verdicts == ["MX"] { Ok(()) } else { Err(verdicts.join(", ").into()) }
    }))
}

/// Its exit status, its environment empty.
fn run(env: &Env) -> Prepared {
    let program = env.path("program");
    Ok(Box::new(move || {
        let mut command = Command::new(program);
        let status = command.arg("rcpt@example.org").env_clear().stdin(Stdio::null()).status()?;
        if status.code() == Some(3) { Ok(()) } else { Err(status.to_string().into()) }
    }))
}

fn kill(env: &Env) -> Prepared {
    let program = env.path("program");
    Ok(Box::new(move || {
        let mut child = Command::new(program).arg("wait").stdin(Stdio::piped()).spawn()?;
        thread::sleep(Duration::from_millis(20));
        let waits = child.try_wait()?.is_none();
        child.kill()?;
        let killed = child.wait()?.code().is_none();
        if waits && killed { Ok(()) } else { Err("status".into()) }
    }))
}

fn parent(env: &Env) -> Prepared {
    let (run, kill) = (run(env)?, kill(env)?);
    Ok(Box::new(move || run().and_then(|()| kill())))
}

fn sync() -> Prepared {
    let peer = UdpSocket::bind("127.0.0.1:0")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(peer.local_addr()?)?;
    peer.set_read_timeout(Some(PATIENCE))?;
    Ok(Box::new(move || {
        socket.send(b"sync")?;
        let mut datagram = [0; 8];
        let length = peer.recv(&mut datagram)?;
        if &datagram[..length] == b"sync" { Ok(()) } else { Err("datagram".into()) }
    }))
}
