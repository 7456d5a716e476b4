//! `bpf prog`: loads programs, shows them, runs them. Words, texts and exit statuses are bpftool's.
//!
//! ```text
//!   bpf prog load FILE|'TEXT' NAME [type SECTION] [autoattach]    the first program of a file
//!   bpf prog loadall FILE NAME [type SECTION] [autoattach]        all of them, as NAME/program
//!   bpf prog list|show [PROG]                            dump xlated|jited PROG [opcodes] [linum]
//!   bpf prog attach, detach                              `super::attach`
//!   bpf prog pin PROG NAME                               run PROG [data_in FILE] [data_out FILE] [repeat N]
//!
//!   PROG:  id NUMBER | name NAME | tag TAG | pinned FILE
//!   NAME:  a path under /sys/fs/bpf, or what comes behind that
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`load`] | files and texts to programs |
//! | [`show`] | what a program is |
//! | [`dump`] | its instructions, and those of the machine |
//! | [`run`] | runs it on request |
//!
//! A program stays for as long as its name does, or somebody else holds it: `rm /sys/fs/bpf/NAME`. An exit status is 255 when
//! a word is wrong or nothing was loaded, and 256 less the error number when the program was refused to run.

mod dump;
mod load;
mod run;
mod show;

pub(super) use load::open;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use sh::Ctx;
use tracecore::errno::Errno;

use crate::bpf::prog::{self, Prog};
use crate::fs::bpffs;

/// Why a command ends: what is said, and its exit status.
pub(super) struct Failure {
    text: String,
    status: i32,
}

impl Failure {
    /// A word is wrong.
    fn word(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: 255 }
    }

    /// The kernel has refused.
    fn refused(what: &str, errno: Errno) -> Self {
        Self { text: format!("{what}: {}", errno.strerror()), status: 256 - (errno.code() & 0xff) }
    }

    /// Tells the user, and gives the exit status.
    pub(super) fn tell(self, ctx: &mut Ctx) -> i32 {
        if !self.text.is_empty() {
            ctx.eprint(&format!("Error: {}\n", self.text));
        }
        self.status
    }
}

/// What a command does.
type Done = Result<(), Failure>;

const USAGE: &str = "\
usage: bpf prog { show | list } [PROG]
       bpf prog dump xlated PROG [opcodes] [linum]
       bpf prog dump jited  PROG
       bpf prog pin   PROG NAME
       bpf prog { load | loadall } FILE|'TEXT' NAME [type SECTION] [autoattach]
       bpf prog attach PROG [TARGET] [cookie N[,N...]] [pin PATH]
       bpf prog detach PROG [TARGET]
       bpf prog run PROG [data_in FILE] [data_out FILE] [repeat N]
       bpf prog help

       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }
       NAME is a path under /sys/fs/bpf, or what comes behind that
";

/// `bpf prog COMMAND …`.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let (command, rest) = args.split_first().map_or(("list", args), |(first, rest)| (*first, rest));
    let mut words = Words(rest);
    let done = match command {
        "attach" => return super::attach::attach(ctx, rest),
        "detach" => return super::attach::detach(ctx, rest),
        "load" => load::load(ctx, &mut words, false),
        "loadall" => load::load(ctx, &mut words, true),
        "list" | "show" => show::show(ctx, &mut words),
        "dump" => dump::dump(ctx, &mut words),
        "run" => run::run(ctx, &mut words),
        "pin" => pin(ctx, &mut words),
        "help" => {
            ctx.eprint(USAGE);
            return 0;
        }
        _ => {
            ctx.eprint(USAGE);
            return 255;
        }
    };
    done.map_or_else(|failure| failure.tell(ctx), |()| 0)
}

/// The words of a command that are left.
pub(super) struct Words<'a>(&'a [&'a str]);

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.0.first().copied()
    }

    fn next(&mut self, what: &str) -> Result<&'a str, Failure> {
        let (first, rest) = self.0.split_first().ok_or_else(|| Failure::word(format!("expected {what}")))?;
        self.0 = rest;
        Ok(first)
    }

    /// Takes this word, if it is the next.
    fn take(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        if is {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is
    }

    fn end(&self) -> Done {
        self.peek().map_or(Ok(()), |word| Err(Failure::word(format!("did not expect '{word}'"))))
    }

    fn number(&mut self, what: &str) -> Result<u32, Failure> {
        let word = self.next(what)?;
        word.parse().map_err(|_| Failure::word(format!("can't parse {what}: '{word}'")))
    }

    /// All programs that the next words mean; at least one.
    fn progs(&mut self) -> Result<Vec<Arc<Prog>>, Failure> {
        const WAYS: &str = "expected 'id', 'tag', 'name' or 'pinned'";
        let way = self.peek().ok_or_else(|| Failure::word(WAYS))?;
        let wanted: &dyn Fn(&str, &Prog) -> bool = match way {
            "tag" => &|word, prog| word == tag(prog),
            "name" => &|word, prog| word == prog.parts().name,
            "id" | "pinned" => {
                self.take(way);
                let one = if way == "id" { self.by_id()? } else { self.pinned()? };
                return Ok(Vec::from([one]));
            }
            _ => return Err(Failure::word(format!("{WAYS}, got: '{way}'?"))),
        };
        self.take(way);
        let word = self.next(way)?;
        let mut found = prog::all();
        found.retain(|prog| wanted(word, prog));
        if found.is_empty() { Err(Failure::word(format!("no program with {way} {word}"))) } else { Ok(found) }
    }

    /// The one program that the next words mean.
    fn prog(&mut self) -> Result<Arc<Prog>, Failure> {
        let mut found = self.progs()?;
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (_, _) => Err(Failure::word("several programs match this handle")),
        }
    }

    fn by_id(&mut self) -> Result<Arc<Prog>, Failure> {
        let id = self.number("id")?;
        prog::by_id(id)
            .ok_or_else(|| Failure::word(format!("get by id ({id}): {}", Errno::ENOENT.strerror())))
    }

    fn pinned(&mut self) -> Result<Arc<Prog>, Failure> {
        let path = path_of(self.next("a name")?);
        let failed = |errno: Errno| Failure::word(format!("bpf obj get ({path}): {}", errno.strerror()));
        let object = bpffs::get(&path).map_err(failed)?;
        object.downcast().map_err(|_| Failure::word("incorrect object type: not a program"))
    }
}

/// A tag as it is written.
fn tag(prog: &Prog) -> String {
    format!("{:016x}", u64::from_be_bytes(prog.parts().tag))
}

/// Where a name lies: a path as it stands, others under the root of pins.
fn path_of(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("{}/{name}", bpffs::ROOT) }
}

/// `bpf prog pin PROG NAME`.
fn pin(_: &mut Ctx, words: &mut Words<'_>) -> Done {
    let prog = words.prog()?;
    let path = path_of(words.next("a name")?);
    words.end()?;
    bpffs::pin(&path, prog)
        .map_err(|errno| Failure::word(format!("can't pin the object ({path}): {}", errno.strerror())))
}
