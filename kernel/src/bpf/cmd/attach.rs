//! `bpf prog attach` and `bpf prog detach`.
//!
//! ```text
//!   bpf prog attach PROG [TARGET] [cookie N[,N…]] [pin PATH]    a link, kept until it is detached
//!   bpf prog detach PROG [TARGET]                               all links of the program, or those to the target
//! ```
//!
//! PROG is `id N`, `name NAME`, `pinned PATH`, or a number or a name alone. TARGET is what stands behind the slash of a section's
//! name, with the section's word or without; without it the program's own section says it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::bpf::kind::Section;
use sh::Ctx;

use crate::bpf::attach::Wanted;
use crate::bpf::link;
use crate::bpf::prog::{self, Prog};
use crate::fs::bpffs;

/// Says what went wrong; the exit status.
pub(super) fn status(ctx: &mut Ctx, what: &str, done: Result<(), String>) -> i32 {
    match done {
        Ok(()) => 0,
        Err(why) => {
            ctx.complain(format_args!("{what}: {why}"));
            1
        }
    }
}

/// A program, and the words behind it. Of several with one name it is the last that was loaded.
pub(super) fn find_prog<'a, 'w>(args: &'a [&'w str]) -> Result<(Arc<Prog>, &'a [&'w str]), String> {
    let (word, name, rest) = match args {
        ["id", id, rest @ ..] => ("id", *id, rest),
        ["name", name, rest @ ..] => ("name", *name, rest),
        ["pinned", path, rest @ ..] => ("pinned", *path, rest),
        [name, rest @ ..] => ("", *name, rest),
        [] => return Err("which program?".into()),
    };
    let by_id = || name.parse().ok().and_then(prog::by_id);
    let by_name = || prog::all().into_iter().rfind(|prog| prog.parts().name == name);
    let by_pin = || bpffs::get(&link::path_of(name)).ok()?.downcast::<Prog>().ok();
    let found = match word {
        "id" => by_id(),
        "name" => by_name(),
        "pinned" => by_pin(),
        _ => by_pin().or_else(by_name).or_else(by_id),
    };
    found.map(|prog| (prog, rest)).ok_or_else(|| format!("there is no program `{name}`"))
}

/// What a word means for a program whose section is `section`: `kprobe/work_add` and `work_add` are the same to a kprobe's.
fn target_of<'w>(prog: &Prog, word: &'w str) -> Result<&'w str, String> {
    match Section::parse(word).filter(|section| word.contains('/') && !section.target.is_empty()) {
        Some(section) if section.attach == prog.parts().attach => Ok(section.target),
        Some(section) => {
            Err(format!("a program of `{}` at a `{}`", prog.parts().attach.name(), section.attach.name()))
        }
        None => Ok(word),
    }
}

/// `bpf prog attach …`.
pub(super) fn attach(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let done = attached(args).map(|id| ctx.print(&format!("link {id}\n")));
    status(ctx, "prog attach", done)
}

fn attached(args: &[&str]) -> Result<u32, String> {
    let (prog, mut rest) = find_prog(args)?;
    let section = prog.parts().section.clone();
    let mut target = Section::parse(&section).map_or("", |section| section.target);
    let (mut cookies, mut name) = (Vec::new(), None);
    if let [word, behind @ ..] = rest
        && !matches!(*word, "cookie" | "pin")
    {
        (target, rest) = (target_of(&prog, word)?, behind);
    }
    loop {
        rest = match rest {
            [] => break,
            ["cookie", list, behind @ ..] => {
                let number = |text: &str| match text.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16).ok(),
                    None => text.parse().ok(),
                };
                let all: Option<Vec<u64>> = list.split(',').map(number).collect();
                cookies = all.ok_or_else(|| format!("`{list}`: cookies are numbers"))?;
                behind
            }
            ["pin", path, behind @ ..] => {
                name = Some(*path);
                behind
            }
            [word, ..] => return Err(format!("`{word}`: what is that?")),
        };
    }
    if let Some(name) = name
        && bpffs::get(&link::path_of(name)).is_ok()
    {
        return Err(format!("`{name}` is there already"));
    }
    let link = link::create(&prog, Wanted { target, cookies: &cookies }).map_err(|e| e.to_string())?;
    let id = link.id();
    match name {
        Some(name) => {
            let path = link::path_of(name);
            link.pin(&path).map_err(|e| format!("{path}: {}", e.strerror()))?;
        }
        None => link::keep(link),
    }
    Ok(id)
}

/// `bpf prog detach …`.
pub(super) fn detach(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let done = detached(args);
    status(ctx, "prog detach", done)
}

fn detached(args: &[&str]) -> Result<(), String> {
    let (prog, rest) = find_prog(args)?;
    let target = match rest {
        [] => None,
        [word] => Some(target_of(&prog, word)?),
        [_, word, ..] => return Err(format!("`{word}`: what is that?")),
    };
    let of_prog = |link: &Arc<link::Link>| {
        link.shown().prog == Some(prog.id()) && target.is_none_or(|target| target == link.target())
    };
    let links: Vec<_> = link::all().into_iter().filter(of_prog).collect();
    if links.is_empty() {
        return Err(format!("program {} is not attached there", prog.id()));
    }
    links.iter().for_each(|link| {
        link::release(link);
    });
    Ok(())
}
