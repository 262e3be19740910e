//! Which roles may do what, and which must be able to.
//!
//! The columns of [`DEEDS`] are the [`ROLES`] in order: `-` must fail, `+` must work, `l` must fail except
//! on Linux (programs that the role starts inherit its sandbox), `o` must fail except on OpenBSD (a promise
//! that the role needs covers it), `w` is possible on both.

/// All of them.
pub const ROLES: &[&str] =
    &["parent", "store", "engine", "dns", "inet", "checker", "sync", "memory"];

#[rustfmt::skip]
pub const DEEDS: &[(&str, &str)] = &[
    //                                  parent
    //                                  |store
    //                                  ||engine
    //                                  |||dns
    //                                  ||||inet
    //                                  |||||checker
    //                                  ||||||sync
    //                                  |||||||memory
    ("open the database",              "l+---l--"),
    ("truncate the database",          "lo---l--"),
    ("remove the database",            "l----l--"),
    ("rename the database",            "l----l--"),
    ("open another file to read",      "l----l--"),
    ("open another file to write",     "l----l--"),
    ("open /etc/passwd",               "l----l--"),
    ("list /etc",                      "l----l--"),
    ("look up a user",                 "l----l--"),
    ("create a file",                  "l----l--"),
    ("create a file without a name",   "l----l--"),
    ("make a directory",               "l----l--"),
    ("change a file's mode",           "l----l--"),
    ("remove a file",                  "l----l--"),
    ("remove the control socket",      "+----l--"),
    ("make a file of the memory",      "l----l-+"),
    ("rename a file of the memory",    "l----l-+"),
    ("remove a file of the memory",    "l----l-o"),
    ("make a directory in the memory", "l----l-o"),
    ("open an inet socket",            "l--l+l--"),
    ("connect to a tcp port",          "l---+l--"),
    ("send to a udp port",             "l--l+l--"),
    ("bind a tcp port",                "l---ol--"),
    ("bind a udp port",                "l---ol--"),
    ("open a unix socket",             "l-o--l--"),
    ("connect to a unix socket",       "l----l--"),
    ("bind a unix socket",             "l----l--"),
    ("send to a unix socket by name",  "l----l--"),
    ("execute the program",            "+----+--"),
    ("execute another program",        "l----l--"),
    ("start the program",              "+----+--"),
    ("start a shell",                  "l----l--"),
    ("fork",                           "+----+--"),
    ("trace another process",          "--------"),
    ("leave its namespaces",           "--------"),
    ("make an x32 call",               "--------"),
    ("kill another process",           "+----o--"),
    ("raise its limits",               "w----w--"),
    ("change its user",                "l----l--"),
    ("leave its directory for the root", "l----l--"),
];

/// What a role is there to do, by the names in `work`; no roles: all of them.
pub const WORK: &[(&[&str], &str)] = &[
    (&[], "threads, clock, memory, readiness"),
    (&[], "send to a connected log socket"),
    (&["store"], "write and read a database"),
    (&["store"], "fill shared memory"),
    (&["engine"], "judge a mapped image"),
    (&["engine"], "accept at a unix listener"),
    (&["inet"], "ask a name server on any port"),
    (&["dns"], "ask a name server on port 53"),
    (&["checker"], "run the checker"),
    (&["checker"], "kill a checker that takes too long"),
    (&["parent"], "start, watch and stop"),
    (&["memory"], "remember"),
    (&["sync"], "send on a connected udp socket"),
];

/// What is expected of a role and a deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// It must fail.
    Never,
    /// It must work.
    Always,
    /// It must not, but this system cannot forbid it.
    Here,
}

impl May {
    /// The columns of a row.
    pub fn of_row(row: &str) -> impl Iterator<Item = May> + '_ {
        assert_eq!(row.len(), ROLES.len());
        row.chars().map(|letter| match letter {
            '-' => May::Never,
            '+' => May::Always,
            'l' if cfg!(target_os = "linux") => May::Here,
            'o' if cfg!(target_os = "openbsd") => May::Here,
            'l' | 'o' => May::Never,
            'w' => May::Here,
            other => panic!("{other}"),
        })
    }
}
