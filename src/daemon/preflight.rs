//! `greytrapper -n`: what would stop the daemon, or its first scan, although its configuration is right.
//!
//! Each check does what the daemon does at its start, or reads what it would need. Nothing is changed, and
//! no sandbox is entered: it runs with the rights of whoever asks. What is an error here stops the daemon;
//! what may still be mended while it runs (a name that does not resolve, a database that spamd has not yet
//! created) is a warning. An ordinary user cannot see everything that root can: what is denied to that user
//! is a warning as well.
#![forbid(unsafe_code)]

use super::memory::directory;
use super::reader::needs;
use super::roles::ROLES;
use crate::config::{Config, EngineChoice};
use crate::db::Megabytes;
use crate::db::database::has_libc;
use crate::db::snapshot::format_of;
use crate::errno::reason;
use crate::escape::escaped_path;
use crate::process::user::{GREYTRAPPER, User};
use crate::scan;
use crate::sync::{self, Announcer, error::KeyFault};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::socket::UnixAddr;
use nix::unistd::{AccessFlags, Uid, access};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Bytes from which the format of a database can be told.
const MAGIC: u64 = 4096;
/// Execute or search permission, for the owner; for the group and others three and six bits lower.
const EXECUTE: u32 = 0o100;

/// What is wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// What stops the daemon.
    pub errors: Vec<String>,
    /// What it can wait for.
    pub warnings: Vec<String>,
}

/// Looks for what would stop a daemon with this configuration.
pub fn check(config: &Config) -> Findings {
    let mut found = Findings::default();
    found.users(config);
    found.socket(&config.socket);
    found.engine(config.engine);
    if let Some(checker) = &config.checker {
        found.checker(&checker.program);
    }
    found.database(&config.database);
    found.warnings.extend(lack_of_memory(&config.database));
    found.memory(&config.memory.directory);
    found.peers(&config.sync);
    found
}

impl Findings {
    fn error(&mut self, what: impl fmt::Display) {
        self.errors.push(what.to_string());
    }

    /// An error of the system about a file, which for an ordinary user may mean only that root must look.
    fn fault(&mut self, path: &Path, error: &io::Error) {
        let text = format!("{}: {}", escaped_path(path), reason(error));
        if error.kind() == io::ErrorKind::PermissionDenied && !Uid::effective().is_root() {
            self.warnings.push(text);
        } else {
            self.errors.push(text);
        }
    }

    /// Processes that root starts change their users.
    fn users(&mut self, config: &Config) {
        if !Uid::effective().is_root() {
            return;
        }
        let needs = needs(config);
        let needed = ROLES.iter().filter(|role| (role.is_needed)(&needs));
        let names: BTreeSet<_> = needed.filter_map(|role| role.user).collect();
        for error in names.into_iter().filter_map(|name| User::named(name).err()) {
            self.error(error);
        }
    }

    /// The socket's directory must exist, and no other file be in the socket's place. Another daemon may be
    /// running.
    fn socket(&mut self, path: &Path) {
        if let Err(error) = UnixAddr::new(path) {
            self.fault(path, &error.into());
        } else if let Some(directory) = path.parent() {
            match fs::metadata(directory) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => self.fault(directory, &io::ErrorKind::NotADirectory.into()),
                Err(error) => self.fault(directory, &error),
            }
        }
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            self.error(format_args!("{}: exists and is not a socket", escaped_path(path)));
        }
    }

    fn engine(&mut self, choice: EngineChoice) {
        if choice == EngineChoice::Libc && !has_libc() {
            self.error("engine libc: dbopen(3) is not available, only the native engine can write");
        }
    }

    /// The external program is run by a user other than root.
    fn checker(&mut self, program: &Path) {
        let shown = escaped_path(program);
        match is_runnable(program) {
            Ok(true) => {}
            Ok(false) if Uid::effective().is_root() => {
                self.error(format_args!("{shown}: user {GREYTRAPPER} may not run it"));
            }
            Ok(false) => self.error(format_args!("{shown}: is not a program that can be run")),
            Err(error) => self.fault(program, &error),
        }
    }

    /// The daemon goes on without a memory. It makes the directory itself if only that is missing.
    fn memory(&mut self, path: &Path) {
        let can_be_made = !path.exists() && path.parent().is_some_and(Path::is_dir);
        if let Err(failure) = directory::check(path, GREYTRAPPER)
            && !can_be_made
        {
            self.warnings.push(format!("memory: {failure}; nothing would be remembered"));
        }
    }

    /// The daemon starts without a database and serves it as soon as spamd has created it, but a file of
    /// another kind stays what it is.
    fn database(&mut self, path: &Path) {
        match beginning(path) {
            Ok(bytes) if bytes.is_empty() || format_of(&bytes).is_some() => {}
            Ok(_) => self.error(format_args!("{}: not a spamd database", escaped_path(path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.warnings.push(format!("{}: {}", escaped_path(path), reason(&error)));
            }
            Err(error) => self.fault(path, &error),
        }
    }

    /// Reads the key and connects to the peers, as the daemon does. Nothing is sent.
    fn peers(&mut self, peers: &crate::config::Sync) {
        match Announcer::open(peers, sync::port()) {
            Ok(announcer) => {
                self.warnings.extend(announcer.unreached().map(|unreached| unreached.to_string()));
            }
            Err(sync::Error::Key(path, KeyFault::Io(error))) => self.fault(&path, &error),
            Err(error) => self.error(error),
        }
    }
}

/// What is to be said if the memory that this process and its children may have is too small for a scan: an
/// allocation cannot be tried in their place, but their limit is this one.
pub fn lack_of_memory(database: &Path) -> Option<String> {
    let (limit, _) = getrlimit(Resource::RLIMIT_DATA).ok()?;
    if limit == RLIM_INFINITY {
        return None;
    }
    // The signedness of the type differs between systems.
    let limit = usize::try_from(limit).ok()?;
    let length = fs::metadata(database).ok()?.len();
    let need = scan::room(length).saturating_add(usize::try_from(length).ok()?);
    (need > limit).then(|| {
        format!(
            "{}: a scan needs {} of memory, and the limit is {} (datasize of the login class)",
            escaped_path(database),
            Megabytes(need as u64),
            Megabytes(limit as u64)
        )
    })
}

/// The first bytes of a database, in a regular file.
fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAGIC).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the user who is to run the program may: the daemon's user if root starts it, otherwise this one.
fn is_runnable(program: &Path) -> io::Result<bool> {
    if !fs::metadata(program)?.is_file() {
        return Ok(false);
    }
    if !Uid::effective().is_root() {
        return Ok(access(program, AccessFlags::X_OK).is_ok());
    }
    // Its absence is another error.
    let Ok(user) = User::named(GREYTRAPPER) else { return Ok(true) };
    let real = fs::canonicalize(program)?;
    let may_pass = |path: &Path| -> io::Result<bool> {
        let found = fs::metadata(path)?;
        // The kernel looks at the first class that the user is in, at no other.
        let shift = match found {
            _ if found.uid() == user.uid.as_raw() => 0,
            _ if found.gid() == user.gid.as_raw() => 3,
            _ => 6,
        };
        Ok(found.mode() & (EXECUTE >> shift) != 0)
    };
    real.ancestors().try_fold(true, |so_far, path| Ok(so_far && may_pass(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Checker;
    use crate::config::Memory;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A configuration whose files are in `directory`, where nothing is missing.
    fn sound(directory: &Path) -> Config {
        let database = directory.join("spamd");
        fs::write(&database, "").unwrap();
        let memory = Memory { directory: directory.join("memory"), ..Memory::default() };
        Config { database, socket: directory.join("sock"), memory, ..Config::default() }
    }

    /// What is wrong, apart from the users that only a mail host has.
    fn errors(config: &Config) -> Vec<String> {
        let mut found = check(config).errors;
        found.retain(|error| !error.starts_with("user "));
        found
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let config = sound(directory.path());
        assert_eq!((errors(&config), check(&config).warnings), (vec![], vec![]));
        assert!(!config.socket.exists());
    }

    #[test]
    fn a_memory_that_cannot_be_used_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = sound(directory.path());
        fs::write(&config.memory.directory, "").unwrap();
        let warnings = check(&config).warnings;
        assert!(warnings.iter().any(|warning| warning.starts_with("memory: ")), "{warnings:?}");
        config.memory.directory = "/no/such/place".into();
        let warnings = check(&config).warnings;
        assert!(warnings.iter().any(|warning| warning.starts_with("memory: ")), "{warnings:?}");
        assert_eq!(errors(&config), [""; 0]);
    }

    #[test]
    fn an_engine_that_does_not_exist_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { engine: EngineChoice::Libc, ..sound(directory.path()) };
        let expected: &[&str] = match has_libc() {
            true => &[],
            false => &["engine libc: dbopen(3) is not available, only the native engine can write"],
        };
        assert_eq!(errors(&config), expected);
    }

    #[test]
    fn a_database_of_another_kind_is_an_error_a_missing_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let config = sound(directory.path());
        let path = config.database.display().to_string();
        fs::write(&config.database, "root:*:0:0:Charlie &:/root:/bin/ksh\n").unwrap();
        assert_eq!(errors(&config), [format!("{path}: not a spamd database")]);
        fs::remove_file(&config.database).unwrap();
        let found = check(&config);
        assert_eq!(errors(&config), [""; 0]);
        assert_eq!(found.warnings, [format!("{path}: No such file or directory")]);
        fs::create_dir(&config.database).unwrap();
        assert_eq!(errors(&config), [format!("{path}: not a regular file")]);
    }

    #[test]
    fn a_program_that_cannot_be_run_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("check rcpt");
        let of = |program: &Path| {
            let program = program.to_path_buf();
            let checker = Checker { program, timeout: Checker::TIMEOUT, control: None };
            errors(&Config { checker: Some(checker), ..sound(directory.path()) })
        };
        assert_eq!(of(&program), [format!("{}: No such file or directory", program.display())]);
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(of(&program).len(), 1);
        assert_eq!(of(directory.path()).len(), 1);
        assert_eq!(of(Path::new("/bin/sh")), [""; 0]);
    }

    #[test]
    fn a_key_that_others_may_read_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        fs::write(&key, "secret").unwrap();
        let mut config = sound(directory.path());
        config.sync.key = Some(key.clone());
        config.sync.peers = vec!["127.0.0.1".into()];
        for (mode, expected) in
            [(0o640, None), (0o644, Some("group writable or world read/writable"))]
        {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            let expected: Vec<_> =
                expected.iter().map(|fault| format!("{}: {fault}", key.display())).collect();
            assert_eq!(errors(&config), expected);
        }
        fs::remove_file(&key).unwrap();
        assert_eq!(errors(&config), [format!("{}: No such file or directory", key.display())]);
    }

    #[test]
    fn a_socket_needs_a_directory_and_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let of = |socket: PathBuf| errors(&Config { socket, ..sound(directory.path()) });
        let missing = directory.path().join("run");
        let told = format!("{}: No such file or directory", missing.display());
        assert_eq!(of(missing.join("sock")), [told]);
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(of(file.clone()), [format!("{}: exists and is not a socket", file.display())]);
        assert_eq!(of(directory.path().join("x".repeat(200))).len(), 1);
    }
}
