//! Compares the OpenBSD port with its sources: crates.inc and distinfo with Cargo.lock, `regen` with a
//! small registry and a checksum from the ports tree, and the packing list and the Makefile with the
//! existing files.
//!
//! If the lists do not match Cargo.lock, run `openbsd-port/regen`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// Name and version of each crate of Cargo.lock, with the SHA256 in hexadecimal.
fn locked() -> BTreeMap<(String, String), String> {
    let package = Regex::new(
        "(?m)^name = \"(.+)\"\nversion = \"(.+)\"\nsource = \"registry.+\"\nchecksum = \"([0-9a-f]{64})\"$",
    )
    .unwrap();
    let lock = read("Cargo.lock");
    let locked: BTreeMap<_, _> = package
        .captures_iter(&lock)
        .map(|found| ((found[1].into(), found[2].into()), found[3].into()))
        .collect();
    // All but greytrapper itself.
    assert_eq!(locked.len() + 1, lock.matches("[[package]]").count());
    locked
}

/// The digits of base 64 (RFC 4648 section 4) as bits, six a digit, without the filling.
fn bits(base64: &str) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let filling = base64.chars().rev().take_while(|&c| c == '=').count();
    let text = base64.trim_end_matches('=').chars();
    let bits: String = text.map(|c| format!("{:06b}", digits.find(c).unwrap())).collect();
    bits[..bits.len() - 2 * filling].into()
}

/// The same of hexadecimal digits.
fn hex_bits(hex: &str) -> String {
    hex.chars().map(|c| format!("{:04b}", c.to_digit(16).unwrap())).collect()
}

#[test]
fn crates_inc_lists_the_crates_of_the_lock_file() {
    let line =
        Regex::new(r"^MODCARGO_CRATES \+=\t([^\t ]+)\t([^\t ]+)\t# [A-Z(][A-Za-z0-9 ./()-]+$")
            .unwrap();
    let list = read("openbsd-port/crates.inc");
    let listed: Vec<(String, String)> = list
        .lines()
        .map(|text| {
            let found = line.captures(text).unwrap_or_else(|| panic!("crates.inc: {text}"));
            (found[1].to_string(), found[2].to_string())
        })
        .collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, locked().into_keys().collect::<Vec<_>>(), "run openbsd-port/regen");
}

#[test]
fn distinfo_has_the_checksums_of_the_lock_file() {
    let (distinfo, locked) = (read("openbsd-port/distinfo"), locked());
    let crates = distinfo.lines().filter(|line| line.contains("(cargo/")).count();
    assert_eq!(crates, 2 * locked.len(), "run openbsd-port/regen");
    for ((name, version), hex) in locked {
        let field = |field: &str| {
            let start = format!("{field} (cargo/{name}-{version}.tar.gz) = ");
            let value = distinfo.lines().find_map(|line| line.strip_prefix(&start));
            value.unwrap_or_else(|| panic!("{start}? run openbsd-port/regen")).to_string()
        };
        assert_eq!(bits(&field("SHA256")), hex_bits(&hex), "{name}: run openbsd-port/regen");
        assert!(field("SIZE").parse::<u64>().unwrap() > 500, "{name}");
    }
}

/// A checkout with `lock` as its Cargo.lock, the crates memchr 2.4.0 and odd 1.0.0 in cargo's cache,
/// and a cargo that has nothing to fetch.
struct Checkout(tempfile::TempDir);

/// The line that the ports tree had about it in net/routinator, and the same checksum from crates.io.
const MEMCHR: &str = "sWvUfZ4ylDXjCcWEaf4HkcLQ0bqW7AlUFSpa4rBDh9w=";
const MEMCHR_HEX: &str = "b16bd47d9e329435e309c58469fe0791c2d0d1ba96ec0954152a5ae2b04387dc";
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

impl Checkout {
    fn new(lock: &str) -> Checkout {
        let checkout = Checkout(tempfile::tempdir().unwrap());
        checkout.put("Cargo.lock", lock);
        checkout.put("openbsd-port/regen", &read("openbsd-port/regen"));
        let licensed = "[package]\nname = \"memchr\"\nlicense = \"Unlicense/MIT\"\n\
            [package.metadata]\nlicense = \"none\"\n";
        checkout.add("memchr-2.4.0", 60_000, licensed);
        checkout.add("odd-1.0.0", 1234, "[package]\nlicense-file = \"COPYING\"\n");
        checkout.put("bin/cargo", "#!/bin/sh\n");
        fs::set_permissions(checkout.path("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
        checkout
    }

    fn add(&self, name: &str, size: usize, manifest: &str) {
        self.put(&format!("registry/cache/index/{name}.crate"), &"x".repeat(size));
        self.put(&format!("registry/src/index/{name}/Cargo.toml"), manifest);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What regen says if it fails.
    fn regen(&self) -> Result<(), String> {
        self.regen_with(&[])
    }

    fn regen_with(&self, distfile: &[PathBuf]) -> Result<(), String> {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .arg(self.path("openbsd-port/regen"))
            .args(distfile)
            .env("CARGO_HOME", self.0.path())
            .env("PATH", path)
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8(output.stderr).unwrap())
    }

    fn made(&self, file: &str) -> String {
        fs::read_to_string(self.path(&format!("openbsd-port/{file}"))).unwrap_or_default()
    }
}

fn package(name: &str, version: &str, source: &str, checksum: &str) -> String {
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n\
         checksum = \"{checksum}\"\ndependencies = [\n \"odd\",\n]\n\n"
    )
}

/// A lock file with greytrapper and two crates.
fn lock() -> String {
    let itself = "version = 4\n\n[[package]]\nname = \"greytrapper\"\nversion = \"0.1.0\"\n\n";
    let memchr = package("memchr", "2.4.0", CRATES_IO, MEMCHR_HEX);
    [itself, &memchr, &package("odd", "1.0.0", CRATES_IO, &"0".repeat(64))].concat()
}

#[test]
fn regen_makes_both_lists_and_keeps_other_lines() {
    let checkout = Checkout::new(&lock());
    checkout.put(
        "openbsd-port/distinfo",
        "SHA256 (cargo/gone-1.0.0.tar.gz) = x\nSHA256 (greytrapper-0.1.0.tar.gz) = y\n\
         SIZE (cargo/gone-1.0.0.tar.gz) = 1\nSIZE (greytrapper-0.1.0.tar.gz) = 2\n",
    );
    checkout.regen().unwrap();
    assert_eq!(
        checkout.made("crates.inc"),
        "MODCARGO_CRATES +=\tmemchr\t2.4.0\t# Unlicense/MIT\n\
         MODCARGO_CRATES +=\todd\t1.0.0\t# COPYING\n"
    );
    assert_eq!(
        checkout.made("distinfo"),
        format!(
            "SHA256 (cargo/memchr-2.4.0.tar.gz) = {MEMCHR}\n\
             SHA256 (cargo/odd-1.0.0.tar.gz) = {}=\n\
             SHA256 (greytrapper-0.1.0.tar.gz) = y\n\
             SIZE (cargo/memchr-2.4.0.tar.gz) = 60000\n\
             SIZE (cargo/odd-1.0.0.tar.gz) = 1234\n\
             SIZE (greytrapper-0.1.0.tar.gz) = 2\n",
            "A".repeat(43)
        )
    );
}

/// The checksum is that of the example in FIPS 180-4 for the message "abc".
#[test]
fn regen_enters_the_distfile_of_a_release() {
    let checkout = Checkout::new(&lock());
    checkout.put("openbsd-port/distinfo", "SHA256 (greytrapper-0.0.9.tar.gz) = y\n");
    checkout.put("greytrapper-0.1.0.tar.gz", "abc");
    checkout.regen_with(&[checkout.path("greytrapper-0.1.0.tar.gz")]).unwrap();
    let made = checkout.made("distinfo");
    let lines: Vec<_> = made.lines().filter(|line| line.contains("(greytrapper")).collect();
    assert_eq!(
        lines,
        [
            "SHA256 (greytrapper-0.1.0.tar.gz) = ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "SIZE (greytrapper-0.1.0.tar.gz) = 3",
        ]
    );
}

#[test]
fn regen_fails_without_touching_the_lists() {
    let elsewhere = package("elsewhere", "1.0.0", "git+https://example.org/x", "");
    let missing = package("missing", "1.0.0", CRATES_IO, MEMCHR_HEX);
    let rows = [
        ([lock(), elsewhere].concat(), "elsewhere: not from crates.io: git+https://example.org/x"),
        ([lock(), missing].concat(), "missing-1.0.0.crate: no such file"),
        ("version = 4\n".into(), "../Cargo.lock: no crates"),
    ];
    for (lock, expected) in rows {
        let checkout = Checkout::new(&lock);
        checkout.put("openbsd-port/distinfo", "as it was\n");
        let said = checkout.regen().unwrap_err();
        assert!(said.starts_with("regen: "), "{said}");
        assert!(said.ends_with(&format!("{expected}\n")), "{said}");
        assert_eq!(checkout.made("distinfo"), "as it was\n");
        assert_eq!(checkout.made("crates.inc"), "");
    }
}

#[test]
fn the_package_has_every_program_manual_and_example() {
    let list = read("openbsd-port/pkg/PLIST");
    let names = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(Path::new(ROOT).join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for manual in names("man") {
        let section = manual.rsplit('.').next().unwrap();
        assert!(list.contains(&format!("\n@man man/man{section}/{manual}\n")), "{manual}");
    }
    for program in names("src/bin") {
        let program = program.trim_end_matches(".rs");
        assert!(list.contains(&format!("\n@bin sbin/{program}\n")), "{program}");
    }
    assert_eq!(list.matches("\n@man ").count(), names("man").len());
    assert_eq!(list.matches("\n@bin ").count(), names("src/bin").len());
    let default = greytrapper::config::DEFAULT_FILE.replace("/etc", "${SYSCONFDIR}");
    let sample = "\nshare/examples/greytrapper/greytrapper.conf\n@sample ";
    assert!(list.contains(&format!("{sample}{default}\n")));
    let makefile = read("openbsd-port/Makefile");
    let is_example = |name: &&String| name.ends_with(".conf") || name.ends_with(".json");
    for example in names("examples").iter().filter(is_example) {
        assert!(list.contains(&format!("\nshare/examples/greytrapper/{example}\n")), "{example}");
        assert!(makefile.contains(&format!("${{WRKSRC}}/examples/{example} ")), "{example}");
    }
}

#[test]
fn the_package_has_every_completion() {
    let (list, makefile) = (read("openbsd-port/pkg/PLIST"), read("openbsd-port/Makefile"));
    let files = fs::read_dir(Path::new(ROOT).join("completions")).unwrap();
    let mut installed = 0;
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let (program, kind) = match name.strip_prefix('_') {
            Some(program) => (program, "zsh"),
            None => name.split_once('.').unwrap(),
        };
        let (place, source) = match kind {
            "bash" => (format!("bash-completion/completions/{program}"), "${_program}.bash".into()),
            "fish" => (format!("fish/vendor_completions.d/{name}"), "${_program}.fish".into()),
            "zsh" => (format!("zsh/site-functions/{name}"), "_${_program}".into()),
            _ => (format!("examples/greytrapper/{name}"), name.clone()),
        };
        assert!(list.contains(&format!("\nshare/{place}\n")), "{name}");
        assert!(makefile.contains(&format!("${{WRKSRC}}/completions/{source} ")), "{name}");
        let folder = format!("${{PREFIX}}/share/{}", place.rsplit_once('/').unwrap().0);
        assert!(makefile.contains(&folder), "{name}");
        installed += 1;
    }
    let listed = Regex::new("(?m)^share/.*(completion|functions).*[^/]$|\\.ksh$").unwrap();
    assert_eq!(listed.find_iter(&list).count(), installed);
    assert!(makefile.contains("\n.for _program in greytrapctl greytrapper\n"));
}

/// bsd.port.mk(5), FILES: where the ports tree installs what is in pkg/.
#[test]
fn the_package_has_its_login_class_and_leaves_nothing_behind() {
    let list = read("openbsd-port/pkg/PLIST");
    let class = "\nshare/examples/login.conf.d/greytrapper\n\
        @sample ${SYSCONFDIR}/login.conf.d/greytrapper\n";
    assert!(list.contains(class));
    let login = read("openbsd-port/pkg/greytrapper.login");
    let lines: Vec<_> = login.lines().collect();
    let (first, rest) = lines.split_first().unwrap();
    assert_eq!(*first, "greytrapper:\\");
    assert!(rest.iter().all(|line| line.starts_with("\t:") && line.contains(":")), "{login}");
    assert_eq!(rest.last(), Some(&"\t:tc=daemon:"));
    let folder = greytrapper::config::Config::default().memory.directory;
    let folder = folder.display().to_string().replace("/var", "${LOCALSTATEDIR}");
    assert!(list.contains(&format!("\n@sample {folder}/\n")), "{folder}");
    assert!(list.contains(&format!("\n@extra {folder}/memory.redb\n")));
    assert!(list.contains(&format!("\n@extraunexec rm -f {folder}/memory.redb.bad-*\n")));
    for text in ["MESSAGE", "UNMESSAGE", "README", "DESCR"] {
        let text = read(&format!("openbsd-port/pkg/{text}"));
        // Lines of other programs' files are as long as they are.
        let mut own = text.lines().filter(|line| !line.starts_with("    "));
        assert!(own.all(|line| line.len() <= 80), "{text}");
    }
}

#[test]
fn the_makefile_has_the_version_of_the_package() {
    let name = format!("\nV =\t\t{}\nDISTNAME =\tgreytrapper-${{V}}\n", env!("CARGO_PKG_VERSION"));
    assert!(read("openbsd-port/Makefile").contains(&name), "{name}");
}

#[test]
fn the_scripts_are_sound_sh() {
    for script in ["regen", "pkg/greytrapper.rc"] {
        let path = format!("{ROOT}/openbsd-port/{script}");
        assert!(Command::new("sh").args(["-n", &path]).status().unwrap().success(), "{script}");
    }
}
