//! `bpf map`: makes maps, shows and changes what is in them. Words, texts and exit statuses are bpftool's.
//!
//! ```text
//!   bpf map create FILE type TYPE key BYTES value BYTES entries COUNT name NAME [flags FLAGS] [inner_map MAP]
//!   bpf map list|show [MAP]                  dump MAP
//!   bpf map lookup|getnext|delete MAP key DATA
//!   bpf map update MAP key DATA value DATA|MAP|PROG [any|noexist|exist]
//!   bpf map push|enqueue MAP value DATA      pop|dequeue|peek MAP
//!   bpf map pin MAP FILE                     freeze MAP                event_pipe MAP [cpu N index N]
//!
//!   MAP:  id NUMBER | name NAME | pinned FILE         DATA:  [hex] BYTE...
//! ```
//!
//! | file | what |
//! |---|---|
//! | `words` | the words of a command line |
//! | `show` | maps and elements as text |
//! | `pipe` | what programs send |
//!
//! An exit status is 255 when a word is wrong, and 256 less the error number when the map has refused.

mod pipe;
mod show;
mod words;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use ::bpf::map::{MapDef, MapKind, NAME_MAX};
use sh::Ctx;
use tracecore::errno::Errno;

use crate::bpf::load::arrays;
use crate::bpf::maps::{self, Entry};
use crate::fs::bpffs;
use words::{Value, Words};

/// Why a command ends: what is said, and its exit status.
pub(super) struct Failure {
    text: String,
    status: i32,
}

impl Failure {
    /// A word is wrong.
    fn word(text: String) -> Self {
        Self { text, status: 255 }
    }

    /// A map has refused.
    fn refused(what: &str, errno: Errno) -> Self {
        Self { text: format!("{what}: {}", errno.strerror()), status: status(errno) }
    }

    /// Nothing more is said.
    fn silent(errno: Errno) -> Self {
        Self { text: String::new(), status: status(errno) }
    }
}

/// As bpftool ends with: the number negated, of which a status has eight bits.
fn status(errno: Errno) -> i32 {
    256 - (errno.code() & 0xff)
}

/// What a command does.
type Done = Result<(), Failure>;

const USAGE: &str = "\
usage: bpf map { show | list }   [MAP]
       bpf map create     FILE type TYPE key KEY_SIZE value VALUE_SIZE entries MAX_ENTRIES name NAME
                          [flags FLAGS] [inner_map MAP]
       bpf map dump       MAP
       bpf map update     MAP [key DATA] [value VALUE] [any | exist | noexist]
       bpf map lookup     MAP [key DATA]
       bpf map getnext    MAP [key DATA]
       bpf map delete     MAP  key DATA
       bpf map pin        MAP  FILE
       bpf map event_pipe MAP [cpu N index M]
       bpf map peek       MAP
       bpf map push       MAP value DATA
       bpf map pop        MAP
       bpf map enqueue    MAP value DATA
       bpf map dequeue    MAP
       bpf map freeze     MAP
       bpf map help

       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }
       DATA := { [hex] BYTES }
       PROG := { id PROG_ID | pinned FILE | name PROG_NAME }
       VALUE := { DATA | MAP | PROG }
";

/// `bpf map …`.
pub(super) fn main(ctx: &mut Ctx, args: &[&str]) -> i32 {
    let (command, rest) = args.split_first().map_or(("show", args), |(first, rest)| (*first, rest));
    let mut words = Words::new(rest);
    let done = match command {
        "show" | "list" => show(ctx, &mut words),
        "create" => create(ctx, &mut words),
        "dump" => dump(ctx, &mut words),
        "lookup" => lookup(ctx, &mut words),
        "getnext" => getnext(ctx, &mut words),
        "update" | "push" | "enqueue" => update(ctx, &mut words),
        "delete" => delete(ctx, &mut words),
        "peek" => peek(ctx, &mut words),
        "pop" | "dequeue" => pop(ctx, &mut words),
        "pin" => pin(ctx, &mut words),
        "freeze" => freeze(ctx, &mut words),
        "event_pipe" => pipe::events(ctx, &mut words),
        "help" => {
            ctx.print(USAGE);
            return 0;
        }
        _ => {
            ctx.eprint(USAGE);
            return 255;
        }
    };
    match done {
        Ok(()) => 0,
        Err(Failure { text, status }) => {
            if !text.is_empty() {
                ctx.eprint(&format!("Error: {text}\n"));
            }
            status
        }
    }
}

fn show(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    if words.is_empty() {
        maps::all().iter().for_each(|map| ctx.print(&show::map(map)));
        return Ok(());
    }
    // Names are not unique, and here all are shown.
    if words.peek() == Some("name") {
        let all = words.named_maps()?;
        words.end()?;
        if all.is_empty() {
            return Err(Failure::silent(Errno::EPERM));
        }
        all.iter().for_each(|map| ctx.print(&show::map(map)));
        return Ok(());
    }
    let map = words.map(ctx)?;
    words.end()?;
    ctx.print(&show::map(&map));
    Ok(())
}

fn create(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    if words.len() < 7 {
        return Err(Failure::word(format!("'create' needs at least 7 arguments, {} found", words.len())));
    }
    let path = ctx.path(words.next()?);
    let mut def = MapDef::new(MapKind::Hash, 0, 0, 0);
    let (mut kind, mut inner) = (None, None);
    while let Some(word) = words.peek() {
        words.next()?;
        match word {
            "type" => {
                let name = words.next()?;
                let found = MapKind::by_name(name);
                kind = Some(found.ok_or_else(|| Failure::word(format!("unrecognized map type: {name}")))?);
            }
            "name" => {
                // What is too long is cut, as libbpf does.
                def.name = words.next()?.chars().take(NAME_MAX).collect();
            }
            "key" => def.key_size = words.number("key size")?,
            "value" => def.value_size = words.number("value size")?,
            "entries" => def.max_entries = words.number("max entries")?,
            "flags" => def.flags = words.number("flags")?,
            "inner_map" => inner = Some(words.map(ctx)?),
            _ => return Err(Failure::word(format!("unknown arg {word}"))),
        }
    }
    def.kind = kind.ok_or_else(|| Failure::word(String::from("map type not specified")))?;
    if def.name.is_empty() {
        return Err(Failure::word(String::from("map name not specified")));
    }
    def.inner = inner.map(|map| Box::new(map.def().clone()));
    let failed = |errno: Errno| Failure::word(format!("map create failed: {}", errno.strerror()));
    let map = maps::create(def).map_err(failed)?;
    pin_at(&map, &path)
}

fn pin_at(map: &Arc<Entry>, path: &str) -> Done {
    bpffs::pin(path, map.clone()).map_err(|errno| {
        Failure::word(match errno {
            Errno::EEXIST => format!("can't pin BPF object: path '{path}' already exists"),
            Errno::EPERM => format!("can't pin BPF object: '{path}' is not below {}", bpffs::ROOT),
            _ => format!("can't pin the object ({path}): {}", errno.strerror()),
        })
    })
}

fn pin(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let path = ctx.path(words.next()?);
    words.end()?;
    pin_at(&map, &path)
}

fn freeze(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    words.end()?;
    map.freeze();
    Ok(())
}

fn dump(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    words.end()?;
    let mut key = vec![0; map.def().key_size as usize];
    let mut value = vec![0; map.outer_value_size()];
    let (mut before, mut found): (Option<Vec<u8>>, usize) = (None, 0);
    let end = loop {
        if ctx.stopped().is_some() {
            return Ok(());
        }
        if let Err(errno) = map.key_after(before.as_deref(), &mut key) {
            break errno;
        }
        found += usize::from(element(ctx, &map, &key, &mut value));
        before = Some(key.clone());
    };
    ctx.print(&format!("Found {found} element{}\n", if found == 1 { "" } else { "s" }));
    if end == Errno::ENOENT { Ok(()) } else { Err(Failure::silent(end)) }
}

/// Prints an element of a dump; false if it has no value to show.
fn element(ctx: &mut Ctx, map: &Arc<Entry>, key: &[u8], value: &mut [u8]) -> bool {
    match map.def().kind {
        kind if kind.holds_maps() => {
            let id = show::inner_id(map, key);
            id.inspect(|id| ctx.print(&show::inner(key, *id))).is_some()
        }
        MapKind::ProgArray => {
            let id = show::prog_id(map, key);
            id.inspect(|id| ctx.print(&show::element(map.def(), key, &id.to_le_bytes()))).is_some()
        }
        _ => match map.read_value(key, value) {
            Ok(()) => {
                ctx.print(&show::element(map.def(), key, value));
                true
            }
            // It was deleted meanwhile.
            Err(Errno::ENOENT) => false,
            Err(errno) => {
                ctx.print(&format!("key:\n{}\nvalue:\n{}\n", show::hex(key), errno.strerror()));
                false
            }
        },
    }
}

fn lookup(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let element = words.element(ctx, &map, true, false)?;
    let key = element.key.unwrap_or_default();
    if map.def().kind.holds_maps() {
        return match show::inner_id(&map, &key) {
            Some(id) => {
                ctx.print(&show::inner(&key, id));
                Ok(())
            }
            None => not_found(ctx, &key),
        };
    }
    let mut value = vec![0; map.outer_value_size()];
    match if key.is_empty() { map.next_value(&mut value, false) } else { map.read_value(&key, &mut value) } {
        Ok(()) => {
            ctx.print(&show::element(map.def(), &key, &value));
            Ok(())
        }
        Err(Errno::ENOENT | Errno::EOPNOTSUPP) => not_found(ctx, &key),
        Err(errno) => Err(Failure::refused("lookup failed", errno)),
    }
}

fn not_found(ctx: &mut Ctx, key: &[u8]) -> Done {
    ctx.print(&format!("key:\n{}\n\nNot found\n", show::hex(key)));
    Err(Failure::silent(Errno::ENOENT))
}

fn getnext(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let key = if words.is_empty() { None } else { words.element(ctx, &map, true, false)?.key };
    let mut next = vec![0; map.def().key_size as usize];
    map.key_after(key.as_deref(), &mut next)
        .map_err(|errno| Failure::refused("can't get next key", errno))?;
    let from = key.map_or(String::from("key: None"), |key| format!("key:\n{}", show::hex(&key)));
    ctx.print(&format!("{from}\nnext key:\n{}\n", show::hex(&next)));
    Ok(())
}

fn update(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let element = words.element(ctx, &map, map.def().key_size > 0, true)?;
    let key = element.key.unwrap_or_default();
    let done = match element.value {
        Some(Value::Prog(prog)) => {
            let index = <[u8; 4]>::try_from(key.as_slice()).map_or(u32::MAX, u32::from_le_bytes);
            arrays::put(&map, index, &prog)
        }
        Some(Value::Map(inner)) => map.put_map(&key, &inner, element.flags),
        Some(Value::Bytes(value)) if map.def().key_size == 0 => map.push_value(&value, element.flags),
        Some(Value::Bytes(value)) => map.write_value(&key, &value, element.flags),
        None => Err(Errno::EINVAL),
    };
    done.map_err(|errno| Failure::refused("update failed", errno))
}

fn delete(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    let key = words.element(ctx, &map, true, false)?.key.unwrap_or_default();
    map.delete_key(&key).map_err(|errno| Failure::refused("delete failed", errno))
}

fn peek(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    words.end()?;
    let mut value = vec![0; map.outer_value_size()];
    match map.next_value(&mut value, false) {
        Ok(()) => {
            ctx.print(&show::element(map.def(), &[], &value));
            Ok(())
        }
        Err(Errno::ENOENT | Errno::EOPNOTSUPP) => not_found(ctx, &[]),
        Err(errno) => Err(Failure::refused("lookup failed", errno)),
    }
}

fn pop(ctx: &mut Ctx, words: &mut Words<'_>) -> Done {
    let map = words.map(ctx)?;
    words.end()?;
    let mut value = vec![0; map.outer_value_size()];
    match map.next_value(&mut value, true) {
        Ok(()) => {
            ctx.print(&show::element(map.def(), &[], &value));
            Ok(())
        }
        Err(Errno::ENOENT) => Err(Failure { text: String::from("empty map"), status: status(Errno::ENOENT) }),
        Err(errno) => Err(Failure::refused("pop failed", errno)),
    }
}
