//! `bpf prog load`: from a file, or from what is typed.
//!
//! ```text
//!   bpf prog load /tools/funclatency.o lat            a compiler's object
//!   bpf prog load /tools/funclatency.s lat            a text
//!   bpf prog load 'r0 = 42; exit' answer              a text as it is typed
//!   bpf prog loadall /tools/funclatency.o lat autoattach    each where its section says: the names are those of links
//! ```
//!
//! What names no file and has a blank in it is a text. A text without `.section` is a program of `type`, or one that only
//! `bpf prog run` runs.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::helper;
use ::bpf::kind::Section;
use ::bpf::object::source::{self, Defaults};
use ::bpf::object::{self, Object};
use ::bpf::op::Imm64;
use ::bpf::text::Names;
use sh::Ctx;
use tracecore::errno::Errno;

use super::{Done, Failure, Words, path_of};
use crate::bpf::attach::Wanted;
use crate::bpf::load::{self, LoadError};
use crate::bpf::prog::Prog;
use crate::bpf::{link, maps, types};
use crate::fs::bpffs;

/// What a program is if nothing says so.
const DEFAULT_SECTION: &str = "syscall";

/// Names in texts: helpers, and maps that are there already.
struct Known;

impl Names for Known {
    fn helper(&self, name: &str) -> Option<i32> {
        helper::by_name(name).map(|proto| proto.number)
    }

    fn map(&self, name: &str) -> Option<Imm64> {
        let mut named = maps::all().into_iter().filter(|map| map.def().name == name);
        let map = named.next().filter(|_| named.next().is_none())?;
        i32::try_from(map.id()).ok().map(Imm64::Map)
    }
}

/// `load` and `loadall`.
pub(super) fn load(ctx: &mut Ctx, words: &mut Words<'_>, all: bool) -> Done {
    let source = words.next("a file or a text")?;
    let name = words.next("a name")?;
    let section = if words.take("type") { Some(words.next("a section")?) } else { None };
    let attached = words.take("autoattach");
    words.end()?;
    let path = path_of(name);
    if bpffs::get(&path).is_ok() {
        return Err(Failure::word(format!("can't pin BPF object: path '{path}' already exists")));
    }
    let mut object = read(ctx, source, name, section)?;
    if let Some(section) = section {
        for program in &mut object.programs {
            program.section = section.into();
        }
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    if !all && let Some(first) = object.programs.first_mut() {
        // A text says no name: the pin's is as good as any.
        if first.name.is_empty() {
            first.name = last.into();
        }
    }
    let count = if all { object.programs.len() } else { 1 };
    let loaded = load::load(&object, count).map_err(|why| told(ctx, &why))?;
    if all {
        let failed =
            |errno: Errno| Failure::word(format!("can't pin the object ({path}): {}", errno.strerror()));
        bpffs::make_dir(&path).map_err(failed)?;
    }
    // Held here until all of them have their names: one that fails takes nothing with it but what was loaded now.
    let mut pinned = Vec::new();
    for prog in &loaded.progs {
        let name = if all { format!("{path}/{}", prog.parts().name) } else { path.clone() };
        match pin(prog, &name, attached) {
            Ok(()) => pinned.push(name),
            Err(why) => {
                for path in &pinned {
                    let _ = bpffs::unpin(path);
                }
                if all {
                    let _ = bpffs::remove_dir(&path);
                }
                return Err(why);
            }
        }
    }
    Ok(())
}

/// Names a program, or attaches it and names the link, which holds the program.
fn pin(prog: &Arc<Prog>, path: &str, attached: bool) -> Done {
    let failed = |errno: Errno| Failure::word(format!("can't pin the object ({path}): {}", errno.strerror()));
    if !attached {
        return bpffs::pin(path, prog.clone()).map_err(failed);
    }
    let section = &prog.parts().section;
    let target = Section::parse(section).map_or("", |section| section.target);
    let link = link::create(prog, Wanted { target, cookies: &[] })
        .map_err(|why| Failure::word(format!("can't attach to '{section}': {why}")))?;
    link.pin(path).map_err(failed)
}

/// Tells why nothing was loaded, line by line; what remains is what bpftool says last.
fn told(ctx: &mut Ctx, why: &LoadError) -> Failure {
    ctx.eprint(&why.log);
    Failure::word(format!("failed to load object file: {}", why.errno.strerror()))
}

/// Reads a file: an object, or a text whose programs are called `name` if it does not say how.
pub(in crate::bpf::cmd) fn open(ctx: &mut Ctx, path: &str, name: &str) -> Result<Object, Failure> {
    read(ctx, path, name, None)
}

fn read(ctx: &mut Ctx, source: &str, name: &str, section: Option<&str>) -> Result<Object, Failure> {
    let bytes = match ctx.read_file(source) {
        Ok(bytes) => bytes,
        Err(Errno::ENOENT | Errno::ENAMETOOLONG)
            if source.contains([' ', ';', '\n', '=']) || source == "exit" =>
        {
            source.as_bytes().into()
        }
        Err(errno) => {
            ctx.eprint(&format!("failed to open {source}: {}\n", errno.strerror()));
            return Err(Failure::word("failed to open object file"));
        }
    };
    load::can_read(bytes.len()).map_err(|why| told(ctx, &why))?;
    let file = source.rsplit('/').next().unwrap_or(source);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let read = if object::is_elf(&bytes) {
        Object::parse(&bytes, stem, &types::Kernel)
    } else {
        let name = name.rsplit('/').next().unwrap_or(name);
        match String::from_utf8(bytes) {
            Ok(text) => {
                let section = section.unwrap_or(DEFAULT_SECTION);
                source::parse(&text, &Defaults { section, name, names: &Known })
            }
            Err(_) => {
                ctx.eprint(&format!("'{file}' is neither an ELF object nor a text\n"));
                return Err(Failure::word("failed to open object file"));
            }
        }
    };
    read.map_err(|why| {
        ctx.eprint(&format!("{why}\n"));
        let errno = Errno::from_code(why.errno()).unwrap_or(Errno::EINVAL);
        Failure::word(format!("failed to open object file: {}", errno.strerror()))
    })
}
