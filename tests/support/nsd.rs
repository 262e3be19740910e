//! The system's nsd(8) on loopback with one zone, for ignored tests and benches.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running nsd; it ends when dropped.
pub struct Nsd {
    /// Where it answers.
    pub address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Nsd {
    /// Serves the root zone with these records; SOA, NS and an address for the latter are added.
    pub fn start(records: impl Iterator<Item = String>) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| directory.path().join(name);
        let mut zone = std::io::BufWriter::new(std::fs::File::create(at("zone")).expect("zone"));
        writeln!(zone, "$TTL 300\n. SOA a. b. 1 2 3 4 60\n. NS a.\na. A 127.0.0.1").expect("zone");
        for record in records {
            writeln!(zone, "{record}").expect("zone");
        }
        zone.into_inner().expect("zone");
        let zone = at("zone");
        Self::run(directory, ".", &zone)
    }

    /// Serves a zone file.
    pub fn serve(origin: &str, zone: &Path) -> Self {
        Self::run(tempfile::tempdir().expect("temporary directory"), origin, zone)
    }

    fn run(directory: tempfile::TempDir, origin: &str, zone: &Path) -> Self {
        let port = free_port();
        let text = format!(
            "server:\n ip-address: 127.0.0.1\n port: {port}\n server-count: 1\n username: \"\"\n \
             zonesdir: \"{0}\"\n pidfile: \"\"\n xfrdfile: \"{0}/xfrd\"\n zonelistfile: \"{0}/list\"\n \
             rrl-ratelimit: 0\n rrl-whitelist-ratelimit: 0\n tcp-count: 100\n\
             remote-control:\n control-enable: no\nzone:\n name: \"{origin}\"\n zonefile: \"{1}\"\n",
            directory.path().display(),
            zone.display()
        );
        let conf = directory.path().join("nsd.conf");
        std::fs::write(&conf, text).expect("nsd.conf");
        let child = Command::new("/usr/sbin/nsd")
            .arg("-d")
            .arg("-c")
            .arg(conf)
            .stderr(Stdio::null())
            .spawn()
            .expect("nsd");
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let nsd = Self { address, child, _directory: directory };
        nsd.wait();
        nsd
    }

    /// Has it read its zone again.
    pub fn reload(&self) {
        let mut kill = Command::new("kill");
        assert!(
            kill.arg("-HUP").arg(self.child.id().to_string()).status().expect("kill").success()
        );
    }

    /// Until it answers.
    fn wait(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            let _ = socket.send_to(b"\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01", self.address);
            if socket.recv(&mut [0; 512]).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nsd does not answer");
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // TERM by its own number, so that it ends its children too.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A port on which nobody listens, below those that Linux gives out by itself (`ip_local_port_range`): no other
/// test gets it before it is used.
pub fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let tried = iter::repeat_with(|| TRIED.fetch_add(1, Ordering::Relaxed));
    let first = process::id().wrapping_mul(101);
    let mut ports = tried.map(|n| 10_240 + (first.wrapping_add(n) % 20_000) as u16);
    let is_free = |port: &u16| {
        let address = (Ipv4Addr::LOCALHOST, *port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    ports.find(is_free).expect("a free port")
}
