//! The sandbox on OpenBSD: unveil(2) for paths, then pledge(2) for everything else.
//!
//! The last pledge(2) lacks the promise `unveil`, so nothing can be unveiled after it. Without
//! execpromises, an executed program begins without promises and with all files visible (`sys_execve` in
//! kern_exec.c), and makes its own promises. A script's interpreter and ld.so(1) need no unveil(2)
//! (`check_exec` in the same file).

use super::{Error, Rights, Strength};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub fn enter(rights: &Rights) -> Result<Strength, Error> {
    let unveils: Vec<_> =
        rights.unveils.iter().map(|(path, permissions)| (path.as_path(), *permissions)).collect();
    lock(rights.promises, &unveils)?;
    Ok(Strength::Full)
}

pub fn lock(promises: &str, unveils: &[(&Path, &str)]) -> Result<(), Error> {
    for (path, permissions) in unveils {
        unveil(path, permissions)
            .map_err(|error| Error::Path { path: path.to_path_buf(), error })?;
    }
    pledge(promises).map_err(|error| Error::Lock { what: "pledge", error })
}

fn unveil(path: &Path, permissions: &str) -> io::Result<()> {
    unveil::unveil(path.as_os_str().as_bytes(), permissions).map_err(|error| match error {
        unveil::Error::Os(number) => io::Error::from_raw_os_error(number),
        other => io::Error::new(io::ErrorKind::InvalidInput, other),
    })
}

fn pledge(promises: &str) -> io::Result<()> {
    pledge::pledge(promises, None).map_err(|error| match error {
        pledge::Error::Other(number) => io::Error::from_raw_os_error(number),
        other => io::Error::new(io::ErrorKind::InvalidInput, other),
    })
}

pub fn title(role: &str) {
    let Ok(role) = CString::new(role) else { return };
    // SAFETY: the format takes one string, `role` is one that ends in a NUL and outlives the call, and
    // setproctitle(3) copies what it prints.
    unsafe { libc::setproctitle(c"%s".as_ptr(), role.as_ptr()) }
}
