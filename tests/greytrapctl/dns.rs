//! `simulate` and `lookup` with a name server on loopback that says what each test wants it to say.

use crate::responder::*;
use crate::util::{Cmd, Dir, ctl, data};
use greytrapper::db::native;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
