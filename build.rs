//! Finds dbopen(3) and generates bindings. In: <db.h>. Out: `OUT_DIR/db.rs` and `cfg(libc_db)`, or
//! `cfg(libc_db = "system")` if it is the system's own.
//!
//! Called by Cargo before the library is compiled. The BSDs have dbopen(3) in libc; elsewhere the
//! environment may name a directory with a db.h and a libdb185.a (`DB185_DIR`; `.ci/db185` makes one).
//! Without either it does nothing: the native engine needs no C, and bindgen needs libclang only when it is
//! called.
//!
//! When cross-compiling, clang needs the target's headers: bindgen takes its flags from
//! `BINDGEN_EXTRA_CLANG_ARGS`.

use bindgen::callbacks::{ItemInfo, ParseCallbacks};
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The systems whose libc has dbopen(3) as 4.4BSD left it.
const SYSTEMS: [&str; 4] = ["openbsd", "freebsd", "netbsd", "dragonfly"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(libc_db, values(none(), \"system\"))");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DB185_DIR");
    let directory = env::var_os("DB185_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    match directory {
        Some(directory) => {
            link(&directory);
            describe(&directory.join("db.h").to_string_lossy())
        }
        None if SYSTEMS.contains(&env::var("CARGO_CFG_TARGET_OS")?.as_str()) => {
            println!("cargo::rustc-cfg=libc_db=\"system\"");
            describe("db.h")
        }
        None => Ok(()),
    }
}

/// Links the library in `directory` instead of the system's.
fn link(directory: &Path) {
    println!("cargo::rerun-if-changed={}", directory.join("libdb185.a").display());
    println!("cargo::rustc-link-search=native={}", directory.display());
    println!("cargo::rustc-link-lib=static=db185");
}

/// Writes what `header` declares to `OUT_DIR/db.rs`.
fn describe(header: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-cfg=libc_db");
    let bindings = bindgen::builder()
        .header_contents("greytrapper-db.h", &includes(header))
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
        .parse_callbacks(Box::new(PlainNames))
        .allowlist_function("([a-z0-9]+_)?dbopen")
        .allowlist_type("DB|DBT|DBTYPE|HASHINFO")
        .allowlist_var("O_RDONLY|O_RDWR|EFTYPE|R_FIRST|R_NEXT")
        .prepend_enum_name(false)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|error| error.to_string())?)
        .formatter(bindgen::Formatter::None)
        .generate()?;
    bindings
        .write_to_file(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("db.rs"))?;
    Ok(())
}

/// What a C program would include. If the system has no EFTYPE, the library in `DB185_DIR` uses the number
/// that it has on all the BSDs.
fn includes(header: &str) -> String {
    format!(
        "#include <errno.h>\n#include <fcntl.h>\n#include <{header}>\n\
         #ifndef EFTYPE\n#define EFTYPE 79\n#endif\n"
    )
}

/// A library that must coexist with another dbopen(3) adds a prefix to the name, which its db.h hides with
/// a macro: here it is still called `dbopen`.
#[derive(Debug)]
struct PlainNames;

impl ParseCallbacks for PlainNames {
    fn item_name(&self, item: ItemInfo<'_>) -> Option<String> {
        item.name.ends_with("_dbopen").then(|| "dbopen".to_owned())
    }
}
